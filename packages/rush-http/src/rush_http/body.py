"""Where a body ends: by its length, or by chunks; no I/O.

Both kinds have one interface: `feed` returns the payload that is complete now, `done` says whether
the body is, and `rest` is what was fed beyond its end.  Payload is given before what is wrong after
it: the next `feed` refuses that, be it of nothing; `refuses` says that it will.
"""

import re
from collections.abc import Callable

from .errors import BadRequest, ContentTooLarge, HttpError
from .grammar import field_line
from .limits import Limits


def check_length(length: int, limit_bytes: int) -> None:
    """Refuse a body that announces more than `limit_bytes` (RFC 9110, 15.5.14)."""
    if length > limit_bytes:
        raise ContentTooLarge(
            f"body of {length} bytes is larger than {limit_bytes} (Limits.body_bytes, or its own)"
        )


class LengthBody:
    """A body of exactly `length` bytes (RFC 9112, section 6.2), and of `limit_bytes` at most."""

    __slots__ = ("_left", "rest")

    refuses = False
    """Whether the next `feed` raises."""

    def __init__(self, length: int, limit_bytes: int) -> None:
        check_length(length, limit_bytes)
        self._left = length
        self.rest = b""

    @property
    def done(self) -> bool:
        """Whether the body is complete."""
        return not self._left

    def feed(self, data: bytes) -> bytes:
        """Return the payload in `data`."""
        if len(data) > self._left:
            data, self.rest = data[: self._left], data[self._left :]
        self._left -= len(data)
        return data


# RFC 9112, 7.1 and 7.1.1; token and quoted-string as in RFC 9110, 5.6.
_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_QUOTED = rb'"(?:[\t\x20\x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t\x20-\x7e\x80-\xff])*"'
_SIZE_LINE = re.compile(
    rb"([0-9A-Fa-f]{1,16})(?:[ \t]*;[ \t]*%b(?:[ \t]*=[ \t]*(?:%b|%b))?)*"
    % (_TOKEN, _TOKEN, _QUOTED)
)
# A size line without extensions, as nearly all are.
_PLAIN_SIZE_LINE = re.compile(rb"([0-9A-Fa-f]{1,16})\r\n")
_PLAIN_SIZE_LINE_BYTES = 16


