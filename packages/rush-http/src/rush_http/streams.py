"""Streamed answers: written piece by piece, or pulled from an iterator as the client reads.

::

    WAITING ──▶ OPEN ──▶ FINISHED          finish(): the answer is complete
       └──────────┴────▶ LOST              abort(), the client is gone, not what was announced

WAITING: another thread has started it, the server's has not yet begun.  OPEN: pieces go out.
FINISHED and LOST are final.  A stream that is lost before its end takes its connection with it, so
that the client cannot take a part for the whole (RFC 9112, 8): no last chunk, fewer bytes than
announced, or a reset where the body ends with the connection.

Pieces of one turn of the loop are written together, the head with the first of them.
"""

import contextlib
import os
import socket
import struct
import threading
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final

from epollserver import Connection

from .gone import Gone, call
from .grammar import HTTP_1_0
from .phases import ANSWER, TOGETHER_BYTES
from .responses import CLOSE, HeaderLines, framing_line, is_bodiless, stream_start

if TYPE_CHECKING:
    from .exchange import Exchange
    from .head import Head
    from .pull import Pull

WAITING: Final = "waiting"
OPEN: Final = "open"
FINISHED: Final = "finished"
LOST: Final = "lost"

# close(2) sends a reset instead of an end: on, 0 seconds.
_RESET = struct.pack("ii", 1, 0)


