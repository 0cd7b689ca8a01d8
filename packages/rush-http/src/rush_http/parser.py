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
from typing import Final, NamedTuple

from . import grammar
from .body import ChunkedBody, LengthBody
from .errors import BadRequest, HeaderFieldsTooLarge, HttpError, UriTooLong
from .grammar import HTTP_1_0, Field, Protocol, RequestLine
from .headers import Headers
from .limits import Limits
from .responses import CLOSE, KEEP_ALIVE

# A client's last head is kept only up to this size: 10,000 connections are not to cost more than
# a few dozen MB.  A browser's head has 500 to 1,500 bytes.
_LAST_HEAD_BYTES = 2048

# What a body is given at a time: a large buffer full of small requests is not copied for each.
_PIECE_BYTES = 65536

# RFC 9112, 2.2: empty lines before a request line; a robust server skips "at least one".
_EMPTY_LINES = 4


class Head(NamedTuple):
    """The head of one request: immutable, so that it can be shared."""

    protocol: Protocol
    method: str
    path: str
    query: str
    headers: Headers
    content_length: int
    """Bytes of body to come; 0 if there is none, or if it is chunked."""
    chunked: bool
    expects_continue: bool
    """Whether the client waits for ``100 Continue`` before it sends the body."""
    connection_line: bytes
    """The ``Connection`` line of the answer as the client wants it: ready bytes, or none."""

    @property
    def has_body(self) -> bool:
        """Whether a body follows, be it empty and chunked."""
        return self.chunked or self.content_length > 0


class End:
    """The end of a message."""

    def __repr__(self) -> str:
        return "END"


END: Final = End()
"""The one `End`: the request whose head came last is complete."""

Event = Head | bytes | End
"""What `RequestParser.feed` gives: a head, a piece of its body, its end."""


class Memo:
    """Header lines that were met before, for all connections of one worker.

    Lines that carry secrets are never kept.  Bounded in entries and in the length of a line; a
    full memo is emptied: the lines that matter are back within a few requests.
    """

    ENTRIES = 2048
    LINE_BYTES = 256
    SECRET = frozenset({"cookie", "authorization", "proxy-authorization"})

    __slots__ = ("fields",)

    def __init__(self) -> None:
        self.fields: dict[bytes, Field] = {}

    def field(self, line: bytes) -> Field:
        """What `grammar.field_line` says of `line`, kept for the next time."""
        field = grammar.field_line(line)
        if len(line) <= self.LINE_BYTES and field[0] not in self.SECRET:
            if len(self.fields) >= self.ENTRIES:
                self.fields.clear()
            self.fields[line] = field
        return field


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
        self._repeat: bytes | None = None

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

    def recall(self, data: bytes) -> Head | None:
        """The head that `data` is, if it is exactly the last one, without a body, again.

        The fast twin of `feed`: with ``None``, feed it.  After a head, nothing more is to be done:
        there is no `END` to come.
        """
        return self._last_head if data == self._repeat else None

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
        return None if self._request_line is None else self._request_line.method

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
            self._repeat = self._last_raw or None
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
        lines = raw[:-4].split(b"\r\n")
        if not lines[0] or len(lines) - 1 > self._limits.fields_count:
            return self._head_by_lines()
        try:
            head = self._head_of(grammar.request_line(lines[0]), self._known_fields(lines))
            self._began(head)
        except HttpError:
            return self._head_by_lines()  # nothing was taken yet: it refuses the same bytes
        self._position = end + 4
        if not head.has_body and len(raw) <= _LAST_HEAD_BYTES:
            self._last_raw, self._last_head = raw, head
        return head

    def _known_fields(self, lines: list[bytes]) -> list[Field]:
        """The fields in `lines` after the first one, each from the memo if it is there."""
        assert self._memo is not None
        known, met = self._memo.fields.get, self._memo.field
        return [known(line) or met(line) for line in lines[1:]]

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
        head = self._began(self._head_of(line, self._fields))
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

    def _head_of(self, line: RequestLine, fields: list[Field]) -> Head:
        """What request line and fields mean together: who is asked, and how the body is framed."""
        method, path, query, protocol, authority = line
        headers = Headers(tuple(fields))
        get = headers._values.get
        if (host := get("host")) is not None:
            if "," in host and len(headers.getlist("host")) > 1:
                raise BadRequest("two Host headers (RFC 9112, 3.2)")
            grammar.host(host)
        elif protocol != HTTP_1_0:
            raise BadRequest("no Host header (RFC 9112, 3.2)")
        if authority is not None:
            others = tuple(field for field in fields if field[0] != "host")
            headers = Headers((("host", authority), *others))
        coding, length = get("transfer-encoding"), get("content-length")
        if coding is not None:
            if length is not None:
                raise BadRequest("Content-Length beside Transfer-Encoding (RFC 9112, 6.1)")
            grammar.transfer_coding(coding, protocol)
        if keeps := grammar.keeps_alive(get("connection"), protocol):
            connection_line = KEEP_ALIVE if protocol == HTTP_1_0 else b""
        return Head(
            protocol,
            method,
            path,
            query,
            headers,
            0 if length is None else grammar.content_length(length),
            coding is not None,
            protocol != HTTP_1_0 and get("expect", "").lower() == "100-continue",
            connection_line if keeps else CLOSE,
        )

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
