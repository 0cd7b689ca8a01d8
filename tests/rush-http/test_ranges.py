"""What `Range` asks for, and what becomes one."""

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
