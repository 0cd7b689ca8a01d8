"""What the commands show in a real terminal, and the keys of `rush dev`."""

import os
import re
import signal
import stat
import termios

import pytest

from rawclient import RawClient, request
from terminals import InTerminal, undressed

APP = """
from rush_web import WebServer

server = WebServer(port=0, root=".", files="/static/")
server.on_startup(lambda loader: loader.cache_files("/"))


@server.get("/")
def index(request):
    return "first"


server.add_redirect("/old", "/")
"""

BANNER = """
  Rush 0.1.0  development, ready in TIME

  Address  http://127.0.0.1:PORT/
  Workers  1  below process PID
  Routes   1, 1 redirect
  Files    this folder below /static/
  Cached   1 file, SIZE

  A save restarts it, errors are explained.
  r restart   o open   c clear   q quit

"""


@pytest.fixture
def app(tmp_path):
    path = tmp_path / "app.py"
    path.write_text(APP)
    return path


@pytest.fixture
def terminal(app):
    """Start ``rush`` in a terminal."""
    started = []

    def terminal(*arguments, **options):
        started.append(InTerminal("-m", "rush_web", *arguments, cwd=app.parent, **options))
        return started[-1]

    yield terminal
    for one in started:
        one.end()


def masked(text, program):
    """The text without what is another one each time."""
    text = re.sub(r"ready in [0-9.]+ m?s", "ready in TIME", undressed(text))
    text = re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:PORT", text)
    return re.sub(r"[0-9.]+ KiB", "SIZE", text).replace(str(program.pid), "PID")


def ask(port, path="/", *lines):
    with RawClient(("127.0.0.1", port)) as client:
        return client.get(path, *lines)


@pytest.mark.once
@pytest.mark.parametrize("columns", [80, 120])
def test_the_banner_and_a_line_for_each_request(terminal, columns):
    program = terminal("dev", "app.py", columns=columns)
    port = program.port()
    assert masked(program.wait_for("quit\n\n"), program) == BANNER
    url = f"http://127.0.0.1:{port}/"
    assert f"\x1b]8;;{url}\x1b\\\x1b[1;36m{url}\x1b[0m\x1b]8;;\x1b\\" in program.text
    hostile = f"/%1b%5B31m%0a%E2%80%AE{'x' * 300}?q=\\\x7e%1b"
    for path in ("/", "/static/app.py", "/static/app.py", "/static/no", "/old", hostile):
        ask(port, path)
    with RawClient(("127.0.0.1", port)) as client:
        client.send(b"GET / HTTP/1.1\r\nHost : x\r\n\r\n")
        client.response()
    program.wait_for("(no request)")
    lines = program.text.partition("quit\x1b[0m\n\n")[2].splitlines()
    said = [line for line in map(undressed, lines) if re.match(r"[0-9:]{8}  [A-Z-]+ ", line)]
    assert all(len(line) <= columns for line in said)
    assert [[*re.split(" {2,}", line)[2:4], line.split("  ")[-1]] for line in said[:5]] == [
        ["/", "200", "index"],
        ["/static/app.py", "200", "from memory"],
        ["/static/app.py", "200", "from memory"],
        ["/static/no", "404", "no such file"],
        ["/old", "301", "redirect"],
    ]
    assert "  /%1B%5B31m%0A%E2%80%AEx" in said[5]
    assert re.search(r"^[0-9:]{8}  -  +\(no request\) +400 ", said[6])
    assert "\x1b[1;32m200\x1b[0m" in program.text
    assert "\x1b[1;33m404\x1b[0m" in program.text
    assert set(re.findall(r"\x1b.", program.text)) <= {"\x1b[", "\x1b]", "\x1b\\"}
    assert "\x1b[31m" not in program.text
    program.type("q")
    assert program.wait() == 0
    assert program.mode() == program.mode_before


@pytest.mark.once
def test_run_has_no_keys_and_no_lines(terminal):
    program = terminal("run", "app.py", "--workers", "2", env={"NO_COLOR": "1"})
    program.wait_for("Ctrl-C stops it")
    assert "  Rush 0.1.0  production, ready in " in program.text
    assert "\x1b[" not in program.text
    assert "\x1b]8;;http://" in program.text  # a link is no colour
    assert program.mode() == program.mode_before
    port = int(re.search(r"127\.0\.0\.1:(\d+)", program.text)[1])
    assert ask(port).body == b"first"
    program.type("\x03")
    assert program.wait() == 0
    assert "200" not in program.text


