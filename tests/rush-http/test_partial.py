"""Answers to `Range`: their fields, parts, and that they are never longer than the whole."""

import itertools
import random
import re
import time
from email import message_from_bytes

import pytest

from rush_http import Headers
from rush_http.conditional import Representation, Span
from rush_http.ranges import MOST_RANGES

CONTENT = random.Random(1).randbytes(8000)
PDF = Representation(
    len(CONTENT),
    content_type="application/pdf",
    etag='"v1"',
    last_modified=784111777,
    headers=[("Vary", "Accept")],
)
COMMON = (
    ("ETag", '"v1"'),
    ("Last-Modified", "Sun, 06 Nov 1994 08:49:37 GMT"),
    ("Vary", "Accept"),
)


def test_fields_of_a_single_part():
    answer = PDF.answer("GET", Headers((("range", "bytes=10-19"),)))
    assert answer.headers == (
        ("Content-Type", "application/pdf"),
        ("Content-Range", "bytes 10-19/8000"),
        *COMMON,
    )
    assert sent(answer, CONTENT) == CONTENT[10:20]


def test_several_parts():
    """The example of RFC 9110, 15.3.7.2."""
    answer = PDF.answer("GET", Headers((("range", "bytes=500-999,7000-7999"),)))
    assert answer.status == 206
    assert answer.headers[1:] == COMMON  # no Content-Range up here
    boundary = answer.headers[0][1].removeprefix("multipart/byteranges; boundary=").encode()
    head = b"--%b\r\nContent-Type: application/pdf\r\nContent-Range: bytes %b/8000\r\n\r\n"
    assert answer.parts == (
        head % (boundary, b"500-999"),
        Span(500, 500),
        b"\r\n" + head % (boundary, b"7000-7999"),
        Span(7000, 1000),
        b"\r\n--%b--\r\n" % boundary,
    )
    assert len(sent(answer, CONTENT)) == answer.length


def test_parts_without_a_type():
    page = Representation(8000)
    answer = page.answer("GET", Headers((("range", "bytes=7000-,0-9"),)))
    assert re.fullmatch(rb"--[0-9a-f]+\r\nContent-Range: [^\r]+\r\n\r\n", answer.parts[0])
    assert [part for part in answer.parts if isinstance(part, Span)] == [
        Span(7000, 1000),
        Span(0, 10),
    ]


def test_another_reader_of_multipart():
    """The parts as the standard library takes them apart, lines of text that they are."""
    text = b"".join(b"line %03d\n" % number for number in range(1000))
    page = Representation(len(text), content_type="text/plain")
    answer = page.answer("GET", Headers((("range", "bytes=9-17,4500-4517,-9"),)))
    head = f"Content-Type: {answer.headers[0][1]}\r\n\r\n".encode()
    parts = message_from_bytes(head + sent(answer, text)).get_payload()
    assert [part.get_payload() for part in parts] == [
        "line 001\n",
        "line 500\nline 501\n",
        "line 999\n",
    ]
    assert [part["Content-Range"] for part in parts] == [
        "bytes 9-17/9000",
        "bytes 4500-4517/9000",
        "bytes 8991-8999/9000",
    ]
    assert {part["Content-Type"] for part in parts} == {"text/plain"}


def test_each_answer_has_its_own_boundary():
    headers = Headers((("range", "bytes=0-9,7000-7009"),))
    boundaries = {PDF.answer("GET", headers).headers[0][1] for _ in range(10)}
    assert len(boundaries) == 10
    assert all(len(boundary) <= 70 + 35 for boundary in boundaries)  # RFC 2046, 5.1.1


def test_one_that_is_left_is_no_multipart():
    """RFC 9110, 15.3.7.2; a client that asked for one must not get several, and needs no more."""
    for value in ("bytes=0-9,5-19", "bytes=0-9,10-19", "bytes=0-19,9000-", "bytes=0-5,10-19"):
        answer = PDF.answer("GET", Headers((("range", value),)))
        assert dict(answer.headers)["Content-Range"] == "bytes 0-19/8000"
        assert answer.parts == (Span(0, 20),)


def test_parts_that_would_be_longer_than_the_whole():
    answer = PDF.answer("GET", Headers((("range", "bytes=0-3900,4100-7999"),)))
    assert answer is PDF.whole
    answer = PDF.answer("GET", Headers((("range", "bytes=0-3500,4100-7999"),)))
    assert answer.status == 206


THOUSAND = [
    ",".join(["0-"] * 1000),
    ",".join(["0-0"] * 1000),
    ",".join(f"{number}-" for number in range(1000)),
    ",".join(f"-{number}" for number in range(1, 1001)),
    ",".join(f"{number * 8}-{number * 8}" for number in range(1000)),
    ",".join(f"{number * 8}-{number * 8}" for number in reversed(range(1000))),
]


