"""Outgoing: the answers of one connection, in order, and its end.

Answers that are given within one call of `Exchange.feed` are written together at its end.  One that
comes later, or in pieces, keeps the connection's next requests waiting; then it goes on.
"""

import contextlib
import fcntl
import logging
import socket
import termios
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from epollserver import Connection, Reason

from .deferred import Deferred
from .head import Head
from .parser import RequestParser
from .phases import BEHIND, BODY, IDLE, LAST, LINGER, NOW, STREAM, TOGETHER_BYTES, UPGRADED
from .responses import CLOSE
from .streams import ResponseStream
from .upgrades import Upgraded

if TYPE_CHECKING:
    from .server import HttpServer

_log = logging.getLogger("rush_http")


class Outgoing(ABC):
    """What `Exchange` inherits: who answers its present request, and how that goes out."""

    __slots__ = (
        "_dropped",
        "_together_bytes",
        "connection_line",
        "deferred",
        "head",
        "parser",
        "phase",
        "read_mark",
        "read_since",
        "reason",
        "server",
        "since",
        "stream",
        "together",
        "unannounced",
        "upgraded",
    )

    def __init__(self, server: "HttpServer") -> None:
        self.head: Head | None = None
        """The request that awaits its answer; ``None`` when there is none."""
        self.connection_line = b""
        """The ``Connection`` line that the answer must carry."""
        self.parser = RequestParser(server.limits, memo=server.memo)
        self.server = server
        self.phase: str = IDLE
        self.since = server.epoll.loop.now  # the clock when the phase began, or its last byte came
        self.read_mark, self.read_since = -1, NOW  # see timeliness.py
        self.together: list[bytes] | None = None  # answers that are written together, in `feed`
        self._together_bytes = 0
        self.deferred: Deferred | None = None  # who holds the present request
        self.stream: ResponseStream | None = None  # its answer, until that is complete
        self.upgraded: Upgraded | None = None
        self.unannounced = False  # the connection ends by our word, which the client has not read
        self.reason: Reason | None = None  # why the connection has ended
        self._dropped = 0

    @abstractmethod
    def feed(self, conn: Connection, data: bytes) -> None:
        """Go on with the requests: see `Exchange.feed`."""

    def defer(self, conn: Connection) -> Deferred:
        """Return who holds the present request."""
        if self.deferred is None or self.deferred.head is not self.head:
            assert self.head is not None
            # A head may be shared by many requests: a copy of its own tells this one from others.
            self.head = self.head.copy()
            self.deferred = Deferred(conn, self.head)
        return self.deferred

    def add(self, data: bytes) -> None:
        """Keep an answer until all of this turn's are written."""
        assert self.together is not None
        if not isinstance(data, bytes):  # what is wrong is found now, and what may change is kept
            data = bytes(memoryview(data))
        self.together.append(data)
        self._together_bytes += len(data)

    def write(self, conn: Connection, data: bytes) -> None:
        """Write `data` in its place: after the answers of this turn, if there are some."""
        if self.together is None:
            conn.write(data)
            return
        self.add(data)
        if self._together_bytes > TOGETHER_BYTES:
            self.write_together(conn)

    def stream_began(self, stream: ResponseStream) -> None:
        """The answer to the present request comes in pieces."""
        self.no_longer_left()
        self.head = None
        self.stream = stream
        if self.phase is not BODY:
            self.phase = STREAM

    def stream_unheard(self, stream: ResponseStream) -> None:
        """The client has gone before the answer in pieces could begin."""
        self.head = None

    def stream_ended(self, conn: Connection) -> None:
        """The answer is complete."""
        self.stream = None
        if self.phase is not STREAM:
            return
        if self.together is None:
            self.answered(conn)
        else:
            self.phase = IDLE  # its callback has not returned

    def answered(self, conn: Connection) -> None:
        """Go on with the connection after an answer that was given later."""
        self.no_longer_left()
        self.deferred = None
        if self.connection_line is CLOSE:
            self.phase = LAST
            self.end(conn)
            return
        self.since = self.server.epoll.loop.now
        if not self.parser.buffered:
            self.phase = IDLE
            for _ in self.parser.feed(b""):  # it ended at its END: let it come to rest
                pass
            conn.resume()
            return
        self.phase = BEHIND
        if conn.queued <= self.server.limits.write_buffer_bytes:
            # Not now: each answer could make the next one, one call inside the other.
            self.server.epoll.loop.call_soon(lambda: self._go_on(conn))

    def _go_on(self, conn: Connection) -> None:
        """Answer the requests that wait, unless the client has to read first."""
        behind = conn.queued > self.server.limits.write_buffer_bytes
        if self.phase is BEHIND and not behind and conn.fileno() >= 0:
            self.phase = IDLE
            conn.resume()
            self.feed(conn, b"")

    def drained(self, conn: Connection) -> None:
        """All that was written to the connection is out."""
        phase = self.phase
        if phase is LINGER:
            self.since = self.server.epoll.loop.now
            self._shut(conn)
        elif phase is LAST:
            self.end(conn)
        elif phase is BEHIND:
            self._go_on(conn)
        elif phase is IDLE:
            self.since = self.server.epoll.loop.now
        elif self.stream is not None:
            self.stream.drained()
        elif self.upgraded is not None and self.upgraded.on_drain is not None:
            self.upgraded.on_drain()

    def client_is_behind(self, conn: Connection) -> bool:
        """Whether the client has to read before more of its requests are answered."""
        if self._together_bytes > TOGETHER_BYTES:
            self.write_together(conn)
        queued = conn.queued
        if (
            not queued
            or queued <= self.server.limits.write_buffer_bytes
            or not self.parser.buffered
        ):
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

    def switch(self, conn: Connection, upgraded: Upgraded, data: bytes) -> None:
        """Answer with the 101 in `data`; from here on `upgraded` owns the connection."""
        self.no_longer_left()
        self.head = self.deferred = None
        self.phase = UPGRADED
        self.upgraded = upgraded
        self.write_together(conn)
        conn.write(data)
        conn.resume()
        loop, reason, on_gone = self.server.epoll.loop, self.reason, upgraded.on_gone
        if reason is not None and on_gone is not None:
            loop.call_soon(lambda: on_gone(reason))  # it had gone before
        elif self.parser.buffered:
            loop.call_soon(lambda: self._hand_over(conn, upgraded))

    def _hand_over(self, conn: Connection, upgraded: Upgraded) -> None:
        """Give the new owner what came with the head of the request."""
        if self.upgraded is not upgraded or not self.parser.buffered or conn.fileno() < 0:
            return  # it has ended, or more has come: this went before it
        try:
            self.feed(conn, b"")
        except Exception as error:
            _log.error("on_data failed, its connection is closed", exc_info=error)
            conn.close()

    @abstractmethod
    def no_longer_left(self) -> None:
        """Tell that the request is not to be answered later any more, if it was."""

    # Ends

    def end(self, conn: Connection) -> None:
        """Close after the last answer; wait for the client if it may still be sending."""
        if self.parser.clean and not self.unannounced:
            if conn.queued:
                conn.pause()  # until `drained`
                return
            if not unread(conn):
                conn.finish()
                return
        self.phase = LINGER
        self.since = self.server.epoll.loop.now
        conn.resume()
        self._shut(conn)

    def finish_idle(self, conn: Connection) -> None:
        """Close a connection that asks for nothing, unless a request is just coming."""
        if not unread(conn):
            conn.finish()

    def peer_left(self, conn: Connection) -> None:
        """The client sends no more: it has gone, or has only shut down its side."""
        if self.stream is not None:
            self.stream.peer_left()
        elif self.deferred is not None and self.deferred.head is self.head:
            self.deferred.peer_left()

    def _shut(self, conn: Connection) -> None:
        if conn.queued:
            return  # until `drained`
        with contextlib.suppress(OSError):  # it has gone already
            conn.shutdown(socket.SHUT_WR)

    def drop(self, conn: Connection, data: bytes) -> None:
        """Take what a refused client still sends, within bounds."""
        self._dropped += len(data)
        if self._dropped > self.server.limits.linger_bytes:
            conn.pause()  # it has until the end of Limits.linger_seconds to read the answer


def unread(conn: Connection) -> bool:
    """Whether bytes have arrived that nobody has read: closing would reset the connection."""
    try:
        # No bytes(4): to find that those cannot be written to takes 6,000 instructions.
        count = bytearray(4)
        fcntl.ioctl(conn.fileno(), termios.FIONREAD, count)
        return any(count)
    except (OSError, ValueError):  # closed already
        return False