@pytest.mark.once
def test_keys(terminal, app, tmp_path):
    browser = tmp_path / "browser"
    browser.write_text('#!/bin/sh\necho "$1" > opened.new && mv opened.new opened\n')
    browser.chmod(browser.stat().st_mode | stat.S_IXUSR)
    program = terminal("dev", env={"BROWSER": str(browser)})
    port = program.port()
    program.eventually(lambda: not program.mode()[3] & termios.ICANON, "keys without Enter")
    program.type("r")
    program.wait_for("restarted in")
    program.type("?o")
    opened = tmp_path / "opened"
    program.eventually(opened.exists, "the browser")
    assert opened.read_text() == f"http://127.0.0.1:{port}/\n"
    program.type("C")
    program.wait_for("\x1b[H\x1b[2J\x1b[3J")
    program.type("\x1a")  # Ctrl-Z
    program.eventually(program.stopped, "its stop")
    assert program.mode() == program.mode_before
    os.killpg(program.pid, signal.SIGCONT)
    program.eventually(lambda: program.mode() != program.mode_before, "its keys")
    assert ask(port).body == b"first"
    program.type("q")
    assert program.wait() == 0
    assert program.mode() == program.mode_before


@pytest.mark.once
def test_there_is_no_screen_to_open_a_browser_on(terminal):
    program = terminal("dev", env={"NO_COLOR": "1"})
    port = program.port()
    program.type("o")
    program.wait_for(f"no screen for a browser here: open http://127.0.0.1:{port}/ elsewhere")
    program.type("q")
    assert program.wait() == 0


ENDS = [
    # how it ends, status
    (signal.SIGTERM, 0),
    (signal.SIGINT, 0),
    (signal.SIGQUIT, -signal.SIGQUIT),
]


@pytest.mark.once
@pytest.mark.parametrize(("signum", "status"), ENDS, ids=lambda it: getattr(it, "name", ""))
def test_the_terminal_is_as_it_was_however_it_ends(terminal, signum, status):
    program = terminal("dev")
    port = program.port()
    program.eventually(lambda: program.mode() != program.mode_before, "its keys")
    before = ask(port).body
    with open(f"/proc/{program.pid}/task/{program.pid}/children") as children:
        for worker in children.read().split():
            os.kill(int(worker), signal.SIGKILL)  # another one takes its place
    program.eventually(lambda: ask(port).body == before, "another worker")
    assert program.mode() != program.mode_before
    os.kill(program.pid, signum)
    assert program.wait() == status
    assert program.mode() == program.mode_before


@pytest.mark.once
@pytest.mark.parametrize(("key", "status"), [("q", 130), ("\x03", 130)])
def test_keys_while_it_waits_for_a_save(terminal, app, key, status):
    app.write_text("import helpful\n")
    (app.parent / "helpfull.py").touch()
    program = terminal("dev")
    program.wait_for("A save begins anew, r tries again, q ends.")
    assert "ModuleNotFoundError: No module named 'helpful'" in undressed(program.text)
    assert "did you mean helpfull?" in program.text
    program.eventually(lambda: program.mode() != program.mode_before, "its keys")
    program.type("r")
    program.wait_for("A save begins anew", 2)
    program.eventually(lambda: program.mode() != program.mode_before, "its keys")
    program.type(key)
    assert program.wait() == status
    assert program.mode() == program.mode_before


@pytest.mark.once
def test_a_debugger_has_the_keys_while_it_asks(terminal, app):
    app.write_text(APP.replace('    return "first"', '    breakpoint()\n    return "first"'))
    program = terminal("dev", env={"PYTHONBREAKPOINT": "pdb.set_trace"})
    port = program.port()
    program.eventually(lambda: program.mode() != program.mode_before, "its keys")
    with RawClient(("127.0.0.1", port)) as client:
        client.send(request("/"))
        program.wait_for("(Pdb) ")
        program.type("p 6 * 7\r")
        program.wait_for("42")
        program.type("c\r")
        assert client.response().body == b"first"
    program.type("q")
    assert program.wait() == 0


@pytest.mark.once
def test_errors_in_the_terminal_show_the_line(terminal, app):
    app.write_text(APP.replace('return "first"', "raise ValueError('\\x1b[31m' + request.path)"))
    program = terminal("dev")
    ask(program.port(), "/")
    said = undressed(program.wait_for("  500  "))
    assert "error  <Request GET '/'> failed: \\x1b[31m/\n" in said
    assert "  app.py:10 in index\n" in said
    assert "> 10 |     raise ValueError('\\x1b[31m' + request.path)\n" in said
    assert "Traceback" not in said
    assert "\x1b[31m/" not in program.text
    program.type("q")
    assert program.wait() == 0
