"""Exchange: one connection's requests and answers, in order.

::

    IDLE ──▶ HEAD ──▶ BODY ──▶ (the callback) ──▶ IDLE          what each waits for, and how long:
                                   │                            IDLE    Limits.idle_seconds
                                   ├──▶ ANSWER ──▶ IDLE         HEAD    Limits.head_seconds
                                   │                            BODY    Limits.body_seconds
                                   ├──▶ BEHIND ──▶ IDLE         ANSWER  the application's time
                                   │                            BEHIND  Limits.write_seconds
                                   └──▶ LAST ──▶ closed         LAST    Limits.write_seconds
         refused ──▶ LAST ──▶ LINGER ──▶ closed                 LINGER  Limits.linger_seconds

IDLE: nothing of a request is there.  HEAD, BODY: a part of it.  ANSWER: the callback has returned
and will answer later.  BEHIND: the next requests are here already, and wait until the client has
read the answers before.  In both of these reading pauses.  LAST: the last answer was given.
LINGER: it is out, and what the client still sends is dropped until it has read why (RFC 9112, 9.6):
closing a socket with unread bytes would reset the connection, and take the answer away from it.
"""

import contextlib
import logging
import socket
from typing import TYPE_CHECKING, Final

from epollserver import Connection

from .errors import REASONS, HttpError, RequestTimeout, ServiceUnavailable
from .head import Head
from .parser import END, RequestParser
from .responses import CLOSE, render

if TYPE_CHECKING:
    from .server import HttpServer

_log = logging.getLogger("rush_http")

IDLE: Final = "idle"
HEAD: Final = "head"
BODY: Final = "body"
ANSWER: Final = "answer"
BEHIND: Final = "behind"
LAST: Final = "last"
LINGER: Final = "linger"

# A request pays nothing for time limits: the next sweep notes the clock.
NOW: Final = 0.0

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

# Answers to pipelined requests are written together, up to about this much.
_TOGETHER_BYTES = 65536