class ResponseStream:
    """An answer that is written piece by piece; see `HttpServer.start_stream`.

    `status` has three digits.
    Its methods may be called from any thread, by one at a time.  It is chunked to HTTP/1.1, ends
    with the connection to HTTP/1.0, and has a ``Content-Length`` if `length` was given.  An answer
    that has no body (to HEAD, 204, 205, 304) takes the pieces and drops them.
    """

    __slots__ = (
        "_added_bytes",
        "_announced",
        "_body",
        "_chunked",
        "_condition",
        "_conn",
        "_drain_callbacks",
        "_due",
        "_exchange",
        "_finished",
        "_gone",
        "_left_bytes",
        "_most_bytes",
        "_pending",
        "_pending_bytes",
        "_start",
        "_state",
        "_status",
        "_stopping",
        "_thread",
        "_until_close",
        "_waits",
        "_written_bytes",
        "pull",
    )

    def __init__(
        self,
        conn: Connection,
        request: "Head",
        thread: int,
        status: int,
        headers: HeaderLines,
        content_type: str | None,
        length: int | None,
    ) -> None:
        """Answer `request`; `thread` is the server's.  `ValueError` for what cannot be sent."""
        if length is not None and length < 0:
            raise ValueError(f"length {length} may not be negative")
        self._conn = conn
        self._exchange: Exchange = conn.data
        self._thread = thread
        self._status = status
        self._start = stream_start(status, headers, content_type)
        self._announced = length
        self._state = WAITING
        self._body = request.method != "HEAD" and not is_bodiless(status)
        self._chunked = self._until_close = False
        self._finished = self._waits = False
        self._gone = Gone()
        self._stopping = Gone()
        self._written_bytes = 0  # payload that `write` was given
        self._added_bytes = 0  # of it: what has come to the server's thread
        self._left_bytes = 0  # of that: what has left for the socket
        self._most_bytes: int = self._exchange.server.limits.write_buffer_bytes
        self._pending: list[bytes] = []
        self._pending_bytes = 0
        self._due = False  # writing what is pending
        self.pull: Pull | None = None
        """What feeds this stream, if it is pulled."""
        self._drain_callbacks: list[Callable[[], object]] = []
        self._condition: threading.Condition | None = None

    # Writing

    def write(self, piece: bytes | bytearray | memoryview) -> bool:
        """Send `piece` after those before it; returns whether to write on.

        ``False``: more than ``Limits.write_buffer_bytes`` wait; go on at `on_drain`, or after
        `wait`.  Also when the client is gone: nothing is sent then.  An empty piece is nothing.
        Raises `RuntimeError` after `finish` and `abort`, and `ValueError` for more than the
        announced length; that ends the connection.
        """
        if self._finished:
            raise RuntimeError("this stream is finished: nothing more can be written")
        data = piece if isinstance(piece, bytes) else bytes(memoryview(piece))
        size = len(data)
        if size and self._body and self._state is not LOST:
            written = self._written_bytes + size
            if self._announced is not None and written > self._announced:
                self.abort()
                raise ValueError(f"{written} bytes are more than the {self._announced} announced")
            self._written_bytes = written
            self._in_loop(self._add, data)
        return self._has_room()

    def finish(self) -> None:
        """End the answer: it is complete.  A second call does nothing.

        Raises `ValueError` if it has less than the announced length; that ends the connection.
        """
        if self._finished:
            return
        missing = 0 if self._announced is None else self._announced - self._written_bytes
        if missing and self._body and self._state is not LOST:
            self.abort()
            raise ValueError(f"{missing} of the announced {self._announced} bytes are missing")
        self._finished = True
        self._in_loop(self._finish)

    def abort(self) -> None:
        """End the connection, so that the client notices that the answer is not complete.

        Does nothing after `finish`.
        """
        if not self._finished:
            self._finished = True
            self._in_loop(self._abort)

    # Knowing

    @property
    def gone(self) -> bool:
        """Whether the client has gone, or has said that it sends no more (see `on_gone`)."""
        return bool(self._gone)

    @property
    def connection(self) -> Connection:
        """The connection it is written to."""
        return self._conn

    @property
    def status(self) -> int:
        """The status of the answer."""
        return self._status

    @property
    def sent_bytes(self) -> int:
        """How much of the body has left, without its framing; all of it if it is finished."""
        return self._added_bytes if self._state is FINISHED else self._left_bytes

    def on_drain(self, callback: Callable[[], object]) -> None:
        """Call `callback`, in the server's thread, whenever a `write` was ``False`` and all is out.

        Every callback that was given is called, in order.
        """
        self._drain_callbacks.append(callback)

    def on_gone(self, callback: Callable[[], object]) -> None:
        """Call `callback` once, in the server's thread, if the client goes before `finish`.

        Also if it has only shut down its side, which looks the same at first: it may still read,
        and what is written is sent; and if the answer breaks off because the rest of its request
        is refused.  If it is gone already, `callback` is called soon.
        """
        self._gone.tell(callback, self._exchange.server.epoll.loop)

    def on_stop(self, callback: Callable[[], object]) -> None:
        """Call `callback` once, in the server's thread, if the server stops before `finish`.

        For what would never end by itself: `finish` there, or stopping waits for its grace.  If
        the server is stopping already, `callback` is called soon.
        """
        self._stopping.tell(callback, self._exchange.server.epoll.loop)

    def wait(self, timeout: float | None = None) -> bool:
        """Block until `write` would be ``True`` again; for threads that are not the server's.

        Returns whether to write: ``False`` if the client is gone or `timeout` seconds are over.
        Raises `RuntimeError` in the server's thread: it would wait for itself.
        """
        if threading.get_ident() == self._thread:
            raise RuntimeError("wait() in the server's thread: use on_drain")
        condition = self._condition = self._condition or threading.Condition()
        with condition:
            condition.wait_for(lambda: self._has_room() or self._state is LOST, timeout)
        return self._has_room()

    # From here on: in the server's thread, called by those who make and know streams.

    def begin(self) -> None:
        """Answer the present request with this stream."""
        exchange = self._exchange
        head = exchange.head
        assert head is not None
        if self._conn.fileno() < 0:
            exchange.stream_unheard(self)
            self.lost()
            return
        if self._announced is None and not is_bodiless(self._status):
            self._chunked = head.protocol != HTTP_1_0
            if self._body and not self._chunked:
                self._until_close = True
                exchange.connection_line = CLOSE
        self._state = OPEN
        framing = framing_line(self._status, self._announced, self._chunked)
        self._keep(b"%b%b%b\r\n" % (self._start, exchange.connection_line, framing))
        if exchange.phase is ANSWER:
            # Once more: that the client has left may have been told already, to somebody else.
            self._conn.pause(exchange.peer_left)
        exchange.stream_began(self)
        if exchange.server.draining:
            self.soon(self.server_stops)

    def drained(self) -> None:
        """All that was written to the connection is out."""
        self._left_bytes = self._added_bytes - self._pending_bytes
        self._tell_room()
        if self.pull is not None:
            self.pull.go_on()

    def peer_left(self) -> None:
        """The client sends no more; perhaps it is gone."""
        self._gone.happen()

    def server_stops(self) -> None:
        """The server waits for the end of this answer."""
        if self._state is OPEN:
            self._stopping.happen()

    def cut(self) -> None:
        """The rest of the request was refused: the answer, if it has not ended, breaks off."""
        self._abort()
        self.peer_left()

    def lost(self) -> None:
        """The connection has ended, or the request was answered by somebody else."""
        self._state = LOST
        self._pending.clear()
        self.peer_left()
        self._wake_threads()
        if self.pull is not None:
            self.pull.close()

    @property
    def behind(self) -> bool:
        """Whether the client has to read before more is worth making."""
        return self._conn.queued > 0

    @property
    def ended(self) -> bool:
        """Whether nothing that is written reaches anybody."""
        closed: bool = self._conn.fileno() < 0
        return closed or self._state is LOST

    @property
    def has_body(self) -> bool:
        """Whether what is written is sent."""
        return self._body

    def soon(self, function: Callable[[], object]) -> None:
        """Call `function` in the next turn, when others have had theirs."""
        self._exchange.server.epoll.loop.call_soon(function)

    def _in_loop(self, function: Callable[..., object], *arguments: object) -> None:
        if threading.get_ident() == self._thread:
            function(*arguments)
        else:
            loop = self._exchange.server.epoll.loop
            called = loop.call_soon_threadsafe(partial(function, *arguments))
            if not called and self._state is not FINISHED:
                self.lost()  # the server is closed

    def _has_room(self) -> bool:
        if self._state is LOST:
            return False
        if self._waiting_bytes() < self._most_bytes:
            return True
        # In this order: the server's thread may be sending just now.
        self._waits = True
        return self._waiting_bytes() < self._most_bytes

    def _waiting_bytes(self) -> int:
        return self._written_bytes - self._left_bytes

    def _add(self, data: bytes) -> None:
        if self._state is not OPEN:  # what another thread could not know
            return
        self._added_bytes += len(data)
        if self._chunked:
            data = b"%x\r\n%b\r\n" % (len(data), data)
        self._keep(data)

    def _keep(self, data: bytes) -> None:
        self._pending.append(data)
        self._pending_bytes += len(data)
        if self._pending_bytes >= TOGETHER_BYTES:
            self._flush()
        elif not self._due:
            self._due = True
            self.soon(self._turn_over)

    def _turn_over(self) -> None:
        self._due = False
        self._flush()

    def _flush(self) -> None:
        if not self._pending:
            return
        data = self._pending[0] if len(self._pending) == 1 else b"".join(self._pending)
        self._pending.clear()
        self._pending_bytes = 0
        self._exchange.write(self._conn, data)
        self._left_bytes = max(self._left_bytes, self._added_bytes - self._conn.queued)
        if self._waits:
            self.soon(self._tell_room)

    def _tell_room(self) -> None:
        self._wake_threads()
        if self._waits and not self._finished and not self._conn.queued and not self.ended:
            self._waits = False
            for callback in list(self._drain_callbacks):
                call(callback)

    def _wake_threads(self) -> None:
        if self._condition is not None:
            with self._condition:
                self._condition.notify_all()

    def _finish(self) -> None:
        if self._state is not OPEN:
            return
        self._state = FINISHED
        if self._chunked and self._body:
            self._pending.append(b"0\r\n\r\n")
        self._flush()
        self._exchange.stream_ended(self._conn)

    def _abort(self) -> None:
        if self._state is LOST:
            return
        self._state = LOST
        self._pending.clear()
        self._wake_threads()
        if self.pull is not None:
            self.pull.close()
        self._exchange.stream = None
        self._exchange.write_together(self._conn)  # the answers before it are complete
        if self._until_close and self._conn.fileno() >= 0:
            with contextlib.suppress(OSError):  # it has gone already
                self._conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            # Not close(): over TLS that says close_notify, which would be the answer's proper end.
            os.close(self._conn.detach())
        else:
            self._conn.close()
