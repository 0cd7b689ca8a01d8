"""The page of an exception: it shows what helps, hides secrets, and takes nothing for HTML."""

import json
import socket
import sys

import pytest

from rush_http import Headers
from rush_web.dev.asked import what_was_asked
from rush_web.dev.error_page import error_data, error_page, error_text
from rush_web.dev.failure import failure_of
from rush_web.dev.highlight import highlighted
from rush_web.dev.secrets import is_secret, shown, without_secrets
from rush_web.dev.viewers import may_see, networks_of
from rush_web.incoming import Incoming

SECRET = "hunter" + "2"  # never a literal in a line of source that is shown


class User:
    def __init__(self, **fields):
        self.fields = fields

    def __repr__(self):
        return f"User({', '.join(f'{name}={value!r}' for name, value in self.fields.items())})"


class Liar:
    def __repr__(self):
        raise RuntimeError("no description")


class Speechless(Exception):
    def __str__(self):
        raise RuntimeError("no words")


def asked(method="GET", path="/", query="", body=b"", params=None, **headers):
    request = Incoming()
    request.method, request.path, request.query, request.body = method, path, query, body
    request.params = params or {}
    named = {"host": "127.0.0.1:9090"} | {
        name.replace("_", "-"): value for name, value in headers.items()
    }
    request.headers = Headers(tuple(named.items()))
    return what_was_asked(request)


def failed(function, *arguments):
    try:
        function(*arguments)
    except Exception as error:
        return failure_of(error)
    raise AssertionError("it did not fail")


def all_forms(failure, request):
    """The page, the text and the data, as text."""
    page = error_page(failure, request, editor="code")
    return page.text, error_text(failure, request), json.dumps(error_data(failure, request))


def handler(values):
    password = SECRET  # noqa: F841
    user = User(name="Ann", password=SECRET, api_key=SECRET)  # noqa: F841
    settings = {"database": "app.db", "token": SECRET, "deep": [{"secret": SECRET}]}  # noqa: F841
    return values["missing"]


def test_the_frame_that_failed_is_there_with_its_values():
    failure = failed(handler, {})
    frame = failure.own_frames[0]
    assert frame.function == "handler"
    assert "values[" in frame.lines[frame.line - frame.first_line]
    values = dict(frame.values)
    assert values["password"] == "(hidden)"
    assert values["user"] == "User(name='Ann', password=(hidden), api_key=(hidden))"
    assert values["settings"] == (
        "{'database': 'app.db', 'token': (hidden), 'deep': [{'secret': (hidden)}]}"
    )
    if sys.version_info >= (3, 11):
        assert frame.columns is not None
        text = frame.lines[frame.line - frame.first_line]
        assert text[slice(*frame.columns)] == 'values["missing"]'


def test_no_secret_is_in_any_form():
    request = asked(
        "POST",
        "/login",
        f"next=%2F&token={SECRET}",
        f"name=ann&password={SECRET}".encode(),
        content_type="application/x-www-form-urlencoded",
        authorization=f"Bearer {SECRET}",
        cookie=f"session={SECRET}",
        x_api_key=SECRET,
    )
    for text in all_forms(failed(handler, {}), request):
        assert SECRET not in text
        assert "(hidden)" in text
        assert "ann" in text


@pytest.mark.parametrize("hostile", ["<script>alert(1)</script>", "</textarea><b>", '"><b>', "]]>"])
def test_nothing_becomes_html(hostile):
    html5lib = pytest.importorskip("html5lib")

    def fail(value):
        raise ValueError(value)

    request = asked(
        "POST",
        f"/{hostile}",
        f"q={hostile}",
        f"field={hostile}".encode(),
        {hostile: hostile},
        content_type="application/x-www-form-urlencoded",
        user_agent=hostile,
    )
    text = error_page(failed(fail, hostile), request, editor="code").text
    tree = html5lib.HTMLParser(strict=True).parse(text)
    html = "{http://www.w3.org/1999/xhtml}"
    assert len(tree.findall(f".//{html}script")) == 1
    assert not tree.findall(f".//{html}b")
    assert hostile in "".join(tree.itertext())


def test_causes_notes_and_groups():
    def chained():
        try:
            {}["x"]
        except KeyError as error:
            raise ValueError("outer") from error

    failure = failed(chained)
    (cause,) = failure.causes
    assert (cause.relation, cause.kind, cause.message) == ("caused by", "KeyError", "'x'")
    assert "Caused by: KeyError" in error_page(failure, asked()).text

    def during():
        try:
            {}["x"]
        except KeyError:
            int("y")

    assert failed(during).causes[0].relation == "while handling"

    def circle():
        error = ValueError("round")
        error.__cause__ = KeyError("and")
        error.__cause__.__cause__ = error
        raise error

    assert failed(circle).causes[0].causes == ()
    if sys.version_info >= (3, 11):
        group = eval("ExceptionGroup('two', [ValueError('a'), OSError('b')])")
        assert [one.kind for one in failure_of(group).causes] == ["ValueError", "OSError"]
        noted = ValueError("x")
        noted.add_note("look there")
        assert "look there" in error_page(failure_of(noted), asked()).text


def test_what_cannot_describe_itself_does_no_harm():
    def fail():
        liar = Liar()  # noqa: F841
        long = "x" * 10_000_000  # noqa: F841
        deep = []
        deep.append(deep)
        raise Speechless

    failure = failed(fail)
    values = dict(failure.own_frames[0].values)
    assert "Liar" in values["liar"]
    assert len(values["long"]) < 1500
    assert "..." in values["deep"]
    for text in all_forms(failure, asked()):
        assert "Speechless" in text
        assert len(text) < 100_000