class Exchange:
    """The present request of a connection, and what its answer must know: ``conn.data``.

    `HttpServer` makes one per connection.  `head` and `connection_line` are for those who
    render answers; the methods are the server's.
    """

    __slots__ = (
        "_body",
        "_dropped",
        "_request",
        "_requests",
        "_server",
        "_together_bytes",
        "_unannounced",
        "_unsent",
        "connection_line",
        "head",
        "parser",
        "phase",
        "since",
        "together",
    )

    def __init__(self, server: "HttpServer") -> None:
        self.head: Head | None = None
        """The request that awaits its answer; ``None`` when there is none."""
        self.connection_line = b""
        """The ``Connection`` line that the answer must carry."""
        self.parser = RequestParser(server.limits, memo=server.memo)
        self.phase = IDLE
        self.since = server.epoll.loop.now  # the clock when the phase began, or its last byte came
        self.together: list[bytes] | None = None  # answers that are written together, in `feed`
        self._together_bytes = 0
        self._server = server
        self._requests = 0
        self._request: Head | None = None  # whose body is arriving
        # Not a list: of a body that drips in, the pieces would be larger than what they hold.
        self._body: bytearray | None = None
        self._unannounced = False  # the connection ends by our word, which the client has not read
        self._unsent = 0
        self._dropped = 0

    # Requests

    def feed(self, conn: Connection, data: bytes) -> None:
        """Answer every complete request in `data`, in order, and write the answers together."""
        if self.phase is LINGER:
            self._drop(conn, data)
            return
        self.together = []
        try:
            for event in self.parser.feed(data):
                if event is END:
                    self._message_complete(conn)
                    if self.phase is not IDLE or self._client_is_behind(conn):
                        break  # the rest waits in the parser, reading is paused
                    if conn.fileno() < 0:
                        break  # the application has closed it
                elif isinstance(event, Head):
                    self._head_complete(event)
                elif isinstance(event, bytes):
                    self._piece(event)
        except HttpError as error:
            self._refuse(conn, error)
        self.write_together(conn)
        self.together = None
        if self.phase is LAST:
            self._end(conn)
        elif self.phase is IDLE and self.parser.started:
            self.phase = HEAD
            self.since = self._server.epoll.loop.now

    def dispatch(self, conn: Connection, head: Head, body: bytes) -> None:
        """Call back with a complete request, and see what came of it."""
        server = self._server
        self.head = head
        self.since = NOW
        # One unpacking costs less than six attributes of a named tuple.
        protocol, method, path, query, headers, _, _, _, line = head
        self.connection_line = line if server.client_decides else self._connection_line(head)
        try:
            server.on_message_complete(body, conn, protocol, method, path, query, headers)
        except Exception as error:
            self._failed(conn, error)
        if self.head is not None:
            self.phase = ANSWER
            conn.pause()
        elif self.connection_line is CLOSE:
            self.phase = LAST
            if self.together is None:
                self._end(conn)

    def _head_complete(self, head: Head) -> None:
        self._request = head
        if head.has_body:
            self.phase = BODY
            self.since = self._server.epoll.loop.now
            if head.expects_continue and not self.parser.buffered:
                self.add(_CONTINUE)

    def _piece(self, piece: bytes) -> None:
        server = self._server
        if server.bodies_bytes + len(piece) > server.limits.bodies_bytes:
            raise ServiceUnavailable("too many bodies in memory (Limits.bodies_bytes)")
        server.bodies_bytes += len(piece)
        if self._body is None:
            self._body = bytearray()
        self._body += piece
        self.since = server.epoll.loop.now

    def _message_complete(self, conn: Connection) -> None:
        head, self._request = self._request, None
        assert head is not None
        body = b"" if self._body is None else bytes(self._body)
        self.release()
        self.phase = IDLE
        self.dispatch(conn, head, body)

    def release(self) -> None:
        """Let go of an unfinished body."""
        if self._body is not None:
            self._server.bodies_bytes -= len(self._body)
            self._body = None

    def _connection_line(self, head: Head) -> bytes:
        """The server's word on whether the connection goes on: it is stopping, or has a limit."""
        self._requests += 1
        limit = self._server.limits.requests
        if self._server.draining or (limit is not None and self._requests >= limit):
            self._unannounced = head.connection_line is not CLOSE
            return CLOSE
        return head.connection_line

    def drain(self) -> None:
        """The server is stopping: let an answer that is still to come be the last one."""
        if self.phase is ANSWER:
            self._unannounced = self.connection_line is not CLOSE
            self.connection_line = CLOSE

    def _failed(self, conn: Connection, error: Exception) -> None:
        """Answer for a callback that raised."""
        status = 500
        if isinstance(error, HttpError):
            status = error.status
            _log.info("refused: %s", error)
        else:
            _log.error("on_message_complete failed", exc_info=error)
        if self.head is not None:
            self._server.respond(conn, _page(status), status)

    # Answers

    def add(self, data: bytes) -> None:
        """Keep an answer until all of this turn's are written."""
        assert self.together is not None
        self.together.append(data)
        self._together_bytes += len(data)

    def answered(self, conn: Connection) -> None:
        """Go on with the connection after an answer that was given later."""
        if self.connection_line is CLOSE:
            self.phase = LAST
            self._end(conn)
            return
        self.since = self._server.epoll.loop.now
        if not self.parser.buffered:
            self.phase = IDLE
            for _ in self.parser.feed(b""):  # it ended at its END: let it come to rest
                pass
            conn.resume()
            return
        self.phase = BEHIND
        if conn.queued <= _TOGETHER_BYTES:
            # Not now: each answer could make the next one, one call inside the other.
            self._server.epoll.loop.call_soon(lambda: self.drained(conn))

    def drained(self, conn: Connection) -> None:
        """Go on: what was written is out, or a late answer was given."""
        if self.phase is LINGER:
            self.since = self._server.epoll.loop.now
            self._shut(conn)
        elif self.phase is BEHIND and conn.fileno() >= 0:
            self.phase = IDLE
            conn.resume()
            self.feed(conn, b"")
        elif self.phase is IDLE:
            self.since = self._server.epoll.loop.now

    def _client_is_behind(self, conn: Connection) -> bool:
        """Whether the client has to read before more of its requests are answered."""
        if self._together_bytes > _TOGETHER_BYTES:
            self.write_together(conn)
        if conn.queued <= _TOGETHER_BYTES or not self.parser.buffered:
            return False
        self.phase = BEHIND
        conn.pause()
        return True

    def write_together(self, conn: Connection) -> None:
        """Write the answers of this turn so far."""
        if self.together:
            conn.write(self.together[0] if len(self.together) == 1 else b"".join(self.together))
            self.together.clear()
            self._together_bytes = 0

    # Ends

    def _refuse(self, conn: Connection, error: HttpError) -> None:
        """Say why no more is read from this client."""
        _log.info("refused: %s", error)
        method = self.parser.method if self._request is None else self._request.method
        self.release()
        self._request = self.head = None
        answer = render(
            error.status,
            _page(error.status),
            connection_line=CLOSE,
            head_only=method == "HEAD",
        )
        if self.together is None:
            conn.write(answer)
        else:
            self.add(answer)
        self.phase = LAST

    def _end(self, conn: Connection) -> None:
        """Close after the last answer; wait for the client if it may still be sending."""
        if self.parser.clean and not self._unannounced:
            conn.finish()
            return
        self.phase = LINGER
        self.since = self._server.epoll.loop.now
        conn.resume()
        if not conn.queued:
            self._shut(conn)

    def _shut(self, conn: Connection) -> None:
        with contextlib.suppress(OSError):  # it has gone already
            conn.shutdown(socket.SHUT_WR)

    def _drop(self, conn: Connection, data: bytes) -> None:
        self._dropped += len(data)
        if self._dropped > self._server.limits.linger_bytes:
            conn.pause()  # it has until the end of Limits.linger_seconds to read the answer

    def check(self, conn: Connection, now: float) -> None:
        """Apply the time limits; called about once a second."""
        limits = self._server.limits
        if self.since == NOW:
            self.since = now
        if conn.queued:
            if conn.queued != self._unsent:
                self._unsent = conn.queued
                self.since = now
            elif now - self.since > limits.write_seconds:
                conn.close()
            return
        age = now - self.since
        if self.phase is IDLE:
            if age > limits.idle_seconds:
                conn.finish()
        elif self.phase is HEAD:
            if age > limits.head_seconds:
                self._too_late(conn, f"no complete head after {age:.0f} s (Limits.head_seconds)")
        elif self.phase is BODY:
            if age > limits.body_seconds:
                self._too_late(conn, f"nothing of a body for {age:.0f} s (Limits.body_seconds)")
        elif self.phase is LINGER and age > limits.linger_seconds:
            conn.close()

    def _too_late(self, conn: Connection, message: str) -> None:
        self._refuse(conn, RequestTimeout(message))
        self._end(conn)


def _page(status: int) -> bytes:
    return f"{status} {REASONS.get(status, 'Error')}\n".encode("ascii")
