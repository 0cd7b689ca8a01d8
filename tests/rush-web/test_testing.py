"""The client for tests: requests, bytes, streams, failures, ends."""

import asyncio
import logging
import queue
import threading
import time

import pytest

from rush_http import Limits, ServiceUnavailable
from rush_http.phases import BODY, HEAD, IDLE
from rush_loader import Loader
from rush_web import StaleRequest, WebServer


@pytest.fixture
def server():
    return WebServer(limits=Limits(body_bytes=1 << 20))


@pytest.fixture
def echo(server):
    """Answers with what came."""

    methods = {"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}

    @server.route("/echo", methods)
    @server.route("/echo/<path:more>", methods)
    def echo(request):
        request.response_json(
            {
                "method": request.method,
                "path": request.path,
                "query": request.query,
                "headers": dict(request.headers.lines()),
                "body": request.body.decode(),
            },
            headers={"X-Method": request.method},
        )

    with server.test_client() as client:
        yield client


# Requests


def test_methods(echo):
    for method in ("get", "post", "put", "patch", "delete", "options"):
        response = getattr(echo, method)("/echo")
        assert response.status == 200
        assert response.json()["method"] == method.upper()
    response = echo.head("/echo")
    assert (response.status, response.body, response.headers["X-Method"]) == (200, b"", "HEAD")
    assert echo.request("DELETE", "/echo").json()["method"] == "DELETE"


def test_a_response(echo):
    response = echo.get("/echo/1")
    assert (response.status, response.reason) == (200, "OK")
    assert response.headers["content-type"] == "application/json"
    assert response.raw.startswith(b"HTTP/1.1 200 OK\r\n")
    assert response.raw.endswith(b"\r\n\r\n" + response.body)
    assert response.text == response.body.decode()
    assert response.history == []
    assert response.error is None
    assert response.done
    size = len(response.body)
    assert repr(response) == f"<TestResponse 200 OK to GET /echo/1, {size} bytes>"


@pytest.mark.parametrize(
    ("target", "args", "path", "query"),
    [
        ("/echo", None, "/echo", ""),
        ("/echo?a=1", None, "/echo", "a=1"),
        ("/echo", {"a": "1 &", "b": 2}, "/echo", "a=1+%26&b=2"),
        ("/echo?a=1", {"b": ["2", 3]}, "/echo", "a=1&b=2&b=3"),
        ("/echo/Jürgen M.", None, "/echo/Jürgen M.", ""),
        ("/echo/J%C3%BCrgen", None, "/echo/Jürgen", ""),
        ("/echo/100%25", None, "/echo/100%", ""),
        ("/echo#there", None, "/echo", ""),
    ],
)
def test_targets(echo, target, args, path, query):
    said = echo.get(target, args=args).json()
    assert (said["path"], said["query"]) == (path, query)


@pytest.mark.parametrize("target", ["", "echo", "http://localhost/echo", "?a=1"])
def test_bad_targets(echo, target):
    with pytest.raises(ValueError, match="a target begins with '/'"):
        echo.get(target)


def test_headers(echo):
    headers = echo.get("/echo", headers={"X-Key": "Jürgen", "host": "example.org"}).json()[
        "headers"
    ]
    assert headers == {"host": "example.org", "x-key": "Jürgen"}
    with pytest.raises(ValueError, match="X-Key"):
        echo.get("/echo", headers={"X-Key": "a\r\nb: c"})


@pytest.mark.parametrize(
    ("given", "content_type", "body"),
    [
        ({}, None, ""),
        ({"body": b"milk"}, None, "milk"),
        ({"body": "Käse"}, None, "Käse"),
        ({"body": iter([b"mi", b"", b"lk"])}, None, "milk"),
        ({"json": {"text": "Käse"}}, "application/json", '{"text": "Käse"}'),
        ({"json": []}, "application/json", "[]"),
        ({"form": {"a": "1 2", "b": [3, "ü"]}}, "application/x-www-form-urlencoded",
         "a=1+2&b=3&b=%C3%BC"),
        ({"form": {}}, "application/x-www-form-urlencoded", ""),
    ],
)  # fmt: skip
def test_bodies(echo, given, content_type, body):
    said = echo.post("/echo", **given).json()
    assert said["body"] == body
    assert said["headers"].get("content-type") == content_type
    other = echo.post("/echo", **given, headers={"Content-Type": "text/x"})
    assert other.json()["headers"]["content-type"] == "text/x"


def test_one_body_only(echo):
    for given in ({"body": b"", "json": 1}, {"json": 1, "form": {}}, {"body": "", "files": {}}):
        with pytest.raises(ValueError, match="a request has one body"):
            echo.post("/echo", **given)


def test_files(server, tmp_path):
    pytest.importorskip("multipart")

    @server.post("/up")
    def up(request):
        form = request.parse_form()
        files = [
            (name, file.filename, file.content_type, file.read().decode())
            for name in sorted(form.files)
            for file in form.getfiles(name)
        ]
        request.response_json(
            {"fields": {name: form.getlist(name) for name in form}, "files": files}
        )

    (tmp_path / "page.html").write_text("<p>")
    files = {
        "one": ("a.txt", b"hello"),
        "odd": ('a"b.bin', b"\r\n--", "image/png"),
        "some": [tmp_path / "page.html", ("b", b"")],
    }
    with server.test_client() as client:
        said = client.post("/up", form={"to": ["Ann", "Jürgen"], "n": 1}, files=files).json()
    assert said == {
        "fields": {"to": ["Ann", "Jürgen"], "n": ["1"]},
        "files": [
            ["odd", 'a"b.bin', "image/png", "\r\n--"],
            ["one", "a.txt", "text/plain", "hello"],
            ["some", "page.html", "text/html", "<p>"],
            ["some", "b", "application/octet-stream", ""],
        ],
    }


def test_limits_are_those_of_the_server(server, echo):
    assert echo.post("/echo", body=b"x" * (1 << 20)).status == 200
    assert echo.post("/echo", body=b"x" * ((1 << 20) + 1)).status == 413
    assert echo.post("/echo", body=[b"x" * (1 << 19)] * 5).status == 413
    assert echo.get("/echo/" + "x" * 100_000).status == 414
    assert echo.get("/echo").status == 200


# Cookies and redirects


@pytest.fixture
def jar(server):
    @server.get("/set")
    def set_cookie(request):
        for name, value in request.args.items():
            request.set_cookie(name, value, path=request.headers.get("x-path", "/"))
        request.redirect("/cookies", 303)

    @server.get("/forget")
    def forget(request):
        for name in request.args:
            request.delete_cookie(name)
        request.response()

    @server.get("/raw")
    def raw(request):
        request.response(headers=[("Set-Cookie", request.headers["x-line"])])

    @server.route("/<path:any>")
    def cookies(request):
        request.response_json(dict(request.cookies))

    with server.test_client() as client:
        yield client


def test_cookies_are_kept(jar):
    assert jar.get("/cookies").json() == {}
    jar.get("/set", args={"a": "1", "b": 'x; "y"'})
    assert dict(jar.cookies) == jar.get("/cookies").json() == {"a": "1", "b": 'x; "y"'}
    jar.get("/set?a=2")
    jar.get("/forget?b")
    assert jar.get("/cookies").json() == {"a": "2"}
    assert jar.another().get("/cookies").json() == {}
    jar.cookies.set("c", "Jürgen")
    assert jar.cookies["c"] == jar.get("/cookies").json()["c"] == "Jürgen"
    jar.cookies.discard("a")
    assert jar.get("/cookies").json() == {"c": "Jürgen"}
    jar.cookies.clear()
    assert len(jar.cookies) == 0
    assert "a" not in jar.cookies
    assert jar.get("/cookies", headers={"Cookie": "own=1"}).json() == {"own": "1"}


def test_paths_of_cookies(jar):
    jar.get("/set?a=1", headers={"X-Path": "/in"})
    jar.get("/set?a=0&b=2")
    for path, expected in (
        ("/in", {"a": "1", "b": "2"}),
        ("/in/side", {"a": "1", "b": "2"}),
        ("/inn", {"a": "0", "b": "2"}),
        ("/", None),
    ):
        if expected is not None:
            assert jar.get(path).json() == expected, path


@pytest.mark.parametrize(
    ("line", "kept"),
    [
        ("a=1", {"a": "1"}),
        ("a=1; Max-Age=60; Expires=Thu, 01 Jan 1970 00:00:00 GMT", {"a": "1"}),
        ("a=1; Max-Age=0", {}),
        ("a=1; max-age=-5", {}),
        ("a=1; Expires=Thu, 01 Jan 1970 00:00:00 GMT", {}),
        ("a=1; Expires=Fri, 31 Dec 2999 23:59:59 GMT; Secure; HttpOnly", {"a": "1"}),
        ("a=1; Expires=tomorrow", {"a": "1"}),
        ("a=1; Path=x; Domain=example.org", {"a": "1"}),
        ("a", {}),
        ("=1", {}),
    ],
)
def test_lines_of_cookies(jar, line, kept):
    jar.get("/raw", headers={"X-Line": line})
    assert dict(jar.cookies) == kept


def test_a_cookie_ends(jar, monkeypatch):
    jar.get("/raw", headers={"X-Line": "a=1; Max-Age=60"})
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 61)
    assert dict(jar.cookies) == {}


