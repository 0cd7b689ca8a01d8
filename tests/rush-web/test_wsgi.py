"""A WSGI application on a WebServer: asked where nothing else answers."""

import contextlib
import http.client
import os
import signal

import pytest

from programs import eventually
from rawclient import request
from rush_http import NotFound
from rush_web import WebServer

APP = """
import os

def application(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/fails":
        raise ValueError("the reason")
    if path == "/waits":
        with open("fifo") as pipe:
            pipe.read()
    start_response("200 OK", [("Content-Type", "text/plain")])
    if path == "/pid":
        return [str(os.getpid()).encode()]
    if path == "/body":
        read = count = 0
        while piece := environ["wsgi.input"].read(65536):
            read += len(piece)
        return [str(read).encode()]
    method, name = environ["REQUEST_METHOD"], environ["SCRIPT_NAME"]
    return [f"app {method} {name}|{path}?{environ['QUERY_STRING']}".encode()]
"""


@pytest.fixture
def wsgi(launch, tmp_path):
    """Start ``rush wsgi app`` with options."""
    (tmp_path / "app.py").write_text(APP)
    (tmp_path / "public").mkdir()
    (tmp_path / "public" / "x.txt").write_text("file")

    def wsgi(*options, module="app"):
        command = ("-m", "rush_web", "wsgi", module, "--port", "0", "--workers", "1")
        return launch(*command, *options).ready()

    return wsgi


def ask(program, method="GET", path="/", body=None, **headers):
    connection = http.client.HTTPConnection(*program.address, timeout=20)
    try:
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


@pytest.fixture(params=["0", "3"], ids=["loop", "threads"])
def threads(request):
    return request.param


@pytest.mark.once
def test_the_application_answers_what_nothing_else_does(wsgi, tmp_path, threads):
    program = wsgi(
        *("--threads", threads, "--root", "public", "--files", "/s/", "--health", "/health"),
        *("--access-log", "log", "--recycle-requests", "1000"),
    )
    assert "serves a WSGI application and the files" in str(program.output)
    for method in ("GET", "POST", "PUT", "DELETE", "OPTIONS", "PROPFIND"):
        assert ask(program, method, "/a?b=c") == (200, f"app {method} |/a?b=c")
    assert ask(program, "HEAD") == (200, "")
    for _ in range(3):
        assert ask(program, "GET", "/s/x.txt") == (200, "file")
        assert ask(program, "POST", "/s/x.txt") == (200, "app POST |/s/x.txt?")
        assert ask(program, "GET", "/s/y.txt") == (200, "app GET |/s/y.txt?")
    assert ask(program, "GET", "/health") == (200, "ready\n")
    for size in (0, 5, 100_000, 3_000_000):
        assert ask(program, "POST", "/body", b"x" * size) == (200, str(size))
    assert ask(program, "GET", "/fails")[0] == 500
    program.log.wait_for("ValueError: the reason\n")
    (tmp_path / "public" / "x.txt").unlink()
    eventually(lambda: ask(program, "GET", "/s/x.txt") == (200, "app GET |/s/x.txt?"))
    lines = eventually(lambda: '"GET /fails' in (text := (tmp_path / "log").read_text()) and text)
    assert lines.count('"POST /body') == 4
    assert program.stop() == 0


@pytest.mark.once
def test_a_request_that_waits_is_answered_before_the_end(wsgi, fifo, threads):
    program = wsgi("--threads", threads, "--root-path", "/shop")
    assert ask(program, "GET", "/shop/a") == (200, "app GET /shop|/a?")
    connection = http.client.HTTPConnection(*program.address, timeout=20)
    connection.request("GET", "/shop/waits")
    let_go = fifo()
    program.kill(signal.SIGTERM)
    let_go()
    with connection.getresponse() as response:
        assert response.read() == b"app GET /shop|/waits?"
    connection.close()
    assert program.wait() == 0


@pytest.mark.once
def test_a_worker_that_dies_is_replaced(wsgi):
    program = wsgi()
    pid = int(ask(program, path="/pid")[1])
    os.kill(pid, signal.SIGKILL)

    def another():
        try:
            return int(ask(program, path="/pid")[1]) != pid
        except OSError:
            return False

    eventually(another)
    program.stop()


