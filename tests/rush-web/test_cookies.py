"""Cookies: as browsers send them, as browsers are told them, and signed ones."""

import http.client
import re
import time
from datetime import datetime, timezone
from http.cookies import SimpleCookie

import pytest

from rush_http import Headers
from rush_web import CookieSigner, Request
from rush_web.cookies import cookie_line, parse_cookies

PARSED = [
    ("", {}),
    ("a=1", {"a": "1"}),
    ("a=1; b=2", {"a": "1", "b": "2"}),
    ("a=1;b=2 ;  c = 3", {"a": "1", "b": "2", "c": "3"}),
    ("a=1; a=2", {"a": "1"}),  # the first has the longer path
    ("a=", {"a": ""}),
    ("a", {}),
    ("=1", {}),
    ("; ;a=1;;", {"a": "1"}),
    ("a=b=c", {"a": "b=c"}),
    ('a="1"', {"a": "1"}),
    ('a="', {"a": '"'}),
    ('a=""', {"a": ""}),
    ('a="x', {"a": '"x'}),
    (r'a="x\073\"y\\"', {"a": 'x;"y\\'}),
    (r"a=x\073", {"a": r"x\073"}),
    (r'a="\073\\073\99\400"', {"a": r";\07399400"}),
    ('a="x\\"', {"a": "x\\"}),
    ('a="\\303\\274"', {"a": "\xc3\xbc"}),
    ("a=%20+b", {"a": "%20+b"}),
    ("$Version=1; a=1", {"$Version": "1", "a": "1"}),
    ("a b=1; c[d]=2; e,f=3", {"a b": "1", "c[d]": "2", "e,f": "3"}),
    ("a=J\xc3\xbcrgen", {"a": "Jürgen"}),
    ("a=J\xfcrgen", {"a": "Jürgen"}),
    ('a={"b": [1, 2]}', {"a": '{"b": [1, 2]}'}),
    ("a=\t1\t", {"a": "1"}),
]


@pytest.mark.parametrize(("header", "cookies"), PARSED)
def test_parsed(header, cookies):
    assert parse_cookies(header) == cookies


def test_a_long_value_in_quotes_takes_no_time():
    """Of what one client sends, nothing may grow with the square of its length."""
    started = time.monotonic()
    assert parse_cookies('a="' + "\\" * 64_000 + '"') == {"a": "\\" * 32_000}
    assert time.monotonic() - started < 3


SAME = [
    r'a="\073\\073\99\400\377"',
    "a=1",
    "a=1; b=2",
    "a=1;b=2",
    "a=",
    'a="1"',
    r'a="x\073\"y\\"',
    "a=b=c",
    "a=%20+b",
    "a=x; b=",
]
DIFFERENT = [
    "a=1; a=2",  # http.cookies takes the last one: against the order of RFC 6265, 5.4
    "a=1; b c; d=2",  # it stops at what it does not know
    "a b=1; c=2",  # it looks for a name anywhere, or nowhere
]


@pytest.mark.parametrize("header", [*SAME, *DIFFERENT])
def test_the_same_as_http_cookies(header):
    theirs = {name: morsel.value for name, morsel in SimpleCookie(header).items()}
    assert (parse_cookies(header) == theirs) is (header in SAME)


LINES = [
    # arguments, the line
    ({}, "a=1; HttpOnly; Path=/; SameSite=Lax"),
    ({"httponly": False, "samesite": None}, "a=1; Path=/"),
    ({"secure": True, "samesite": "None"}, "a=1; HttpOnly; Path=/; SameSite=None; Secure"),
    ({"max_age": 60}, "a=1; HttpOnly; Max-Age=60; Path=/; SameSite=Lax"),
    ({"max_age": 0}, "a=1; HttpOnly; Max-Age=0; Path=/; SameSite=Lax"),
    ({"path": "/x y", "domain": "example.org"}, "a=1; Domain=example.org; HttpOnly; Path=/x y; "),
    ({"expires": 0}, "a=1; expires=Thu, 01 Jan 1970 00:00:00 GMT; HttpOnly; Path=/; SameSite=Lax"),
    (
        {"expires": datetime(2026, 11, 23, 12, 0, tzinfo=timezone.utc)},
        "a=1; expires=Mon, 23 Nov 2026 12:00:00 GMT; HttpOnly; Path=/; SameSite=Lax",
    ),
]