def test_redirects_on_demand(jar):
    response = jar.get("/set?a=1")
    assert (response.status, response.headers["location"]) == (303, "/cookies")
    response = jar.get("/set?a=2", follow_redirects=True)
    assert (response.status, response.json(), response.target) == (200, {"a": "2"}, "/cookies")
    assert [(one.status, one.target) for one in response.history] == [(303, "/set?a=2")]


@pytest.mark.parametrize(
    ("method", "code", "then"),
    [
        ("POST", 301, "GET"),
        ("POST", 302, "GET"),
        ("POST", 303, "GET"),
        ("PUT", 302, "PUT"),
        ("PUT", 303, "GET"),
        ("HEAD", 303, "HEAD"),
        ("POST", 307, "POST"),
        ("POST", 308, "POST"),
    ],
)
def test_the_method_of_what_is_followed(server, method, code, then):
    server.add_redirect("/old/x", "../new?y=1#z", code)

    @server.route("/new", methods={"GET", "POST", "PUT"})
    def new(request):
        body = request.body.decode()
        request.response(headers={"X-Said": f"{request.method} {request.query} {body}"})

    with server.test_client() as client:
        response = client.request(method, "/old/x", body=b"b", follow_redirects=True)
        kept = "b" if method == then and code != 303 else ""
        assert response.headers["X-Said"] == f"{then} y=1 {kept}".strip()


