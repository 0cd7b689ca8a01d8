"""The `rush` command, as a process."""

import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from importlib.metadata import PackageNotFoundError, entry_points, version

import pytest

import rush_web
from rawclient import PATIENCE, request
from rush_web.__main__ import main
from rush_web.commands import EXAMPLES, parse


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
        r" with 2 workers\.\nReady in \d[\d.]* m?s, in production\. Ctrl-C stops it\.\n",
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


def commands(text):
    """The commands of an example, without what is said of them."""
    lines = (re.split(" {3}", line)[0] for line in text.split("\n")[1:])
    return [
        line.split(" | ")[0] for whole in lines for line in whole.split(" && ") if "rush" in line
    ]


HELP = {
    "serve": ["DIR", "--host", "--port", "--workers", "rush serve public --port 8000"],
    "run": ["MODULE:SERVER", "--host", "--port", "--workers", "rush run app:server"],
}


def test_help(said):
    status, output, errors = said("--help")
    assert (status, errors) == (0, "")
    for word in ("COMMAND", "serve the files of a folder", "run a WebServer of a Python module"):
        assert word in output


@pytest.mark.parametrize("name", [name for name in EXAMPLES if name != "rush"])
def test_every_command_has_examples(capsys, name):
    with pytest.raises(SystemExit) as ended:
        parse([name, "--help"])
    assert ended.value.code == 0
    said = capsys.readouterr().out
    examples = said.partition("\nexamples:\n")[2].splitlines()
    assert len(examples) >= 2
    assert examples[0].startswith(f"  rush {name} ") or name == "top"
    assert all(len(line) <= 80 for line in examples)
    for word in HELP.get(name, ()):
        assert word in said


@pytest.mark.parametrize("line", [line for text in EXAMPLES.values() for line in commands(text)])
def test_the_examples_can_be_said(line):
    words = shlex.split(line)
    assert parse(words[words.index("rush") + 1 :]).command in EXAMPLES


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
    ([], "usage: rush [-h] [--version] COMMAND ..."),
    (["sing"], "rush: no command 'sing': there are new, dev, run, "),
    (["srve"], "rush: no command 'srve': did you mean serve?"),
    (["app.py"], "rush: no command 'app.py': did you mean rush dev app.py?"),
    (["app:server"], "rush: no command 'app:server': did you mean rush dev app:server?"),
    (["."], "rush: no command '.': did you mean rush serve .?"),
    (["serve"], "required: DIR"),
    (["serve", "missing"], "rush: no folder 'missing' in HERE\n"),
    (["serve", "app.py"], "rush: no folder 'app.py' in HERE: it is a program: rush dev app.py\n"),
    (["serve", "shopp"], "rush: no folder 'shopp' in HERE: did you mean shop?\n"),
    (["serve", "shop/web.py"], "it is a program: rush dev shop/web.py\n"),
    (["serve", "shop/a.html"], "it is a file: rush serve shop\n"),
    (["serve", ".", "--prot", "80"], "rush serve: no argument '--prot': did you mean --port?"),
    (["serve", ".", "--port", "x"], "--port: 'x' is no number from 0 to 65535"),
    (["serve", ".", "--port", "65536"], "--port: '65536' is no number from 0 to 65535"),
    (["serve", ".", "--workers", "0"], "--workers: '0' is no number from 1 to 255"),
    (["run", "app.py", "other.py"], "rush run: 'other.py' is one too many"),
    (
        ["run", "missing"],
        "no module 'missing' in HERE; there are app, asgi, empty, flask_like, ",
    ),
    (
        ["run", "missing.web:server"],
        "rush: no module 'missing' in HERE; there are app, asgi, empty, ",
    ),
    (["run", "web.py"], "rush: no file 'web.py' in HERE: there is shop/web.py\n"),
    (["run", "web"], "rush: no module 'web' in HERE: there is shop/web.py\n"),
    (["run", "."], "rush: '.' is a folder: name one of its files, such as ./"),
    (["run", "shop/"], "rush: 'shop/' is a folder: name one of its files, such as shop/web.py; "),
    (["run", "shop"], "of module 'shop', which is a folder; its modules are shop.web\n"),
    (["run", "shop/a.html"], "rush: 'shop/a.html' is no file of Python, which ends with .py; "),
    (["run", "my.app.py"], "rush: 'my.app.py' cannot be imported, with a dot in its name: call it"),
    (["run", "site.py"], "rush: site.py has the name of another module, "),
    (["run", "site"], "rush: site.py has the name of another module, "),
    (["run", "flask_like"], "; 'app' is a WSGI application: rush wsgi flask_like:app runs it\n"),
    (["run", "flask_like:app"], "; it is a WSGI application: rush wsgi flask_like:app runs it\n"),
    (["run", "asgi"], "; it has an ASGI application, which Rush does not run\n"),
    (["run", "made:make"], "but a function: give what it returns a name, server = make()\n"),
    (["run", "made:Site"], "but a class: server = Site() makes one\n"),
    (["wsgi", "app"], "; 'server' is a WebServer: rush run app:server\n"),
    (
        ["wsgi", "empty"],
        "'application' or 'app' is no WSGI application of module 'empty'; it has n",
    ),
    (["wsgi", "flask_like:ap"], "'ap' is no WSGI application of module 'flask_like'; it has app\n"),
    (["run", "app.web"], "rush: no module 'app.web' in HERE\n"),
    (["run", "ap.py"], "rush: no file 'ap.py' in HERE: did you mean app.py?\n"),
    (["run", "./app"], "'./app' is no name of a module: write app:server for app.py"),
    (["run", ":server"], "'' is no name of a module"),
    (["run", ".app"], "'.app' is no name of a module"),
    (["run", "app:missing"], "'missing' is no WebServer of module 'app'; it has other, server\n"),
    (["run", "app:sever"], "'sever' is no WebServer of module 'app': did you mean server?\n"),
    (["run", "app:text"], "'text' is no WebServer of module 'app'; it has other, server\n"),
    (["run", "empty"], "of module 'empty'; it has none: server = WebServer() makes one\n"),
    (["explain"], "required: MODULE:SERVER"),
    (["routes", "missing"], "rush: no module 'missing' in HERE; there are app, asgi, empty, "),
    (["new"], "required: DIR"),
    (["new", "shop"], "rush: folder 'shop' is not empty, it has a.html, web.py: take another name"),
    (["new", "app.py"], "rush: 'app.py' is there already, and no folder: take another name"),
    (["new", "a/$(x)"], "rush: '$(x)' is no name for a project: letters, digits, - and _, such as"),
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


