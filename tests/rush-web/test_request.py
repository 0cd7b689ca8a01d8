"""What a handler sees, and what it says: over a real connection."""

import json
import os
import time

import pytest

from rawclient import request
from rush_http import render
from rush_loader import Loader, answer


def answers(app, respond, *lines, method="GET", path="/"):
    """What a client gets from a handler that calls ``respond(request)``."""
    app.route("/", "GET", "POST")(respond)
    return app.start().get(path, *lines, method=method)


# What a handler sees


def test_what_it_sees(app):
    seen = []

    @app.route("/user/<name>", "POST")
    def handler(request):
        seen.append(
            (
                request.protocol,
                request.method,
                request.path,
                request.query,
                request.params,
                dict(request.parse_args()),
                request.headers["x-one"],
                request.headers["HOST"],
                request.body,
                request.conn.getpeername(),
                request.error,
                request.code,
                repr(request),
            )
        )
        assert request.args is request.parse_args()
        request.response()

    client = app.start()
    client.send(request("/user/J%C3%BC%20x?a=1&b=%20", "X-One: 1", method="POST", body=b"abc"))
    assert client.response().status == 200
    assert seen == [
        (
            (1, 1),
            "POST",
            "/user/Jü x",
            "a=1&b=%20",
            {"name": "Jü x"},
            {"a": "1", "b": " "},
            "1",
            "test",
            b"abc",
            client.sock.getsockname(),
            None,
            200,
            "<Request POST '/user/Jü x'>",
        )
    ]


def test_a_large_body(app):
    body = os.urandom(3 << 20)
    app.route("/", "POST")(lambda request: request.response(request.body[::-1]))
    client = app.start()
    client.send(request("/", method="POST", body=body))
    assert client.response().body == body[::-1]


def test_http_1_0(app):
    app.route("/")(lambda request: request.response(str(request.protocol)))
    client = app.start()
    response = client.get(protocol="HTTP/1.0")
    assert response.body == b"(1, 0)"
    assert response.headers["connection"] == "close"
    assert client.rest() == b""


# response()

SAID = [
    # arguments of response(), status, body, some of the headers
    ((), {}, 200, b"", {"content-length": "0"}),
    (("Grüße",), {}, 200, "Grüße".encode(), {"content-type": "text/plain; charset=utf-8"}),
    ((b"\xff\x00",), {}, 200, b"\xff\x00", {"content-length": "2"}),
    (("x", 201), {}, 201, b"x", {}),
    ((), {"code": 204}, 204, b"", {}),
    (("x",), {"content_type": "text/css"}, 200, b"x", {"content-type": "text/css"}),
    (("x",), {"headers": [("X-A", "1"), ("X-B", "2")]}, 200, b"x", {"x-a": "1", "x-b": "2"}),
    (("x",), {"headers": {"X-A": "1"}}, 200, b"x", {"x-a": "1"}),
    (("x",), {"headers": iter([("X-A", "1")])}, 200, b"x", {"x-a": "1"}),
    (("x",), {"headers": {"content-type": "a/b"}}, 200, b"x", {"content-type": "a/b"}),
    (("x", 299), {}, 299, b"x", {}),
]


@pytest.mark.parametrize(("arguments", "options", "status", "body", "headers"), SAID)
def test_response(app, arguments, options, status, body, headers):
    response = answers(app, lambda request: request.response(*arguments, **options))
    assert response.status == status
    assert response.body == body
    assert headers.items() <= response.headers.items()
    assert "date" in response.headers
    assert app.logged() == []


REFUSED = [
    # arguments of response(), what is raised
    (("x",), {"headers": {"X-A": "1\r\nSet-Cookie: a=b"}}, ValueError, "no header may hold"),
    (("x",), {"headers": {"X-A": "1\n"}}, ValueError, "no header may hold"),
    (("x",), {"headers": {"X-A": "\0"}}, ValueError, "no header may hold"),
    (("x",), {"headers": {"X A": "1"}}, ValueError, "not a token"),
    (("x",), {"headers": {"Content-Length": "1"}}, ValueError, "leave it out"),
    (("x",), {"headers": {"Connection": "close"}}, ValueError, "leave it out"),
    (("x",), {"headers": {b"X-A": b"1"}}, TypeError, "a header is two texts"),
    (("x",), {"headers": {"X-A": 1}}, TypeError, "a header is two texts"),
    (("x",), {"content_type": "a\r\nb"}, ValueError, "no header may hold"),
    (("x", 99), {}, ValueError, "200 to 599"),
    (("x", 600), {}, ValueError, "200 to 599"),
    (("x", 101), {}, ValueError, "200 to 599"),
    (("x", 204), {}, ValueError, "has no body"),
    (("\ud800",), {}, ValueError, "surrogates"),
    ((None,), {}, TypeError, None),
    (({"a": 1},), {}, TypeError, None),
]