def test_redirects_that_cannot_be_followed(server):
    server.add_redirect("/round", "/round")
    server.add_redirect("/far", "https://example.org/")
    with server.test_client() as client:
        with pytest.raises(RuntimeError, match="more than 20 redirects"):
            client.get("/round", follow_redirects=True)
        with pytest.raises(RuntimeError, match="leads to another server: 'https://example"):
            client.get("/far", follow_redirects=True)
        assert client.get("/far").status == 301


# Bytes


def test_in_pieces(echo):
    for piece in (b"GET /ec", b"ho HT", b"TP/1.1\r\nHost: x\r", b"\n\r", b"\n"):
        echo.send(piece)
    assert echo.receive().json()["path"] == "/echo"
    for byte in b"GET /echo HTTP/1.1\r\nHost: x\r\n\r\n":
        echo.send(bytes([byte]))
    assert echo.receive().status == 200


def test_each_piece_is_read_for_itself(echo):
    wire = b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"
    phases = []
    for piece in (wire[:10], wire[10:-2], wire[-2:-1], wire[-1:]):
        echo.send(piece)
        (conn,) = echo._worker._server.epoll.connections
        phases.append(conn.data.phase)
    assert phases == [HEAD, BODY, BODY, IDLE]
    assert echo.receive("POST").json()["body"] == "abc"


def test_pipelined(echo):
    echo.send(
        b"GET /echo/1 HTTP/1.1\r\nHost: x\r\n\r\n"
        b"HEAD /echo/2 HTTP/1.1\r\nHost: x\r\n\r\n"
        b"GET /echo/3 HTTP/1.1\r\nHost: x\r\n\r\n"
    )
    assert echo.receive().json()["path"] == "/echo/1"
    with pytest.raises(RuntimeError, match=r"nobody has asked for b'HTTP/1.1 200 OK"):
        echo.get("/echo")
    assert echo.receive("HEAD").body == b""
    assert echo.receive().json()["path"] == "/echo/3"
    assert echo.get("/echo").status == 200


