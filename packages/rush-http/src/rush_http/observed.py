"""ObservedServer: an `HttpServer` that tells of every answer, when it has ended.

For access logs and counters.  Who does not need that takes `HttpServer`, and pays nothing.

An answer that is sent whole has ended when it is handed over; a stream when it is finished or
broken off; a file when its last byte is out, or the client has gone.
"""

from collections.abc import Callable, Iterable
from time import monotonic
from typing import TYPE_CHECKING

from epollserver import Address, Connection, Reason, SendableFile

from .errors import HttpError
from .exchange import Exchange
from .head import Head
from .limits import Limits
from .parts import Part
from .phases import IDLE
from .proxies import TrustedProxies
from .responses import TEXT, HeaderLines
from .server import HttpServer, OnHeadComplete, OnMessageComplete
from .streams import ResponseStream
from .upgrades import Upgraded

if TYPE_CHECKING:
    import ssl

Answered = tuple[Connection, Head | None, bytes, int, float, float]
"""An answer that has ended: conn, head, status, body bytes, began, ended."""

OnAnswers = Callable[[list[Answered]], object]
"""What `ObservedServer` calls with the answers that have ended since the last time."""

# So long answers are kept before they are told, or until they are so many: a log is written by one
# write(2) for all of them.
_KEPT_SECONDS = 0.05
_MOST_KEPT = 256

_STATUSES = tuple([b"%d" % status for status in range(600)])
_CLIENT_GONE = b"499"  # what nginx calls a request whose client has not waited


class ObservedExchange(Exchange):
    """An exchange that remembers what has to be told at the end of its answer."""

    __slots__ = ("asked", "began", "client", "note", "told_stream")

    server: "ObservedServer"

    def __init__(self, server: HttpServer) -> None:
        super().__init__(server)
        self.client = ""
        """The address of the client, without its port; empty if it has none."""
        self.note: object = None
        """For whoever is told of the answers."""
        self.began = 0.0  # of an answer that comes later: when its request was complete
        self.asked: Head | None = None  # whose answer is a stream
        self.told_stream: ResponseStream | None = None

    def _settle(self, conn: Connection) -> None:
        if self.head is not None:
            self.began = self.server.epoll.loop.now
        super()._settle(conn)

    def stream_began(self, stream: ResponseStream) -> None:
        """Remember the request of the stream."""
        self.asked = self.head
        self.began = self.began or self.server.epoll.loop.now
        self.told_stream = stream
        super().stream_began(stream)

    def stream_unheard(self, stream: ResponseStream) -> None:
        """Tell of a stream whose client has not waited for it."""
        head, began, self.began = self.head, self.began or self.server.epoll.loop.now, 0.0
        super().stream_unheard(stream)
        self.server.tell(stream.connection, head, _CLIENT_GONE, 0, began)

    def stream_ended(self, conn: Connection) -> None:
        """Tell of a stream that is complete."""
        self._tell_stream(conn)
        super().stream_ended(conn)

    def switch(self, conn: Connection, upgraded: Upgraded, data: bytes) -> None:
        """Tell of a 101."""
        head, began = self.head, self.began or self.server.epoll.loop.now
        super().switch(conn, upgraded, data)
        self.server.tell(conn, head, b"101", 0, began)

    def refuse(self, conn: Connection, error: HttpError) -> None:
        """Remember the request, if there is one."""
        self.asked = self.head or self._request
        super().refuse(conn, error)

    def answer_refused(self, conn: Connection, error: HttpError, *, head_only: bool) -> bytes:
        """Tell of a refusal."""
        data = super().answer_refused(conn, error, head_only=head_only)
        size = len(data) - data.find(b"\r\n\r\n") - 4
        now = self.server.epoll.loop.now
        self.server.tell(conn, self.asked, data[9:12], size, self.began or now)
        return data

    def gone(self, reason: Reason) -> None:
        """Tell of a stream that was broken off."""
        if self.told_stream is not None:
            self._tell_stream(self.told_stream.connection)
        super().gone(reason)

    def _tell_stream(self, conn: Connection) -> None:
        stream, self.told_stream = self.told_stream, None
        if stream is not None:
            began, self.began = self.began, 0.0
            status = b"%d" % stream.status
            self.server.tell(conn, self.asked, status, stream.sent_bytes, began)


