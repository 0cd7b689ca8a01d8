r"""Byte ranges: what ``Range`` asks for, and the content that answers it; no I/O.

A request may name many ranges, as small and as much on top of each other as it likes, and each
part of an answer has a head of its own.  So that nobody can make a server send much for a short
request (RFC 9110, sections 14.2 and 17.15), these rules hold:

1. More than `MOST_RANGES` are not read: the answer is the whole content, as if none was asked for.
2. Ranges that overlap, or with less between them than the head of a part takes, become one.
3. Where the parts with their heads would still not be shorter than the whole, the whole is sent.

So no answer is ever longer than the file.  The order of the parts is that of the request.
"""

import re
from dataclasses import dataclass

MOST_RANGES = 200
"""Ranges in one request, more than any reader of documents asks for at once; each costs a call of
``sendfile``."""

# RFC 9110, 14.1.1: int-range and suffix-range.  14.1: the unit may have any case.
_RANGE = re.compile(r"[ \t]*(?:([0-9]+)-([0-9]*)|-([0-9]+))[ \t]*")
_BYTES = "bytes="
# An exabyte: int() of a million digits would take its time.
_MOST_DIGITS = 18


@dataclass(frozen=True, slots=True)
class Span:
    """Some bytes of the content that was selected."""

    offset: int
    """The position of the first one."""
    count: int
    """How many; never 0 in an answer to ``Range``."""


def parse_ranges(value: str, size: int) -> list[Span] | None:
    """What a ``Range`` asks for of `size` bytes (RFC 9110, section 14.1.2), in its order.

    `None`: it is to be ignored, because its unit is unknown, a range in it is malformed, or there
    are more than `MOST_RANGES`; and when it asks for the end of what is empty, since no
    ``Content-Range`` can say that.  An empty list: none of its ranges can be satisfied, which is
    a 416.  Ranges that cannot be satisfied beside others that can are left out.
    """
    if value[: len(_BYTES)].lower() != _BYTES or value.count(",") >= MOST_RANGES:
        return None
    spans = []
    any_range = False
    for element in value[len(_BYTES) :].split(","):
        if not element.strip(" \t"):  # RFC 9110, 5.6.1.2: empty elements do not count
            continue
        match = _RANGE.fullmatch(element)
        if match is None:
            return None
        any_range = True
        first, last, suffix = match.groups()
        if suffix is not None:
            if size == 0 and _number(suffix):
                return None
            offset, end = max(0, size - _number(suffix)), size
        else:
            offset, end = _number(first), min(size, _number(last) + 1) if last else size
            if last and _number(last) < offset:
                return None
        if offset < end:
            spans.append(Span(offset, end - offset))
    return spans if any_range else None


def _number(digits: str) -> int:
    digits = digits.lstrip("0") or "0"
    return int(digits) if len(digits) <= _MOST_DIGITS else 10**_MOST_DIGITS


def coalesce(spans: list[Span], gap: int) -> list[Span]:
    """Join spans that overlap, or that have at most `gap` bytes between them.

    A joint one stands where its first part stood (RFC 9110, section 15.3.7.2).
    """
    joint: list[tuple[int, int, int]] = []  # place in the request, offset, end
    for place, span in sorted(enumerate(spans), key=lambda placed: placed[1].offset):
        offset, end = span.offset, span.offset + span.count
        if joint and offset <= joint[-1][2] + gap:
            place_before, offset, end_before = joint.pop()
            place, end = min(place, place_before), max(end, end_before)
        joint.append((place, offset, end))
    return [Span(offset, end - offset) for _, offset, end in sorted(joint)]


def content_range(span: Span, size: int) -> str:
    """The value of ``Content-Range`` for one part (RFC 9110, section 14.4)."""
    return f"bytes {span.offset}-{span.offset + span.count - 1}/{size}"


class Multipart:
    r"""Several spans as ``multipart/byteranges`` (RFC 9110, section 14.6).

    ::

        --boundary\r\n
        Content-Type: text/plain\r\n            if there is a type
        Content-Range: bytes 500-999/8000\r\n
        \r\n
        (500 bytes of the content) \r\n
        --boundary\r\n
        ...
        (the last bytes) \r\n--boundary--\r\n

    `type_line` is the ready line of the type, or nothing.
    """

    def __init__(self, size: int, type_line: bytes, boundary: str) -> None:
        self._size = size
        self._start = b"\r\n--%b\r\n%bContent-Range: " % (boundary.encode("ascii"), type_line)
        self._end = b"\r\n--%b--\r\n" % boundary.encode("ascii")
        self.content_type = f"multipart/byteranges; boundary={boundary}"
        self.head_bytes = len(self._head(Span(0, 1)))
        """What a part costs beside its bytes, at least."""

    def parts(self, spans: list[Span]) -> tuple[bytes | Span, ...]:
        """Heads and spans in turn, and the end."""
        parts: list[bytes | Span] = []
        for span in spans:
            parts += self._head(span), span
        # The first CRLF would end an empty preamble (RFC 2046, 5.1.1): nobody needs it.
        parts[0] = self._head(spans[0])[2:]
        return (*parts, self._end)

    def _head(self, span: Span) -> bytes:
        return b"%b%b\r\n\r\n" % (self._start, content_range(span, self._size).encode("ascii"))