@pytest.mark.parametrize(("arguments", "options", "kind", "words"), REFUSED)
def test_what_cannot_be_said(app, arguments, options, kind, words):
    """Nothing of it is sent; the handler can still say something else."""

    def handler(request):
        with pytest.raises(kind, match=words):
            request.response(*arguments, **options)
        request.response("something else")

    assert answers(app, handler).body == b"something else"


def test_what_cannot_be_said_is_a_500_if_nothing_else_is(app):
    response = answers(app, lambda request: request.response("x", headers={"X-A": "\r\n"}))
    assert (response.status, response.body) == (500, b"500 Internal Server Error\n")
    assert "x-a" not in response.headers


ANSWERS = {
    "text": lambda request: request.response("x" * 1000),
    "json": lambda request: request.response_json({"a": [1, 2]}),
    "redirect": lambda request: request.redirect("/there"),
    "small file": lambda request: request.response_file("/small"),
    "large file": lambda request: request.response_file("/large"),
    "error": lambda request: 1 / 0,
}


@pytest.mark.parametrize("name", ANSWERS)
def test_head_is_the_head_of_get(app, name):
    (app.root / "small").write_bytes(b"x" * 100)
    (app.root / "large").write_bytes(b"x" * (2 << 20))
    app.route("/")(ANSWERS[name])
    client = app.start()
    head, get = client.get(method="HEAD"), client.get()
    assert head.body == b""
    assert head.status == get.status
    assert head.headers | {"date": ""} == get.headers | {"date": ""}


# response_json()


@pytest.mark.parametrize("value", [{"a": [1, 2.5, None, True]}, [], "Grüße", 0, None, {}])
def test_json(app, value):
    response = answers(app, lambda request: request.response_json(value, 201, {"X-A": "1"}))
    assert response.status == 201
    assert response.headers["content-type"] == "application/json"
    assert response.headers["x-a"] == "1"
    assert json.loads(response.body) == value
    assert b" " not in response.body


@pytest.mark.parametrize("value", [float("nan"), float("inf"), [float("-inf")], object(), b"x"])
def test_what_json_cannot_say(app, value):
    response = answers(app, lambda request: request.response_json(value))
    assert response.status == 500
    assert len(app.logged()) == 1


# response_file()


def test_a_small_file(app):
    (app.root / "a.css").write_bytes(b"body {}")
    response = answers(app, lambda request: request.response_file("/a.css"))
    assert (response.status, response.body) == (200, b"body {}")
    assert response.headers["content-type"] == "text/css; charset=utf-8"
    assert {"etag", "last-modified", "date", "content-length"} <= set(response.headers)


def test_a_large_file(app):
    content = os.urandom((3 << 20) + 1)
    (app.root / "a.bin").write_bytes(content)
    app.route("/")(lambda request: request.response_file("/a.bin"))
    client = app.start()
    for _ in range(3):
        assert client.get().body == content


@pytest.mark.parametrize("size", [10, 2 << 20])
def test_a_file_with_another_status_and_headers(app, size):
    (app.root / "a.txt").write_bytes(b"x" * size)
    headers = {"Content-Type": "application/octet-stream", "X-A": "1"}
    response = answers(app, lambda request: request.response_file("/a.txt", 404, headers))
    assert response.status == 404
    assert response.head.startswith(b"HTTP/1.1 404 Not Found\r\n")
    assert response.headers["content-type"] == "application/octet-stream"
    assert response.headers["x-a"] == "1"
    assert len(response.body) == size


@pytest.mark.parametrize(
    ("code", "headers", "words"),
    [
        (200, {"Content-Length": "1"}, "leave it out"),
        (200, {"transfer-encoding": "chunked"}, "leave it out"),
        (200, {"Connection": "close"}, "leave it out"),
        (200, {"Date": "now"}, "leave it out"),
        (404, {"ETag": '"mine"'}, "leave it out"),
        (200, {"X-A": "\r\n"}, "no header may hold"),
        (204, {}, "has no body"),
        (304, {}, "has no body"),
        (100, {}, "200 to 599"),
    ],
)
def test_what_cannot_be_said_with_a_file(app, code, headers, words):
    (app.root / "a.txt").write_bytes(b"abc")

    def handler(request):
        with pytest.raises(ValueError, match=words):
            request.response_file("/a.txt", code, headers)
        request.response_file("/a.txt")

    assert answers(app, handler).body == b"abc"


@pytest.mark.parametrize("path", ["/missing", "/../secret", "/.hidden", "relative", "/a\0b", "/"])
def test_no_such_file(app, path):
    (app.root / ".hidden").write_text("secret")
    (app.root.parent / "secret").write_text("secret")
    response = answers(app, lambda request: request.response_file(path))
    assert (response.status, response.body) == (404, b"404 Not Found\n")
    assert app.logged() == []


