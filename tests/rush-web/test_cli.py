"""The `rush` command, as a process."""

import os
import re
import signal
import socket
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, entry_points, version

import pytest

import rush_web
from rush_web.__main__ import main


@pytest.fixture
def rush(launch):
    """Start ``python -m rush_web``."""
    return lambda *arguments, **options: launch("-m", "rush_web", *arguments, **options)


@pytest.fixture
def said(rush):
    """What the command says that ends by itself: exit status, stdout, stderr."""

    def said(*arguments, **options):
        program = rush(*arguments, **options)
        status = program.wait()
        return status, program.output.end(), str(program.log)

    return said


@pytest.fixture
def site(tmp_path):
    (tmp_path / "public").mkdir()
    (tmp_path / "public" / "index.html").write_text("index")
    return tmp_path


MODULE = """
from rush_web import WebServer

server = WebServer(port=0, workers=1)
other = WebServer(port=0, workers=1)
text = "x"

@server.get("/")
def index(request):
    request.response("server")

@other.get("/")
def index(request):
    request.response("other")
"""


@pytest.fixture
def module(tmp_path):
    (tmp_path / "app.py").write_text(MODULE)
    return tmp_path


def test_serve(rush, site):
    program = rush("serve", "public", "--port", "0", "--workers", "2").ready()
    assert re.fullmatch(
        rf"Rush serves the files of {site}/public below / at http://127\.0\.0\.1:\d+/"
        r" with 2 workers\.\nCtrl-C stops it\.\n",
        program.output.wait_for("it.\n"),
    )
    assert program.get().body == b"index"
    assert program.get("/x").status == 404
    program.kill_group(signal.SIGINT)
    assert program.wait() == 0
    assert str(program.log) == ""


def test_serve_logs_errors_with_the_time(rush, site):
    (site / "app.py").write_text(MODULE + "    raise ValueError('reason')\n")
    program = rush("run", "app:other").ready()
    program.get()
    log = program.log.wait_for("ValueError: reason\n")
    assert re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d+ ERROR <Request GET '/'> failed", log)
    assert program.stop() == 0


@pytest.mark.parametrize(("name", "body"), [("app", b"server"), ("app:other", b"other")])
def test_run(rush, module, name, body):
    program = rush("run", name).ready()
    assert program.get().body == body
    assert " with 1 worker.\n" in str(program.output)
    assert program.stop() == 0
    assert str(program.log) == ""


def test_run_with_other_options(rush, module):
    with socket.socket() as sock:  # a port that was free a moment ago
        sock.bind(("127.0.0.2", 0))
        port = sock.getsockname()[1]
    options = ("--host", "127.0.0.2", "--port", str(port), "--workers", "3")
    program = rush("run", "app", *options).ready()
    assert program.address == ("127.0.0.2", port)
    assert " with 3 workers.\n" in str(program.output)
    assert len(program.children()) == 3
    assert program.get().body == b"server"
    assert program.stop() == 0


def test_run_a_module_in_a_package(rush, module):
    (module / "package").mkdir()
    (module / "app.py").rename(module / "package" / "web.py")
    program = rush("run", "package.web:server").ready()
    assert program.get().body == b"server"
    assert program.stop() == 0


def test_version(said):
    assert said("--version") == (0, f"rush {rush_web.__version__}\n", "")


HELP = [
    (["--help"], ["COMMAND", "serve the files of a folder", "run a WebServer of a Python module"]),
    (
        ["serve", "--help"],
        ["DIR", "--host", "--port", "--workers", "rush serve public --port 8000"],
    ),
    (["run", "--help"], ["MODULE:SERVER", "--host", "--port", "--workers", "rush run app:server"]),
]


@pytest.mark.parametrize(("arguments", "words"), HELP)
def test_help(said, arguments, words):
    status, output, errors = said(*arguments)
    assert (status, errors) == (0, "")
    for word in words:
        assert word in output