OTHERS = {
    "shop/web.py": "",
    "shop/a.html": "",
    "site.py": "",
    "my.app.py": "",
    "flask_like.py": (
        "class App:\n    def __call__(self, environ, start_response): pass\napp = App()"
    ),
    "asgi.py": "async def app(scope, receive, send): pass",
    "made.py": "def make(): pass\nclass Site: pass",
}


@pytest.fixture
def main_says(capsys, monkeypatch, module):
    """What the command says in this process, which forgets the modules of the test."""
    monkeypatch.chdir(module)
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)

    def main_says(*arguments):
        try:
            status = main(arguments)
        except SystemExit as ended:
            status = ended.code
        said = capsys.readouterr()
        return status, said.out, said.err

    yield main_says
    for name in set(sys.modules) - before:
        if str(module) in str(getattr(sys.modules[name], "__file__", None) or ""):
            del sys.modules[name]


@pytest.mark.parametrize(("arguments", "words"), MISTAKES)
def test_mistakes(main_says, module, arguments, words):
    (module / "empty.py").touch()
    (module / "rootless.py").write_text(
        "import rush_web\nserver = rush_web.WebServer(root='missing')"
    )
    (module / "shop").mkdir()
    for name, text in OTHERS.items():
        (module / name).write_text(text)
    status, output, errors = main_says(*arguments)
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
        assert errors.count("Traceback") == (0 if "SyntaxError" in words else 1)
        assert "importlib" not in errors


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


def wait_for_news(stream, words):
    """Read events until these have come: comments come all the time."""
    deadline = time.monotonic() + PATIENCE
    while words not in stream.begun():
        assert time.monotonic() < deadline, stream.begun()
        stream._more()


def test_serve_live(rush, site):
    """One worker, pages with the script that reloads them, and the news of what was saved."""
    page = site / "public" / "index.html"
    program = rush("serve", "public", "--port=0", "--live").ready()
    assert " with 1 worker.\n" in str(program.output)
    assert program.get().body.startswith(b'index<script src="/_rush/live.js"')
    assert b"EventSource" in program.get("/_rush/live.js").body
    with program.client() as stream:
        stream.send(request("/_rush/live"))
        wait_for_news(stream, b"event: version")
        page.write_text("another")
        wait_for_news(stream, b"event: reload")
    assert program.get().body.startswith(b"another<script ")
    assert ", in development: pages reload when their files are saved. " in str(program.output)
    program.output.wait_for("from memory\n")
    assert "/_rush/" not in str(program.output)
    assert program.stop(signal.SIGINT) == 0


def test_a_module_that_serves_when_it_is_imported(said, module):
    with (module / "app.py").open("a") as file:
        file.write("server.run()\n")
    status, output, errors = said("run", "app")
    assert (status, output) == (3, "")
    assert "put server.run() below if __name__ == '__main__'" in errors


def test_the_program_that_is_run_if_none_is_named(rush, said, module):
    program = rush("run").ready()
    assert program.get().body == b"server"
    assert program.stop() == 0
    (module / "app.py").rename(module / "web.py")
    status, _, errors = said("run")
    assert (status, errors) == (
        2,
        f"rush: name a program, such as app.py; there is none of that name in {module}: "
        "there are web.py\n",
    )
