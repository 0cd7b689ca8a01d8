"""`rush dev`: a server that follows what is saved, as a process."""

import os
import signal
import sys

import pytest

from programs import eventually
from rawclient import request
from rush_web.programs import Mistake, load_server

pytestmark = pytest.mark.once

APP = """
from rush_web import WebServer

server = WebServer(port=0, workers=4)


@server.get("/")
def index(request):
    return "first"


@server.get("/events")
def events(request):
    request.events().send("hello")


@server.get("/bug")
def bug(request):
    raise ValueError("reason")
"""


@pytest.fixture
def app(tmp_path):
    path = tmp_path / "app.py"
    path.write_text(APP)
    return path


@pytest.fixture
def dev(launch, app):
    """Start ``rush dev`` and wait until it serves."""

    def dev(target="app.py"):
        return launch("-m", "rush_web", "dev", target).ready()

    return dev


def save(path, text):
    """As editors do it: another file in its place."""
    new = path.with_suffix(".new")
    new.write_text(text)
    os.replace(new, path)


def until(program, body):
    """Ask until the answer is `body`: no connection may be refused meanwhile."""
    eventually(lambda: program.get("/").body == body, f"the answer {body!r}")


@pytest.mark.parametrize("target", ["app.py", "app:server"])
def test_a_save_restarts_it_and_no_request_is_refused(dev, app, target):
    program = dev(target)
    assert "with 1 worker." in str(program.output)
    with program.client() as stream:
        stream.send(request("/events"))
        assert stream.begun().startswith(b"HTTP/1.1 200")
        for body in ("second", "third"):
            save(app, APP.replace("first", body))
            until(program, body.encode())
        assert stream.rest() is not None  # it has ended: a browser asks again
    program.output.wait_for("app.py changed")
    program.output.wait_for("restarted in", 2)
    assert program.stop(signal.SIGINT) == 0


def test_a_mistake_is_shown_and_the_version_before_goes_on(dev, app):
    program = dev()
    save(app, APP + "\nserver.get(\n")
    said = program.output.wait_for("A save begins anew")
    assert "SyntaxError" in said
    assert "\napp.py:21\n" in said
    assert "\n> 21 | server.get(\n" in said
    assert "^\n" in said
    assert "importlib" not in said
    assert program.get("/").body == b"first"
    save(app, APP + "\n1 / 0\n")
    said = program.output.wait_for("A save begins anew", 2)
    assert "ZeroDivisionError: division by zero\napp.py:21 in <module>\n" in said
    assert "\n> 21 | 1 / 0\n" in said
    save(app, APP.replace("first", "mended"))
    until(program, b"mended")
    assert "Error" not in str(program.log)


def test_it_waits_for_the_first_version_that_can_start(launch, app):
    app.write_text("import helper\n" + APP)
    program = launch("-m", "rush_web", "dev", "app.py")
    assert "No module named 'helper'" in program.output.wait_for("Nothing is served yet")
    helper = app.with_name("helper.py")
    helper.write_text("(")
    assert "SyntaxError" in program.output.wait_for("Nothing is served yet", 2)
    save(helper, "")
    program.output.wait_for("Ctrl-C stops it")
    program.ready()
    assert program.get("/").body == b"first"


def test_what_is_called_at_the_start_may_fail(launch, app):
    failing = APP + "\nserver.on_startup(lambda loader: loader.cache_files('/none'))\n"
    app.write_text(failing)
    program = launch("-m", "rush_web", "dev", "app.py")
    program.output.wait_for("Nothing is served yet. A save begins anew")
    assert "an on_startup callback failed" in str(program.log)
    save(app, APP)
    program.output.wait_for("Ctrl-C stops it")
    program.ready()
    save(app, failing)
    program.output.wait_for("The version before goes on. A save begins anew")
    assert program.get("/").body == b"first"
    save(app, APP.replace("first", "mended"))
    until(program, b"mended")


def test_files_that_were_read_at_the_import_are_watched(dev, app):
    text = app.with_name("text.txt")
    text.write_text("one")
    read = "from pathlib import Path\nTEXT = Path('text.txt').read_text()\n"
    app.write_text(read + APP.replace('"first"', "TEXT"))
    program = dev()
    until(program, b"one")
    save(text, "two")
    until(program, b"two")
    assert "text.txt changed" in str(program.output)


def test_modules_that_come_later_are_watched_and_may_go_for_a_while(dev, app):
    program = dev()
    helper = app.with_name("helper.py")
    helper.write_text("TEXT = 'helped'")
    with_helper = "import helper\n" + APP.replace('"first"', "helper.TEXT")
    save(app, with_helper)
    until(program, b"helped")
    save(helper, "TEXT = 'again'")
    until(program, b"again")
    helper.unlink()
    assert "No module named 'helper'" in program.output.wait_for("A save begins anew")
    helper.write_text("TEXT = 'back'")
    until(program, b"back")


def test_errors_are_explained(dev):
    with dev().client() as client:
        client.send(b"GET /bug HTTP/1.1\r\nHost: localhost\r\nAccept: text/html\r\n\r\n")
        assert b"Local variables" in client.response().body


def test_open_pages_hear_of_a_mistake(dev, app):
    program = dev()
    with program.client() as old, program.client() as new:
        events = b"GET /_rush/live HTTP/1.1\r\nHost: localhost\r\n\r\n"
        old.send(events)
        old.until(b"event: version\n")
        save(app, APP + "\nserver.get(\n")
        trouble = old.until(b"SyntaxError: '(' was never closed\n\n")
        assert b"event: trouble\n" in trouble
        new.send(events)
        assert b"event: trouble\n" in new.until(b"never closed\n\n")
        save(app, APP + "\n@server.on_startup\ndef fail(loader):\n    raise OSError('no disk')\n")
        assert b"data: in an on_startup callback\n" in old.until(b"data: OSError: no disk\n")
        with program.client() as foreign:
            foreign.send(request("/_rush/live"))
            assert b"data: The program cannot begin.\n" in foreign.until(b"begin.\n\n")
        save(app, APP)
        assert old.rest() is not None


WRONG = [
    ("ap.py", "no file 'ap.py' in {folder}: did you mean app.py?"),
    ("apq", "no module 'apq' in {folder}: did you mean app?"),
    ("zzzzzz", "no module 'zzzzzz' in {folder}; there are app"),
    ("app:sever", "'sever' is no WebServer of module 'app': did you mean server?"),
]


@pytest.mark.parametrize(("target", "message"), WRONG)
def test_names_that_are_not_there(app, monkeypatch, target, message):
    monkeypatch.chdir(app.parent)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "app", raising=False)
    with pytest.raises(Mistake) as caught:
        load_server(target)
    sys.modules.pop("app", None)
    assert message.format(folder=app.parent) in str(caught.value)
