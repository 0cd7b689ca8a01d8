r"""Conditional requests and ranges: what to answer, as a plan; no I/O (RFC 9110, 13 and 14).

A `Representation` says what there is to send, and is made once per version of it.  Its `answer`
says for one request which status, header lines and bytes to send::

    >>> from rush_http import Headers, conditional
    >>> page = conditional.Representation(8000, content_type="text/plain", etag='"v1"')
    >>> page.answer("GET", Headers((("range", "bytes=-500"),))).parts
    (Span(offset=7500, count=500),)
    >>> page.answer("GET", Headers((("if-none-match", '"v0", "v1"'),))).status
    304

A `Span` is sent from memory or by ``sendfile``; `bytes` among the parts go between as they are.  A
handler that changes something asks `evaluate` before it does::

    >>> conditional.evaluate("PUT", Headers((("if-match", '"v0"'),)), etag='"v1"')
    412
"""

import os
import re
from collections.abc import Iterator
from time import time
from typing import NamedTuple

from .dates import parse_http_date
from .headers import Headers
from .ranges import Multipart, Span, coalesce, content_range, parse_ranges
from .responses import HeaderLines, header_line, http_date

__all__ = ["Answer", "Representation", "Span", "evaluate"]

# RFC 9110, 8.8.3: entity-tag; W/ is in upper case only.
_ETAG = re.compile(r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"')
# One more of a list of them, with the comma after it (5.6.1).
_LISTED = re.compile(rf"[ \t,]*({_ETAG.pattern})[ \t]*(?:,|\Z)")
# RFC 9110, 13.2.1: what selects no representation has no conditions.
_UNCONDITIONAL = frozenset({"CONNECT", "OPTIONS", "TRACE"})
# RFC 9110, 15.4.5: a 304 says nothing of the content that the client has.
_NOT_IN_304 = frozenset({"content-type", "content-encoding", "content-language"})
_OURS = frozenset(
    {
        *("content-type", "content-range", "accept-ranges", "etag", "last-modified"),
        *("content-length", "transfer-encoding", "connection", "date"),
    }
)

_Lines = tuple[tuple[str, str], ...]


class Answer(NamedTuple):
    """A plan of one answer; immutable, so that it can be shared and kept.

    Two are the same if they are the same object: ``answer is representation.whole`` tells that
    what was rendered ahead for it will do.
    """

    status: int
    """200, 206, 304, 412 or 416."""
    headers: _Lines
    """All header lines but ``Date``, ``Content-Length`` and ``Connection``, which are written when
    it is rendered."""
    parts: tuple[bytes | Span, ...]
    """What to send after the head, in this order; nothing for HEAD."""
    length: int
    """The value of ``Content-Length``: bytes of all parts, for HEAD those that GET would get.
    A 304 has no such line."""


FAILED = Answer(412, (), (), 0)
"""The answer where a precondition fails; it says nothing of what there is."""


class Representation:
    """One version of what a URL stands for, and its answers.

    `size` is in bytes, `etag` is quoted (``"v1"`` or ``W/"v1"``), `last_modified` is in seconds
    since the epoch; what is in the future becomes now (RFC 9110, 8.8.2.1).  `headers` are more
    lines of a 200: ``Cache-Control``, ``Vary``, ``Content-Encoding`` and the like.

    Raises `ValueError` for an entity tag that is none, and for headers that are written here.
    """

    def __init__(
        self,
        size: int,
        *,
        content_type: str | None = None,
        etag: str | None = None,
        last_modified: float | None = None,
        headers: HeaderLines = (),
    ) -> None:
        if etag is not None:
            _check_etag(etag)
        modified = None if last_modified is None else int(min(last_modified, time()))
        self.size, self.etag, self.last_modified = size, etag, modified
        self._type = _line("Content-Type", content_type)
        self._tag = _line("ETag", etag)
        self._date = _line("Last-Modified", None if modified is None else http_date(modified))
        self._more = _not_ours(headers)
        lines = (*self._type, ("Accept-Ranges", "bytes"), *self._common())
        self.whole = Answer(200, lines, (Span(0, size),) if size else (), size)
        """The 200 to GET, and to all that is not GET or HEAD."""
        self.head_only = Answer(200, lines, (), size)
        """The 200 to HEAD."""
        kept = tuple(line for line in self._more if line[0].lower() not in _NOT_IN_304)
        self.not_modified = Answer(304, (*(self._tag or self._date), *kept), (), 0)
        """The 304: what a cache goes by, and ``Last-Modified`` where there is no ``ETag``."""

    def answer(self, method: str, headers: Headers, *, now: float | None = None) -> Answer:
        """What to answer to a request that would get this with a 200 if it asked for no more.

        `now` are seconds since the epoch, the clock if it is not given.  Conditions first, in the
        order of RFC 9110, 13.2.2, then ``Range``, of GET only (14.2).  For PUT and others that
        change something, call `evaluate` before they do.
        """
        fields = headers.selectors
        if fields:
            status = _status(method, fields, self.etag, self.last_modified, True, now)
            if status is not None:
                return self.not_modified if status == 304 else FAILED
            if "range" in fields and method == "GET":
                return self._partial(fields, now)
        return self.head_only if method == "HEAD" else self.whole

    def _common(self) -> _Lines:
        # Of a 206 after If-Range too: RFC 9110, 15.3.7, would leave some out, only to save bytes.
        return (*self._tag, *self._date, *self._more)

    def _partial(self, fields: dict[str, str], now: float | None) -> Answer:
        if "if-range" in fields and not self._range_holds(fields["if-range"], now):
            return self.whole
        spans = parse_ranges(fields["range"], self.size)
        if spans is None:
            return self.whole
        if not spans:
            return Answer(416, (("Content-Range", f"bytes */{self.size}"),), (), 0)
        if len(spans) == 1:
            return self._single(spans[0])
        # Random, 16 bytes of it: whoever wrote the content could not know it.
        type_line = b"".join(header_line(*line) for line in self._type)
        multipart = Multipart(self.size, type_line, os.urandom(16).hex())
        spans = coalesce(spans, multipart.head_bytes)
        if len(spans) == 1:
            return self._single(spans[0])
        parts = multipart.parts(spans)
        length = sum(part.count if isinstance(part, Span) else len(part) for part in parts)
        if length >= self.size:
            return self.whole
        return Answer(
            206, (("Content-Type", multipart.content_type), *self._common()), parts, length
        )

    def _single(self, span: Span) -> Answer:
        place = ("Content-Range", content_range(span, self.size))
        lines = (*self._type, place, *self._common())
        return Answer(206, lines, (span,), span.count)

    def _range_holds(self, value: str, now: float | None) -> bool:
        """Whether ``If-Range`` lets ``Range`` count (RFC 9110, 13.1.5)."""
        if value.endswith('"'):
            return value == self.etag and not value.startswith("W/")
        modified = self.last_modified
        if modified is None or parse_http_date(value, now=now) != modified:
            return False
        # RFC 9110, 8.8.2.2: within its second, the content may change and the date stay the same.
        return modified + 1 <= (time() if now is None else now)


def evaluate(
    method: str,
    headers: Headers,
    *,
    etag: str | None = None,
    last_modified: float | None = None,
    exists: bool = True,
    now: float | None = None,
) -> int | None:
    """The status that ends the request, 304 or 412; `None`: go on.

    ``If-Match``, ``If-Unmodified-Since``, ``If-None-Match`` and ``If-Modified-Since``, in the
    order of RFC 9110, section 13.2.2.  `etag` and `last_modified` are of what there is before the
    request, as for `Representation`: a tag in quotes, and seconds since the epoch.  `now` is the
    time in such seconds, by default that of the clock.  `exists` is false if there is nothing, as
    before a PUT that creates.  304 is for GET and HEAD only.  A condition that cannot be read never
    holds in ``If-Match`` and always does in ``If-None-Match``; a date that cannot is as if not
    sent.

    Raises `ValueError` if `etag` is none.
    """
    if etag is not None:
        _check_etag(etag)
    modified = None if last_modified is None else int(last_modified)
    return _status(method, headers.selectors, etag, modified, exists, now)


def _status(
    method: str,
    fields: dict[str, str],
    etag: str | None,
    modified: int | None,
    exists: bool,
    now: float | None,
) -> int | None:
    if method in _UNCONDITIONAL:
        return None
    reads = method in ("GET", "HEAD")
    if "if-match" in fields:
        if not _lists(fields["if-match"], etag, exists, weak=False):
            return 412
    elif "if-unmodified-since" in fields and modified is not None:
        since = parse_http_date(fields["if-unmodified-since"], now=now)
        if since is not None and modified > since:
            return 412
    if "if-none-match" in fields:
        if _lists(fields["if-none-match"], etag, exists, weak=True):
            return 304 if reads else 412
    elif reads and "if-modified-since" in fields and modified is not None:
        since = parse_http_date(fields["if-modified-since"], now=now)
        if since is not None and modified <= since:
            return 304
    return None


def _lists(value: str, etag: str | None, exists: bool, *, weak: bool) -> bool:
    """Whether `value` is ``*``, or a list with `etag` in it (RFC 9110, 8.8.3.2 and 13.1)."""
    if value == "*":
        return exists
    if etag is None or not exists:
        return False
    opaque = etag.removeprefix("W/")
    if weak and value.removeprefix("W/") == opaque:  # nearly always; 0.4 us, not 3
        return True
    wanted = {opaque, f"W/{opaque}"} if weak else {opaque} & {etag}
    # One search in C for a list without it, however long.
    return opaque in value and any(tag in wanted for tag in _etags(value))


def _etags(value: str) -> Iterator[str]:
    """The entity tags of a list, up to the end or to what is none (RFC 9110, 8.8.3)."""
    value = value.strip(" \t,")
    position = 0
    while match := _LISTED.match(value, position):
        yield match[1]
        position = match.end()


def _check_etag(etag: str) -> None:
    if not _ETAG.fullmatch(etag):
        raise ValueError(f'entity tag is not quoted as in "v1" or W/"v1": {etag!r:.80}')


def _line(name: str, value: str | None) -> _Lines:
    if value is None:
        return ()
    header_line(name, value)  # it will go out: refused now if it cannot
    return ((name, value),)


def _not_ours(headers: HeaderLines) -> _Lines:
    lines = tuple(headers)
    for name, _ in lines:
        if name.lower() in _OURS:
            raise ValueError(f"header {name} is worked out by Representation: leave it out")
    return lines
