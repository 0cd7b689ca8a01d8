"""Responses, rendered from ready-made pieces; no I/O.

A rendered response is status line, header lines and body in one `bytes` object::

    HTTP/1.1 200 OK                             once a second, for each status and content type
    Content-Type: text/plain; charset=utf-8
    Date: Mon, 23 Nov 2026 09:00:00 GMT
    Connection: close                           what `Exchange.connection_line` asks for
    (the caller's own header lines)
    Content-Length: 5                           exact, always

    hello

`Content-Length`, `Transfer-Encoding`, `Connection` and `Date` decide where a message ends and
what becomes of the connection, so they are written here and nowhere else.
"""

import re
from collections.abc import Iterable
from time import gmtime, monotonic, time
from typing import Final

from .dates import DAYS, MONTHS
from .errors import REASONS

CLOSE = b"Connection: close\r\n"
"""The line of an answer after which the connection is closed."""
KEEP_ALIVE = b"Connection: keep-alive\r\n"
"""The line that an HTTP/1.0 client must be told if its connection goes on (RFC 9112, C.2.2)."""

TEXT = "text/plain; charset=utf-8"
"""The ``Content-Type`` of an answer that names no other."""

_OURS = frozenset({"content-length", "transfer-encoding", "connection", "date"})
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")

HeaderLines = Iterable[tuple[str, str]]
"""The caller's own header lines: pairs of name and value."""


def http_date(timestamp: float) -> str:
    """`timestamp`, in seconds since the epoch, as HTTP writes it: Sun, 06 Nov 1994 08:49:37 GMT.

    RFC 9110, section 5.6.7.  Raises `ValueError` for a year that has not four digits.
    """
    # As email.utils.formatdate does it; to import that takes a tenth of the start of a server.
    year, month, day, hour, minute, second, weekday, _, _ = gmtime(timestamp)
    if not 0 < year < 10_000:
        raise ValueError(f"HTTP has no date for the year {year}")
    return (
        f"{DAYS[weekday]}, {day:02d} {MONTHS[month - 1]} {year:04d}"
        f" {hour:02d}:{minute:02d}:{second:02d} GMT"
    )


class _Second:
    """What stays the same for a second: the ``Date`` line, and the starts of responses with it."""

    def __init__(self) -> None:
        self.ends = 0.0
        """By the monotonic clock.  A clock that is set otherwise is followed from then on."""
        self.date_line = b""
        self.starts: dict[str | None, dict[int, bytes]] = {}
        """Status line, Content-Type line and Date line, as many as a program has; first by type."""
        self.bodiless_starts: dict[int, bytes] = {}
        """The same of the statuses without a body: they have no type."""

    def begin(self) -> None:
        now = time()
        # In this order: other threads render as well.  A start that one of them makes with the
        # line before goes where nobody looks any more.
        self.date_line = f"Date: {http_date(int(now))}\r\n".encode("ascii")
        self.starts, self.bodiless_starts = {}, {}
        self.ends = monotonic() + 1 - now % 1


SECOND = _Second()
"""The present one, unless that has ended: then `render` begins the next."""


def date_line() -> bytes:
    """The line ``Date: ...`` of this second, with its CRLF."""
    if monotonic() >= SECOND.ends:
        SECOND.begin()
    return SECOND.date_line


def header_line(name: str, value: str) -> bytes:
    """``name: value`` with its CRLF.

    Raises `ValueError` for a name that is not a token and for a value with control characters
    (CR, LF and NUL among them: they would split the response) or with characters outside of
    ISO 8859-1, and `TypeError` for anything but text.
    """
    if not isinstance(name, str) or not isinstance(value, str):
        raise TypeError(f"a header is two texts, not {name!r:.80}: {value!r:.80}")
    if not _TOKEN.fullmatch(name):
        raise ValueError(f"header name is not a token (RFC 9110, 5.1): {name!r:.80}")
    if not _VALUE.fullmatch(value):
        raise ValueError(f"header {name} has characters that no header may hold: {value!r:.80}")
    return f"{name}: {value}\r\n".encode("latin-1")


def render_head(status: int, headers: HeaderLines = ()) -> bytes:
    """Status line and header lines, each with its CRLF, without the empty line at the end.

    It is ready to keep: `date_line()`, a connection line, the empty line and the body follow
    when it is sent.  Raises `ValueError` as `header_line` does, and for a status that is not
    from 200 to 599.
    """
    if not 200 <= status <= 599:
        raise ValueError(f"status {status!r} cannot be a final answer: it must be 200 to 599")
    reason = REASONS.get(status, "")
    lines = [header_line(name, value) for name, value in headers]
    return b"HTTP/1.1 %d %b\r\n" % (status, reason.encode("ascii")) + b"".join(lines)


