"""The memos: fast twins that say what the plain path says, bounded, and without secrets."""

import gc
import itertools
import random
import sys

import pytest

from properties import heard
from rush_http import END, Head, HttpError, Limits, Memo, RequestParser
from rush_http.shapes import Shapes


def events(parser, pieces):
    return [event for piece in pieces for event in parser.feed(piece)]


def everything(memo):
    return repr([getattr(memo, table) for table in Memo.__slots__])


HEAD = b"GET / HTTP/1.1\r\nHost: a\r\n"


def get(*lines):
    return b"".join([HEAD, *(line + b"\r\n" for line in lines), b"\r\n"])


def test_whole_gives_a_request_without_a_body():
    parser = RequestParser(memo=Memo())
    wire = get(b"X: y")
    head = parser.whole(wire)
    assert head.headers["x"] == "y"
    assert parser.whole(wire) is head  # the same again: one comparison
    assert parser.clean
    assert events(parser, [wire]) == [head, END]
    assert dict(parser.whole(get()).headers) == {"host": "a"}


@pytest.mark.parametrize(
    "data",
    [
        b"", b"\n", b"\r\n", b"x\r\n", b"xx\n", b"\n\n\n", b"\r\n\r\n", b"G", b"GET", b"GET ", HEAD,
        get() * 2, get()[:-1], get() + b"\r\n",
        b"\r\n" + get(), b"GET\r\n\r\n", get(b"X: \0"), get(b"Host: b"),
        HEAD + b"Content-Length: 1\r\n\r\n", HEAD + b"Content-Length: 0\r\n\r\n\r\n\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n", HEAD + b"Content-Length: 4\r\n\r\n\r\n\r\n",
        get(*[b"X: y"] * 100), get(b"X: " + b"y" * 20_000),
        HEAD + b"X: y\r\n", HEAD + b"X: y\r\nXY", HEAD + b"X: y\r\n\n\r", HEAD + b"X: y\r\n\r",
        HEAD + b"X: y\r\n\n\n", HEAD + b"X: y\r\nX\n", HEAD + b"X: y\r\n \n",
    ],
)  # fmt: skip
@pytest.mark.parametrize("before", [[], [get(b"X: y")]], ids=["first", "later"])
def test_whole_gives_nothing_else(before, data):
    parser = RequestParser(memo=Memo())
    assert all(parser.whole(wire) is not None for wire in before)
    assert parser.whole(data) is None
    # Nothing was taken: what the plain path says of it can still be heard.
    assert heard(parser.feed, [data]) == heard(RequestParser().feed, [data])


@pytest.mark.parametrize("before", [b"\r\n", b"G", HEAD, HEAD + b"Content-Length: 1\r\n\r\n"])
def test_whole_gives_nothing_while_something_is_unfinished(before):
    parser = RequestParser(memo=Memo())
    events(parser, [get()])
    events(parser, [before])
    assert parser.whole(get()) is None
    assert parser.whole(get(b"X: new")) is None


def post(body, target=b"/", more=b"", length=None):
    length = b"%d" % len(body) if length is None else length
    lines = b"Host: a\r\nContent-Length: %b\r\n%b\r\n" % (length, more)
    return b"POST %b HTTP/1.1\r\n%b%b" % (target, lines, body)


def test_whole_with_body_gives_a_request_with_its_body():
    parser = RequestParser(memo=Memo())
    for number, more in itertools.product(range(1, 20), [b"", b"X: y\r\nZ: \xff\r\n"]):
        body = b"\r\n\r\n" * number
        wire = post(body, b"/%d?q=%d" % (number, number), more, b"%03d" % len(body))
        assert parser.whole(wire) is None
        head, found = parser.whole_with_body(wire)
        assert found == body
        assert parser.clean
        assert [(head, found)] == [tuple(heard(RequestParser().feed, [wire])[0][:2])]
        assert head.headers["content-length"] == f"{len(body):03d}"