def test_a_recursion_is_cut():
    def endless(depth):
        return endless(depth + 1)

    failure = failed(endless, 0)
    assert failure.kind == "RecursionError"
    assert len(failure.frames) <= 40
    error_page(failure, asked())


def test_code_without_a_source():
    failure = failed(eval, compile("1 / 0", "<nowhere>", "eval"))
    assert "is not to be had" in error_page(failure, asked()).text


def test_it_can_be_repeated():
    request = asked(
        "PUT", "/a b/ü", "x=1", b'{"a": 1}', content_type="application/json", accept="*/*"
    )
    assert request.curl == (
        "curl -i -X PUT 'http://127.0.0.1:9090/a%20b/%C3%BC?x=1'"
        """ -H 'content-type: application/json' --data-binary '{"a": 1}'"""
    )
    assert asked("HEAD").curl == "curl -i --head http://127.0.0.1:9090/"
    assert "@FILE" in asked("POST", body=b"\xff\xfe").curl
    request = Incoming()
    request.headers, request.method, request.path = Headers((("host", "a"),)), "GET", "/"
    assert what_was_asked(request, "https").curl == "curl -i https://a/"


EDITORS = [
    ("code", "vscode://file/"),
    ("/usr/bin/pycharm", "pycharm://open?file=/"),
    ("my://{file}#{line}", "my:///"),
    ("", None),
    ("unknown", None),
    ("javascript:alert('{file}')", None),
]


@pytest.mark.parametrize(("editor", "link"), EDITORS)
def test_a_link_to_the_editor(editor, link):
    text = error_page(failed(handler, {}), asked(), editor=editor).text
    if link is None:
        assert "Open in the editor" not in text
    else:
        assert f'href="{link}' in text


SEEN_BY = [
    ("127.0.0.1", {"host": "localhost:9090"}, True),
    ("127.0.0.1", {"host": "127.0.0.1"}, True),
    ("::1", {"host": "[::1]:9090"}, True),
    ("127.0.0.1", {"host": "app.localhost:1"}, True),
    (None, {"host": "localhost"}, True),
    ("10.0.0.7", {"host": "localhost"}, False),
    ("127.0.0.1", {"host": "evil.example"}, False),
    ("127.0.0.1", {"host": "localhost.evil.example"}, False),
    ("127.0.0.1", {"host": "localhost", "x-forwarded-for": "127.0.0.1"}, False),
    ("127.0.0.1", {"host": "localhost", "forwarded": "for=1.2.3.4"}, False),
    ("127.0.0.1", {}, False),
]


@pytest.mark.parametrize(("peer", "headers", "seen"), SEEN_BY)
def test_only_this_machine_sees_it(peer, headers, seen):
    assert may_see(peer, Headers(tuple(headers.items()))) is seen


ASKED_IN = [
    ("192.168.1.7", {"host": "192.168.1.2:9090"}, True),
    ("192.168.1.7", {"host": socket.gethostname()}, True),
    ("127.0.0.1", {"host": "192.168.1.2:9090"}, True),
    ("192.168.2.7", {"host": "192.168.1.2:9090"}, False),
    ("192.168.1.7", {"host": "evil.example"}, False),
    ("192.168.1.7", {"host": "192.168.1.2", "via": "1.1 proxy"}, False),
]


@pytest.mark.parametrize(("peer", "headers", "seen"), ASKED_IN)
def test_others_see_it_if_they_are_asked_in(peer, headers, seen):
    networks = networks_of("192.168.1.0/24, ::1")
    assert may_see(peer, Headers(tuple(headers.items())), networks) is seen


def test_what_is_no_network():
    with pytest.raises(ValueError, match="RUSH_EXPLAIN_TO: 'everybody' does not appear"):
        networks_of("everybody")


NAMES = {
    True: "password PASSWORD db_password passwd secret_key api_key apikey token access-token "
    "authorization cookie set-cookie session_id csrf x-auth key private_key auth",
    False: "name keyboard monkey author authority title path page keys_pressed id user",
}


@pytest.mark.parametrize(
    ("name", "secret"),
    [(name, secret) for secret, names in NAMES.items() for name in names.split()],
)
def test_names_of_secrets(name, secret):
    assert is_secret(name) is secret
    assert (shown(name, SECRET) == "(hidden)") is secret


def test_secrets_inside_of_texts():
    text = 'User(id=1, password=\'a\\\'b\', token=None) {"api_key": "x y"} ?token=abc&id=1'
    assert without_secrets(text) == (
        'User(id=1, password=(hidden), token=(hidden)) {"api_key": (hidden)} ?token=(hidden)&id=1'
    )


HIGHLIGHTED = [
    (
        ["def f(x):", "    return 'a' # b"],
        [
            '<span class="k">def</span> <span class="d">f</span>(x):',
            '    <span class="k">return</span> <span class="s">&#x27;a&#x27;</span> '
            '<span class="c"># b</span>',
        ],
    ),
    (
        ['x = """<b>', 'c"""'],
        [
            'x = <span class="s">&quot;&quot;&quot;&lt;b&gt;</span>',
            '<span class="s">c&quot;&quot;&quot;</span>',
        ],
    ),
    (["    if (", "<"], ['    <span class="k">if</span> (', "&lt;"]),
    (["\x00"], ["\x00"]),
    ([], []),
]


@pytest.mark.parametrize(("lines", "html"), HIGHLIGHTED)
def test_highlighting(lines, html):
    assert highlighted(lines) == html


def test_a_mark_goes_through_spans():
    assert highlighted(["a = 'b'"], (0, 0, 7)) == [
        '<u>a = <span class="s">&#x27;b&#x27;</span></u>'
    ]
