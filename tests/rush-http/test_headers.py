import copy
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from rush_http import Headers

LINES = (("host", "a"), ("x", "1"), ("cookie", "c=1"), ("x", "2"), ("cookie", "d=2"), ("e", ""))


TEXT = "GET / HTTP/1.1\r\nHost: a\r\nX:\t1 \r\nCOOKIE: c=1\r\nx:2\r\nCookie: d=2\r\nE:\r\n\r\n"


@pytest.fixture(params=["read", "unread"])
def headers(request):
    """The same lines: taken apart already, or when somebody looks."""
    if request.param == "read":
        return Headers(LINES)
    return Headers.unread(Headers(LINES[:2]), TEXT, TEXT.index("COOKIE"))


def test_case_of_a_name_does_not_matter(headers):
    assert headers["host"] == headers["Host"] == headers["HOST"] == "a"
    assert headers.get("HOST") == "a"
    assert "hOsT" in headers
    assert headers.getlist("HOST") == ["a"]


def test_several_lines_are_one_value(headers):
    assert headers["X"] == "1, 2"  # RFC 9110, 5.2
    assert headers["Cookie"] == "c=1; d=2"  # RFC 9113, 8.2.3
    assert headers.getlist("x") == ["1", "2"]
    assert headers.getlist("cookie") == ["c=1", "d=2"]


def test_many_lines_of_one_name():
    assert Headers((("x", "1"),) * 3)["x"] == "1, 1, 1"
    assert Headers((("x", ""), ("x", ""), ("y", "z")))["x"] == ", "


def test_missing(headers):
    assert headers.get("nope") is None
    assert headers.get("nope", "default") == "default"
    assert headers.getlist("nope") == []
    assert "nope" not in headers
    assert 5 not in headers
    with pytest.raises(KeyError, match="nope"):
        headers["Nope"]


def test_empty_value_is_a_value(headers):
    assert headers["e"] == ""
    assert headers.get("E", "default") == ""


def test_is_a_mapping(headers):
    assert list(headers) == ["host", "x", "cookie", "e"]
    assert len(headers) == 4
    assert dict(headers) == {"host": "a", "x": "1, 2", "cookie": "c=1; d=2", "e": ""}
    assert headers.lines() == LINES
    assert not Headers()


def test_equal_by_lines(headers):
    assert headers == Headers(LINES)
    assert hash(headers) == hash(Headers(LINES))
    assert headers != Headers(LINES[:-1])
    assert headers != dict(headers)


def test_frozen(headers):
    with pytest.raises(TypeError):
        headers["x"] = "3"
    with pytest.raises(TypeError):
        del headers["x"]
    with pytest.raises(AttributeError):
        headers.more = 1


def test_repr_hides_values(headers):
    assert repr(headers) == "<Headers host, x, cookie, x, cookie, e>"


def test_copies(headers):
    assert copy.deepcopy(headers) == headers
    assert pickle.loads(pickle.dumps(headers)) == headers


def test_copies_of_what_was_looked_at(headers):
    assert headers["e"] == ""
    assert pickle.loads(pickle.dumps(headers)) == headers


@pytest.mark.parametrize(
    "look",
    [
        lambda headers: headers["x"], lambda headers: headers.get("x"), len, list, bool,
        lambda headers: "x" in headers, lambda headers: headers.getlist("x"), repr, hash,
        lambda headers: headers.lines(), lambda headers: headers == Headers(LINES),
    ],
)  # fmt: skip
def test_whatever_the_first_look_is(headers, look):
    assert look(headers) == look(Headers(LINES))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("host", "a"), ("Cookie", "c=1; d=2"), ("x", "1, 2"), ("e", ""), ("E", ""), ("c", None),
        ("ost", None), ("cookie: c=1\r\nx", None), ("x:2", None), ("x:", None), ("", None),
    ],
)  # fmt: skip
def test_the_first_look_for_one_name(headers, name, value):
    assert headers.get(name) == value
    assert headers.get(name) == value
    assert headers.lines() == LINES
    assert headers.get(name) == value


def test_a_value_that_is_no_name():
    text = "GET / HTTP/1.1\r\nA: b\r\nReferer: http://a/x:range: if-match:\r\nC:d:e\r\n\r\n"
    headers = Headers.unread(Headers((("a", "b"),)), text, text.index("Referer"))
    assert headers.get("x") is headers.get("if-match") is headers.get("d") is None
    assert headers.selectors == {}
    assert headers.get("c") == "d:e"