class ChunkedBody:
    """A chunked body (RFC 9112, section 7.1) of `limit_bytes` at most.

    size line ──▶ data ──▶ its CRLF ──▶ size line ... ──▶ size line of 0 ──▶ trailers ──▶ done
    """

    __slots__ = (
        "_buffer",
        "_extensions",
        "_left",
        "_limit_bytes",
        "_limits",
        "_position",
        "_refusal",
        "_state",
        "_total",
        "_trailer_lines",
        "_trailers",
    )

    def __init__(self, limits: Limits, limit_bytes: int) -> None:
        self._limits = limits
        self._limit_bytes = limit_bytes
        self._buffer = b""
        self._position = 0  # of what is not taken yet: thousands of tiny chunks fit into a buffer
        self._left = 0  # payload bytes that are missing from this chunk
        self._total = 0
        self._extensions = 0
        self._trailers = 0
        self._trailer_lines = 0
        # Not the error itself: it would hold the frame, and that this body.
        self._refusal: tuple[type[HttpError], str] | None = None
        # A plain function: a bound one would be a reference cycle.
        self._state: Callable[[ChunkedBody, list[bytes]], bool] | None = ChunkedBody._size_line

    @property
    def done(self) -> bool:
        """Whether the body is complete, trailers included."""
        return self._state is None

    @property
    def refuses(self) -> bool:
        """Whether the next `feed` raises."""
        return self._refusal is not None

    @property
    def rest(self) -> bytes:
        """What was fed beyond the end of the body."""
        return self._buffer[self._position :]

    def feed(self, data: bytes) -> bytes:
        """Return the payload that `data` completes.

        Raises an `HttpError` for what is wrong, in the next call if there is payload before it.
        """
        if self._refusal is not None:
            kind, message = self._refusal
            raise kind(message)
        self._buffer = self._buffer[self._position :] + data
        self._position = 0
        payload: list[bytes] = []
        try:
            while self._state is not None and self._state(self, payload):
                pass
        except HttpError as error:
            if not payload:
                raise
            self._refusal = type(error), str(error)
        return payload[0] if len(payload) == 1 else b"".join(payload)

    # One method per state.  True: a step was made.  False: it needs more bytes.

    def _size_line(self, payload: list[bytes]) -> bool:
        if self._limits.chunk_line_bytes >= _PLAIN_SIZE_LINE_BYTES:
            self._whole_chunks(payload)
        line = self._line(self._limits.chunk_line_bytes, "chunk size line", "chunk_line_bytes")
        if line is None:
            return False
        match = _SIZE_LINE.fullmatch(line)
        if match is None:
            raise BadRequest(f"chunk size is not a hexadecimal number: {line[:80]!r}")
        self._extensions += len(line) - len(match[1])
        if self._extensions > self._limits.chunk_extensions_bytes:
            raise BadRequest("too many chunk extensions (Limits.chunk_extensions_bytes)")
        self._left = int(match[1], 16)
        self._total += self._left
        if self._total > self._limit_bytes:
            raise ContentTooLarge(
                f"chunked body is larger than {self._limit_bytes} bytes"
                " (Limits.body_bytes, or its own)"
            )
        self._state = ChunkedBody._data if self._left else ChunkedBody._trailer
        return True

    def _whole_chunks(self, payload: list[bytes]) -> None:
        """Take the plain chunks that are here from end to end; the states say what is not plain.

        A chunk of one byte costs 2.3 times as much without this, as do those of sixteen.
        """
        buffer, position = self._buffer, self._position
        match = _PLAIN_SIZE_LINE.match
        left = self._limit_bytes - self._total
        while (found := match(buffer, position)) is not None:
            size = int(found[1], 16)
            start = found.end()
            end = start + size
            if not 0 < size <= left or not buffer.startswith(b"\r\n", end):
                break
            payload.append(buffer[start:end])
            left -= size
            position = end + 2
        self._position = position
        self._total = self._limit_bytes - left

    def _data(self, payload: list[bytes]) -> bool:
        piece = self._buffer[self._position : self._position + self._left]
        if not piece:
            return False
        payload.append(piece)
        self._position += len(piece)
        self._left -= len(piece)
        if not self._left:
            self._state = ChunkedBody._data_end
        return True

    def _data_end(self, payload: list[bytes]) -> bool:
        end = self._buffer[self._position : self._position + 2]
        if not b"\r\n".startswith(end):
            raise BadRequest(f"no line end after a chunk's data: {end!r}")
        if len(end) < 2:
            return False
        self._position += 2
        self._state = ChunkedBody._size_line
        return True

    def _trailer(self, payload: list[bytes]) -> bool:
        limit = self._limits.trailers_bytes - self._trailers
        line = self._line(limit, "trailer section", "trailers_bytes")
        if line is None:
            return False
        if not line:
            self._state = None
            return True
        field_line(line)  # checked and dropped
        self._trailers += len(line) + 2
        self._trailer_lines += 1
        if self._trailer_lines > self._limits.trailers_count:
            raise BadRequest("too many trailer lines (Limits.trailers_count)")
        return True

    def _line(self, limit: int, what: str, option: str) -> bytes | None:
        """Take a line without its CRLF, or return None if it is not complete."""
        start = self._position
        end = self._buffer.find(b"\n", start, start + limit + 2)
        if end < 0:
            if len(self._buffer) - start > limit + 1:
                raise BadRequest(f"{what} is too long (Limits.{option})")
            return None
        line = self._buffer[start : end + 1]
        if line[-2:] != b"\r\n":
            raise BadRequest(f"line of a chunked body ends in a bare LF: {line[:80]!r}")
        self._position = end + 1
        return line[:-2]
