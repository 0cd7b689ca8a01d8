"""Programs in a terminal of their own: what they write there, and the keys that are typed."""

import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import struct
import sys
import termios
import time

from rawclient import PATIENCE

# Of a style or of a link: what takes no room.
_DRESS = re.compile(r"\x1b\[[0-9;]*m|\x1b\]8;;[^\x1b]*\x1b\\")


def undressed(text):
    """The text without colours and links."""
    return _DRESS.sub("", text)


class InTerminal:
    """A Python program whose terminal has so many columns; `text` is what it has written."""

    def __init__(self, *arguments, cwd, columns=80, env=()):
        self.text = ""
        environ = {**os.environ, "TERM": "xterm-256color", **dict(env)}
        for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "DISPLAY", "WAYLAND_DISPLAY", "BROWSER"):
            if name not in dict(env):
                environ.pop(name, None)
        self._terminal, self._other_end = pty.openpty()
        fcntl.ioctl(self._terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
        self.mode_before = self.mode()
        self.pid = os.fork()
        if not self.pid:
            try:
                os.setsid()
                fcntl.ioctl(self._other_end, termios.TIOCSCTTY, 0)
                for descriptor in range(3):
                    os.dup2(self._other_end, descriptor)
                os.chdir(cwd)
                command = [sys.executable, "-W", "error", *map(os.fspath, arguments)]
                os.execve(sys.executable, command, environ)
            finally:
                os._exit(127)

    def mode(self):
        """The mode of the terminal, which outlives the program."""
        return termios.tcgetattr(self._other_end)

    def type(self, keys):
        os.write(self._terminal, keys.encode())

    def wait_for(self, text, count=1):
        """Wait until it has written this so often, colours aside; returns all, with colours."""
        deadline = time.monotonic() + PATIENCE
        while undressed(self.text).count(text) < count:
            assert time.monotonic() < deadline, f"no {text!r} in:\n{self.text}"
            self._read(1.0)
        return self.text

    def eventually(self, question, what):
        """Ask until the answer is yes, and read what is written meanwhile."""
        deadline = time.monotonic() + PATIENCE
        while not question():
            assert time.monotonic() < deadline, f"waited in vain for {what}; it says:\n{self.text}"
            self._read(0.01)

    def wait(self):
        """Wait for the end; returns the exit status, negative for a signal."""
        ended = []

        def has_ended():
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                ended.append(os.waitstatus_to_exitcode(status))
            return pid

        self.eventually(has_ended, "its end")
        self.pid = 0
        return ended[0]

    def port(self):
        """Where it serves."""
        self.wait_for("quit")
        return int(re.search(r"http://127\.0\.0\.1:(\d+)/", self.text)[1])

    def stopped(self):
        """Whether it has been stopped (Ctrl-Z)."""
        with open(f"/proc/{self.pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] == "T"

    def end(self):
        """Leave nothing of it, whatever happened."""
        if self.pid:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self._terminal)
        os.close(self._other_end)

    def _read(self, seconds):
        if select.select([self._terminal], [], [], seconds)[0]:
            with contextlib.suppress(OSError):  # nobody has it open any more
                data = os.read(self._terminal, 65536).decode()
                self.text += data.replace("\r\n", "\n")