@pytest.mark.parametrize("known", [1, 2, 3, 4])
@pytest.mark.parametrize(
    ("one", "other", "selectors"),
    [
        ("If-Match: *", "A: b", {"if-match": "*"}),
        ("IF-NONE-MATCH:x", "range: Y Z\t ", {"if-none-match": "x", "range": "Y Z"}),
        ("if-modified-since: x", "If-Modified-Since: y", {"if-modified-since": "x, y"}),
        ("Accept-Encoding:\t gzip", "ACCEPT-encoding: br", {"accept-encoding": "gzip, br"}),
        ("If-Unmodified-Since: x", "Range:", {"if-unmodified-since": "x", "range": ""}),
        ("If-Range: x:y", "Ranges: 1", {"if-range": "x:y"}),
        ("Accept-Ranges: none", "If-: y", {}),
        ("X-If-Match: *", "Accept: if-match: *, range: x", {}),
        ("If-Match-: *", "A: Range:x", {}),
    ],
)  # fmt: skip
def test_selectors(known, one, other, selectors):
    lines = ["Host: a", one, "X: 1", other]
    text = "GET /if-match HTTP/1.1\r\n" + "".join(f"{line}\r\n" for line in lines) + "\r\n"
    pairs = [line.partition(":") for line in lines]
    fields = tuple((name.lower(), value.strip()) for name, _, value in pairs)
    headers = Headers(fields)
    if known < 4:
        headers = Headers.unread(Headers(fields[:known]), text, text.index(lines[known]))
    assert headers.selectors == selectors
    assert headers.lines() == fields
    assert headers.selectors == selectors


@pytest.mark.parametrize("known", [1, 2, 3, 4])
@pytest.mark.parametrize(
    "others",
    [
        ("A: b", "X-Referer: y", "Refererx: z"),
        ("Referer: http://a/", "User-Agent: x", "A: b"),
        ("USER-AGENT: x", "a: b", "user-agent: y"),
        ("referer:x", "B: host: c", "REFERER:y"),
        ("A: b", "B: c", "User-Agent:\t x y "),
    ],
)
def test_told(known, others):
    lines = ["Host: a", *others]
    text = "GET /referer: HTTP/1.1\r\n" + "".join(f"{line}\r\n" for line in lines) + "\r\n"
    pairs = [line.partition(":") for line in lines]
    fields = tuple((name.lower(), value.strip()) for name, _, value in pairs)
    headers = Headers(fields)
    if known < 4:
        headers = Headers.unread(Headers(fields[:known]), text, text.index(lines[known]))
    names = ("host", "referer", "user-agent")
    told = [headers.told.get(name) for name in names]
    assert told == [headers.get(name) for name in names]
    assert told == [headers.told.get(name) for name in names]


def test_looked_at_by_many_threads_at_once():
    unread = [Headers.unread(Headers(LINES[:2]), TEXT, TEXT.index("COOKIE")) for _ in range(500)]
    barrier = threading.Barrier(4)

    def look():
        barrier.wait(20)
        return [(headers["cookie"], headers.lines()) for headers in unread]

    with ThreadPoolExecutor(4) as threads:
        looks = [threads.submit(look) for _ in range(4)]
    assert all(look.result() == [("c=1; d=2", LINES)] * 500 for look in looks)


def test_picked_is_what_a_look_at_all_gives():
    """Of headers that nobody has looked at, whatever their lines are."""
    names = ("x-a", "host", "x-b")
    rests = [
        ("", ("known", "h", None)),
        ("X-B: b\r\n", ("known", "h", "b")),
        ("x-B:\t b \t\r\nx-c: d\r\n", ("known", "h", "b")),
        ("X-B:\r\n", ("known", "h", "")),
        ("X-B: x-b: c\r\n", ("known", "h", "x-b: c")),
        ("X-C: \xdf\xc4X-B: c\r\nX-B: \xc4\xdf\r\n", ("known", "h", "\xc4\xdf")),
        ("X-BB: b\r\nXX-B: c\r\n", ("known", "h", None)),
        ("X-B: b\r\nX-b: c\r\n", ("known", "h", "b, c")),
        ("X-A: more\r\n", ("known, more", "h", None)),
    ]
    for rest, expected in rests:
        first = Headers((("host", "h"), ("x-a", "known")))
        text = f"GET / HTTP/1.1\r\nHost: h\r\nX-A: known\r\n{rest}\r\n"
        at = len(text) - len(rest) - 2
        headers = Headers.unread(first, text, at)
        assert headers.picked(names) == expected
        assert Headers(headers.lines()).picked(names) == expected
        headers.values_by_name  # noqa: B018  # taken apart now
        assert headers.picked(names) == expected
