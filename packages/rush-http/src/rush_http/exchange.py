"""Exchange: one connection's requests and answers, in order.

::

    IDLE ──▶ HEAD ──▶ BODY ──▶ (the callback) ──▶ IDLE          what each waits for, and how long:
                                   │                            IDLE    Limits.idle_seconds
                                   ├──▶ ANSWER ──▶ IDLE         HEAD    Limits.head_seconds
                                   │      ▼                     BODY    Limits.body_seconds
                                   ├──▶ STREAM ──▶ IDLE         ANSWER  the application's time
                                   │                            STREAM  the application's time
                                   ├──▶ BEHIND ──▶ IDLE         BEHIND  Limits.write_seconds
                                   ├──▶ UPGRADED                LAST    Limits.write_seconds
                                   └──▶ LAST ──▶ closed         LINGER  Limits.linger_seconds
         refused ──▶ LAST ──▶ LINGER ──▶ closed

IDLE: nothing of a request is there.  HEAD, BODY: a part of it.  ANSWER: the callback has returned
and will answer later.  STREAM: the answer has begun, and more of it will come.  BEHIND: the next
requests are here already, and wait until the client has read the answers before.  In these three
reading pauses.  LAST: the last answer was given.  LINGER: it is out, and what the client still
sends is dropped until it has read why (RFC 9112, 9.6): closing a socket with unread bytes would
reset the connection, and take the answer away from it.  UPGRADED: no HTTP any more.

A request whose body goes to a `BodyReceiver` may be answered while it is still in BODY; it
leaves that at the body's end, for ANSWER, STREAM, or where a complete answer leads.

This file is the side of the requests; `Outgoing` is the side of the answers.
"""

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, Literal

from epollserver import Connection, Reason

from .errors import HttpError, plain_page
from .forwarded import Forwarded
from .head import Head
from .headers import Headers
from .outgoing import Outgoing
from .parser import END, Event
from .peer import Peer
from .phases import ANSWER, BODY, HEAD, IDLE, LAST, LINGER, NOW, STREAM
from .responses import CLOSE, render
from .timeliness import check
from .uploads import BodyReceiver, DroppedBody, StreamedBody, Upload, WholeBody

if TYPE_CHECKING:
    from .server import HttpServer

_log = logging.getLogger("rush_http")

_NO_ENVIRON: Final[dict[str, Any]] = {}

_G = ord("G")
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

# A body that was answered without being asked for is read to its end, if it has no more than this.
_DROP_BYTES = 65536


