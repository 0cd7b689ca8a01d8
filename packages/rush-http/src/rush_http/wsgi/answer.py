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
from .started import HeaderList, Started, StartedMemo

ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None]
Write = Callable[[bytes], object]
Application = Callable[[Environ, Callable[..., Write]], Iterable[bytes]]
"""An application: gets the environ and ``start_response``, returns pieces of the body."""

# Lists of pieces are sent as one answer up to this; above it, copying costs more than it saves.
_WHOLE_BYTES: Final = 1 << 18

_log = logging.getLogger("rush_http")


class Answer(ABC):
    """Calls the application for one request, and answers with what it returns.

    Whatever happens, the iterable's ``close()`` is called once, and the input is closed.
    """

    __slots__ = ("_body", "_iterable", "_memo", "environ", "started", "stream")

    def __init__(self, environ: Environ, body: object, memo: StartedMemo) -> None:
        """`body` is the input, which is closed at the end; ``None``: that is another's to do."""
        self.environ = environ
        self._body = body
        self._memo = memo
        self._iterable: Iterable[bytes] | None = None
        self.started: Started | None = None
        self.stream: ResponseStream | None = None  # once a part of the answer is on its way

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
        self, status: str, headers: HeaderList, exc_info: ExcInfo | None = None
    ) -> Write:
        """Take status and headers; see PEP 3333."""
        if exc_info is not None:
            try:
                if self.stream is not None:
                    raise exc_info[1].with_traceback(exc_info[2])
            finally:
                exc_info = None  # no cycle of frame and traceback
        elif self.started is not None:
            raise RuntimeError("start_response was called already: a second call needs exc_info")
        said: tuple[Any, ...] = (status, *headers)
        try:
            self.started = self._memo.known[said]
        except (KeyError, TypeError):  # not met before, or no tuples
            self.started = self._memo.started(status, said[1:])
        return self.write

    def write(self, data: bytes) -> None:
        """Send a piece of the body at once: what ``start_response`` returns."""
        if self.stream is None:
            self.stream = self.open_stream()
        self.stream.write(_bytes(data))

    def run(self, application: Application) -> None:
        """Call the application, and answer.  Raises what it raises before any answer has begun."""
        try:
            result = application(self.environ, self.start_response)
            if type(result) is list or type(result) is tuple:  # without a close()
                if len(result) == 1:
                    self.send_whole(result[0])
                    return
                if sum(map(len, result)) <= _WHOLE_BYTES:
                    self.send_whole(b"".join(map(_bytes, result)))
                    return
            self._iterable = result
            if isinstance(result, FileWrapper) and self._send_file(result):
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
        started = self.started
        if place is None or self.stream is not None or started is None:
            return False
        offset, left = place
        length = started.length
        if length is not None and length > left:
            return False  # less than announced: as for all others
        count = left if length is None else length
        if is_bodiless(started.status):
            return False
        self.respond_file(_Sent(wrapper, self.end), offset, count)
        return True

    def send_whole(self, body: bytes) -> None:
        """Answer with all that there is."""
        if self.stream is not None:
            self.stream.write(_bytes(body))
            self.stream.finish()
        else:
            started = self.said()
            if is_bodiless(started.status):
                self.respond(b"")
            elif started.length is None or started.length == len(body):
                head_only = self.environ["REQUEST_METHOD"] == "HEAD"
                if not body and started.length is None and head_only:
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
            self.send_whole(b"")
            return
        started = self.said()
        if self.stream is None and started.length == len(first):
            self.respond(first)
            for more in pieces:
                if more:
                    _log.error("%s gave more than the announced %d bytes", self.what(), len(first))
                    break
            self.end()
        else:
            self.send_pieces(_chained(first, pieces))

    def said(self) -> Started:
        """Status and headers; raises `RuntimeError` if the application has named none."""
        if self.started is None:
            raise RuntimeError(f"{self.what()} has not called start_response")
        return self.started


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
