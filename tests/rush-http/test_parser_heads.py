"""A connection's memory of its heads: what a head says that begins like those before it."""

import gc
import itertools
import random
import uuid

import pytest

from properties import heard
from rawclient import RawClient
from rush_http import CLOSE, END, Limits, Memo, RequestParser

LINE = b"GET /%d HTTP/1.1\r\n"


def request(lines, number=0, body=b""):
    return LINE % number + b"".join(line + b"\r\n" for line in lines) + b"\r\n" + body


def body_of(head):
    """What must follow for the head to be a whole request."""
    found, _ = heard(RequestParser().feed, [head])
    if not found:
        return b""
    return b"3\r\nabc\r\n0\r\n\r\n" if found[0].chunked else b"x" * found[0].content_length


def quick(parser):
    """Feed `parser` by its short ways where they go."""

    def feed(piece):
        head = parser.whole(piece)
        if head is not None:
            return [head, END]
        events = parser.feed(piece)
        return itertools.chain(*([head, END] for head in iter(parser.next_whole, None)), events)

    return feed


def test_a_head_that_begins_alike_needs_no_memo():
    memo = Memo()
    parser = RequestParser(memo=memo)
    for number in range(3):
        head = parser.whole(request([b"Host: a", b"X: y", b"New: %d" % number], number))
        assert head.path == f"/{number}"
        assert dict(head.headers) == {"host": "a", "x": "y", "new": str(number)}
    assert set(memo.fields) == {b"Host: a", b"X: y", b"New: 0", b"New: 1"}


def test_only_the_request_line_is_new():
    parser = RequestParser(memo=Memo())
    first = parser.whole(request([b"Host: a", b"X: y"], 1))
    second = parser.whole(request([b"Host: a", b"X: y"], 2))
    assert (first.path, second.path) == ("/1", "/2")
    assert first.headers is second.headers  # frozen, so it can be shared


# The lines of two heads, then those of a third: what it is, the plain path says.
FRAMINGS = [
    ([b"Host: a"], [b"Host: a"]),
    ([b"Host: a"], [b"hOST: b"]),
    ([b"Host: a"], [b"X: y", b"Host: a"]),
    ([b"Host: a"], [b"Host : a"]),
    ([b"X: y"], [b"Host: a"]),
    ([b"X: y"], [b"Z: a"]),
    ([b"Host: a", b"Content-Length: 2"], [b"Content-Length: 2"]),
    ([b"Host: a", b"Content-Length: 2"], [b"X: y", b"CONTENT-LENGTH: 3"]),
    ([b"Host: a", b"Content-Length: 0"], [b"Content-Length: 2"]),
    ([b"Host: a", b"Content-Length: 2"], [b"Transfer-Encoding: chunked"]),
    ([b"Host: a", b"Content-Length: 0"], [b"transfer-encoding: chunked"]),
    ([b"Host: a", b"Transfer-Encoding: chunked"], [b"Content-Length: 2"]),
    ([b"Host: a", b"Transfer-Encoding: chunked"], [b"Transfer-Encoding: chunked"]),
    ([b"Host: a"], [b"Content-Length: 2"]),
    ([b"Host: a"], [b"Content-Length:2"]),
    ([b"Host: a"], [b"Content-Length: +2"]),
    ([b"Host: a"], [b"Content-Length: 2 "]),
    ([b"Host: a"], [b"Content-Length:  2"]),
    ([b"Host: a"], [b"Content-Length: 2", b"Content-Length: 2"]),
    ([b"Host: a"], [b"Content-Length: 2", b"X: y", b"Transfer-Encoding: chunked"]),
    ([b"Host: a"], [b"Content-Length: 99999999999999999999"]),
    ([b"Host: a"], [b"Transfer-Encoding: chunked"]),
    ([b"Host: a"], [b"Transfer-Encoding: gzip, chunked"]),
    ([b"Host: a", b"Transfer-Encoding: gzip"], [b"Transfer-Encoding: chunked"]),
    ([b"Host: a"], [b"Connection: close"]),
    ([b"Host: a", b"Connection: keep-alive"], [b"Connection: close"]),
    ([b"Host: a", b"Connection: close"], [b"X: y"]),
    ([b"Host: a"], [b"Expect: 100-continue", b"Content-Length: 2"]),
    ([b"Host: a", b"Expect: 100-continue"], [b"Expect: 100-continue"]),
    ([b"Host: a"], [b"Hosts: b", b"Connections: close", b"Content-Lengths: 2", b"Expected: z"]),
    ([b"Host: a"], [b"Content-Language: en", b"Transfer: x", b"T: y", b"E: y", b"H: y", b"C: y"]),
    ([b"Host: a", b"X: y"], [b" fold"]),
    ([b"Host: a", b"X: y"], [b"\tfold: z"]),
    ([b"Host: a"], [b"X: a\rb"]),
    ([b"Host: a"], [b"X: a\nb: c"]),
    ([b"Host: a"], [b"X: \0"]),
    ([b"Host: a"], [b"X: \x7f"]),
    ([b"Host: a"], [b"X: \t\x80\xff"]),
    ([b"Host: a"], [b"X: \xa0y\x85 "]),  # white space to Python alone
    ([b"Host: a"], [b": y"]),
    ([b"Host: a"], [b"X"]),
    ([b"Host: a"], [b"X\xe9: y"]),
    ([b"Host: a"], [b"", b"X: y"]),
    ([b"Host: a", b"Cookie: a"], [b"Cookie: b", b"cookie: c"]),
]


