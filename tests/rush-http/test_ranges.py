import itertools
import random
import re
import time
from email import message_from_bytes

import pytest

from rush_http import Headers
from rush_http.conditional import Answer, Representation, Span
from rush_http.ranges import MOST_RANGES, coalesce, content_range, parse_ranges

HUGE = "9" * 5000

RANGES = [
    # value, size, offsets and ends (the first byte that is not asked for); None: ignored
    ("bytes=0-499", 10000, [(0, 500)]),  # the examples of RFC 9110, 14.1.2
    ("bytes=500-999", 10000, [(500, 1000)]),
    ("bytes=-500", 10000, [(9500, 10000)]),
    ("bytes=9500-", 10000, [(9500, 10000)]),
    ("bytes=0-0,-1", 10000, [(0, 1), (9999, 10000)]),
    ("bytes= 0-999, 4500-5499, -1000", 10000, [(0, 1000), (4500, 5500), (9000, 10000)]),
    ("bytes=500-600,601-999", 10000, [(500, 601), (601, 1000)]),
    ("bytes=500-700,601-999", 10000, [(500, 701), (601, 1000)]),
    ("bytes=0-", 10, [(0, 10)]),
    ("bytes=0-9", 10, [(0, 10)]),
    ("bytes=0-10", 10, [(0, 10)]),
    ("bytes=9-9", 10, [(9, 10)]),
    ("bytes=9-", 10, [(9, 10)]),
    ("bytes=9-1000000", 10, [(9, 10)]),
    ("bytes=-1", 10, [(9, 10)]),
    ("bytes=-10", 10, [(0, 10)]),
    ("bytes=-11", 10, [(0, 10)]),
    ("bytes=000-0004", 10, [(0, 5)]),
    ("bytes=5-6,0-1", 10, [(5, 7), (0, 2)]),  # in the order of the request
    ("bytes=0-1,0-1", 10, [(0, 2), (0, 2)]),
    ("BYTES=0-1", 10, [(0, 2)]),  # 14.1: the case of a unit does not matter
    ("Bytes=0-1", 10, [(0, 2)]),
    ("bytes=,0-1", 10, [(0, 2)]),  # 5.6.1.2: empty elements
    ("bytes=0-1,", 10, [(0, 2)]),
    ("bytes=0-1, ,\t,4-5 ,", 10, [(0, 2), (4, 6)]),
    ("bytes= \t0-1\t ", 10, [(0, 2)]),
    # not satisfiable
    ("bytes=10-", 10, []),
    ("bytes=10-20", 10, []),
    ("bytes=-0", 10, []),
    ("bytes=-00", 10, []),
    ("bytes=10-,20-30,-0", 10, []),
    ("bytes=10-,0-1,-0", 10, [(0, 2)]),  # one that can be satisfied will do
    ("bytes=-0,-1", 10, [(9, 10)]),
    # nothing there
    ("bytes=0-", 0, []),
    ("bytes=0-0", 0, []),
    ("bytes=-0", 0, []),
    ("bytes=-1", 0, None),  # it is satisfiable, but no Content-Range can say so
    ("bytes=0-0,-1", 0, None),
    ("bytes=0-,-1", 1, [(0, 1), (0, 1)]),
    # numbers of any length: RFC 9110, 14.1.2
    (f"bytes=0-{HUGE}", 10, [(0, 10)]),
    (f"bytes={HUGE}-", 10, []),
    (f"bytes=-{HUGE}", 10, [(0, 10)]),
    (f"bytes={'0' * 5000}1-2", 10, [(1, 3)]),
    (f"bytes={HUGE}-1", 10, None),
    # malformed: ignored as a whole
    ("bytes=1-0", 10, None),
    ("bytes=20-10", 10, None),
    ("bytes=0-1,5-4", 10, None),
    ("bytes=0-1;2-3", 10, None),
    ("bytes=0-1 2-3", 10, None),
    ("bytes=0 - 1", 10, None),
    ("bytes=0-1-2", 10, None),
    ("bytes=--1", 10, None),
    ("bytes=-", 10, None),
    ("bytes=0-1,-", 10, None),
    ("bytes=0", 10, None),
    ("bytes=a-b", 10, None),
    ("bytes=0-a", 10, None),
    ("bytes=0x0-0x1", 10, None),
    ("bytes=+0-1", 10, None),
    ("bytes=0-+1", 10, None),
    ("bytes=1_0-", 100, None),
    ("bytes=0.0-1", 10, None),
    ("bytes=\u0661-", 10, None),  # a digit, but not one of 0-9
    ("bytes=\xb2-", 10, None),
    ("bytes=*", 10, None),
    ("bytes=0-1,*", 10, None),
    ("bytes=", 10, None),
    ("bytes= ", 10, None),
    ("bytes=,,", 10, None),
    ("bytes", 10, None),
    ("bytes 0-1", 10, None),
    ("bytes =0-1", 10, None),
    ("bytes:0-1", 10, None),
    (" bytes=0-1", 10, None),
    ("0-1", 10, None),
    ("", 10, None),
    ("bytes=0-1, bytes=2-3", 10, None),  # two lines of Range
    # unknown units: ignored (14.2)
    ("lines=0-1", 10, None),
    ("seconds=0-1", 10, None),
    ("bytesx=0-1", 10, None),
    ("byte=0-1", 10, None),
    ("none=0-1", 10, None),
    # as many as are read, and one more
    ("bytes=" + ",".join(["0-0"] * MOST_RANGES), 10, [(0, 1)] * MOST_RANGES),
    ("bytes=" + ",".join(["0-0"] * (MOST_RANGES + 1)), 10, None),
]


