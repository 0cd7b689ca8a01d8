"""RequestParser: bytes in; heads, pieces of bodies and ends out, or a refusal; no I/O.

    head ──▶ body piece, body piece ... ──▶ END ──▶ head ...

**The plain path** takes a head line by line, and refuses it at the first line that is wrong; so
the same bytes mean the same, however they are cut.

**The memos** stand beside it, because clients repeat themselves and parsing is a pure function of
bytes.  A connection keeps its last head: the same bytes again cost one comparison.  A worker keeps
single header lines (`Memo`).  Both hold what the plain path's own functions have said of the same
bytes, so a hit can only be a good one.  A head that is not there in one piece, or is so long that a
limit could be met, goes the plain way; and what is refused, is refused by the plain path.
"""

from collections.abc import Callable, Iterator
from typing import Final

from . import grammar
from .body import ChunkedBody, LengthBody
from .errors import BadRequest, HeaderFieldsTooLarge, HttpError, UriTooLong
from .grammar import Field, RequestLine
from .head import Head, head_of
from .limits import Limits
from .memo import Memo

# A client's last head is kept only up to this size: 10,000 connections are not to cost more than
# a few dozen MB.  A browser's head has 500 to 1,500 bytes.
_LAST_HEAD_BYTES = 2048

# What a body is given at a time: a large buffer full of small requests is not copied for each.
_PIECE_BYTES = 65536

# RFC 9112, 2.2: empty lines before a request line; a robust server skips "at least one".
_EMPTY_LINES = 4


class End:
    """The end of a message."""

    def __repr__(self) -> str:
        return "END"


END: Final = End()
"""The one `End`: the request whose head came last is complete."""

Event = Head | bytes | End
"""What `RequestParser.feed` gives: a head, a piece of its body, its end."""


