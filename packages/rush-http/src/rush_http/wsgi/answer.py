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
from itertools import chain
from types import TracebackType
from typing import Any, Final, Protocol

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


class SupportsClose(Protocol):
    """What can be closed."""

    def close(self) -> object:
        """Close it."""


class Given:
    """Stands where the stream of an answer was: the application cannot write to it any more."""

    gone = False

    def write(self, data: bytes) -> None:
        """Refuse it."""
        raise RuntimeError("write() is for before the application returns: the answer was given")

    def finish(self) -> None:
        """Do nothing: it is complete, or somebody else's."""

    abort = finish


GIVEN: Final = Given()


class Answer(ABC):
    """Calls the application for one request, and answers with what it returns.

    Whoever makes one sets all of its attributes: an ``__init__`` takes 1,100 instructions more
    (tests/bench/instructions.py).
    Whatever happens, the iterable's ``close()`` is called once, and the input is closed.
    """

    __slots__ = ("body", "environ", "iterable", "memo", "started", "stream")

    environ: Environ
    memo: StartedMemo
    body: SupportsClose | None
    """The input, which is closed at the end; ``None``: there is nothing to close."""
    iterable: Iterable[bytes] | None
    """What the application has returned, until it is closed."""
    started: Started | None
    """What it has said in ``start_response``."""
    stream: ResponseStream | Given | None
    """What a part of the answer was written to, or `GIVEN`; ``None``: nothing was sent."""

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
        """Take status and headers, and return what writes; see PEP 3333.

        That is the answer itself: to return a method of it takes 250 instructions more.
        """
        if exc_info is not None:
            try:
                if self.stream is not None:
                    raise exc_info[1].with_traceback(exc_info[2])
            finally:
                exc_info = None  # no cycle of frame and traceback
        elif self.started is not None:
            raise RuntimeError("start_response was called already: a second call needs exc_info")
        last_status, last_headers, last = self.memo.last
        if headers == last_headers and status == last_status:
            self.started = last
        else:
            self.started = self.memo.started(status, headers)
        return self

    def __call__(self, data: bytes) -> None:
        """As `write`."""
        self.write(data)

    def write(self, data: bytes) -> None:
        """Send a piece of the body at once: what ``start_response`` gives to the application."""
        stream = self.stream
        if stream is None:
            stream = self.stream = self.open_stream()
        stream.write(checked(data))

    def run(self, application: Application) -> None:
        """Call the application, and answer.  Raises what it raises before any answer has begun.

        What is no `Exception`, such as `SystemExit`, is the cause of a `RuntimeError` then: it is
        to end this request, not the server.  But Ctrl-C is meant for that.
        """
        try:
            self.give(application(self.environ, self.start_response))
        except BaseException as error:
            self.failed(error)

    def give(self, result: Iterable[bytes]) -> None:
        """Answer with what the application has returned."""
        if type(result) is list or type(result) is tuple:  # without a close()
            if len(result) == 1:
                self.send_whole(result[0])
                return
            if sum(map(len, result)) <= _WHOLE_BYTES:
                self.send_whole(b"".join(map(checked, result)))
                return
        self.iterable = result
        if isinstance(result, FileWrapper) and self._send_file(result):
            return
        self._send_iterated(iter(result))

    def failed(self, error: BaseException) -> None:
        """Let the client know that the application has failed; see `run`."""
        self.end()
        stream = self.stream
        if stream is None:
            raise as_exception(error)
        if not (stream.gone and isinstance(error, ConnectionError)):
            _log.error("%s failed in its answer", self.what(), exc_info=error)
        stream.abort()

    def what(self) -> str:
        """The request, for the log."""
        environ = self.environ
        method, path = environ.get("REQUEST_METHOD"), environ.get("PATH_INFO")
        return f"the application for {method} {path!r:.200}"

    def end(self) -> None:
        """Close what the application has returned, and its input."""
        result, self.iterable = self.iterable, None
        if result is not None:
            try:
                close(result)
            except KeyboardInterrupt:
                raise
            except BaseException as error:
                _log.error("close() of the answer of %s failed", self.what(), exc_info=error)
        body, self.body = self.body, None
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
        self.stream = GIVEN
        return True

    def send_whole(self, body: bytes) -> None:
        """Answer with all that there is."""
        checked(body)
        if self.stream is not None:
            self.stream.write(body)
            self.stream.finish()
        else:
            started = self.said()
            head_only = self.environ.get("REQUEST_METHOD") == "HEAD"
            if is_bodiless(started.status):
                self.respond(b"")
                self.stream = GIVEN
            elif not (body or started.length is not None) and head_only:
                self.open_stream().finish()  # how long it would be is not known
            elif started.length is None or started.length == len(body):
                self.respond(body)
                self.stream = GIVEN
            else:
                stream = self.stream = self.open_stream()
                if not head_only:
                    stream.write(body)
                stream.finish()
        self.end()

    def _send_iterated(self, pieces: Iterator[bytes]) -> None:
        first = b""
        for piece in pieces:
            if piece:
                first = checked(piece)
                break
        else:
            self.send_whole(b"")
            return
        started = self.said()
        if self.stream is None and is_bodiless(started.status):
            self.send_whole(b"")
        elif self.stream is None and started.length == len(first):
            self.respond(first)
            self.stream = GIVEN
            for more in pieces:
                if more:
                    _log.error("%s gave more than the announced %d bytes", self.what(), len(first))
                    break
            self.end()
        else:
            # Not a generator with `yield from`: its end would close the application's as well.
            self.send_pieces(chain((first,), pieces))

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


def as_exception(error: BaseException) -> BaseException:
    """`error`, as one that ends a request and not the server; but Ctrl-C is meant for that."""
    if isinstance(error, (Exception, KeyboardInterrupt)):
        return error
    failed = RuntimeError(f"the application has raised {error!r:.200}")
    failed.__cause__ = error
    return failed


def checked(piece: Any) -> bytes:
    """`piece`, if it is one; else raises `TypeError`."""
    if not isinstance(piece, bytes):
        raise TypeError(f"a body is made of bytes (PEP 3333), not {piece!r:.80}")
    return piece