@pytest.mark.parametrize(
    "data",
    [
        post(b"body")[:-1], post(b"body") + b"x", post(b"body") * 2, post(b"body") + get(),
        post(b"body", length=b"+4"), post(b"body", length=b"4 4"), post(b"body", length=b"4,4"),
        post(b"body", length=b"0_4"), post(b"body", length=b""), post(b"body", length=b"\xb2"),
        post(b"body", length=b"0" * 20 + b"4"), post(b"body", more=b"Content-Length: 4\r\n"),
        post(b"body", more=b"Transfer-Encoding: chunked\r\n"), post(b"body", more=b"X: \0\r\n"),
        post(b"body", more=b"Expect: 100-continue\r\n"), post(b"body", b"/%"), post(b"body", b"/ "),
        post(b"body", b"/#"), post(b"body", b"*"), post(b"body", b""), post(b"body", b"/\r\nX: y"),
        b"\r\n" + post(b"body"), post(b"b" * 1001), post(b"body", b"/" + b"x" * 300),
        post(b"body").replace(b"1.1", b"1.2"), post(b"body").replace(b"\r\n", b"\n"), b"P", b"POST",
    ],
)  # fmt: skip
@pytest.mark.parametrize("before", [0, 1, 5], ids=["first", "second", "later"])
def test_whole_with_body_gives_nothing_else(before, data):
    limits = Limits(body_bytes=1000, request_line_bytes=200)
    parser = RequestParser(limits, memo=Memo())
    for number in range(before):
        assert parser.whole_with_body(post(b"x" * 4 + b"y" * number)) is not None
    found = parser.whole_with_body(data)
    plain = heard(RequestParser(limits).feed, [data])
    if found is None:
        assert heard(parser.feed, [data]) == plain
    else:  # what a length of 20 digits, say, means to the plain path
        assert plain == ([*found, END], None)


def test_whole_gives_nothing_while_requests_wait():
    parser = RequestParser(memo=Memo())
    iterator = parser.feed(get() * 3)
    assert [next(iterator) for _ in range(2)][1] is END
    assert parser.whole(get()) is None
    assert sum(event is END for event in parser.feed(b"")) == 2
    assert parser.whole(get()) is not None


def test_whole_gives_nothing_without_a_memo():
    parser = RequestParser()
    events(parser, [get()])
    assert parser.whole(get()) is None


def test_a_large_head_is_not_kept():
    parser = RequestParser(memo=Memo())
    wire = get(b"X: " + b"y" * 2048)
    first, second = parser.whole(wire), parser.whole(wire)
    assert first == second
    assert first is not second


def test_memo_keeps_no_secrets():
    memo = Memo()
    wire = get(
        b"Cookie: secret", b"AUTHORIZATION: secret", b"proxy-Authorization: secret", b"Accept: */*"
    )
    events(RequestParser(memo=memo), [wire])
    assert memo.fields == {b"Host: a": ("host", "a"), b"Accept: */*": ("accept", "*/*")}
    assert "secret" not in everything(memo)


def test_nothing_of_a_connection_is_left_but_the_memo():
    memo = Memo()
    parser = RequestParser(memo=memo)
    events(parser, [get(b"Cookie: canary")])
    del parser
    gc.collect()
    kept = [thing for thing in gc.get_objects() if isinstance(thing, Head)]
    assert not any("canary" in head.headers.get("cookie", "") for head in kept)
    assert "canary" not in everything(memo)


TABLES = [name for name in Memo.__slots__ if name != "shapes"]


def test_memo_is_bounded():
    memo = Memo()
    parser = RequestParser(memo=memo)
    for number in range(3 * Memo.ENTRIES):
        head = parser.whole(
            b"GET / HTTP/1.1\r\nHost: a%d\r\nX: %d\r\nN%d: y\r\nLong: %b\r\nConnection: x%d\r\n\r\n"
            % (number, number, number, b"l" * 300, number)
        )
        assert head.headers["x"] == str(number)
        for table in TABLES:
            assert 0 < len(getattr(memo, table)) <= Memo.ENTRIES
    for table in TABLES:
        assert max(map(len, getattr(memo, table))) <= Memo.ENTRY_BYTES


@pytest.mark.parametrize("memo", [None, Memo()], ids=["plain", "memoised"])
def test_what_was_taken_is_let_go(memo):
    """10,000 idle connections are not to hold what each has received last."""
    parser = RequestParser(memo=memo)
    wire = get() * 1000
    before = sys.getrefcount(wire)
    assert len(events(parser, [wire])) == 2000
    assert sys.getrefcount(wire) == before


def test_memo_keeps_nothing_of_a_bad_line():
    memo = Memo()
    with pytest.raises(HttpError):
        events(RequestParser(memo=memo), [get(b"X: \0")])
    assert memo.fields == {b"Host: a": ("host", "a")}


def test_same_head_with_another_body():
    parser = RequestParser(memo=Memo())
    for body in (b"abc", b"xyz", b"GET"):
        head, piece, end = events(parser, [HEAD + b"Content-Length: 3\r\n\r\n" + body])
        assert (head.content_length, piece, end) == (3, body, END)


def test_never_the_values_of_another_connection():
    memo = Memo()
    parsers = [RequestParser(memo=memo) for _ in range(20)]
    for turn in range(3):
        for number, parser in enumerate(parsers):
            wire = get(b"X-Number: %d" % number, b"Cookie: of=%d" % number, b"Accept: */*")
            if turn == 0:
                [head, _] = events(parser, [wire])
            else:
                head = parser.whole(wire)
            assert head.headers["x-number"] == str(number)
            assert head.headers["cookie"] == f"of={number}"