class RequestParser:
    """Turns one connection's bytes into requests.

    `memo` is shared by the parsers of a worker; without one, every head goes the plain way.
    """

    __slots__ = (
        "_body",
        "_buffer",
        "_fields",
        "_fields_bytes",
        "_fits",
        "_last_head",
        "_last_raw",
        "_limits",
        "_memo",
        "_position",
        "_repeat",
        "_request_line",
        "_skipped",
        "_state",
    )

    def __init__(self, limits: Limits | None = None, *, memo: Memo | None = None) -> None:
        self._limits = limits = limits or Limits()
        self._memo = memo
        # A head up to this size can meet none of the limits in bytes.
        self._fits = min(limits.request_line_bytes, limits.fields_bytes)
        self._buffer = b""
        self._position = 0  # in the buffer: what comes before it has been taken
        self._state: Callable[[RequestParser], Event | None] = RequestParser._head
        self._body: LengthBody | ChunkedBody | None = None
        # A head that the plain path is in the middle of
        self._skipped = 0
        self._request_line: RequestLine | None = None
        self._fields: list[Field] = []
        self._fields_bytes = 0
        # The last head without a body; `_repeat` is its bytes again while nothing is unfinished.
        self._last_raw = b""
        self._last_head: Head | None = None
        self._repeat: bytes | None = b""

    def feed(self, data: bytes) -> Iterator[Event]:
        """Iterate over what `data` completes: `Head`, pieces of its body (`bytes`), `END`.

        Lazy: stop in the middle, and the rest waits for ``feed(b"")``.  Every head is followed by
        an `END`.  Raises an `HttpError` where the bytes go wrong; nothing can be fed after that.
        """
        self._repeat = None
        if self._position == len(self._buffer):
            self._buffer, self._position = data, 0
        elif data:
            self._buffer, self._position = self._buffer[self._position :] + data, 0
        return iter(self._next, None)

    def whole(self, data: bytes) -> Head | None:
        """The head that `data` is, if it is exactly one request without a body.

        The fast twin of `feed`, which does the same in steps: with a head, nothing more is to be
        done (there is no `END` to come); with ``None`` nothing was taken: feed it.
        """
        if data == self._repeat:
            return self._last_head
        if (
            self._repeat is None  # in the middle of something
            or self._memo is None
            or not 4 < len(data) <= self._fits
            or data.find(b"\r\n\r\n") != len(data) - 4
        ):
            return None
        head = self._remembered_head(data, self._memo)
        if head is None or head.chunked or head.content_length:
            return None
        if len(data) <= _LAST_HEAD_BYTES:
            self._repeat, self._last_raw, self._last_head = data, data, head
        return head

    @property
    def buffered(self) -> int:
        """How many bytes were fed and not yet taken."""
        return len(self._buffer) - self._position

    @property
    def started(self) -> bool:
        """Whether a head has begun and not ended."""
        return self._state is RequestParser._head and (
            self._position != len(self._buffer) or self._request_line is not None
        )

    @property
    def method(self) -> str | None:
        """The method of a head that has begun, or was refused after its request line."""
        return None if self._request_line is None else self._request_line[0]

    @property
    def clean(self) -> bool:
        """Whether nothing is unfinished: no byte waits, no message has begun or was refused."""
        return self._position == len(self._buffer) and self._at_rest()

    def _next(self) -> Event | None:
        try:
            event = self._state(self)
        except HttpError:
            self._state = RequestParser._refused
            raise
        if event is None and self.clean:
            self._buffer, self._position = b"", 0  # an idle connection keeps no 64 KiB
            self._repeat = self._last_raw
        return event

    def _at_rest(self) -> bool:
        return (
            self._state is RequestParser._head and self._request_line is None and not self._skipped
        )

    # One method per state.  An event: here is something.  None: it needs more bytes.

    def _head(self) -> Event | None:
        if self._memo is None or self._request_line is not None or self._skipped:
            return self._head_by_lines()
        buffer, position = self._buffer, self._position
        if self._last_head is not None and buffer.startswith(self._last_raw, position):
            self._position = position + len(self._last_raw)
            return self._began(self._last_head)
        end = buffer.find(b"\r\n\r\n", position, position + self._fits)
        if end < 0:
            return self._head_by_lines()
        raw = buffer[position : end + 4]
        head = self._remembered_head(raw, self._memo)
        if head is None or head.content_length > self._limits.body_bytes:
            return self._head_by_lines()
        self._position = end + 4
        if not head.has_body and len(raw) <= _LAST_HEAD_BYTES:
            self._last_raw, self._last_head = raw, head
        return self._began(head)

    def _remembered_head(self, raw: bytes, memo: Memo) -> Head | None:
        """The head that `raw` is, each line of it from the memo if it is there.

        ``None`` if that is for the plain path: empty lines, too many lines, and refusals.
        """
        first, *lines, _, _ = raw.split(b"\r\n")
        if not first or len(lines) > self._limits.fields_count:
            return None
        known, met = memo.fields.get, memo.field_line
        try:
            fields = tuple([known(line) or met(line) for line in lines])
            return head_of(grammar.request_line(first), fields, memo)
        except HttpError:
            return None

    def _head_by_lines(self) -> Event | None:
        while True:
            if self._request_line is None:
                line = self._line(self._limits.request_line_bytes, UriTooLong, "request_line_bytes")
                if line is None:
                    return None
                if line:
                    self._request_line = grammar.request_line(line)
                elif self._skipped < _EMPTY_LINES:
                    self._skipped += 1
                else:
                    raise BadRequest("empty lines where a request line is expected")
                continue
            left = self._limits.fields_bytes - self._fields_bytes
            line = self._line(left, HeaderFieldsTooLarge, "fields_bytes")
            if line is None:
                return None
            if not line:
                return self._lines_done(self._request_line)
            self._fields_bytes += len(line) + 2
            if len(self._fields) >= self._limits.fields_count:
                raise HeaderFieldsTooLarge(
                    f"more than {self._limits.fields_count} header lines (Limits.fields_count)"
                )
            self._fields.append(grammar.field_line(line))

    def _lines_done(self, line: RequestLine) -> Event:
        head = self._began(head_of(line, tuple(self._fields), None))
        self._skipped = self._fields_bytes = 0
        self._request_line = None
        self._fields = []
        return head

    def _line(self, limit: int, error: type[HttpError], option: str) -> bytes | None:
        """Take a line without its CRLF, or return None if it is not complete."""
        start = self._position
        end = self._buffer.find(b"\n", start, start + limit + 2)
        if end < 0:
            if len(self._buffer) - start > limit + 1:
                raise error(f"{option} are used up (Limits.{option})")
            return None
        line = self._buffer[start : end + 1]
        if line[-2:] != b"\r\n":
            raise BadRequest(f"line ends in a bare LF (RFC 9112, 2.2): {line[:80]!r}")
        self._position = end + 1
        return line[:-2]

    def _began(self, head: Head) -> Head:
        if head.chunked:
            self._body = ChunkedBody(self._limits)
            self._state = RequestParser._body_piece
        elif head.content_length:
            self._body = LengthBody(head.content_length, self._limits)
            self._state = RequestParser._body_piece
        else:
            self._state = RequestParser._end
        return head

    def _body_piece(self) -> Event | None:
        body = self._body
        assert body is not None
        while data := self._buffer[self._position : self._position + _PIECE_BYTES]:
            payload = body.feed(data)
            self._position += len(data)
            if body.done:
                self._position -= len(body.rest)
                self._state = RequestParser._end
                return payload or self._end()
            if payload:
                return payload
        return None

    def _refused(self) -> Event | None:
        raise RuntimeError("this parser has refused its connection: nothing more can be fed")

    def _end(self) -> Event | None:
        self._body = None
        self._state = RequestParser._head
        return END