class ObservedServer(HttpServer):
    """`HttpServer`, which calls ``on_answers(answers)`` as well, 50 ms after an answer at most.

    Each of them is ``(conn, head, status, body_bytes, began, ended)``: `head` is that of the
    request, ``None`` if it was refused before it could be read; `status` is three digits;
    `body_bytes` what was sent of the body; `began` when the request was there, and `ended`
    (`time.monotonic`).
    ``conn.data.client`` is the address of the client.  A request whose client has gone before it
    was answered has the status 499.
    """

    exchange_class = ObservedExchange

    def __init__(
        self,
        sock: Address | None,
        max_conns: int = 10_000,
        on_message_complete: OnMessageComplete | None = None,
        *,
        on_answers: OnAnswers,
        on_head_complete: OnHeadComplete | None = None,
        limits: Limits | None = None,
        ssl_context: "ssl.SSLContext | None" = None,
        proxies: TrustedProxies | None = None,
        exclusive: bool = False,
    ) -> None:
        super().__init__(
            sock,
            max_conns,
            on_message_complete,
            on_head_complete=on_head_complete,
            limits=limits,
            ssl_context=ssl_context,
            proxies=proxies,
            exclusive=exclusive,
        )
        self.on_answers = on_answers
        self._answers: list[Answered] = []
        self._tell_at = 1  # so many are told soon, or a timer is set; that is set from then on

    def tell(
        self, conn: Connection, head: Head | None, status: bytes, size: int, began: float
    ) -> None:
        """Let an answer that has ended be told soon.

        `size` is what was sent of its body, in bytes; `began` is in seconds of `time.monotonic`.
        """
        self._answers.append((conn, head, status, size, began, monotonic()))
        if len(self._answers) >= self._tell_at:
            self._tell_later()

    def tell_all(self) -> None:
        """Tell of the answers that have ended until now."""
        if self._answers:
            answers, self._answers = self._answers, []
            self.on_answers(answers)

    def close(self) -> None:
        """As `HttpServer.close`; all answers are told."""
        super().close()
        self.tell_all()

    def _tell_later(self) -> None:
        if len(self._answers) >= _MOST_KEPT:
            self._loop.call_soon(self.tell_all)
        if self._tell_at == 1:
            self._tell_at = _MOST_KEPT
            self._loop.call_later(_KEPT_SECONDS, self._tell_due)

    def _tell_due(self) -> None:
        self._tell_at = 1
        self.tell_all()

    def _connected(self, conn: Connection) -> None:
        super()._connected(conn)
        peer = self.peer(conn)  # now: when its answer has ended, it may have gone
        if peer is not None:
            conn.data.client = peer.host

    def send(self, conn: Connection, data: bytes) -> None:
        """As `HttpServer.send`."""
        exchange: ObservedExchange = conn.data
        head, began, status = exchange.head, exchange.began, data[9:12]
        size = len(data) - data.find(b"\r\n\r\n") - 4
        if began:
            exchange.began = 0.0
            if conn.fileno() < 0:
                status, size = _CLIENT_GONE, 0
        else:
            began = self._loop.now
        if exchange.together is None and exchange.phase is IDLE and head is not None:
            # What `HttpServer.send` does then.  A request that is counted takes 27,400 instructions
            # so, and 28,100 by a call of it (tests/bench/instructions.py).
            conn.write(data)
            exchange.head = None
        else:
            HttpServer.send(self, conn, data)
        answers = self._answers
        answers.append((conn, head, status, size, began, monotonic()))
        if len(answers) >= self._tell_at:
            self._tell_later()

    def respond(
        self,
        conn: Connection,
        body: bytes,
        status: int = 200,
        headers: HeaderLines = (),
        content_type: str | None = TEXT,
    ) -> None:
        """As `HttpServer.respond`."""
        exchange: ObservedExchange = conn.data
        head, answers = exchange.head, self._answers
        told = len(answers)
        HttpServer.respond(self, conn, body, status, headers, content_type)
        if len(answers) == told:  # else it went by `send`
            # Status and size are known here: to look for them takes 0.2 us.
            code, began = _STATUSES[status], self._loop.now
            answers.append((conn, head, code, len(body), began, monotonic()))
            if len(answers) >= self._tell_at:
                self._tell_later()

    def send_parts(
        self, conn: Connection, head: bytes, file: SendableFile, parts: Iterable[Part]
    ) -> None:
        """As `HttpServer.send_parts`."""
        exchange: ObservedExchange = conn.data
        request, began = exchange.head, exchange.began or self.epoll.loop.now
        try:
            status = _CLIENT_GONE if conn.fileno() < 0 else head[9:12]
            parts = tuple(parts)
        except BaseException:
            file.close()
            raise
        told = _ToldFile(file)
        before = conn.drained_bytes + conn.queued
        HttpServer.send_parts(self, conn, head, told, parts)
        exchange.began = 0.0
        assert request is not None
        if request.method == "HEAD":
            size = 0
        elif conn.fileno() >= 0:
            size = sum(len(part) if isinstance(part, bytes) else part[1] for part in parts)
        else:  # the client has left while it was sent
            size = max(0, conn.drained_bytes - before)
        end = conn.drained_bytes + conn.queued

        def tell() -> None:
            left = 0 if conn.fileno() >= 0 else max(0, end - conn.drained_bytes)
            self.tell(conn, request, status, max(0, size - left), began)

        # Soon: what went out with the end of the file is not counted yet.
        told.then(lambda: self.epoll.loop.call_soon(tell))


class _ToldFile:
    """A file that says when it is closed."""

    __slots__ = ("_closed", "_file", "_then")

    def __init__(self, file: SendableFile) -> None:
        self._file = file
        self._closed = False
        self._then: Callable[[], object] | None = None

    def fileno(self) -> int:
        return self._file.fileno()

    def close(self) -> None:
        self._closed = True
        try:
            self._file.close()
        finally:
            if self._then is not None:
                self._then()

    def then(self, callback: Callable[[], object]) -> None:
        """Call `callback` when the file is closed; now, if it is."""
        if self._closed:
            callback()
        else:
            self._then = callback