def test_a_hit_never_skips_a_limit():
    memo = Memo()
    wire = get(b"X: " + b"y" * 100)
    events(RequestParser(memo=memo), [wire])
    for limits in (Limits(fields_bytes=100), Limits(fields_count=1), Limits(request_line_bytes=9)):
        with pytest.raises(HttpError) as refusal:
            events(RequestParser(limits, memo=memo), [wire])
        assert refusal.value.status in (414, 431)


def test_what_framing_needs_is_never_taken_from_a_head_that_begins_alike():
    parser = RequestParser(memo=Memo())
    parser.whole(get())
    [head, body, _] = events(parser, [HEAD + b"Content-Length: 2\r\n\r\nhi"])
    assert (head.content_length, body) == (2, b"hi")
    [head, _] = events(parser, [get()])
    assert head.content_length == 0


# Heads that differ only in their targets

REQUEST_LINES = [
    b"GET /a?x=%d HTTP/1.1", b"GET /a/%d?y HTTP/1.1", b"GET / HTTP/1.1", b"GET /?? HTTP/1.1",
    b"GET /%%41?x=%d HTTP/1.1", b"GET /?x=%%41 HTTP/1.1", b"GET /?%%zz HTTP/1.1",
    b"GET /%%zz HTTP/1.1", b"GET /%%00 HTTP/1.1", b"GET /a#b HTTP/1.1", b"GET /?a#b HTTP/1.1",
    b"GET  HTTP/1.1", b"GET  / HTTP/1.1", b"GET /a b HTTP/1.1", b"GET /\x00 HTTP/1.1",
    b"GET /\x01 HTTP/1.1", b"GET /\x7f HTTP/1.1", b"GET /\xe9 HTTP/1.1", b"GET /\t HTTP/1.1",
    b"GET /a\rb HTTP/1.1", b"GET /a\nb HTTP/1.1", b"GET /?\xff HTTP/1.1", b"GET * HTTP/1.1",
    b"OPTIONS * HTTP/1.1", b"GET a HTTP/1.1", b"GET http://b/a HTTP/1.1", b"GET ?x HTTP/1.1",
    b"GET 0 HTTP/1.1", b"GET . HTTP/1.1", b"HEAD /a HTTP/1.1", b"CONNECT /a HTTP/1.1",
    b"get /a HTTP/1.1", b"GET /a HTTP/1.0", b"GET /a HTTP/1.2", b"GET /a HTTP/2.0",
    b"GET\t/a HTTP/1.1", b"GET /a\tHTTP/1.1", b" GET /a HTTP/1.1", b"GET /a HTTP/1.1 ",
    b"GET /" + b"a" * 3000 + b" HTTP/1.1", b"GET /" + b"a" * 9000 + b" HTTP/1.1",
    b"POST /a HTTP/1.1", b"GET", b"",
]  # fmt: skip


@pytest.mark.parametrize("together", [1, 3], ids=["one by one", "pipelined"])
@pytest.mark.parametrize("line", REQUEST_LINES, ids=lambda line: repr(line[:30]))
@pytest.mark.parametrize("lines", [[], [b"Connection: close"], [b"Content-Length: 0"]], ids=repr)
def test_another_target_hides_nothing(line, lines, together):
    def request(line, number):
        line = line % number if b"%d" in line else line.replace(b"%%", b"%")
        return b"\r\n".join([line, b"Host: a", *lines, b"", b""])

    wires = [request(REQUEST_LINES[number % 2], number) for number in range(6)]
    wires += [request(line, 7), request(line, 8), wires[1]]
    wires = [b"".join(wires[at : at + together]) for at in range(0, len(wires), together)]
    parser = RequestParser(memo=Memo())

    def fast(wire):
        head = parser.whole(wire)
        if head is not None:
            return [head, END]
        return rest_of(wire)

    def rest_of(wire):
        events = parser.feed(wire)
        while True:
            while (head := parser.next_whole()) is not None:
                yield from (head, END)
            event = next(events, None)
            if event is None:
                return
            yield event

    assert heard(fast, wires) == heard(RequestParser().feed, wires)


# Heads whose lines after the prefix have the same names each time