def test_bad_bytes(echo):
    echo.send(b"GET / HTTP/1.1\r\nHost : x\r\n\r\n")
    response = echo.receive()
    assert (response.status, response.headers["connection"]) == (400, "close")
    with pytest.raises(RuntimeError, match="there is no connection"):
        echo.receive()
    echo.send(b"GET /echo HTTP/1.0\r\n\r\n")
    assert echo.receive().status == 200
    assert echo.get("/echo").status == 200


def test_100_continue(echo):
    echo.send(
        b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
    )
    echo.send(b"ab")
    response = echo.receive("POST")
    assert response.raw.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK")
    assert response.json()["body"] == "ab"


def test_bytes_that_are_no_http(server):
    server.get("/")(lambda request: request.raw_response(b"hello\r\n\r\n"))
    server.get("/more")(
        lambda request: request.raw_response(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nabc")
    )
    with server.test_client() as client:
        with pytest.raises(ValueError, match=r"no answer of HTTP/1.1: b'hello'"):
            client.get("/")
        response = client.get("/more")
        assert response.body == b"ab"
        assert response.raw.endswith(b"\r\n\r\nab")
        with pytest.raises(RuntimeError, match="nobody has asked for b'c'"):
            client.get("/")


def test_one_connection_as_long_as_it_lasts(server):
    seen = []

    @server.get("/")
    def index(request):
        seen.append(id(request.conn.data))
        request.response()

    with server.test_client() as client:
        for _ in range(3):
            client.get("/")
        assert len(set(seen)) == 1
        client.get("/", headers={"Connection": "close"})
        (held,) = seen[-1:]
        client.get("/")
        client.disconnect()
        client.get("/")
        assert held == seen[0]
        assert len(client._worker._server.epoll.connections) == 1


def test_a_connection_that_the_server_has_closed(tmp_path):
    server = WebServer(limits=Limits(idle_seconds=0.05))
    server.get("/")(lambda request: request.response("hi"))
    with server.test_client() as client:
        assert client.get("/").text == "hi"
        client.run_until(lambda: not client._worker._server.epoll.connections)
        assert client.get("/").text == "hi"


# Streams, late answers, threads


def test_streams(server):
    """Those that a `HttpServer` has: pulled, written, without an end."""
    writers = queue.Queue()

    @server.get("/pulled")
    def pulled(request):
        request._http_server.stream(request.conn, iter([b"a" * 100_000, b"b"]))

    @server.get("/written")
    def written(request):
        writers.put(request._http_server.start_stream(request.conn))

    @server.get("/say")
    def say(request):
        writers.queue[0].write(request.query.encode() + b"\n\n")
        request.response("said")

    with server.test_client() as client:
        assert client.get("/pulled").body == b"a" * 100_000 + b"b"
        assert client.get("/pulled", stream=True).body == b"a" * 100_000 + b"b"
        pieces = list(client.get("/pulled", stream=True).pieces())
        assert len(pieces) > 1
        assert b"".join(pieces) == b"a" * 100_000 + b"b"
        with client.get("/written", stream=True) as events:
            assert (events.status, events.done) == (200, False)
            assert client.get("/say?1").text == "said"
            assert events.read_until(b"\n\n") == b"1\n\n"
            client.another().get("/say?2&3")
            assert next(events.pieces()) == b"2&3\n\n"
            assert repr(events).endswith("8 bytes so far>")
            client.get("/say?4")
            writers.queue[0].finish()
            assert events.read_until(b"?") == b"4\n\n"
            assert events.read_until(b"?") == b""
            assert list(events.pieces()) == []
            assert events.body == b"1\n\n2&3\n\n4\n\n"


def test_who_leaves_is_noticed(server):
    gone = []

    @server.get("/")
    def index(request):
        stream = request._http_server.start_stream(request.conn)
        stream.on_gone(lambda: gone.append(request.query))

    with server.test_client() as client:
        with client.get("/", stream=True):
            assert gone == []
        assert len(gone) == 1
        client.get("/", stream=True)
        client.disconnect()
        assert len(gone) == 2


def test_answers_from_a_thread(server):
    @server.get("/late")
    def late(request):
        stream = request._http_server.start_stream(request.conn)

        def answer():
            stream.write(b"late")
            stream.finish()

        threading.Timer(0.01, answer).start()

    with server.test_client() as client:
        assert client.get("/late").text == "late"


def test_late_answers(server):
    """By detach(): from a thread, from another request, or never."""
    waiting = queue.SimpleQueue()

    @server.get("/thread")
    def thread(request):
        detached = request.detach()
        threading.Timer(0.01, lambda: detached.response(detached.query)).start()

    @server.get("/wait")
    def wait(request):
        waiting.put(request.detach())

    @server.get("/let-go")
    def let_go(request):
        waiting.get().response(request.query)
        request.response("done")

    with server.test_client(timeout=0.2) as client:
        assert client.get("/thread?1").text == "1"
        other = client.another()
        other.send(b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n")
        assert client.get("/let-go?2").text == "done"
        assert other.receive().text == "2"
        with pytest.raises(TimeoutError, match=r"no answer to GET /wait within 0.2 s"):
            client.get("/wait")
        gone = waiting.get()
        assert gone.gone
        gone.response("too late")
        assert client.get("/thread?3").text == "3"


def test_handlers_in_threads(server):
    @server.get("/")
    @server.blocking
    def index(request):
        if request.query:
            raise ValueError(request.query)
        request.response(threading.current_thread().name)

    with server.test_client() as client:
        assert client.get("/").text != threading.current_thread().name
        with pytest.raises(ValueError, match="why"):
            client.get("/?why")
        assert client.get("/").status == 200


def test_in_development():
    server = WebServer(development=True)
    kept = []

    @server.get("/")
    def index(request):
        kept.append(request)
        request.response(kept[0].path)

    with server.test_client() as client:
        assert client.get("/").text == "/"
        with pytest.raises(StaleRequest, match="index"):
            client.get("/")


def test_run_until(server):
    done = []
    server.on_startup(lambda loader: None)

    @server.get("/")
    def index(request):
        request._http_server.epoll.loop.call_later(0.01, lambda: done.append(True))
        request.response()

    with server.test_client(timeout=0.1) as client:
        client.get("/")
        client.run_until(lambda: done)
        with pytest.raises(TimeoutError, match=r"has not come true within 0.1 s \(timeout=\)"):
            client.run_until(lambda: not done)


# Failures


@pytest.fixture
def failing(server):
    @server.get("/bug")
    def bug(request):
        1 / 0  # noqa: B018

    @server.get("/late-bug")
    def late_bug(request):
        request.response("fine")
        raise KeyError("late")

    @server.get("/silent")
    def silent(request):
        pass

    @server.get("/503")
    def unavailable(request):
        raise ServiceUnavailable("for now")

    @server.get("/breaks")
    def breaks(request):
        def pieces():
            yield b"a"
            raise OSError("broken")

        request._http_server.stream(request.conn, pieces())

    @server.get("/closes")
    def closes(request):
        request.conn.close()

    @server.get("/fine")
    def fine(request):
        request.response("fine")

    return server


def test_what_a_handler_raises_is_raised(failing):
    with failing.test_client() as client:
        with pytest.raises(ZeroDivisionError) as caught:
            client.get("/bug")
        assert "bug" in [entry.name for entry in caught.traceback]
        with pytest.raises(KeyError, match="late"):
            client.get("/late-bug")
        with pytest.raises(RuntimeError, match=r"silent.*returned without an answer"):
            client.get("/silent")
        with pytest.raises(OSError, match="broken"):
            client.get("/breaks")
        with pytest.raises(ConnectionError, match="closed the connection without an answer"):
            client.get("/closes")
        assert client.get("/503").status == 503
        assert isinstance(client.get("/503").error, ServiceUnavailable)
        assert client.get("/nothing").status == 404
        assert client.get("/fine").text == "fine"


def test_as_everybody_would_get_it(failing):
    failing.error_handler("internal-error")(lambda request: request.response("sorry"))
    with failing.test_client(raise_exceptions=False) as client:
        response = client.get("/bug")
        assert (response.status, response.text) == (500, "sorry")
        assert isinstance(response.error, ZeroDivisionError)
        assert isinstance(client.get("/late-bug").error, KeyError)
        with pytest.raises(ConnectionError, match="closed the connection"):
            client.get("/breaks")
        assert client.get("/fine").error is None


def test_what_fails_after_the_last_answer(failing):
    client = failing.test_client()
    with pytest.raises(KeyError), client:
        client.send(b"GET /late-bug HTTP/1.1\r\nHost: x\r\n\r\n")
    client = failing.test_client()
    with pytest.raises(RuntimeError, match="no connection"), client:
        client.send(b"GET /late-bug HTTP/1.1\r\nHost: x\r\n\r\n" + client.receive().raw)


def test_who_never_answers(failing):
    @failing.get("/stalls")
    def stalls(request):
        request._http_server.start_stream(request.conn).write(b"a")

    with failing.test_client(timeout=0.1) as client:
        with pytest.raises(
            TimeoutError, match=r"no end of the answer to GET /stalls within 0.1 s \(timeout"
        ):
            client.get("/stalls")
        client.send(b"GET /fine")
        with pytest.raises(TimeoutError, match=r"no answer to GET /"):
            client.receive()
        assert client.get("/fine").text == "fine"


def test_a_handler_that_never_returns(failing):
    """The traceback says where it is."""

    @failing.get("/sleeps")
    def sleeps(request):
        time.sleep(60)

    with failing.test_client(timeout=0.1) as client:
        with pytest.raises(TimeoutError, match=r"this takes longer than 0.1 s") as caught:
            client.get("/sleeps")
        assert "sleeps" in [entry.name for entry in caught.traceback]
        assert client.get("/fine").text == "fine"


def test_a_handler_cannot_wait_for_its_own_server(failing):
    @failing.get("/self")
    def itself(request):
        request.response(client.get("/fine").body)

    client = failing.test_client()
    with client, pytest.raises(RuntimeError, match="a handler cannot wait for its own server"):
        client.get("/self")


# The server


def test_start_and_end(tmp_path):
    (tmp_path / "a.txt").write_text("hello")
    server = WebServer(root=tmp_path, files="/")
    calls = []
    server.on_startup(lambda loader: calls.append(loader.load("/a.txt").content))
    server.on_shutdown(lambda: calls.append("end"))
    for _ in range(2):
        with server.test_client() as client:
            assert client.get("/a.txt").text == "hello"
            assert calls == [b"hello"]
        assert calls == [b"hello", "end"]
        calls.clear()
        client.close()
        with pytest.raises(RuntimeError):
            client.get("/a.txt")


def test_a_loader_that_was_given_stays_open(tmp_path):
    (tmp_path / "a.txt").write_text("hello")
    with Loader(tmp_path) as loader:
        server = WebServer(loader=loader, files="/")
        for _ in range(2):
            with server.test_client() as client:
                assert client.get("/a.txt").text == "hello"


def test_a_large_file_in_both_directions(tmp_path):
    content = b"0123456789abcdef" * (1 << 18)
    (tmp_path / "large").write_bytes(content)
    server = WebServer(root=tmp_path, files="/", limits=Limits(body_bytes=8 << 20))
    server.post("/")(lambda request: request.response(request.body))
    with server.test_client() as client:
        assert client.get("/large").body == content
        assert client.post("/", body=content).body == content


def test_a_server_that_cannot_start():
    server = WebServer()
    calls = []
    server.on_shutdown(lambda: calls.append("end"))

    @server.on_startup
    def start(loader):
        raise LookupError("no database")

    with pytest.raises(LookupError, match="no database"):
        server.test_client()
    assert calls == ["end"]


def test_two_servers_and_threads(failing):
    """One knows nothing of the other, also if what fails does so beside it."""

    def work(errors):
        try:
            with failing.test_client() as client:
                for _ in range(20):
                    assert client.get("/fine").text == "fine"
        except BaseException as error:
            errors.append(error)

    errors = []
    with failing.test_client() as one, failing.test_client() as other:
        with pytest.raises(ZeroDivisionError):
            one.get("/bug")
        assert other.get("/fine").error is None
        threads = [threading.Thread(target=work, args=[errors]) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert errors == []


def test_nothing_is_left_behind(failing):
    level = logging.getLogger("rush_web").handlers[:]
    with failing.test_client() as client:
        client.get("/fine")
    assert logging.getLogger("rush_web").handlers == level


def test_inside_a_running_event_loop(failing):
    """A test that is a coroutine may use it: it blocks the loop as long as an answer takes."""

    async def ask():
        with failing.test_client() as client:
            return client.get("/fine").text

    assert asyncio.run(ask()) == "fine"
