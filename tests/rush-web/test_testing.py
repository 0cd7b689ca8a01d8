"""The client for tests: requests of all kinds, and bytes."""

import pytest

from rush_http import Limits
from rush_http.phases import BODY, HEAD, IDLE
from rush_web import WebServer


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


def test_each_connection_has_a_client_of_its_own(server):
    @server.get("/client")
    def client(request):
        return [request.client.host, request.client.port]

    with server.test_client() as first:
        host, port = first.get("/client").json()
        assert host == "127.0.0.1"
        assert first.get("/client").json() == [host, port]
        assert first.another().get("/client").json() != [host, port]