def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [environ["PATH_INFO"].encode(), b" ", environ["wsgi.input"].read()[:9]]


@pytest.mark.parametrize("development", [False, True])
@pytest.mark.parametrize("threads", [0, 2])
def test_routes_go_before_the_application(development, threads):
    server = WebServer(wsgi=application, threads=threads, development=development)

    @server.get("/own")
    def own(request):
        request.response("own")

    @server.get("/some", filter=lambda request: request.query == "own")
    def some(request):
        request.response("some")

    @server.post("/sized", body_limit=10)
    def sized(request):
        request.response("sized")

    server.add_redirect("/old", "/new")
    with server.test_client() as client:
        assert client.get("/own").text == "own"
        assert client.get("/some?own").text == "some"
        assert client.get("/some").text == "/some "
        assert client.post("/own").status == 405
        assert client.get("/old").status == 301
        assert client.get("/new").text == "/new "
        assert client.post("/new", body=b"123").text == "/new 123"
        assert client.post("/new", body=b"1" * 70_000).text == "/new 111111111"
        assert client.post("/sized", body=b"1" * 11).status == 413
    assert server.explain("GET", "/new").kind == "application"
    assert server.explain("GET", "/own").kind == "handler"
    assert server.explain("POST", "/own").kind == "method"


@pytest.mark.parametrize("route", [None, "/user/<id>"], ids=["asked at once", "after the routes"])
@pytest.mark.parametrize("development", [False, True])
def test_the_whole_server_is_not_the_applications(route, development):
    """What ``OPTIONS *`` asks for, the routes say (RFC 9110, 9.3.7)."""

    def hello(environ, start_response):
        start_response("200 OK", [])
        return [b"hello"]

    server = WebServer(wsgi=hello, development=development)
    server.get("/own")(lambda request: "own")
    if route is not None:
        server.get(route)(lambda request: "user")
    with server.test_client() as client:
        for _ in range(2):
            answer = client.request("OPTIONS", "*")
            assert (answer.status, answer.headers["allow"]) == (204, "GET, HEAD, OPTIONS")
            assert client.get("/a").text == "hello"


@pytest.mark.parametrize("route", [None, "/user/<id>"], ids=["asked at once", "after the routes"])
@pytest.mark.parametrize("error", [ValueError("x"), FileNotFoundError(2, "x"), NotFound("x")])
def test_what_the_application_raises(route, error, caplog):
    """It is a bug, also what would mean 404 if a handler of ours had raised it."""

    def application(environ, start_response):
        raise error

    server = WebServer(wsgi=application)

    @server.error_handler(500)
    def failed(request):
        request.response(f"sorry: {request.path}")

    if route is not None:
        server.get(route)(lambda request: "user")
    with server.test_client(raise_exceptions=False) as client:
        for path in ("/a", "/a", "/b"):
            answer = client.get(path)
            if isinstance(error, NotFound):
                assert answer.status == 404
            else:
                assert (answer.status, answer.text) == (500, f"sorry: {path}")
                assert "Traceback" in caplog.text
            caplog.clear()


def test_options_that_make_no_sense():
    for options in ({"threads": -1}, {"root_path": "shop"}, {"root_path": "/"}, {"wsgi": "app"}):
        with pytest.raises(ValueError, match=next(iter(options))):
            WebServer(**options)


SLOW = """
def application(environ, start_response):
    if environ["PATH_INFO"] == "/waits":
        with open("fifo", "rb", buffering=0) as pipe:
            pipe.read(1)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"slow"]
"""


@pytest.mark.once
def test_a_slow_application_holds_nothing_else(wsgi, tmp_path):
    (tmp_path / "slow.py").write_text(SLOW)
    os.mkfifo(tmp_path / "fifo")
    program = wsgi("--threads", "4", "--health", "/health", module="slow")
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(program.client()) for _ in range(200)]
        for number, client in enumerate(clients):
            client.send(request("/waits" if number < 4 else "/"))
        # Its threads wait, and the other requests behind them.
        pipe = stack.enter_context((tmp_path / "fifo").open("wb", buffering=0))
        for _ in range(10):
            assert program.get("/health").body == b"ready\n"
        pipe.write(b"1234")
        assert all(client.response().body == b"slow" for client in clients)
    assert program.stop() == 0
