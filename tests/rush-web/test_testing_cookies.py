"""The client for tests: cookies are kept, redirects followed on demand."""

import time

import pytest

from rush_web import WebServer


@pytest.fixture
def server():
    return WebServer()


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
