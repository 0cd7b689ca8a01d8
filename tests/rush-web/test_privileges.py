"""Another user for the workers, who may not read what the server is made of; real processes."""

import os
import pathlib
import shutil
import tempfile

import pytest

import epollserver
import rush_http
import rush_loader
import rush_web
from certificates import contexts
from rawclient import TLS, request

pytestmark = [
    pytest.mark.once,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user"),
]

MULTIPART = b'--b\r\nContent-Disposition: form-data; name="f"; filename="x"\r\n\r\nabc\r\n--b--\r\n'
TYPED = "Content-Type: multipart/form-data; boundary=b"
URLENCODED = "Content-Type: application/x-www-form-urlencoded"
HTML, TEXT, JSON = "text/html; charset=utf-8", "text/plain; charset=utf-8", "application/json"
BROWSER = f"Accept: {HTML}"

ASKED = [
    (request("/none", BROWSER), 404, HTML),
    (request("/fail", BROWSER), 500, HTML),
    (request("/form", BROWSER), 405, HTML),
    (request("/f/", BROWSER), 200, HTML),
    (request("/f/folder/?sort=date", BROWSER), 200, HTML),
    (request("/f/large.txt", "Accept-Encoding: gzip"), 200, TEXT),
    (request("/threads"), 200, JSON),
    (request("/cookie"), 200, TEXT),
    (request("/stream"), 200, TEXT),
    (request("/health"), 200, TEXT),
    (request("/form", TYPED, method="POST", body=MULTIPART), 200, TEXT),
    (request("/form", URLENCODED, method="POST", body=b"f=1"), 200, TEXT),
    (request("/later", TYPED, method="POST", body=MULTIPART), 200, TEXT),
]

SOURCE = """
import logging
from rush_web import CookieSigner

@server.get("/fail")
def fail(request):
    return 1 / int("0")

@server.post("/form")
def form(request):
    with request.parse_form() as form:
        return form["f"] if "f" in form else form.files["f"].file.read()

@server.post("/later", stream=True)
def later(request):
    request.receive_form(lambda request, form: form.files["f"].file.read())

@server.get("/threads")
@server.blocking
def threads(request):
    return {"uid": os.getuid()}

known = set()
os.register_at_fork(after_in_child=lambda: known.update(sys.modules))

@server.get("/imported")
def imported(request):
    return sorted(set(sys.modules) - known)

@server.get("/cookie")
def cookie(request):
    CookieSigner("secret").set(request, "name", [1])
    return "set"

@server.get("/stream")
def stream(request):
    request.stream(["a", "b"], length=2)
"""


@pytest.fixture
def private():
    """A copy of what is installed, where only root may look."""
    with tempfile.TemporaryDirectory() as folder:  # its mode is 0o700
        for package in (epollserver, rush_http, rush_loader, rush_web):
            source = pathlib.Path(package.__file__).parent
            shutil.copytree(source, f"{folder}/{source.name}")
        shutil.copy(pytest.importorskip("multipart").__file__, folder)
        itsdangerous = pathlib.Path(pytest.importorskip("itsdangerous").__file__).parent
        shutil.copytree(itsdangerous, f"{folder}/itsdangerous")
        yield folder


@pytest.fixture
def public():
    """A folder with files, where everybody may look."""
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        folder.chmod(0o755)
        (folder / "folder").mkdir()
        (folder / "large.txt").write_text("abc" * 10_000)
        yield folder


@pytest.mark.parametrize(
    "options", ["", "development=True,", "certfile='cert.pem', keyfile='key.pem',"]
)
def test_an_installation_that_the_user_cannot_read(
    launch, write, private, public, tmp_path, options
):
    """Everything a worker needs is there before it becomes that user."""
    _, client_side = contexts(tmp_path)
    path = write(
        f"{options} user='nobody', root='{public}', files='/f/', listing=True, health='/health'",
        SOURCE,
    )
    shutil.copy(path, public / "app.py")  # so that a traceback has its lines
    program = launch(public / "app.py", env={**os.environ, "PYTHONPATH": private}).ready()
    if "cert" in options:
        TLS[program.address] = client_side
    for asked, *expected in ASKED:
        with program.client() as client:
            client.send(asked)
            answer = client.response()
            assert [answer.status, answer.headers["content-type"]] == expected, asked
    assert program.get("/imported").body == b"[]"
    assert program.stop() == 0
    log = str(program.log)
    assert log.count("Traceback") == log.count("ZeroDivisionError: ") == 1, log
    assert "Permission" not in log
