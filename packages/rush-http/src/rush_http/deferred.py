"""Deferred: the answer to one request, given later, also from another thread."""

import logging
import threading
from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING

from epollserver import Connection, SendableFile

from .gone import Gone
from .head import Head
from .parts import Part, checked
from .pull import Pull
from .pull import close as close_pieces
from .responses import TEXT, HeaderLines, render
from .streams import ResponseStream

if TYPE_CHECKING:
    from .exchange import Exchange

_log = logging.getLogger("rush_http")


class Deferred:
    """The answer to one request, whenever it comes; see `HttpServer.defer`.

    It belongs to this very request: once that is answered, or the client has gone, nothing that is
    done here reaches the connection's next request.  Its methods may be called from any thread,
    and do what those of `HttpServer` do.  A client that has gone is not an error.

    Answering twice is a `RuntimeError`.  What cannot be sent raises `ValueError` in the caller,
    and the request still awaits its answer.
    """

    __slots__ = ("_answered", "_conn", "_exchange", "_gone", "_head", "_thread")

    def __init__(self, conn: Connection, head: Head) -> None:
        """`head` is the request's own copy: who holds it, holds the request."""
        self._conn = conn
        self._exchange: Exchange = conn.data
        self._head = head
        self._thread = threading.get_ident()
        self._answered = False
        self._gone = Gone()

    @property
    def head(self) -> Head:
        """The head of the request."""
        return self._head

    @property
    def gone(self) -> bool:
        """Whether the client has gone, or has said that it sends no more (see `on_gone`)."""
        return bool(self._gone)

    def on_gone(self, callback: Callable[[], object]) -> None:
        """Call `callback` once, in the server's thread, if the client goes before the answer.

        Also if it has only shut down its side, which looks the same at first: it may still read,
        and gets the answer if there is one.  If it is gone already, `callback` is called soon.
        """
        self._gone.tell(callback, self._exchange.server.epoll.loop)

    # Answers

    def send(self, data: bytes) -> None:
        """As `HttpServer.send`."""
        memoryview(data)  # raises here, not over there
        self._answer(partial(self._exchange.server.send, self._conn, data))

    def respond(
        self,
        body: bytes,
        status: int = 200,
        headers: HeaderLines = (),
        content_type: str | None = TEXT,
    ) -> None:
        """As `HttpServer.respond`."""
        headers = tuple(headers)
        render(status, body, headers, content_type=content_type)  # raises here, not over there
        respond = self._exchange.server.respond
        self._answer(partial(respond, self._conn, body, status, headers, content_type=content_type))

    def send_file(self, head: bytes, file: SendableFile, offset: int, count: int) -> None:
        """As `HttpServer.send_file`; the file is closed in any case."""
        self.send_parts(head, file, ((offset, count),))

    def send_parts(self, head: bytes, file: SendableFile, parts: Iterable[Part]) -> None:
        """As `HttpServer.send_parts`; the file is closed in any case."""
        try:  # what raises here does not raise over there
            memoryview(head)
            parts = checked(parts)
        except BaseException:
            file.close()
            raise
        send = partial(self._exchange.server.send_parts, self._conn, head, file, parts)
        self._answer(send, file.close)

    def respond_file(
        self,
        file: SendableFile,
        offset: int,
        count: int,
        status: int = 200,
        headers: HeaderLines = (),
        *,
        content_type: str | None = TEXT,
    ) -> None:
        """As `HttpServer.respond_file`; the file is closed in any case."""
        try:  # what raises here does not raise over there
            headers = tuple(headers)
            render(status, b"", headers, content_type=content_type)
            checked(((offset, count),))
        except BaseException:
            file.close()
            raise
        respond = partial(
            self._exchange.server.respond_file,
            *(self._conn, file, offset, count, status, headers),
            content_type=content_type,
        )
        self._answer(respond, file.close)

    def start_stream(
        self,
        status: int = 200,
        headers: HeaderLines = (),
        *,
        content_type: str | None = TEXT,
        length: int | None = None,
    ) -> ResponseStream:
        """As `HttpServer.start_stream`."""
        stream = ResponseStream(
            self._conn, self._head, self._thread, status, headers, content_type, length
        )
        self._answer(stream.begin, stream.lost)
        return stream

    def stream(
        self,
        pieces: Iterable[bytes],
        status: int = 200,
        headers: HeaderLines = (),
        *,
        content_type: str | None = TEXT,
        length: int | None = None,
    ) -> None:
        """As `HttpServer.stream`: `pieces` are pulled, and closed, in the server's thread."""
        try:
            stream = ResponseStream(
                self._conn, self._head, self._thread, status, headers, content_type, length
            )
        except BaseException:
            close_pieces(pieces)
            raise
        pull = Pull(stream, pieces)
        self._answer(pull.begin, pull.close)

    # From here on: in the server's thread, called by the exchange.

    def peer_left(self) -> None:
        """The client sends no more; perhaps it is gone."""
        self._gone.happen()

    def _answer(
        self, answer: Callable[[], object], otherwise: Callable[[], object] | None = None
    ) -> None:
        """Do `answer` in the server's thread; `otherwise` cleans up if nobody wants it."""
        if self._answered:
            if otherwise is not None:
                otherwise()
            raise RuntimeError("this request was answered already")
        self._answered = True
        if threading.get_ident() == self._thread:
            try:
                self._answer_now(answer, otherwise)
            except BaseException:
                self._answered = False
                raise
        else:
            loop = self._exchange.server.epoll.loop
            called = loop.call_soon_threadsafe(partial(self._answer_safely, answer, otherwise))
            if not called and otherwise is not None:
                otherwise()  # the server is closed

    def _answer_now(
        self, answer: Callable[[], object], otherwise: Callable[[], object] | None
    ) -> None:
        if self._exchange.head is self._head:
            answer()
            return
        if otherwise is not None:
            otherwise()
        if self._conn.fileno() >= 0:
            raise RuntimeError("this request was answered already")

    def _answer_safely(
        self, answer: Callable[[], object], otherwise: Callable[[], object] | None
    ) -> None:
        try:
            self._answer_now(answer, otherwise)
        except Exception as error:
            if self._exchange.head is self._head:
                self._exchange.failed(self._conn, error, "a deferred answer")
            else:
                _log.error("a deferred answer failed", exc_info=error)
