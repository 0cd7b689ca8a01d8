"""What handlers return in place of answering."""

import json
from types import MappingProxyType

import pytest

from programs import eventually
from rawclient import request

TEXT = "text/plain; charset=utf-8"
JSON = "application/json"


class Text(str):
    pass


RETURNED = [
    # what is returned, status, type, body
    ("Grüß Gott", 200, TEXT, "Grüß Gott".encode()),
    ("", 200, TEXT, b""),
    ("<b>", 200, TEXT, b"<b>"),
    (Text("x"), 200, TEXT, b"x"),
    (b"\xff", 200, TEXT, b"\xff"),
    ({"a": [1, None, "ü"]}, 200, JSON, '{"a":[1,null,"ü"]}'.encode()),
    ({}, 200, JSON, b"{}"),
    ([], 200, JSON, b"[]"),
    (MappingProxyType({"a": 1}), 200, JSON, b'{"a":1}'),
    (("made", 201), 201, TEXT, b"made"),
    ((b"made", 201), 201, TEXT, b"made"),
    (({"id": 7}, 201), 201, JSON, b'{"id":7}'),
    (([7], 202, ()), 202, JSON, b"[7]"),
    (("x", 404), 404, TEXT, b"x"),
    (("x", 200, {"Content-Type": "text/x"}), 200, "text/x", b"x"),
    (({}, 200, [("Content-Type", "application/x+json")]), 200, "application/x+json", b"{}"),
    (("", 204), 204, None, b""),
    (("", 204, {"X-A": "1"}), 204, None, b""),
]


@pytest.mark.parametrize(("value", "status", "content_type", "body"), RETURNED)
def test_returned(app, value, status, content_type, body):
    app.route("/")(lambda request: value)
    client = app.start()
    for _ in range(2):
        answer = client.get()
        assert (answer.status, answer.body) == (status, body)
        assert answer.headers.get("content-type") == content_type
        if isinstance(value, tuple) and len(value) == 3 and "X-A" in value[2]:
            assert answer.headers["x-a"] == "1"
    if status != 204:
        assert client.get(method="HEAD").headers["content-length"] == str(len(body))
    client.send(request() + request())
    assert [client.response().body for _ in range(2)] == [body, body]
    assert app.logged() == []


REFUSED = [
    # what is returned, what the log says of it
    (42, "returned 42:"),
    (True, "returned True:"),
    (1.5, "returned 1.5:"),
    (object, "returned <class 'object'>"),
    ({1}, "returned {1}:"),
    (bytearray(b"x"), "returned bytearray"),
    (("x",), "returned ('x',)"),
    ((), "returned ()"),
    (("x", 200, (), 1), "returned ('x', 200, (), 1)"),
    (("x", "200"), "returned '200' as status"),
    ((None, 204), "returned (None, 204)"),
    ((x for x in "ab"), "returned a generator"),
    ((5, 200), "returned (5, 200)"),
]


@pytest.mark.parametrize(("value", "words"), REFUSED, ids=[words for _, words in REFUSED])
def test_what_is_no_answer(app, value, words):
    @app.route("/")
    def odd_one(request):
        return value

    client = app.start()
    assert client.get().status == 500
    (line,) = app.logged()
    assert "odd_one (" in line
    assert "test_values.py:" in line
    assert words in line
    assert "or returns str, bytes, a dict or list (JSON), (body, code) or (body" in line


IMPOSSIBLE = [
    ({"a": float("nan")}, "JSON"),
    ({"a": object()}, "not JSON serializable"),
    (("x", 204), "status 204 has no body"),
    (("x", 99), "status 99"),
    (("x", 200, {"A": "b\r\nc"}), "no header may hold"),
    (("x", 200, {"Content-Length": "1"}), "worked out by the server"),
]


@pytest.mark.parametrize(("value", "words"), IMPOSSIBLE, ids=[words for _, words in IMPOSSIBLE])
def test_what_cannot_be_sent(app, value, words):
    app.route("/")(lambda request: value)
    assert app.start().get().status == 500
    assert words in app.logged()[0]


def test_a_coroutine(app):
    """Closed, or Python would warn that nobody awaited it."""

    @app.route("/")
    async def handler(request):
        pass

    @app.route("/late")
    def late(request):
        request.response("first")
        return handler(request)

    client = app.start()
    assert client.get().status == 500
    assert client.get("/late").body == b"first"
    lines = eventually(lambda: len(app.logged()) == 2 and app.logged(), "two lines in the log")
    assert "returned a coroutine, and nobody awaits it (write def, not async def)" in lines[0]
    assert "late (" in lines[1]


def test_a_value_after_an_answer(app):
    @app.route("/")
    def twice(request):
        request.response("first")
        return "second"

    client = app.start()
    client.send(request() + request())
    assert [client.response().body for _ in range(2)] == [b"first", b"first"]
    for line in eventually(lambda: len(app.logged()) == 2 and app.logged(), "two lines"):
        assert line.startswith("<Request GET '/'>: ")
        assert "twice (" in line
        assert "answered, and returned 'second' as well; the first answer stands" in line


def test_a_cookie_goes_with_a_value(app):
    @app.route("/")
    def handler(request):
        request.set_cookie("a", "1")
        return {"a": 1}, 200, {"X-A": "1"}

    answer = app.start().get()
    assert answer.headers["set-cookie"].startswith("a=1;")
    assert answer.headers["x-a"] == "1"


def test_error_handlers_return_values(app):
    app.error("not-found")(lambda request: {"error": f"no {request.path}"})
    app.error("internal-error")(lambda request: ("sorry", 503, {"Retry-After": "9"}))
    app.route("/bug")(lambda request: 1 / 0)
    client = app.start()
    answer = client.get("/x")
    assert (answer.status, json.loads(answer.body)) == (404, {"error": "no /x"})
    answer = client.get("/bug")
    assert (answer.status, answer.headers["retry-after"]) == (503, "9")


def test_an_error_handler_that_returns_nonsense(app):
    @app.error("not-found")
    def nonsense(request):
        return 42

    answer = app.start().get("/x")
    assert (answer.status, answer.body) == (500, b"500 Internal Server Error\n")
    assert "nonsense" in app.log.text


def test_a_value_of_who_has_detached(app):
    @app.route("/")
    def handler(request):
        request.detach().response("detached")
        return "returned"

    @app.route("/kept")
    def kept(request):
        later.append(request.detach())
        return "returned"

    later = []
    client = app.start()
    assert client.get().body == b"detached"
    client.send(request("/kept"))
    line = eventually(lambda: len(app.logged()) == 2 and app.logged()[1], "a line in the log")
    assert "kept (" in line
    assert "has left it to be answered later, and returned 'returned' as well" in line
    later.pop().response("detached")
    assert client.response().body == b"detached"