def test_a_large_file_that_is_replaced_all_the_time(app):
    """Each answer is one whole version, and none of them is missing."""
    path, other = app.root / "a.bin", app.root / "other"
    versions = [b"a" * (1 << 21)]
    path.write_bytes(versions[0])
    app.route("/")(lambda request: request.response_file("/a.bin"))
    client = app.start()
    for number in range(50):
        versions.append(bytes([97 + number % 26]) * ((1 << 20) + 1 + number))
        other.write_bytes(versions[-1])
        client.send(request("/"))  # at the same time
        os.replace(other, path)
        response = client.response()
        assert response.status == 200
        assert response.body in versions  # the last ones, until the cache hears of the next
    deadline = time.monotonic() + 20
    while client.get("/").body != versions[-1]:
        assert time.monotonic() < deadline


def test_a_large_file_that_was_replaced_before_the_cache_heard_of_it(app):
    stale = []

    class Late(Loader):
        def answer(self, path, method, headers):
            if stale:
                return answer(stale.pop(), method, headers)
            return super().answer(path, method, headers)

    path = app.root / "a.bin"
    path.write_bytes(b"a" * (2 << 20))
    with Loader(app.root) as loader:
        stale += [loader.load("/a.bin")] * 3
    path.write_bytes(b"b" * (3 << 20))
    assert app.start(Late, files="/").get("/a.bin").body == b"b" * (3 << 20)
    assert stale == []


# redirect(), raw_response()


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_redirect(app, code):
    response = answers(app, lambda request: request.redirect("/there?a=1", code))
    assert (response.status, response.headers["location"]) == (code, "/there?a=1")
    assert response.body == b""


def test_redirect_is_for_now_unless_told(app):
    assert answers(app, lambda request: request.redirect("/there")).status == 302


@pytest.mark.parametrize(("location", "code"), [("/", 200), ("/", 304), ("/\r\nX: y", 302)])
def test_bad_redirects(app, location, code):
    response = answers(app, lambda request: request.redirect(location, code))
    assert response.status == 500
    assert "location" not in response.headers


def test_raw_response(app):
    ready = render(200, b"made before", [("X-A", "1")])
    response = answers(app, lambda request: request.raw_response(ready))
    assert (response.body, response.headers["x-a"]) == (b"made before", "1")


# One object for all requests


def test_nothing_of_a_request_reaches_the_next_one(app):
    """One `Request` serves them all, of the same connection and of others."""
    seen = []

    @app.route("/<name>", "GET", "POST")
    @app.route("/", "GET", "POST")
    def handler(request):
        seen.append(
            (
                id(request),
                request.path,
                dict(request.params),
                dict(request.args),
                request.headers.get("x-secret"),
                request.headers.get("cookie"),
                request.body,
                request.error,
                request.code,
            )
        )
        request.code = 299  # whatever a handler leaves behind
        if request.path == "/raise":
            raise RuntimeError("secret")
        request.response("x")

    @app.error("internal-error")
    def failed(request):
        request.response(f"{request.error}")

    one = app.start()
    other = app.client()
    full = ("X-Secret: 1", "Cookie: a=b")
    one.send(request("/name?a=1&a=2", *full, method="POST", body=b"secret"))
    assert one.response().status == 299
    for client in (other, one):
        assert client.get("/").body == b"x"
    assert one.get("/raise").body == b"secret"
    for client in (other, one):
        assert client.get("/?").body == b"x"
    plain = (seen[0][0], "/", {}, {}, None, None, b"", None, 200)
    assert seen[0][1:] == ("/name", {"name": "name"}, {"a": "1"}, "1", "a=b", b"secret", None, 200)
    assert [seen[at] for at in (1, 2, 4, 5)] == [plain] * 4


def test_the_parameters_of_a_path_without_any_cannot_be_set(app):
    def handler(request):
        with pytest.raises(TypeError):
            request.params["name"] = "bill"
        request.response()

    assert answers(app, handler).status == 200


def test_pipelining(app):
    app.route("/<n>", "GET", "POST")(
        lambda request: request.response(f"{request.params['n']} {request.body!r}")
    )
    client = app.start()
    wire = b""
    for number in range(0, 300, 3):
        wire += request(f"/{number}")
        wire += request(f"/{number + 1}", method="POST", body=b"%d" % number)
        wire += request(f"/{number + 2}/missing")
    client.send(wire)
    for number in range(0, 300, 3):
        assert client.response().body == b"%d b''" % number
        assert client.response().body == b"%d b'%d'" % (number + 1, number)
        assert client.response().status == 404