@pytest.mark.parametrize("ranges", THOUSAND)
@pytest.mark.parametrize("size", [0, 1, 100, 8000, 1 << 40])
def test_a_thousand_ranges(ranges, size):
    page = Representation(size, content_type="text/plain")
    for some in (ranges, ",".join(ranges.split(",")[:MOST_RANGES])):
        answer = page.answer("GET", Headers((("range", f"bytes={some}"),)))
        assert answer.length <= size
        assert len(answer.parts) <= 2 * MOST_RANGES + 1


@pytest.mark.parametrize("size", [1, 7, 300, 2000, 100_000])
def test_any_ranges(size):
    """Whatever is asked for: each of its bytes comes, in order, and never more than the file."""
    chance = random.Random(size)
    content = chance.randbytes(size)
    page = Representation(size, content_type="text/plain")
    kinds = set()
    for _ in range(400):
        elements = [any_range(chance, size) for _ in range(chance.choice([1, 2, 3, 8, 60]))]
        answer = page.answer("GET", Headers((("range", f"bytes={','.join(elements)}"),)))
        kinds.add((answer.status, len(answer.parts) > 1))
        wanted = [asked(element, size) for element in elements]
        body = sent(answer, content)
        assert len(body) == answer.length <= size
        assert (answer.status == 416) == (not any(wanted))
        if answer.status == 206:
            got = [(part.offset, part.offset + part.count) for part in spans_of(answer)]
            check_parts(body, dict(answer.headers), content, got)
            check_cover([want for want in wanted if want], got)
    assert (206, True) in kinds or size < 1000


def any_range(chance, size):
    near = chance.choice([size, size + 3, 10])
    first = chance.randrange(near + 1)
    return chance.choice(
        [f"{first}-", f"-{first}", f"{first}-{first + chance.randrange(1 + near // 10)}"]
    )


def asked(element, size):
    """The positions of one range, worked out the long way."""
    first, last = element.split("-")
    if not first:
        return range(max(0, size - int(last)), size)
    return range(int(first), min(size, int(last or size) + 1))


def spans_of(answer):
    return [part for part in answer.parts if isinstance(part, Span)]


def sent(answer, content):
    pieces = [
        content[part.offset : part.offset + part.count] if isinstance(part, Span) else part
        for part in answer.parts
    ]
    return b"".join(pieces)


def check_parts(body, headers, content, got):
    """Each part has the bytes that its Content-Range says; nothing comes twice."""
    size = len(content)
    if len(got) == 1:
        first, end = got[0]
        assert headers["Content-Range"] == f"bytes {first}-{end - 1}/{size}"
        assert body == content[first:end]
        return
    assert "Content-Range" not in headers
    mark = b"--" + headers["Content-Type"].partition("boundary=")[2].encode()
    start, *parts, end = (b"\r\n" + body).split(b"\r\n" + mark)
    assert (start, end) == (b"", b"--\r\n")
    for part, (first, end) in zip(parts, got, strict=True):
        head, _, piece = part.partition(b"\r\n\r\n")
        line = f"Content-Range: bytes {first}-{end - 1}/{size}".encode()
        assert head == b"\r\nContent-Type: text/plain\r\n" + line
        assert piece == content[first:end]


def check_cover(wanted, got):
    def holder(want):
        return next(index for index, (first, end) in enumerate(got) if covers(first, end, want))

    def covers(first, end, want):
        return first <= want.start and want.stop <= end

    places = [holder(want) for want in wanted]
    assert list(dict.fromkeys(places)) == list(range(len(got)))  # the order of the request
    by_offset = sorted(got)
    assert all(end < first for (_, end), (first, _) in itertools.pairwise(by_offset))
    edges = {want.start for want in wanted}, {want.stop for want in wanted}
    assert all(first in edges[0] and end in edges[1] for first, end in got)


HOSTILE = {
    "commas": ",",
    "blanks": " ",
    "blanks and commas": " ,\t",
    "digits": "9",
    "zeros": "0",
    "dashes": "-",
    "numbers": "0-",
    "ranges": "0-0,",
    "quotes": '"',
    "tags": '"a",',
    "weak ones": 'W/"a" , ',
    "empty ones": '"",',
    "half ones": 'W/"',
    "days": "Sun, ",
}


@pytest.mark.parametrize("kind", HOSTILE)
@pytest.mark.parametrize(
    ("name", "start"),
    [
        ("range", "bytes="),
        ("range", "bytes=0-0"),
        ("range", "bytes=0-"),
        ("if-match", ""),
        ("if-none-match", '"a"'),
        ("if-modified-since", "Sun, 06 Nov 1994 08:49:37"),
        ("if-unmodified-since", ""),
    ],
)
def test_hostile(kind, name, start):
    """64 KiB take milliseconds, where anything quadratic takes minutes."""
    text = start + HOSTILE[kind] * (65536 // len(HOSTILE[kind])) + 'x"v1"'
    began = time.process_time()
    PDF.answer("GET", Headers(((name, text),)))
    PDF.answer("GET", Headers(((name, text[:-5]), ("if-range", text))))
    assert time.process_time() - began < 2