@pytest.mark.parametrize(("value", "size", "asked"), RANGES, ids=[row[0][:40] for row in RANGES])
def test_range(value, size, asked):
    spans = parse_ranges(value, size)
    assert (spans and [(span.offset, span.offset + span.count) for span in spans]) == asked
    page = Representation(size, content_type="text/plain", etag='"v1"')
    answer = page.answer("GET", Headers((("range", value),)))
    if asked is None:
        assert answer is page.whole
    elif not asked:
        assert answer == Answer(416, (("Content-Range", f"bytes */{size}"),), (), 0)
    else:
        assert answer.status in (200, 206)
        assert answer.status == 206 or len(asked) > 1
    for method in ("POST", "PUT", "QUERY", "get"):
        assert page.answer(method, Headers((("range", value),))) is page.whole  # 14.2: GET only
    assert page.answer("HEAD", Headers((("range", value),))) is page.head_only


COALESCED = [
    # spans as (offset, end), gap, what they become
    ([(0, 5)], 0, [(0, 5)]),
    ([(0, 5), (5, 9)], 0, [(0, 9)]),
    ([(0, 5), (6, 9)], 0, [(0, 5), (6, 9)]),
    ([(0, 5), (6, 9)], 1, [(0, 9)]),
    ([(0, 5), (3, 9)], 0, [(0, 9)]),
    ([(3, 9), (0, 5)], 0, [(0, 9)]),
    ([(0, 9), (3, 5)], 0, [(0, 9)]),
    ([(3, 5), (0, 9)], 0, [(0, 9)]),
    ([(0, 9), (0, 9)], 0, [(0, 9)]),
    ([(50, 60), (0, 10)], 0, [(50, 60), (0, 10)]),
    ([(50, 60), (0, 10), (60, 70)], 0, [(50, 70), (0, 10)]),
    ([(0, 10), (50, 60), (10, 20)], 0, [(0, 20), (50, 60)]),
    ([(50, 60), (0, 10), (5, 55)], 0, [(0, 60)]),
    ([(90, 99), (50, 60), (0, 10), (10, 50)], 0, [(90, 99), (0, 60)]),
    ([], 0, []),
]


@pytest.mark.parametrize(("spans", "gap", "joint"), COALESCED)
def test_coalesce(spans, gap, joint):
    result = coalesce([Span(offset, end - offset) for offset, end in spans], gap)
    assert result == [Span(offset, end - offset) for offset, end in joint]


CONTENT_RANGES = [
    # the examples of RFC 9110, 14.4
    (42, 1233, 1234, "bytes 42-1233/1234"),
    (0, 499, 1234, "bytes 0-499/1234"),
    (500, 999, 1234, "bytes 500-999/1234"),
    (500, 1233, 1234, "bytes 500-1233/1234"),
    (734, 1233, 1234, "bytes 734-1233/1234"),
]


@pytest.mark.parametrize(("first", "last", "size", "value"), CONTENT_RANGES)
def test_content_range(first, last, size, value):
    assert content_range(Span(first, last - first + 1), size) == value
    page = Representation(size)
    answer = page.answer("GET", Headers((("range", f"bytes={first}-{last}"),)))
    assert answer.headers == (("Content-Range", value),)
    assert answer[2:] == ((Span(first, last - first + 1),), last - first + 1)


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
