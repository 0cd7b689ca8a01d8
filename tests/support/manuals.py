"""A page of a manual, done as a reader does it: files are written, commands typed, answers read.

What a page has to look like:

- A fenced block after a paragraph that ends with the name of a file in backticks and a colon is
  that file.  A Python program without a name is ``app.py``.
- A block of ``console`` has commands after ``$ ``, each followed by what it prints.  ``python X``
  and ``rush run`` (or ``serve``, ``dev``, ``wsgi``) start a server, in place of the one before.
  Where the first command comes without a server, the last program is started.
- A block of ``log`` is what the server says then, sooner or later.
- ``...`` in what is printed stands for anything; dates and times of day count for nothing.
- All other blocks are only looked at.

Port 9090 stands for the port that was free, ``/home/ann/app`` for the folder of the reader.
"""

import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile

from programs import PATIENCE, Output, eventually

SHOWN = "127.0.0.1:9090"
FOLDER = "/home/ann/app"
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_NAMED = re.compile(r"`([\w./-]+\.\w+)`[^`]*:\s*\Z")
_STARTS = re.compile(r"(?:\w+=\S+ )*(?:python \S+\.py|rush (?:run|serve|dev|wsgi) )")
_DATE = re.compile(r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT|\d{4}-\d\d-\d\d[ T][\d:.,]+")
_SECONDS = re.compile(r"\bin \d+(?:\.\d+)? ?m?s\b")
_PROGRAMS = {
    "python": "-W error",
    "rush": "-W error -m rush_web",
    "pytest": "-W error -m pytest -p no:cacheprovider",
}


def blocks_of(page):
    """The fenced blocks of a page, each with the text between it and the one before."""
    end = 0
    for found in _BLOCK.finditer(page):
        yield found[1], found[2], page[end : found.start()]
        end = found.end()


def commands_of(block):
    """The commands of a session, each with what it prints."""
    for piece in ("\n" + block).split("\n$ ")[1:]:
        command, _, said = piece.replace("\\\n", "\0").partition("\n")
        yield command.replace("\0", "\\\n"), said


def pattern_of(said):
    """A regular expression for what is printed."""
    text = _SECONDS.sub("in ...s", _DATE.sub("...", said.strip()))
    pattern = "\n".join(re.escape(line).replace(r"\.\.\.", ".*?") for line in text.split("\n"))
    return pattern.replace("\n.*?\n", "\n(?:.*?\n)?")  # a line of its own: any number of lines


class Reader:
    """Somebody with an empty folder, who does what a page says; a context manager."""

    def __init__(self, folder):
        self.folder = folder / "reader"
        self.folder.mkdir()
        self._program = None
        self._is_tried = True
        self._server = None
        self._output = None
        self._address = SHOWN
        self._environ = self._make_environ(folder / "bin")

    def _make_environ(self, commands):
        commands.mkdir()
        for name, arguments in _PROGRAMS.items():
            self._make_command(commands / name, f'{shlex.quote(sys.executable)} {arguments} "$@"')
        curl = f"--silent --show-error --noproxy '*' --max-time {PATIENCE:.0f}"
        path = os.environ.get("PATH", os.defpath)
        self._make_command(commands / "curl", f'env PATH={shlex.quote(path)} curl {curl} "$@"')
        return {
            **{name: value for name, value in os.environ.items() if "PROXY" not in name.upper()},
            "PATH": f"{commands}{os.pathsep}{path}",
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            "PYTHONDONTWRITEBYTECODE": "1",  # a program may be written anew within a second
            "RUSH_PORT": "0",
            "LC_ALL": "C.UTF-8",
            "NO_COLOR": "1",
            "HOME": str(self.folder),
        }

    @staticmethod
    def _make_command(path, command):
        path.write_text(f"#!/bin/sh\nexec {command}\n")
        path.chmod(0o755)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self._stop()

    def follow(self, page):
        """Do all of it; returns how many commands were typed."""
        typed = 0
        for language, block, before in blocks_of(page):
            if language == "console":
                for command, said in commands_of(block):
                    self.type(command, said)
                    typed += 1
            elif language == "log":
                self._wait_for(pattern_of(block))
            elif name := _NAMED.search(before):
                self.write(name[1], block)
            elif language == "python":
                self.write("app.py", block)
        self._check_tried()
        return typed

    def write(self, name, text):
        """Save a file; a program is started when somebody asks for it."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        if ".run(" in text and name.endswith(".py") and not self._is_dev():
            self._check_tried()
            self._stop()
            self._program, self._is_tried = f"python {name}", False

    def type(self, command, said):
        """Type a command, and compare what it prints."""
        if _STARTS.match(command) and "--show-config" not in command:
            self._stop()
            self._start(re.sub(r"--port \d+", "--port 0", command))
            self._wait_for(pattern_of(said))
            return
        self._is_tried = self._is_tried or "pytest" in command
        if "curl " in command and self._server is None:
            self._start(self._program)
        with tempfile.TemporaryFile("w+") as output:  # a pipe would wait for what goes on behind
            subprocess.run(
                ["bash", "-c", command.replace(SHOWN, self._address)],
                cwd=self.folder,
                env=self._environ,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                timeout=3 * PATIENCE,
            )
            output.seek(0)
            printed = self._as_shown(output.read()).strip()
        assert re.fullmatch(pattern_of(said), printed, re.DOTALL), f"$ {command}\n{printed}"

    def _as_shown(self, text):
        text = text.replace(self._address, SHOWN).replace(str(self.folder), FOLDER)
        text = "\n".join(line.rstrip() for line in text.splitlines())
        return _SECONDS.sub("in ...s", _DATE.sub("...", text))

    # The server

    def _is_dev(self):
        """Whether the server restarts by itself when a program is saved."""
        return self._server is not None and "rush dev" in " ".join(self._server.args)

    def _check_tried(self):
        assert self._is_tried, f"nothing was done with this program: {self._program}"

    def _start(self, command):
        self._is_tried = True
        self._server = subprocess.Popen(
            ["bash", "-c", f"exec env {command}"],
            cwd=self.folder,
            env=self._environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._output = Output(self._server.stdout)
        try:
            banner = self._output.wait_for("Rush serves")
            banner = eventually(
                lambda: re.search(r"https?://(127\.0\.0\.1:\d+)/", str(self._output)), "the address"
            )
        except AssertionError:
            self._server.kill()
            raise
        self._address = banner[1]

    def _wait_for(self, pattern):
        def said():
            return re.search(pattern, self._as_shown(str(self._output)), re.DOTALL)

        try:
            eventually(said, "what the page says")
        except AssertionError:
            raise AssertionError(f"the server says:\n{self._output}\nnot:\n{pattern}") from None

    def _stop(self):
        server, self._server = self._server, None
        if server is None:
            return
        server.send_signal(signal.SIGTERM)
        try:
            status = server.wait(PATIENCE)
        finally:
            server.kill()
            server.wait()
            self._output.end()
            server.stdout.close()
        assert status == 0, str(self._output)