SHOWN = """
server.add_redirect("/old", "/", 302)
server.get("/user/<int:id>", lambda request: "x" in request.args)(index)
server.route(any_path=True, methods={"LINK"})(index)
"""


def test_routes(said, module):
    with (module / "app.py").open("a") as file:
        file.write(SHOWN)
    status, output, errors = said("routes", "app")
    assert (status, errors) == (0, "")
    where = re.escape(str(module / "app.py"))
    assert re.fullmatch(
        rf"any /old -> / \(302\)\nGET /: index \({where}:8\)\n"
        rf"GET /user/<int:id> if <lambda> \({where}:\d+\): index \({where}:\d+\)\n"
        rf"LINK any path: index \({where}:\d+\)\n",
        output,
    )


def test_check(said, module):
    assert said("check", "app:server") == (0, "no problems\n", "")
    with (module / "app.py").open("a") as file:
        file.write(SHOWN)
    status, output, errors = said("check", "app")
    assert (status, errors) == (1, "")
    assert output.startswith("no-fallback: GET /user/<int:id> is 404 where the filter says no: ")


def test_explain(said, module):
    status, output, errors = said("explain", "app", "get", "/")
    assert (status, errors) == (0, "")
    assert re.fullmatch(r"GET /\n  -> handler GET /: index \(\S*app.py:8\)\n", output)


MISTAKES = [
    # arguments, words on stderr
    ([], "required: COMMAND"),
    (["sing"], "invalid choice: 'sing'"),
    (["serve"], "required: DIR"),
    (["serve", "missing"], "rush: no folder 'missing' in HERE\n"),
    (["serve", "app.py"], "rush: no folder 'app.py' in HERE\n"),
    (["serve", ".", "--port", "x"], "--port: 'x' is no number from 0 to 65535"),
    (["serve", ".", "--port", "65536"], "--port: '65536' is no number from 0 to 65535"),
    (["serve", ".", "--workers", "0"], "--workers: '0' is no number from 1 to 255"),
    (["run"], "required: MODULE:SERVER"),
    (["run", "missing"], "rush: no module 'missing' in HERE; there are app, empty, rootless\n"),
    (
        ["run", "missing.web:server"],
        "rush: no module 'missing' in HERE; there are app, empty, rootless\n",
    ),
    (["run", "app.web"], "rush: no module 'app.web' in HERE\n"),
    (["run", "ap.py"], "rush: no file 'ap.py' in HERE: did you mean app.py?\n"),
    (["run", "./app"], "'./app' is no name of a module: write app:server for app.py"),
    (["run", ":server"], "'' is no name of a module"),
    (["run", ".app"], "'.app' is no name of a module"),
    (["run", "app:missing"], "'missing' is no WebServer of module 'app'; it has server, other\n"),
    (["run", "app:text"], "'text' is no WebServer of module 'app'; it has server, other\n"),
    (["run", "empty"], "'server' is no WebServer of module 'empty'; it has none\n"),
    (["routes"], "required: MODULE:SERVER"),
    (["routes", "missing"], "rush: no module 'missing' in HERE; there are app, empty, rootless\n"),
    (["explain", "app", "GET"], "required: TARGET"),
    (["explain", "app", "GET", "x"], "rush: no request can ask so (400): target is neither"),
    (["run", "rootless"], "rush: no folder 'missing' in HERE\n"),
    (["serve", ".", "--metrics", "m"], "rush: metrics is a path such as '/metrics', not 'm'\n"),
    (
        ["serve", ".", "--worker-timeout", "0"],
        "rush: worker_timeout is 0.0: it must be more than 0",
    ),
    (["serve", ".", "--user", "no-such-user"], "rush: user is 'no-such-user'"),
    (["serve", ".", "--access-format", "{x}"], "rush: no field {x} for the access log"),
    (["serve", ".", "--keyfile", "key.pem"], "rush: keyfile='key.pem' needs a certfile\n"),
]

