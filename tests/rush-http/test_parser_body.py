"""Bodies: their limits, and who may change them when."""

import pytest

from rush_http import END, ContentTooLarge, Head, Limits, Memo, RequestParser

LENGTH = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.fixture(params=[None, Memo()], ids=["plain", "memoised"])
def parser(request):
    """A parser whose bodies may have 10 bytes."""
    return RequestParser(Limits(body_bytes=10), memo=request.param)


def test_body_too_large_is_refused_before_any_of_it(parser):
    """The head comes, so that who reads it can choose another limit; then the refusal."""
    events = parser.feed(LENGTH % 11 + b"x" * 11)
    assert next(events).content_length == 11
    with pytest.raises(ContentTooLarge, match="11 bytes is larger than 10"):
        next(events)
    assert not parser.clean


def test_limit_body_refuses_by_content_length_alone(parser):
    assert next(parser.feed(LENGTH % 5)).content_length == 5
    with pytest.raises(ContentTooLarge, match="5 bytes is larger than 4"):
        parser.limit_body(4)
    with pytest.raises(RuntimeError, match="has refused"):
        list(parser.feed(b"x"))


@pytest.mark.parametrize(
    "wire",
    [LENGTH % 20 + b"x" * 20, CHUNKED + b"a\r\n%b\r\n" % (b"x" * 10) * 2 + b"0\r\n\r\n"],
    ids=["length", "chunked"],
)
def test_limit_body_is_for_one_body(parser, wire):
    events = []
    for event in parser.feed(wire * 3):
        if isinstance(event, Head):
            parser.limit_body(20)
        events.append(event)
        if events.count(END) == 2:
            break
    assert b"".join(event for event in events if isinstance(event, bytes)) == b"x" * 40
    rest = parser.feed(b"")
    assert isinstance(next(rest), Head)
    with pytest.raises(ContentTooLarge):  # at the latest with its second chunk
        list(rest)


def test_limit_body_counts_chunks(parser):
    events = parser.feed(CHUNKED + b"3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n")
    next(events)
    parser.limit_body(5)
    with pytest.raises(ContentTooLarge, match="larger than 5"):
        list(events)


def test_a_chunk_past_the_limit_is_refused_before_the_next(parser):
    events = parser.feed(CHUNKED + b"5\r\nabcde\r\n6\r\nabcdef\r\n")
    next(events)
    assert next(events) == b"abcde"
    with pytest.raises(ContentTooLarge, match="larger than 10"):
        next(events)


def test_limit_body_without_a_body(parser):
    next(parser.feed(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"))
    parser.limit_body(1)
    assert list(parser.feed(b"")) == [END]
    head, body, end = parser.feed(LENGTH % 10 + b"x" * 10)
    assert (head.content_length, body, end) == (10, b"x" * 10, END)


def test_limit_body_in_the_middle_of_one(parser):
    assert list(parser.feed(LENGTH % 3 + b"x"))[1:] == [b"x"]
    with pytest.raises(RuntimeError, match="too late"):
        parser.limit_body(100)
    assert list(parser.feed(b"yz")) == [b"yz", END]