class Exchange(Outgoing):
    """The present request of a connection, and what its answer must know: ``conn.data``.

    `HttpServer` makes one per connection.  `head`, `connection_line` and `together` are for those
    who render and write answers; all else is the server's.
    """

    __slots__ = (
        *("_request", "_requests", "_shown", "environ", "environ_headers", "environ_keys"),
        *("environ_shape", "origin", "peer", "upload"),
    )

    def __init__(self, server: "HttpServer") -> None:
        super().__init__(server)
        self._requests = 0
        self._request: Head | None = None  # whose body is arriving
        self._shown: Head | None = None  # what `on_head_complete` has seen: it is counted
        self.upload: Upload | None = None  # that body
        self.peer: Peer | Literal[False] | None = None  # not asked for yet; False: there is none
        # Who sends, and whether he is believed about others: see `HttpServer.forwarded`.
        self.origin: tuple[Forwarded, bool] | None = None
        # What a WSGI application has been told of these headers, to be copied for the next request.
        self.environ_headers: Headers | None = None
        self.environ: dict[str, Any] = _NO_ENVIRON
        # How it was told of the lines that followed them: see rush_http/wsgi/environ.py.
        self.environ_shape: object = None
        self.environ_keys: Sequence[str] = ()

    @staticmethod
    def receive(conn: Connection, data: bytes) -> None:
        """Go on with the exchange of `conn`, as `data` has come, or its end: handles ``DATA``."""
        exchange: Exchange = conn.data
        head = exchange.parser.whole(data) if exchange.phase is IDLE else None
        if head is None:
            if data:
                exchange._receive_more(conn, data)
            return
        # The short way of one request without a body; `feed` is its plain twin.  To do what
        # `dispatch` does here takes 500 instructions less (tests/bench/instructions.py).
        server = exchange.server
        exchange.head = head
        exchange.since = NOW
        exchange.connection_line = (
            head.connection_line if server.client_decides else exchange._connection_line(head)
        )
        try:
            server.on_message_complete(
                b"", conn, head.protocol, head.method, head.path, head.query, head.headers
            )
        except Exception as error:
            exchange.failed(conn, error, "on_message_complete")
        unsettled = exchange.head is not None or exchange.phase is not IDLE
        if unsettled or exchange.connection_line is CLOSE:
            exchange._settle(conn)

    def _receive_more(self, conn: Connection, data: bytes) -> None:
        """Go on with what is no request without a body."""
        # What begins as GET does, is a part of one, or several.
        if self.phase is IDLE and data[0] != _G:
            found = self.parser.whole_with_body(data)
            if found is not None:
                # The short way of one request that is there with its body.
                server = self.server
                head, body = found
                if (
                    server.on_head_complete is None or len(body) <= server.unasked_bytes
                ) and server.bodies_bytes + len(body) <= server.limits.bodies_bytes:
                    self.dispatch(conn, head, body)
                    return
        self.feed(conn, data)

    def feed(self, conn: Connection, data: bytes) -> None:
        """Answer every complete request in `data`, in order, and write the answers together."""
        if self.phase is LINGER:
            self.drop(conn, data)
            return
        if self.upgraded is not None:
            rest = self.parser.take_rest()  # what came with the head is first
            self.upgraded.on_data(rest + data if rest else data)
            return
        self.together = []
        try:
            self._take(conn, data)
        except HttpError as error:
            self.refuse(conn, error)
        self.write_together(conn)
        self.together = None
        if self.phase is LAST:
            self.end(conn)
        elif self.phase is IDLE and self.parser.started:
            self.phase = HEAD
            self.since = self.server.epoll.loop.now

    def _take(self, conn: Connection, data: bytes) -> None:
        """Go through the events in `data`, until something has to be waited for."""
        parser = self.parser
        parser.feed(data)
        if self._is_held(conn):
            return
        while True:
            # The short way of what the events would say; pipelined requests cost 0.5 us less.
            while (head := parser.next_whole()) is not None:
                self.phase = IDLE
                self.dispatch(conn, head, b"")
                if self.phase is not IDLE or self.client_is_behind(conn) or conn.fileno() < 0:
                    return
            event = parser.next_event()
            if event is None:
                return
            self._handle(conn, event)
            if self.phase is not IDLE and self.phase is not BODY:
                return  # it waits for an answer, or was the last
            if (self.phase is IDLE and self.client_is_behind(conn)) or self._is_held(conn):
                return  # the rest waits in the parser, reading is paused
            if conn.fileno() < 0:
                return  # the application has closed it

    def _handle(self, conn: Connection, event: Event) -> None:
        if event is END:
            self._message_complete(conn)
        elif isinstance(event, Head):
            self.phase = IDLE
            self._head_complete(conn, event)
        elif isinstance(event, bytes):
            assert self.upload is not None
            self.since = self.server.epoll.loop.now
            self.upload.piece(event)

    def dispatch(self, conn: Connection, head: Head, body: bytes) -> None:
        """Call back with a complete request, and see what came of it."""
        server = self.server
        self.head = head
        self.since = NOW
        self.connection_line = (
            head.connection_line if server.client_decides else self._connection_line(head)
        )
        callback = server.on_message_complete
        try:
            callback(body, conn, head.protocol, head.method, head.path, head.query, head.headers)
        except Exception as error:
            self.failed(conn, error, "on_message_complete")
        if self.head is not None or self.phase is not IDLE or self.connection_line is CLOSE:
            self._settle(conn)

    def _head_complete(self, conn: Connection, head: Head) -> None:
        self._request = head
        if not head.has_body:
            return
        server = self.server
        self.phase = BODY
        self.since = now = server.epoll.loop.now
        limit: int | None = server.limits.body_bytes
        if server.on_head_complete is not None and (
            head.chunked or head.content_length > server.unasked_bytes
        ):
            limit = self._show(conn, head)
        if limit is not None:
            self.upload = whole = WholeBody(server, now, self.head is None)
            self.parser.limit_body(limit)  # refused before 100 Continue
            body = self.parser.whole_body()
            if body is not None:
                whole.piece(body)
                self._message_complete(conn)
                return
        elif self.head is None:
            return  # answered already
        if head.expects_continue and not self.parser.buffered:
            upload = self.upload
            if isinstance(upload, StreamedBody) and upload.held:
                # The body may never come: an answer that is given before ends the connection.
                self.phase = ANSWER
                self.connection_line = CLOSE
                upload.continue_due = True
                upload.hold(conn, self.peer_left)
            else:
                self.add(_CONTINUE)

    def _show(self, conn: Connection, head: Head) -> int | None:
        """Ask `on_head_complete` about a body; return how large it may be, if it is taken whole.

        An answer that is given there says ``Connection: close`` if the body could be long, or may
        never come (RFC 9110, 10.1.1); after it, nobody can tell whether somebody takes the body.
        """
        server = self.server
        head = self._request = self.head = head.copy()
        line = self._connection_line(head)
        self._shown = head
        most_bytes = min(_DROP_BYTES, server.limits.body_bytes)
        short = not head.chunked and head.content_length <= most_bytes
        droppable = short and not head.expects_continue
        self.connection_line = line if droppable else CLOSE
        receiver = self._receiver(conn, head)
        if isinstance(receiver, BodyReceiver):
            if self.head is not None:
                self.connection_line = line
            self.upload = StreamedBody(receiver, server.epoll.loop, lambda: self._resumed(conn))
            limit = receiver.limit_bytes
            self.parser.limit_body(server.limits.body_bytes if limit is None else limit)
            return None
        if self.head is not None:
            # It awaits its answer when the body is there; who deferred that holds the same head,
            # and may answer before.
            self._shown = self._request = self.head
            if self.deferred is None or self.deferred.head is not self.head:
                self.head = None
            return server.limits.body_bytes if receiver is None else receiver
        if droppable:
            self.upload = DroppedBody(self.since)
        elif self.stream is not None:
            self.phase = STREAM
            conn.pause(self.peer_left)
        else:
            self.phase = LAST
        return None

    def _receiver(self, conn: Connection, head: Head) -> BodyReceiver | int | None:
        assert self.server.on_head_complete is not None
        try:
            return self.server.on_head_complete(conn, head)
        except HttpError:
            raise
        except Exception as error:
            _log.error("on_head_complete failed", exc_info=error)
            raise HttpError("on_head_complete failed") from error

    def _message_complete(self, conn: Connection) -> None:
        head, self._request = self._request, None
        upload, self.upload = self.upload, None
        assert head is not None
        self.phase = IDLE
        if upload is None:
            self.dispatch(conn, head, b"")
        elif isinstance(upload, WholeBody):
            body = upload.take()
            if upload.awaited or self.head is not None:
                self.dispatch(conn, head, body)
            else:
                self._settle(conn)
        else:
            if isinstance(upload, StreamedBody):
                try:
                    upload.end()
                except Exception as error:
                    self.failed(conn, error, "on_end")
            self._settle(conn)

    def _settle(self, conn: Connection) -> None:
        """A request is complete: see what is still to come of its answer, or after it."""
        self.since = NOW
        if self.stream is not None:
            self.phase = STREAM
            conn.pause(self.peer_left)  # the next request waits from now on
        elif self.head is not None:
            self.phase = ANSWER
            conn.pause(self.peer_left)
            if self.server.on_later is not None:
                self.server.on_later(self, self.head)
        elif self.connection_line is CLOSE and self.phase is IDLE:
            self.phase = LAST
            if self.together is None:
                self.end(conn)

    def no_longer_left(self) -> None:
        """As `Outgoing.no_longer_left`."""
        if self.phase is ANSWER and self.server.on_later is not None:
            self.server.on_later(self, None)

    def _is_held(self, conn: Connection) -> bool:
        upload = self.upload
        if not isinstance(upload, StreamedBody) or not upload.held:
            return False
        upload.hold(conn, self.peer_left)
        return True

    def _resumed(self, conn: Connection) -> None:
        """The receiver of a body wants more of it."""
        upload = self.upload
        if not isinstance(upload, StreamedBody) or upload.held or conn.fileno() < 0:
            return
        if upload.continue_due:
            if self.phase is not ANSWER:
                return  # answered without the body
            assert self._request is not None
            self.phase = BODY
            self.connection_line = self._connection_line(self._request)
            upload.continue_due = False
            self.write(conn, _CONTINUE)
        upload.release(conn)
        self.since = self.server.epoll.loop.now
        self.feed(conn, b"")

    def _connection_line(self, head: Head) -> bytes:
        """The server's word on whether the connection goes on: it is stopping, or has a limit."""
        if head is not self._shown:
            self._requests += 1
        limit = self.server.limits.requests
        if self.server.draining or (limit is not None and self._requests >= limit):
            self.unannounced = head.connection_line is not CLOSE
            return CLOSE
        return head.connection_line

    def drain(self) -> None:
        """The server is stopping: let an answer that is still to come be the last one."""
        if self.head is not None:
            self.unannounced = self.connection_line is not CLOSE
            self.connection_line = CLOSE
        elif self.stream is not None:
            self.stream.server_stops()
        elif self.upgraded is not None and self.upgraded.on_stop is not None:
            self.server.epoll.loop.call_soon(self.upgraded.on_stop)

    def failed(self, conn: Connection, error: Exception, what: str) -> None:
        """Answer for a callback that raised."""
        status, headers = HttpError.status, HttpError.headers
        if isinstance(error, HttpError):
            status, headers = error.status, error.headers
            _log.info("refused: %s", error)
        else:
            _log.error("%s failed", what, exc_info=error)
        if self.head is not None:
            self.server.respond(conn, plain_page(status), status, headers)
        elif self.stream is not None and self.stream.pull is None:
            self.stream.abort()  # nobody would end it; what is pulled goes on by itself

    # Ends

    def refuse(self, conn: Connection, error: HttpError) -> None:
        """Say why no more is read from this client; whoever took its body is told."""
        _log.info("refused: %s", error)
        method = self.parser.method if self._request is None else self._request.method
        upload, self.upload = self.upload, None
        # One that was shown may be answered already; of the others there is nothing yet.
        answerable = (isinstance(upload, WholeBody) and upload.awaited) or (
            upload is None and (self._request is None or self._request is not self._shown)
        )
        self.connection_line = CLOSE
        if upload is not None:
            upload.lost(error)  # whoever takes it may answer in its own words
        answerable = answerable or self.head is not None
        self._request = self.head = None
        self.phase = LAST
        if self.stream is not None:
            self.stream.cut()
        elif answerable:
            self.answer_refused(conn, error, head_only=method == "HEAD")

    def answer_refused(self, conn: Connection, error: HttpError, *, head_only: bool) -> bytes:
        """Say why in the last answer of a connection, and return it."""
        status, page = error.status, plain_page(error.status)
        data = render(status, page, error.headers, connection_line=CLOSE, head_only=head_only)
        self.write(conn, data)
        return data

    def gone(self, reason: Reason) -> None:
        """The connection has ended: tell all who work for it."""
        self.reason = reason
        self.no_longer_left()
        upload, self.upload = self.upload, None
        if upload is not None:
            upload.lost(reason)
        stream, self.stream = self.stream, None
        if stream is not None:
            stream.lost()
        deferred, self.deferred = self.deferred, None
        if deferred is not None and deferred.head is self.head:
            deferred.peer_left()
        upgraded, self.upgraded = self.upgraded, None
        if upgraded is not None and upgraded.on_gone is not None:
            upgraded.on_gone(reason)

    def check(self, conn: Connection, now: float) -> None:
        """Apply the time limits; called by each sweep.  `now` is the loop's clock, in seconds."""
        check(self, conn, now)