@pytest.mark.parametrize(("arguments", "line"), LINES)
def test_lines(arguments, line):
    assert cookie_line("a", "1", **arguments).startswith(line)


REFUSED = [
    # name, value, arguments, what is said
    ("", "1", {}, "no cookie can be called ''"),
    ("a b", "1", {}, "no cookie can be called 'a b'"),
    ("a=b", "1", {}, "no cookie can be called"),
    ("a;b", "1", {}, "no cookie can be called"),
    ("a\r\nX: y", "1", {}, "no cookie can be called"),
    ("path", "1", {}, "no cookie can be called 'path'"),
    ("ä", "1", {}, "no cookie can be called"),
    ("a", "1\r\nX: y", {}, "control characters"),
    ("a", "1\0", {}, "control characters"),
    ("a", "漢", {}, "beyond U+00FF: use urllib.parse.quote"),
    ("a", "x" * 5000, {}, "browsers keep 4096"),
    ("a", "1", {"path": "x"}, "the path of a cookie begins with '/'"),
    ("a", "1", {"path": "/; Domain=x"}, "the path of a cookie"),
    ("a", "1", {"path": "/\r\n"}, "the path of a cookie"),
    ("a", "1", {"path": "/ä"}, "the path of a cookie"),
    ("a", "1", {"domain": "a;b"}, "the domain of a cookie is a host name: 'a;b'"),
    ("a", "1", {"domain": ""}, "the domain of a cookie"),
    ("a", "1", {"domain": "a\r\n"}, "the domain of a cookie"),
    ("a", "1", {"samesite": "lax"}, "not 'lax'"),
    ("a", "1", {"samesite": "None"}, "browsers drop SameSite=None without secure=True"),
    ("a", "1", {"expires": float("inf")}, "cookie 'a' cannot expire at inf"),
    ("a", "1", {"expires": float("nan")}, "cookie 'a' cannot expire at nan"),
    ("a", "1", {"expires": 1e18}, "cookie 'a' cannot expire at 1e+18"),
    ("a", "1", {"max_age": float("inf")}, "the max_age of cookie 'a' is in whole seconds: inf"),
    ("a", "1", {"max_age": float("nan")}, "the max_age of cookie 'a' is in whole seconds: nan"),
    ("__Secure-a", "1", {}, "asks for secure=True"),
    ("__Host-a", "1", {"secure": True, "path": "/x"}, "path='/' and no domain"),
]