@pytest.mark.parametrize(("common", "more"), FRAMINGS)
def test_what_follows_the_prefix_means_what_it_means(common, more):
    """Above all what framing needs of it, be it before or after the end of the prefix."""
    third = request([*common, *more], 3, b"hi")
    expected = heard(RequestParser().feed, [third])
    for feed in (lambda parser: parser.feed, quick):
        parser = RequestParser(memo=Memo())
        for number in (1, 2):
            head = request([*common, b"X: %d" % number], number)
            if heard(parser.feed, [head + body_of(head)])[1]:
                parser = RequestParser(memo=Memo())  # no connection has met two of them
        assert heard(feed(parser), [third]) == expected


@pytest.mark.parametrize("first", [b"GET /", b"POST http://b/", b"OPTIONS *", b"GET /%41?%41"])
@pytest.mark.parametrize("second", [b"GET /x", b"GET http://c/", b"PUT /%42", b"CONNECT /", b"G /"])
@pytest.mark.parametrize("versions", [b"01", b"10", b"11", b"12"])
def test_request_lines_of_other_forms(first, second, versions):
    lines = b"Host: a\r\nX: y\r\n\r\n"
    first += b" HTTP/1.%c\r\n" % versions[0] + lines
    second += b" HTTP/1.%c\r\n" % versions[1] + lines
    feed = quick(RequestParser(memo=Memo()))
    for wire in (first, second, first, second):
        expected = heard(RequestParser().feed, [wire])
        assert heard(feed, [wire]) == expected
        if expected[1]:
            break


def test_lines_after_the_prefix_are_counted():
    for size in (1, 100):  # many lines are not always many bytes
        for count in range(3, 9):
            parser = RequestParser(Limits(fields_count=6), memo=Memo())
            for number in (1, 2):
                assert parser.whole(request([b"Host: a", b"X: y", b"N: %d" % number]))
            wire = request([b"Host: a", b"X: y", *[b"A:" + b"a" * size] * (count - 2)])
            plain = heard(RequestParser(Limits(fields_count=6)).feed, [wire])
            assert heard(quick(parser), [wire]) == plain
            assert (plain[1] is None) == (count <= 6)


def test_lines_after_a_longer_prefix_are_counted():
    """Lines that were few enough behind another prefix are no longer."""

    def like(*lines, number):
        return request([*lines, *[b"%c: %d" % (name, number) for name in b"ABCD"]])

    limits = Limits(fields_count=6)
    parser = RequestParser(limits, memo=Memo())
    for number in range(6):  # so that their names are known
        assert parser.whole(like(b"Host: a", b"X: y", number=number))
    for number in (1, 2):
        assert parser.whole(request([b"Host: b", b"X: y", b"E: e", b"N: %d" % number]))
    wire = like(b"Host: b", b"X: y", b"E: e", number=7)
    plain = heard(RequestParser(limits).feed, [wire])
    assert plain[1] is not None
    assert heard(quick(parser), [wire]) == plain


def test_bytes_before_and_after_the_prefix_are_counted():
    for size in range(60, 100):
        limits = Limits(fields_bytes=80, request_line_bytes=80)
        parser = RequestParser(limits, memo=Memo())
        for number in (1, 2):
            assert parser.whole(request([b"Host: a", b"X: y", b"N: %d" % number]))
        wire = request([b"Host: a", b"X: y", b"A: " + b"a" * (size - 20)])
        plain = heard(RequestParser(limits).feed, [wire])
        assert heard(quick(parser), [wire]) == plain
        assert (plain[1] is None) == (size <= 80)


def test_a_connection_that_ends_after_the_prefix_does_so_once():
    parser = RequestParser(memo=Memo())
    lines = [
        parser.whole(request([b"Host: a", b"N: %d" % number, *more])).connection_line
        for number, more in enumerate([[], [], [b"Connection: close"], []])
    ]
    assert lines == [b"", b"", CLOSE, b""]


