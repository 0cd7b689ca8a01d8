"""The limits of the parser: at the edge, and for what never ends."""

import pytest

from rush_http import END, BadRequest, Limits, Memo, RequestParser
from splits import SPLITS

HEAD = b"POST / HTTP/1.1\r\nHost: a\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


def request_line(size):
    start, end = b"GET /", b" HTTP/1.1"
    line = start + b"a" * (size - len(start) - len(end)) + end
    assert len(line) == size
    return line + b"\r\nHost: a\r\n\r\n"


def fields(size):
    lines = b"Host: a\r\nX: "
    return b"GET / HTTP/1.1\r\n" + lines + b"x" * (size - len(lines) - 2) + b"\r\n\r\n"


def many_fields(size):
    count, rest = divmod(size - 9, 4)
    lines = b"A:\r\n" * (count - 1) + b"A:" + b"x" * rest + b"\r\n"
    return b"GET / HTTP/1.1\r\nHost: a\r\n" + lines + b"\r\n"


def fields_count(count):
    return b"GET / HTTP/1.1\r\nHost: a\r\n" + b"A:\r\n" * (count - 1) + b"\r\n"


def length(size):
    return HEAD + b"Content-Length: %d\r\n\r\n" % size + b"x" * size


def one_chunk(size):
    return CHUNKED + b"%x\r\n" % size + b"x" * size + b"\r\n0\r\n\r\n"


def small_chunks(size):
    return CHUNKED + b"1\r\nx\r\n" * size + b"0\r\n\r\n"


def chunk_line(size):
    return CHUNKED + b"1;" + b"a" * (size - 2) + b"\r\nx\r\n0\r\n\r\n"


def padded_size(size):
    return CHUNKED + b"1".rjust(size, b"0") + b"\r\nx\r\n0\r\n\r\n"


def extensions(size):
    return (
        CHUNKED + b"1;aaaa\r\nx\r\n" * (size // 5 - 1) + b"0;%b\r\n\r\n" % (b"a" * (4 + size % 5))
    )


def trailers(size):
    return CHUNKED + b"0\r\nA: b\r\nX: " + b"x" * (size - 6 - 5) + b"\r\n\r\n"


def trailers_count(count):
    return CHUNKED + b"0\r\n" + b"A:\r\n" * count + b"\r\n"


# With `limit` it passes, with more it does not
EDGES = [
    ("9110 15.5.15", request_line, "request_line_bytes", 100, 414),
    ("6585 5", fields, "fields_bytes", 100, 431),
    ("6585 5", many_fields, "fields_bytes", 101, 431),
    ("6585 5", fields_count, "fields_count", 5, 431),
    ("9110 15.5.14", length, "body_bytes", 50, 413),
    ("9110 15.5.14", one_chunk, "body_bytes", 50, 413),
    ("9110 15.5.14", small_chunks, "body_bytes", 50, 413),
    ("7.1.1", chunk_line, "chunk_line_bytes", 40, 400),
    ("7.1.1", padded_size, "chunk_line_bytes", 4, 400),
    ("7.1.1", extensions, "chunk_extensions_bytes", 40, 400),
    ("7.1.2", trailers, "trailers_bytes", 60, 400),
    ("7.1.2", trailers_count, "trailers_count", 4, 400),
]


@pytest.mark.parametrize(
    ("section", "make", "name", "limit", "status"), EDGES, ids=[row[1].__name__ for row in EDGES]
)
def test_edge(parse, section, make, name, limit, status):
    limits = Limits(**{name: limit})
    for split in SPLITS:
        at_the_limit = parse(split(make(limit)), limits)
        assert at_the_limit.error is None
        assert len(at_the_limit.requests) == 1
        for beyond in (limit + 1, limit + 2, limit + 4):
            past_it = parse(split(make(beyond)), limits)
            assert past_it.error.status == status
            assert f"Limits.{name}" in str(past_it.error)
            assert past_it.requests == []


ENDLESS = [
    ("9110 15.5.15", b"GET /" + b"a" * 20_000, 414),
    ("9110 15.5.15", b"a" * 20_000, 414),
    ("6585 5", HEAD + b"X: " + b"x" * 70_000, 431),
    ("6585 5", HEAD + b"x" * 70_000, 431),
    ("6585 5", HEAD + b"A: b\r\n" * 101, 431),
    ("6585 5", HEAD + (b"A: " + b"b" * 1000 + b"\r\n") * 70, 431),
    ("9110 15.5.14", HEAD + b"Content-Length: 16777217\r\n\r\n", 413),
    ("9110 15.5.14", CHUNKED + b"1000001\r\n", 413),
    ("9110 15.5.14", CHUNKED + b"ffffffffffffffff\r\n", 413),
    ("7.1.1", CHUNKED + b"1;" + b"a" * 5_000, 400),
    ("7.1.1", CHUNKED + b"0" * 5_000, 400),
    ("7.1.1", CHUNKED + (b"1;" + b"a" * 1000 + b"\r\nx\r\n") * 17, 400),
    ("7.1.2", CHUNKED + b"0\r\nX: " + b"a" * 9_000, 400),
    ("7.1.2", CHUNKED + b"0\r\n" + b"A: b\r\n" * 33, 400),
]


def spoonfuls(data):
    size = 1 if len(data) < 1000 else 41
    return [data[at : at + size] for at in range(0, len(data), size)]


@pytest.mark.parametrize(
    ("section", "wire", "status"), ENDLESS, ids=[repr(row[1][:60]) for row in ENDLESS]
)
def test_default_limits_end_what_never_ends(parse, section, wire, status):
    """Refused before the line, the head or the body is complete."""
    assert parse([wire]).error.status == status
    assert parse(spoonfuls(wire)).error.status == status


def test_default_limits_leave_room():
    """RFC 9112, 3: request lines of 8,000 octets at the least."""
    wire = request_line(16 * 1024) + fields(64 * 1024) + fields_count(100)
    assert sum(event is END for event in RequestParser(memo=Memo()).feed(wire)) == 3


def test_message_is_cut_short():
    with pytest.raises(BadRequest) as refusal:
        list(RequestParser().feed(b"GET" + b" /" * 5000 + b"\r\n"))
    assert len(str(refusal.value)) < 300
