"""RequestParser: bytes in; heads, pieces of bodies and ends out, or a refusal; no I/O.

    head ──▶ (`limit_body`) ──▶ body piece, body piece ... ──▶ END ──▶ head ...

**The plain path** takes a head line by line, and refuses it at the first line that is wrong; so
the same bytes mean the same, however they are cut.

**The memos** stand beside it, because clients repeat themselves: each connection remembers its
heads (`Heads`), each worker single header lines (`Memo`).  They say what the plain path says of the
same bytes.  A head that is not there in one piece, or is so long that a limit could be met, goes
the plain way; and what is refused, is refused by the plain path.
"""

from collections.abc import Callable, Iterator
from typing import Final

from . import grammar
from .body import ChunkedBody, LengthBody, check_length
from .errors import BadRequest, HeaderFieldsTooLarge, HttpError, UriTooLong
from .grammar import Field, RequestLine
from .head import Head, head_of
from .heads import KEPT_BYTES, Heads
from .limits import Limits
from .memo import Memo

# What a body is given at a time: a large buffer full of small requests is not copied for each.
_PIECE_BYTES = 65536

_LF = 0x0A

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
        "_body_head",
        "_body_limit_bytes",
        "_buffer",
        "_fields",
        "_fields_bytes",
        "_fits",
        "_heads",
        "_limits",
        "_position",
        "_repeat",
        "_repeat_head",
        "_request_line",
        "_skipped",
        "_state",
    )

    def __init__(self, limits: Limits | None = None, *, memo: Memo | None = None) -> None:
        self._limits = limits = limits or Limits()
        self._heads = None if memo is None else Heads(memo, limits.fields_count)
        # A head up to this size can meet none of the limits in bytes.
        self._fits = min(limits.request_line_bytes, limits.fields_bytes)
        self._buffer = b""
        self._position = 0  # in the buffer: what comes before it has been taken
        self._state: Callable[[RequestParser], Event | None] = RequestParser._head
        self._body: LengthBody | ChunkedBody | None = None
        self._body_head: Head | None = None  # its body is next, and can still be limited
        self._body_limit_bytes = limits.body_bytes
        # A head that the plain path is in the middle of
        self._skipped = 0
        self._request_line: RequestLine | None = None
        self._fields: list[Field] = []
        self._fields_bytes = 0
        # What the last head was, if it has no body; its bytes only while nothing is unfinished, and
        # if there is a memo.
        self._repeat: bytes | None = None if memo is None else b""
        self._repeat_head: Head | None = None

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
        return iter(self.next_event, None)

    def whole(self, data: bytes) -> Head | None:
        """The head that `data` is, if it is exactly one request without a body.

        The fast twin of `feed`, which does the same in steps: with a head, nothing more is to be
        done (there is no `END` to come); with ``None`` nothing was taken: feed it.
        """
        if data == self._repeat:
            return self._repeat_head
        size = len(data)
        if self._repeat is None or size > self._fits:
            return None
        heads = self._heads
        assert heads is not None
        head = heads.retargeted(data, heads.tail) if heads.tail else None
        if head is None:
            # What ends in no LF is no head; whether it ends in an empty line, `head` looks.
            if not size or data[-1] != _LF:
                return None
            head = heads.head(data)
            if head is None or head.framing[0] or head.framing[1]:  # it has a body
                return None
        if size <= KEPT_BYTES:
            self._repeat, self._repeat_head = data, head
        return head

    def whole_with_body(self, data: bytes) -> tuple[Head, bytes] | None:
        """Head and body, if `data` is exactly one request whose body is of a known length.

        As `whole`, for a body that nobody limits otherwise than ``Limits.body_bytes`` does.
        """
        heads = self._heads
        if self._repeat is None or heads is None:
            return None
        found = heads.resized(data) if heads.front else None
        if found is None:
            end = data.find(b"\r\n\r\n", 0, self._fits) + 4
            raw, body = data[:end], data[end:]
            head = heads.last_head if raw == heads.last_raw else heads.head(raw)
            # With a third one, nobody is told to go on, since the body is here.
            if head is None or head.framing[:3] != (len(body), False, False):
                return None
            found = head, body
        length = len(found[1])
        if length > self._limits.body_bytes or len(data) - length > self._fits:
            return None
        return found

    def next_whole(self) -> Head | None:
        """Take the next request that was fed, if it is all there and has no body.

        The fast twin of an iterator's next head and its `END`, as `whole` is.
        """
        heads = self._heads
        if heads is None or self._state is not RequestParser._head:
            return None
        buffer, position = self._buffer, self._position
        raw = heads.last_raw
        if raw and buffer.startswith(raw, position):
            head = heads.last_head
        else:
            end = buffer.find(b"\r\n\r\n", position, position + self._fits)
            if end < 0:
                return None
            raw = buffer[position : end + 4]
            head = (heads.retargeted(raw, heads.tail) if heads.tail else None) or heads.head(raw)
        if head is None or head.framing[0] or head.framing[1]:
            return None
        self._position = position + len(raw)
        return head

    def whole_body(self) -> bytes | None:
        """Take the body of the head that has just come, if its length is known and all is there.

        The fast twin of what follows that head: the piece, or pieces, and `END`.
        """
        head = self._body_head
        if head is None or head.framing[1]:
            return None
        start = self._position
        end = start + head.framing[0]
        if end > len(self._buffer) or head.framing[0] > self._body_limit_bytes:
            return None
        self._body_head = None
        self._body_limit_bytes = self._limits.body_bytes
        self._state = RequestParser._head
        self._position = end
        return self._buffer[start:end]

    def limit_body(self, limit_bytes: int) -> None:
        """Let the body of the head that has just come have `limit_bytes` instead of the usual.

        Between a head and the event after it; then `Limits.body_bytes` counts again.  Raises
        `ContentTooLarge` at once if ``Content-Length`` announces more: before ``100 Continue``.
        (Who does not call this meets that refusal instead of the body.)  Does nothing for a head
        without a body.  Raises `RuntimeError` when the body has begun.
        """
        if self._state is RequestParser._body_piece:
            raise RuntimeError("the body has begun: it is too late to limit it")
        if self._body_head is None:
            return
        self._body_limit_bytes = limit_bytes
        try:
            check_length(self._body_head.content_length, limit_bytes)
        except HttpError:
            self._state = RequestParser._refused
            raise

    @property
    def rest(self) -> bytes:
        """What was fed and not yet taken: after an `END`, what follows that message."""
        return self._buffer[self._position :]

    def take_rest(self) -> bytes:
        """Return `rest`, and keep nothing of it: what follows an upgrade is another protocol's."""
        rest, self._buffer, self._position = self.rest, b"", 0
        return rest

    @property
    def buffered(self) -> int:
        """How many bytes were fed and not yet taken."""
        return len(self._buffer) - self._position

    @property
    def started(self) -> bool:
        """Whether a head has begun and not ended."""
        return self._state in (RequestParser._head, RequestParser._head_by_lines) and (
            self._position != len(self._buffer) or self._request_line is not None
        )

    @property
    def method(self) -> str | None:
        """The method of a head that has begun or was refused, as it was sent.

        ``None`` while it cannot be told, and when the head is complete.
        """
        if self._request_line is not None:
            return self._request_line[0]
        if self._body is not None or self._body_head is not None:
            return None
        end = self._buffer.find(b" ", self._position)
        return None if end < 0 else self._buffer[self._position : end].decode("latin-1")

    @property
    def clean(self) -> bool:
        """Whether nothing is unfinished: no byte waits, no message has begun or was refused."""
        return self._position == len(self._buffer) and self._state is RequestParser._head

    def next_event(self) -> Event | None:
        """The next of what `feed` gives, or ``None``: it needs more bytes.  Raises as that does."""
        try:
            event = self._state(self)
        except HttpError:
            self._state = RequestParser._refused
            raise
        if event is None and self.clean:
            self._buffer, self._position = b"", 0  # an idle connection keeps no 64 KiB
            if self._heads is not None:
                self._repeat, self._repeat_head = b"", None
                last = self._heads.last_head
                if last is not None and not last.has_body:
                    self._repeat, self._repeat_head = self._heads.last_raw, last
        return event

    # One method per state.  An event: here is something.  None: it needs more bytes.

    def _head(self) -> Event | None:
        buffer, position = self._buffer, self._position
        if position == len(buffer):
            return None
        heads = self._heads
        if heads is not None:
            raw = heads.last_raw
            if raw and buffer.startswith(raw, position):
                assert heads.last_head is not None
                self._position = position + len(raw)
                return self._began(heads.last_head)
            end = buffer.find(b"\r\n\r\n", position, position + self._fits)
            if end >= 0:
                head = heads.head(buffer[position : end + 4])
                if head is not None:
                    self._position = end + 4
                    return self._began(head)
        self._state = RequestParser._head_by_lines
        return self._head_by_lines()

    def _head_by_lines(self) -> Event | None:
        while True:
            if self._request_line is None:
                start = self._position
                line = self._line(self._limits.request_line_bytes, UriTooLong, "request_line_bytes")
                if line is None:
                    return None
                if line:
                    end, self._position = self._position, start  # if refused: see `method`
                    self._request_line = grammar.request_line(line)
                    self._position = end
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
        if head.has_body:
            self._body_head = head
            self._state = RequestParser._body_begins
        else:
            self._state = RequestParser._end
        return head

    def _body_begins(self) -> Event | None:
        head, limit_bytes = self._body_head, self._body_limit_bytes
        assert head is not None
        self._body_limit_bytes = self._limits.body_bytes
        if head.chunked:
            self._body = ChunkedBody(self._limits, limit_bytes)
        else:
            self._body = LengthBody(head.content_length, limit_bytes)
        self._body_head = None
        self._state = RequestParser._body_piece
        return self._body_piece()

    def _body_piece(self) -> Event | None:
        body = self._body
        assert body is not None
        while (
            data := self._buffer[self._position : self._position + _PIECE_BYTES]
        ) or body.refuses:
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