def test_the_same_length_line_with_another_length():
    parser = RequestParser(memo=Memo())
    for size in (3, 4, 0, 17, 3):
        wire = request([b"Host: a", b"Content-Length: %d" % size, b"X: y"], size, b"b" * size)
        head, *body, end = parser.feed(wire)
        assert (head.content_length, b"".join(body), end) == (size, b"b" * size, END)
        assert head.headers.lines() == (("host", "a"), ("content-length", str(size)), ("x", "y"))


def test_connections_do_not_share_what_they_remember():
    memo = Memo()
    parsers = [RequestParser(memo=memo) for _ in range(3)]
    for turn in range(4):
        for number, parser in enumerate(parsers):
            lines = [b"Host: a", b"Cookie: of=%d" % number, b"X: y", b"Turn: %d" % turn]
            head = parser.whole(request(lines))
            assert head.headers["cookie"] == f"of={number}"
            assert head.headers["turn"] == str(turn)


# Random sequences of heads that begin alike

POOL = [
    b"Host: a", b"host: b", b"X: y", b"X: z", b"Cookie: a=b", b"Cookie: c=d", b"Accept: */*",
    b"Connection: keep-alive", b"Connection: close", b"Expect: 100-continue", b"Hosts: a",
    b"Content-Type: a/b", b"traceparent: 1", b"Content-Length: 3", b"Content-Length: 0",
    b"Content-length: 3", b"Transfer-Encoding: chunked", b"Empty:", b"L: " + b"l" * 400,
]  # fmt: skip
REQUEST_LINES = [
    *[b"GET / HTTP/1.1"] * 5, b"GET /a?b HTTP/1.1", b"GET http://c/ HTTP/1.1",
    b"POST /%41 HTTP/1.1", b"GET / HTTP/1.0",
]  # fmt: skip
BAD = [b"X : y", b"X: \0", b" fold", b"X: y\nZ: w", b"X: \r", b"Content-Length: 1, 1", b"", b"X"]


def random_head(dice, known):
    lines = known[: dice.randrange(len(known) + 1)] if dice.random() < 0.3 else list(known)
    for _ in range(dice.choice([0, 0, 1, 1, 2, 3])):
        lines.insert(dice.choice([len(lines), dice.randrange(len(lines) + 1)]), dice.choice(POOL))
    lines.append(b"N: %d" % dice.randrange(3))
    if dice.random() < 0.05:
        lines.insert(dice.randrange(len(lines) + 1), dice.choice(BAD))
    line = dice.choice(REQUEST_LINES)
    return b"\r\n".join([line, *lines, b"", b""])


@pytest.mark.parametrize("entries", [Memo.ENTRIES, 3], ids=["roomy", "full"])
@pytest.mark.parametrize("seed", range(8))
def test_heads_that_begin_alike_say_what_the_plain_path_says(monkeypatch, seed, entries):
    monkeypatch.setattr(Memo, "ENTRIES", entries)  # a full memo forgets all the time
    dice = random.Random(seed)
    memo = Memo()
    accepted = 0
    for _ in range(80):  # connections
        known = [b"Host: a", *dice.sample(POOL[2:13], dice.randrange(4))]
        parser = RequestParser(memo=memo)
        feed = quick(parser)
        for _ in range(12):
            head = random_head(dice, known)
            wire = (head + body_of(head)) * dice.choice([1, 1, 1, 2, 3])
            expected = heard(RequestParser().feed, [wire])
            assert heard(feed, [wire]) == expected
            if not parser.clean:
                break
            accepted += 1
    assert accepted > 100  # or nothing would have been tested


# What is left


def holders(needle):
    """What of all that lives in this process contains the text, found through the collector."""
    gc.collect()
    text, raw = needle, needle.encode()
    seen, found, left = set(), [], gc.get_objects()
    while left:
        new = [thing for thing in gc.get_referents(*left) if id(thing) not in seen]
        seen.update(map(id, new))
        found += [
            thing
            for thing in new
            if (isinstance(thing, str) and text in thing and thing is not needle)
            or (isinstance(thing, bytes | bytearray) and raw in thing and thing is not raw)
        ]
        left = new
    return found


@pytest.mark.once
def test_a_secret_goes_with_its_connection(site, until):
    server = site()
    canary = uuid.uuid4().hex
    for name in ("Cookie", "Authorization", "Proxy-Authorization"):
        with RawClient(server.address) as client:
            for number in range(4):  # as prefix, as last head, after the prefix
                for more in ([], [f"N: {number}"], [f"{name}: {canary}{number}", "X: y"]):
                    assert client.get("/", "X: y", f"{name}: {canary}", *more).status == 200
            client.send(f"GET / HTTP/1.1\r\n{name}: {canary}".encode())  # and unfinished
            assert len(server.memo.fields) > 0
            until(server, lambda: any(c.data.parser.started for c in server.epoll.connections))
            del more
        until(server, lambda: not server.epoll.connections)
    assert holders(canary) == []