@pytest.mark.parametrize(("name", "value", "arguments", "words"), REFUSED)
def test_refused(name, value, arguments, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        cookie_line(name, value, **arguments)


def test_a_value_is_text():
    with pytest.raises(TypeError, match="the value of cookie 'a' is text, not 1"):
        cookie_line("a", 1)


@pytest.mark.parametrize(
    "value",
    ["", "1", "a b", 'a;b,c"d\\e', "ü", "a=b", '"', "\\073", "".join(map(chr, range(32, 127)))],
)
def test_there_and_back(value):
    line = cookie_line("a", value)
    assert parse_cookies(line.split("; HttpOnly")[0]) == {"a": value}


# In answers


def ask(app, path="/", headers=()):
    """Status, and every ``Set-Cookie`` of the answer."""
    connection = http.client.HTTPConnection(*app.address)
    try:
        connection.request("GET", path, headers=dict(headers))
        response = connection.getresponse()
        response.read()
        return response.status, response.headers.get_all("set-cookie") or []
    finally:
        connection.close()


def test_cookies_of_answers(app):
    (app.root / "file").write_text("file")

    def setting(answer):
        def handler(request):
            request.set_cookie("a", "1")
            request.set_cookie("b", "2", httponly=False)
            answer(request)

        return handler

    app.route("/text")(setting(lambda request: request.response("x", headers={"X-Y": "z"})))
    app.route("/json")(setting(lambda request: request.response_json([])))
    app.route("/file")(setting(lambda request: request.response_file("/file")))
    app.route("/redirect")(setting(lambda request: request.redirect("/")))
    app.route("/empty")(setting(lambda request: request.response(b"", 204)))
    app.route("/error")(setting(lambda request: 1 / 0))
    app.route("/nothing")(setting(lambda request: None))
    app.route("/none")(lambda request: request.response("none"))
    app.start()
    both = ["a=1; HttpOnly; Path=/; SameSite=Lax", "b=2; Path=/; SameSite=Lax"]
    for path in ("/text", "/json", "/file", "/redirect", "/empty"):
        assert ask(app, path)[1] == both, path
        assert ask(app, "/none") == (200, [])
    for path in ("/error", "/nothing"):
        assert ask(app, path) == (500, [])
        assert ask(app, "/none") == (200, [])


def test_delete_cookie(app):
    @app.route("/")
    def delete(request):
        request.delete_cookie("a", path="/x")
        request.response()

    app.start()
    ((line),) = ask(app)[1]
    assert line == (
        'a=""; expires=Thu, 01 Jan 1970 00:00:00 GMT; HttpOnly; Max-Age=0; Path=/x; SameSite=Lax'
    )


def test_cookies_of_requests(app):
    @app.route("/")
    def show(request):
        assert request.cookies is request.cookies
        request.response_json(dict(request.cookies))

    client = app.start()
    assert client.get("/", "Cookie: a=1; b=2").body == b'{"a":"1","b":"2"}'
    assert client.get("/", "Cookie: c=3").body == b'{"c":"3"}'
    assert client.get("/").body == b"{}"
    assert client.get("/", "Cookie: a=1", "Cookie: b=2").body == b'{"a":"1","b":"2"}'


# Signed ones


def sent(line):
    """A request that has the cookie of a ``Set-Cookie`` line."""
    request = Request(None, None)
    request.headers = Headers((("cookie", line.partition(";")[0]),))
    return request


def line_of(signer, name, value, **attributes):
    request = Request(None, None)
    signer.set(request, name, value, **attributes)
    ((header, line),) = request.pending
    assert header == "Set-Cookie"
    return line


def test_signed():
    pytest.importorskip("itsdangerous")
    signer = CookieSigner("secret")
    for value in ("", "text", "漢;\r\n", 7, None, [1, {"a": True}], {"user": 7}):
        assert signer.get(sent(line_of(signer, "session", value)), "session") == value
    line = line_of(signer, "session", 7, path="/x")
    assert line.endswith("; HttpOnly; Path=/x; SameSite=Lax")
    assert signer.get(sent(line), "other") is None
    assert signer.get(Request(None, None), "session") is None


def test_what_was_not_signed_by_us():
    pytest.importorskip("itsdangerous")
    signer = CookieSigner("secret")
    line = line_of(signer, "session", "admin").partition(";")[0]
    for wrong in (
        line.replace("session", "other"),  # the value of another cookie
        line[:-9] + ("A" if line[-9] != "A" else "B") + line[-8:],  # the last has spare bits
        line.replace("=", "=x", 1),
        "session=",
        "session=admin",
        "session=" + "." * 50,
        "session=é",
        line_of(CookieSigner("guess"), "session", "admin"),
    ):
        assert signer.get(sent(wrong), "session") is None, wrong
        assert signer.get(sent(wrong), "other") is None, wrong


def test_secrets_are_changed_one_after_the_other():
    pytest.importorskip("itsdangerous")
    old, both, new = CookieSigner("old"), CookieSigner(["old", b"new"]), CookieSigner("new")
    assert both.get(sent(line_of(old, "a", 1)), "a") == 1
    assert new.get(sent(line_of(both, "a", 1)), "a") == 1
    assert old.get(sent(line_of(both, "a", 1)), "a") is None


def test_signed_values_grow_old():
    pytest.importorskip("itsdangerous")
    signer = CookieSigner("secret", max_age=60)
    line = line_of(signer, "a", 1)
    assert "; Max-Age=60;" in line
    assert signer.get(sent(line), "a") == 1
    assert CookieSigner("secret", max_age=-1).get(sent(line), "a") is None


def test_an_empty_secret():
    pytest.importorskip("itsdangerous")
    for secret in ("", b"", [], ["a", ""]):
        with pytest.raises(ValueError, match="a secret is text or bytes that nobody can guess"):
            CookieSigner(secret)
