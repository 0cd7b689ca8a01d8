"""Errors that are hard to show: hostile texts, objects that misbehave, and clients that pretend."""

import json
import logging
import sys

import pytest

from rawclient import request
from rush_web import DevelopmentManager, WebServer
from rush_web.dev.failure import failure_of
from rush_web.dev.secrets import shown, without_secrets

SECRET = "hunter" + "2"


class Stop(BaseException):
    pass


class Loud:
    """Ends all when it is looked at."""

    def __repr__(self):
        raise Stop

    __str__ = __repr__


class Counted(dict):
    """Says how much of it was looked at."""

    looked = 0

    def items(self):
        for pair in super().items():
            self.looked += 1
            yield pair


class Slippery(Exception):
    @property
    def exceptions(self):
        raise RuntimeError("no exceptions")

    @property
    def __notes__(self):
        raise RuntimeError("no notes")

    def __str__(self):
        raise RuntimeError("no text")


def raiser(error):
    def handler(request):
        loud = Loud()  # noqa: F841
        raise error

    return handler


def in_a_class(request):
    class Names(dict):
        def __getitem__(self, name):
            raise RuntimeError(f"no {name}")

    exec("1 / 0", {}, Names({7: 1}))


def in_a_template(request):
    compile("{{ <b> }", "templates/<i>.html", "exec")


def caused():
    error = ValueError("<b>outer")
    error.__cause__ = KeyError("<b>inner")
    return error


def grouped():
    if sys.version_info < (3, 11):
        return caused()
    return eval("ExceptionGroup('<b>', [ValueError('<i>'), KeyError('<b>')])")


TEXT = "<script>alert(1)</script>\x00\x1b[31m\udcff\u202e"
ERRORS = [
    ("text", raiser(ValueError(TEXT)), "ValueError"),
    ("locals", in_a_class, "ZeroDivisionError"),
    ("syntax", in_a_template, "SyntaxError"),
    ("file", raiser(OSError(5, "none", b"\xff<b>")), "OSError"),
    ("cause", raiser(caused()), "KeyError"),
    ("group", raiser(grouped()), "ValueError"),
]
KINDS = ["text/html", "text/plain", "application/json"]


@pytest.fixture(scope="module")
def server():
    made = WebServer(development=True)
    for path, handler, _ in ERRORS:
        made.get(f"/{path}/<path:rest>")(handler)
    return made


@pytest.fixture(autouse=True)
def unheard(monkeypatch):
    """What is logged cannot be told by a worker of pytest-xdist: it is no text that has a UTF-8."""
    monkeypatch.setattr(logging.getLogger("rush_web"), "disabled", True)


@pytest.mark.parametrize("accept", KINDS)
@pytest.mark.parametrize(("path", "handler", "kind"), ERRORS, ids=[one[0] for one in ERRORS])
def test_it_is_shown_and_nothing_of_it_is_obeyed(server, path, handler, kind, accept):
    with server.test_client(raise_exceptions=False) as client:
        answer = client.get(
            f"/{path}/%3Cb%3E%01?q=<b>&%ff=%fe",
            headers={"Accept": accept, "Host": "localhost", "X-B": "<i>"},
        )
    assert answer.status == 500
    assert answer.headers["content-type"].startswith(accept)
    assert kind in answer.text
    assert not set(map(chr, range(32))) - set("\n\t") & set(answer.text)
    if accept == "text/html":
        html5lib = pytest.importorskip("html5lib")
        tree = html5lib.HTMLParser(strict=True).parse(answer.text)
        html = "{http://www.w3.org/1999/xhtml}"
        assert not [*tree.iter(f"{html}b"), *tree.iter(f"{html}i")]
        assert len(list(tree.iter(f"{html}script"))) == 1


def test_an_exception_that_tells_nothing_of_itself():
    failure = failure_of(Slippery())
    assert failure.kind.endswith("Slippery")
    assert (failure.notes, failure.causes) == ((), ())
    assert "cannot be had" in failure.message


def test_the_place_of_a_syntax_error_is_shown(tmp_path):
    template = tmp_path / "page.html"
    template.write_text("<p>\n{{ 1 +* }}\n")
    try:
        compile(template.read_text(), str(template), "exec")
    except SyntaxError as error:
        failure = failure_of(error)
    frame = failure.own_frames[0]
    assert (frame.file, frame.line) == (str(template), 1)
    assert frame.lines[0] == "<p>"


def test_large_values_are_looked_at_no_further_than_they_are_shown():
    many = Counted({number: number for number in range(100_000)})
    assert len(shown("many", many)) < 1500
    assert "0: 0, 1: 1" in shown("many", dict(many))
    assert "..." in shown("many", dict(many))
    assert len(shown("many", set(range(1_000_000)))) < 1500
    assert "1,000,000 bytes" in shown("many", bytearray(1_000_000))


@pytest.mark.parametrize(
    "value",
    [
        [("Authorization", SECRET)],
        {"headers": (("x-api-key", SECRET), ("accept", "x"))},
        [(b"cookie", SECRET.encode())],
        f"postgres://user:{SECRET}@localhost/shop",
        {"url": f"redis://:{SECRET}@cache"},
        [["password", SECRET]],
    ],
)
def test_secrets_in_pairs_and_addresses(value):
    assert SECRET not in shown("value", value)
    assert "(hidden)" in shown("value", value)


def test_an_address_without_a_password_is_shown():
    for text in ("http://localhost:9090/x@y", "see https://a.b/c:d", "a://b@c"):
        assert without_secrets(text) == text


PRETENDING = [
    "X-Rush-Development: 1",
    "X-Debug: true",
    "Cookie: RUSH_DEVELOPMENT=1; debug=1",
    "X-Forwarded-For: 127.0.0.1",
    "Forwarded: for=127.0.0.1;host=localhost",
    "Accept: text/html",
    "Accept: application/json",
    "Referer: http://localhost/",
]


def fails(request):
    password = SECRET  # noqa: F841
    raise ValueError("inner words")


@pytest.mark.parametrize("line", PRETENDING)
def test_nothing_is_explained_in_production(app, line):
    app.route("/bug")(fails)
    with app.start() as client:
        for path in ("/bug?development=1&debug=1&_rush=1", "/none?debug=1", "/_rush/live"):
            client.send(
                request(path, line, "Accept-Language: x").replace(b"Host: test", b"Host: localhost")
            )
            answer = client.response()
            assert answer.status in (404, 500)
            for words in (b"inner", b"/bug", b"test_hostile", SECRET.encode(), b"fails"):
                assert words not in answer.body


def test_nothing_is_explained_to_others(app):
    """Who asks for this machine by a foreign name may be a page of anybody's."""
    app.route("/bug")(fails)
    with app.start(manager_class=DevelopmentManager) as client:
        answer = client.get("/bug", "Accept: text/html")  # Host: test
        assert answer.status == 500
        assert b"inner" not in answer.body


def test_json_is_json(server):
    with server.test_client(raise_exceptions=False) as client:
        answer = client.get(
            "/text/x", headers={"Accept": "application/json, */*", "Host": "localhost"}
        )
    data = json.loads(answer.body)
    assert data["error"] == "ValueError"
    assert data["message"].startswith("<script>")
    if sys.version_info >= (3, 11):
        assert data["frames"][0]["function"] == "raiser.<locals>.handler"