def render(
    status: int,
    body: bytes = b"",
    headers: HeaderLines = (),
    *,
    content_type: str | None = TEXT,
    connection_line: bytes = b"",
    head_only: bool = False,
) -> bytes:
    """One complete response, ready for `HttpServer.send`.

    `connection_line` is what the exchange asks for (`Exchange.connection_line`); `head_only` is
    for the answer to HEAD: the head of the whole, without the body (RFC 9110, 9.3.2).  A
    ``Content-Type`` among `headers` goes before `content_type`.  204, 205 and 304 have no body.
    Raises `ValueError` as `header_line` and `render_head` do, for a header that is written here
    (see above), and for a body with a status that has none.
    """
    # 0.3 us; with % instead of join and the table of lengths 0.5 (tests/bench/bench_request.py).
    if monotonic() >= SECOND.ends:
        SECOND.begin()
    # Subscripts in a try, not get(): 600 instructions less (tests/bench/instructions.py).
    try:
        start = SECOND.starts[content_type][status]
    except KeyError:
        start = _start(status, content_type)
    if headers:
        start, more = _with_headers(status, start, headers)
        connection_line += more
    if status in _BODILESS:
        if body:
            raise ValueError(f"status {status} has no body (RFC 9110, 6.4.1): {body[:80]!r}")
        return b"%b%b%b\r\n" % (start, connection_line, _BODILESS[status])
    try:
        length = LENGTHS[len(body)]
    except KeyError:
        length = content_length_end(len(body))
    return b"".join((start, connection_line, length, b"" if head_only else body))


# The statuses without a body, and how they are framed: that of 205 is empty (RFC 9110, 15.3.6).
_BODILESS = {204: b"", 205: b"Content-Length: 0\r\n", 304: b""}


def stream_start(status: int, headers: HeaderLines, content_type: str | None) -> bytes:
    """The head of an answer whose body comes later, up to the lines on framing and connection.

    Raises `ValueError` as `render` does.
    """
    date_line()
    start = _start(status, content_type)
    if headers:
        start, more = _with_headers(status, start, headers)
        start += more
    return start


def framing_line(status: int, length: int | None, chunked: bool) -> bytes:
    """The line that says where a body ends, with its CRLF; none if it ends with the connection."""
    if status in _BODILESS:
        return _BODILESS[status]
    if length is not None:
        return b"Content-Length: %d\r\n" % length
    return b"Transfer-Encoding: chunked\r\n" if chunked else b""


def is_bodiless(status: int) -> bool:
    """Whether no answer with this status has a body (RFC 9110, 6.4.1 and 15.3.6)."""
    return status in _BODILESS


def render_interim(status: int, headers: HeaderLines) -> bytes:
    """An informational response (RFC 9110, 15.2): status line, header lines, empty line.

    Raises `ValueError` for a status that is not 102 to 199, and as `render` does for headers.
    """
    if not 102 <= status <= 199:
        raise ValueError(
            f"status {status!r} cannot be sent before an answer: it must be 102 to 199"
            " (100 Continue is the server's own, for 101 see upgrade)"
        )
    reason = REASONS.get(status, "").encode("ascii")
    lines = [own_line(name, value) for name, value in headers]
    return b"HTTP/1.1 %d %b\r\n%b\r\n" % (status, reason, b"".join(lines))


def render_upgrade(protocol: str, headers: HeaderLines) -> bytes:
    """``101 Switching Protocols`` to `protocol` (RFC 9110, 7.8).

    Raises `ValueError` as `render` does for headers.
    """
    lines = b"".join([own_line(name, value) for name, value in headers])
    return b"HTTP/1.1 101 Switching Protocols\r\n%bConnection: upgrade\r\n%b%b\r\n" % (
        header_line("Upgrade", protocol),
        date_line(),
        lines,
    )


LENGTHS: Final[dict[int, bytes]] = {}
"""`content_length_end` of lengths that were met."""
_MOST = 1024


def content_length_end(size: int) -> bytes:
    """The ``Content-Length`` line and the empty line after it: the end of a head."""
    line = LENGTHS.get(size)
    if line is not None:
        return line
    line = b"Content-Length: %d\r\n\r\n" % size
    if len(LENGTHS) >= _MOST:
        LENGTHS.clear()
    LENGTHS[size] = line
    return line


def _start(status: int, content_type: str | None) -> bytes:
    # Those before the date line: see `begin`.
    by_type, bodiless, date_line = SECOND.starts, SECOND.bodiless_starts, SECOND.date_line
    if status in _BODILESS:
        if status not in bodiless:
            bodiless[status] = render_head(status) + date_line
        return bodiless[status]
    starts = by_type.get(content_type, {})
    if status in starts:
        return starts[status]
    start = render_head(status, () if content_type is None else [("Content-Type", content_type)])
    start += date_line
    if len(by_type) >= _MOST:
        by_type.clear()
    by_type[content_type] = {**starts, status: start}
    return start


def _with_headers(status: int, start: bytes, headers: HeaderLines) -> tuple[bytes, bytes]:
    """The start and the caller's lines; without our Content-Type if the caller has one."""
    lines = []
    for name, value in headers:
        lines.append(own_line(name, value))
        if name.lower() == "content-type":
            start = _start(status, None)
    return start, b"".join(lines)


def own_line(name: str, value: str) -> bytes:
    """A line of the caller's own; raises `ValueError` for one of those that are written here."""
    line = header_line(name, value)
    if name.lower() in _OURS:
        raise ValueError(f"header {name} is worked out by the server: leave it out")
    return line