TAILS = [
    [b"Cookie: c=%d", b"X-Id: %d", b"Mode: m"],
    [b"Cookie:%d", b"X-Id:\t%d \xe9", b"Mode:"],
    [b"Cookie: c=%d", b"X-Id: %d", b"Mode : m"],
    [b"Cookie: c=%d", b"X-Id: %d\0", b"Mode: m"],
    [b"Cookie: c=%d", b"X-Id: %d\x7f", b"Mode: m"],
    [b"Cookie: c=%d", b"X-Id: %d\n", b"Mode: m"],
    [b"Cookie: c=%d", b"X-Id: %d\r", b"Mode: m"],
    [b"Cookie: c=%d", b"X-Id: %d", b" Mode: m"],
    [b"Cookie: c=%d", b"X-Id: %d", b"Mode: m", b"Content-Length: 0"],
    [b"Cookie: c=%d", b"X-Id: %d", b"Host: b"],
    [b"Cookie: c=%d", b"X-Id: %d", b"mode: m"],
    [b"Cookie: c=%d", b"X-Id: %d", b"Mode: m", b"More: m"],
    [b"Cookie: c=%d", b"X-Id: %d"],
    [b"Cookie: c=%d", b"X-Id: %d", b"Mode: m"] + [b"More: %d"] * 200,
    [b"Cookie: c=%d", b"X-Id: %d", b"Mode: m", b"", b"GET / HTTP/1.1", b"Host: a"],
]


@pytest.mark.parametrize("tail", TAILS, ids=repr)
def test_a_shape_hides_nothing(tail):
    def request(lines, number):
        return get(*[line.replace(b"%d", b"%d" % number) for line in lines])

    wires = [request(TAILS[0], number) for number in range(6)] + [request(tail, 7)]
    memo = Memo()
    parser = RequestParser(memo=memo)

    def fast(wire):
        head = parser.whole(wire)
        return parser.feed(wire) if head is None else [head, END]

    assert heard(fast, wires) == heard(RequestParser().feed, wires)
    assert len(memo.shapes) == 1


def test_shapes_are_bounded():
    shapes = Shapes()
    assert shapes.pattern(("x" * (Shapes.NAMES_BYTES + 1),)) is None
    found = [shapes.pattern((f"Name-{number}",)) for number in range(2 * Shapes.MOST)]
    assert len(shapes) == Shapes.MOST == sum(pattern is not None for pattern in found)
    assert shapes.pattern(("Name-0",)) is found[0]


# Random sequences of requests, cut at random places

LINES = [
    b"Accept: */*", b"X: y", b"X: z", b"Cookie: a=b", b"Connection: keep-alive",
    b"Expect: 100-continue", b"User-Agent: " + b"u" * 300,
]  # fmt: skip
BAD = [b"X : y", b"Host: b", b"X: \0", b" fold", b"X: y\nZ: w", b"Content-Length: 1, 1"]


def random_request(dice):
    lines = [b"Host: a", *dice.sample(LINES, dice.randrange(4))]
    body = b""
    kind = dice.randrange(12)
    if kind == 0:
        lines.append(b"Content-Length: 4")
        body = dice.choice([b"abcd", b"GET ", b"\r\n\r\n"])
    elif kind == 1:
        lines.append(b"Transfer-Encoding: chunked")
        body = dice.choice([b"3;a=b\r\nabc\r\n0\r\n\r\n", b"0\r\nX: y\r\n\r\n"])
    elif kind == 2:
        return b"\r\n" + get()
    elif kind == 3 and dice.random() < 0.2:
        lines.append(dice.choice(BAD))
    path = dice.choice([b"/", b"/", b"/", b"/a?b=c", b"/%41"])
    return b"\r\n".join([b"GET " + path + b" HTTP/1.1", *lines, b"", b""]) + body


def cut(dice, requests):
    """The requests in pieces: one each, as servers mostly get them, or cut anywhere."""
    if dice.random() < 0.5:
        return requests
    wire = b"".join(requests)
    count = dice.randrange(1, 8)
    places = sorted({0, len(wire), *(dice.randrange(len(wire) + 1) for _ in range(count))})
    return [wire[start:end] for start, end in itertools.pairwise(places)]


@pytest.mark.parametrize("seed", range(40))
def test_whole_and_memo_say_what_the_plain_path_says(seed):
    dice = random.Random(seed)
    memo = Memo()
    quickly = 0
    for _ in range(30):  # connections
        requests = []
        while len(requests) < 20:
            requests += [random_request(dice)] * dice.choice([1, 1, 2, 3])
        pieces = cut(dice, requests)
        parser = RequestParser(memo=memo)

        def fast(piece, parser=parser):
            nonlocal quickly
            head = parser.whole(piece)
            if head is not None:
                quickly += 1
                return [head, END]
            return parser.feed(piece)

        assert heard(fast, pieces) == heard(RequestParser().feed, pieces)
    assert quickly > 20  # or nothing would have been tested
