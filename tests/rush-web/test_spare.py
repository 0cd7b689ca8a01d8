"""The program that `rush dev` executes ahead of a save: a process that has imported, and waits."""

import os
import signal
import subprocess
import sys

import pytest

from programs import eventually, watching
from rawclient import request
from rush_web.spare import import_ahead, standard_modules
from spares import spare_of

pytestmark = pytest.mark.once

APP = """
import colorsys, os
from rush_web import WebServer

with open("imports", "a") as file:
    print(os.getpid(), file=file)

server = WebServer(port=0)


@server.get("/")
def index(request):
    return "first"


@server.get("/events")
def events(request):
    request.events().send("hello")
"""


@pytest.fixture
def dev(launch, tmp_path):
    (tmp_path / "app.py").write_text(APP)
    return launch("-m", "rush_web", "dev", "app.py").ready()


@pytest.fixture
def save(dev, tmp_path):
    """Save another version, by rename, and wait for its answer."""

    def save(body):
        new = tmp_path / "app.new"
        new.write_text(APP.replace("first", body))
        os.replace(new, tmp_path / "app.py")
        eventually(lambda: dev.get("/").body == body.encode(), f"the answer {body!r}")

    return save


def test_the_spare_becomes_the_program_and_another_one_waits(dev, save, tmp_path):
    spares = []
    for body in ("second", "third"):
        spares.append(spare_of(dev))
        save(body)
    spares.append(spare_of(dev))
    # It has imported nothing of the application's before its turn.
    imports = (tmp_path / "imports").read_text().split()
    assert list(map(int, imports)) == [dev.pid, *spares[:2]]
    assert dev.output.wait_for("restarted in", 2)
    assert len(set(spares)) == 3


def test_open_streams_do_not_delay_it(dev, save):
    spare_of(dev)
    with dev.client() as stream:
        stream.send(request("/events"))
        assert stream.begun().startswith(b"HTTP/1.1 200")
        save("second")
        spare_of(dev)
        save("third")
        assert stream.rest() is not None


def test_one_that_dies_is_not_needed(dev, save):
    os.kill(spare_of(dev), signal.SIGKILL)
    save("second")
    spare_of(dev)
    save("third")
    assert "Error" not in str(dev.log)


def test_one_that_dies_at_the_save_does_not_lose_it(dev, tmp_path):
    spare = spare_of(dev)
    os.kill(spare, signal.SIGSTOP)
    new = tmp_path / "app.new"
    new.write_text(APP.replace("first", "second"))
    os.replace(new, tmp_path / "app.py")
    dev.output.wait_for("app.py changed")
    os.kill(spare, signal.SIGKILL)
    eventually(lambda: dev.get("/").body == b"second", "the answer of the new version")


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_it_goes_with_the_server_and_says_nothing(dev, signum):
    with watching(spare_of(dev)) as wait:
        dev.kill_group(signum)  # as the terminal does it
        wait()
    assert dev.wait() == 0
    assert str(dev.log) == ""


def test_it_goes_when_its_parent_is_killed(dev):
    with watching(spare_of(dev)) as wait:
        dev.kill(signal.SIGKILL)
        wait()


AHEAD = """
import sys
from rush_web.spare import import_ahead
import_ahead(["rush_web.dev.answers"], ["colorsys", "no_such_module"])
path = list(sys.path)
print(sys.modules["colorsys"].__file__, "rush_web.dev.answers" in sys.modules)
"""


def test_only_the_standard_library_is_imported_ahead(tmp_path):
    """Whatever is named so where the application is."""
    (tmp_path / "colorsys.py").write_text("raise SystemExit('not this one')")
    done = subprocess.run(
        [sys.executable, "-c", AHEAD], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    file, answers = done.stdout.split()
    assert not file.startswith(str(tmp_path))
    assert answers == "True"
    names = standard_modules()
    assert "json" in names
    assert not {"pytest", "rush_web", __name__, "sys"} & set(names)
    before = list(sys.path)
    import_ahead([], names)
    assert sys.path == before