NO_FILES = [
    (["--access-log", "/none/log"], "No such file or directory: '/none/log'\n"),
    (["--pid-file", "/none/pid"], "No such file or directory: '/none/pid"),
    (["--certfile", "/none/cert"], "no certificate with its key in '/none/cert': No such file"),
]


@pytest.mark.once
@pytest.mark.parametrize(("arguments", "words"), NO_FILES)
def test_files_that_cannot_be_had(said, arguments, words):
    status, output, errors = said("serve", ".", "--port", "0", *arguments)
    assert (status, output) == (1, "")
    assert words in errors
    assert errors.startswith("rush: ")
    assert "Traceback" not in errors


@pytest.mark.once
@pytest.mark.parametrize(("arguments", "words"), MISTAKES)
def test_mistakes(said, module, arguments, words):
    (module / "empty.py").touch()
    (module / "rootless.py").write_text(
        "import rush_web\nserver = rush_web.WebServer(root='missing')"
    )
    status, output, errors = said(*arguments)
    assert (status, output) == (2, "")
    assert words.replace("HERE", str(module)) in errors
    assert "Traceback" not in errors


def test_the_mistakes_of_a_module_are_shown_with_their_traceback(said, module):
    for source, words in {
        "import no_such_thing": "No module named 'no_such_thing'",
        "int('x')": "invalid literal",
        "open('missing.txt')": "No such file or directory: 'missing.txt'",
        "x = (": "SyntaxError",
    }.items():
        (module / "broken.py").write_text(source)
        status, _, errors = said("run", "broken")
        assert status == 3
        assert words in errors
        assert errors.count("Traceback") == 1


def test_a_module_whose_name_begins_like_another(said, module):
    (module / "no_such.py").write_text("import no")
    status, _, errors = said("run", "no_such")
    assert (status, "No module named 'no'" in errors) == (3, True)


def test_a_port_in_use(said, rush, site):
    first = rush("serve", "public", "--port", "0", "--workers", "2").ready()
    port = str(first.address[1])
    status, output, errors = said("serve", "public", "--port", port)
    assert (status, output) == (1, "")
    what, who, free = errors.splitlines()
    assert what == (
        f"rush: cannot listen at 127.0.0.1:{port}: Address already in use"
        "; stop who listens there, or take another (port 0: any free one)"
    )
    assert f"port {port} is taken by " in who
    assert f"(pid {first.pid}), and 2 more" in who
    assert re.fullmatch(r" +the next one that is free: --port \d+", free)
    assert first.get().body == b"index"
    assert first.stop() == 0


def test_workers_that_cannot_start(said, module):
    (module / "bad.py").write_text(MODULE + "server.redirects['/x'] = ('/y', 200)\n")
    status, _, errors = said("run", "bad")
    assert status == 3
    assert errors.count("Traceback") == 1


def test_main_returns_its_status(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert main(["serve", "missing"]) == 2
    assert "no folder 'missing'" in capsys.readouterr().err


def test_the_command_is_installed():
    try:
        assert version("rush-web") == rush_web.__version__
    except PackageNotFoundError:
        pytest.skip("rush-web is on the path, not installed")
    (script,) = [one for one in entry_points(group="console_scripts") if one.name == "rush"]
    assert script.load() is main
    command = os.path.join(os.path.dirname(sys.executable), "rush")
    said = subprocess.run([command, "--version"], capture_output=True, text=True, check=True)
    assert said.stdout == f"rush {rush_web.__version__}\n"


def test_serve_lists_and_falls_back(rush, site):
    (site / "public" / "folder").mkdir()
    program = rush("serve", "public", "--port=0", "--workers=1", "--list").ready()
    assert b"Index of /folder/" in program.get("/folder/").body
    program = rush("serve", "public", "--port=0", "--workers=1", "--fallback=index.html").ready()
    assert program.get("/any/where").body == b"index"
