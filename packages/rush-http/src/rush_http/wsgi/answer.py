"""Answer: one call of an application, and what becomes of what it returns (PEP 3333).

::

    application(environ, start_response) ──▶ a file         the kernel sends it
                                             a list         one whole answer
                                             an iterable    its first piece is all: one whole answer
                                                            else streamed, as the client reads
               write() was called ─────────▶ streamed from there on
"""

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import Any, Final

from epollserver import SendableFile

from ..pull import close
from ..responses import is_bodiless
from ..streams import ResponseStream
from .environ import Environ
from .files import FileWrapper, span

ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None]
Write = Callable[[bytes], object]
Application = Callable[[Environ, Callable[..., Write]], Iterable[bytes]]
"""An application: gets the environ and ``start_response``, returns pieces of the body."""

# Fields that are about one connection (RFC 9110, 7.6.1): an application may not set them.
_HOP_BY_HOP: Final = frozenset(
    {
        *("connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "te"),
        *("trailer", "trailers", "transfer-encoding", "upgrade", "proxy-connection"),
    }
)
# Lists of pieces are sent as one answer up to this; above it, copying costs more than it saves.
_WHOLE_BYTES: Final = 1 << 18

_log = logging.getLogger("rush_http")


class Answer(ABC):
    """Calls the application for one request, and answers with what it returns.

    Whatever happens, the iterable's ``close()`` is called once, and the input is closed.
    """

    __slots__ = (
        *("_body", "_iterable", "content_type", "environ", "headers", "length"),
        *("status", "stream"),
    )

    def __init__(self, environ: Environ, body: object) -> None:
        """`body` is the input, which is closed at the end if it can be."""
        environ["wsgi.input"] = body
        self.environ = environ
        self._body: object = body  # the application may put another one there
        self.status = 0  # until start_response
        self.headers: list[tuple[str, str]] = []
        self.content_type: str | None = None
        self.length: int | None = None
        self.stream: ResponseStream | None = None  # once a part of the answer is on its way
        self._iterable: Iterable[bytes] | None = None

    # How it gets to the client

    @abstractmethod
    def respond(self, body: bytes) -> None:
        """Answer with a whole body."""

    @abstractmethod
    def respond_file(self, file: SendableFile, offset: int, count: int) -> None:
        """Answer with a part of a file, which is closed in any case."""

    @abstractmethod
    def open_stream(self) -> ResponseStream:
        """Begin an answer in pieces."""

    @abstractmethod
    def send_pieces(self, pieces: Iterator[bytes]) -> None:
        """Answer with pieces; `end` is called after them."""

    # What the application does

    def start_response(
        self, status: str, headers: list[tuple[str, str]], exc_info: ExcInfo | None = None
    ) -> Write:
        """Take status and headers; see PEP 3333."""
        if exc_info is not None:
            try:
                if self.stream is not None:
                    raise exc_info[1].with_traceback(exc_info[2])
            finally:
                exc_info = None  # no cycle of frame and traceback
        elif self.status:
            raise RuntimeError("start_response was called already: a second call needs exc_info")
        code = status[:3]
        if not (code.isascii() and code.isdigit()) or status[3:4] not in ("", " "):
            raise ValueError(f"a status is text such as '200 OK', not {status!r:.80}")
        self.status = int(code)
        self.headers, self.content_type, self.length = [], None, None
        for name, value in headers:
            self._take_header(name, value)
        return self.write

    def _take_header(self, name: str, value: str) -> None:
        lower = name.lower()
        if lower == "content-type":
            self.content_type = value
        elif lower == "content-length":
            if not (value.isascii() and value.isdigit()):
                raise ValueError(f"Content-Length is no number: {value!r:.80}")
            self.length = int(value)
        elif lower in _HOP_BY_HOP:
            raise ValueError(f"{name!r:.80} is about one connection: the server sets it (PEP 3333)")
        elif lower != "date":  # the server has its own
            self.headers.append((name, value))

    def write(self, data: bytes) -> None:
        """Send a piece of the body at once: what ``start_response`` returns."""
        if self.stream is None:
            self.stream = self.open_stream()
        self.stream.write(_bytes(data))

    def run(self, application: Application) -> None:
        """Call the application, and answer.  Raises what it raises before any answer has begun."""
        try:
            self._iterable = result = application(self.environ, self.start_response)
            if isinstance(result, FileWrapper) and self._send_file(result):
                return
            if type(result) is list or type(result) is tuple:
                if len(result) == 1:
                    self._send_whole(result[0])
                    return
                if sum(map(len, result)) <= _WHOLE_BYTES:
                    self._send_whole(b"".join(map(_bytes, result)))
                    return
            self._send_iterated(iter(result))
        except BaseException as error:
            self.end()
            if self.stream is None:
                raise
            _log.error("%s failed in its answer", self.what(), exc_info=error)
            self.stream.abort()

    def what(self) -> str:
        """The request, for the log."""
        environ = self.environ
        return f"the application for {environ['REQUEST_METHOD']} {environ['PATH_INFO']!r:.200}"

    def end(self) -> None:
        """Close what the application has returned, and its input."""
        result, self._iterable = self._iterable, None
        if result is not None:
            close(result)
        body, self._body = self._body, None
        if body is not None:
            close(body)

    # Kinds of answers

    def _send_file(self, wrapper: FileWrapper) -> bool:
        """Let the kernel send it, if it can."""
        place = span(wrapper)
        if place is None or self.stream is not None or not self.status:
            return False
        offset, left = place
        if self.length is not None and self.length > left:
            return False  # less than announced: as for all others
        count = left if self.length is None else self.length
        if is_bodiless(self.status):
            return False
        self.respond_file(_Sent(wrapper, self.end), offset, count)
        return True

    def _send_whole(self, body: bytes) -> None:
        if self.stream is not None:
            self.stream.write(_bytes(body))
            self.stream.finish()
        else:
            self._check_started()
            if is_bodiless(self.status):
                self.respond(b"")
            elif self.length is None or self.length == len(body):
                if not body and self.length is None and self.environ["REQUEST_METHOD"] == "HEAD":
                    self.open_stream().finish()  # how long it would be is not known
                else:
                    self.respond(_bytes(body))
            else:
                self.stream = self.open_stream()
                if self.environ["REQUEST_METHOD"] != "HEAD":
                    self.stream.write(_bytes(body))
                self.stream.finish()
        self.end()

    def _send_iterated(self, pieces: Iterator[bytes]) -> None:
        first = b""
        for piece in pieces:
            if piece:
                first = _bytes(piece)
                break
        else:
            self._send_whole(b"")
            return
        self._check_started()
        if self.stream is None and self.length == len(first):
            self.respond(first)
            for more in pieces:
                if more:
                    _log.error("%s gave more than the announced %d bytes", self.what(), len(first))
                    break
            self.end()
        else:
            self.send_pieces(_chained(first, pieces))

    def _check_started(self) -> None:
        if not self.status:
            raise RuntimeError(f"{self.what()} has not called start_response")


class _Sent:
    """A file that is being sent: closed with the answer."""

    def __init__(self, wrapper: FileWrapper, end: Callable[[], object]) -> None:
        self._wrapper = wrapper
        self._end = end

    def fileno(self) -> int:
        return self._wrapper.fileno()

    def close(self) -> None:
        self._end()


def _chained(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest


def _bytes(piece: Any) -> bytes:
    if not isinstance(piece, bytes):
        raise TypeError(f"a body is made of bytes (PEP 3333), not {piece!r:.80}")
    return piece
