"""HttpServer: exchanges on top of EpollServer."""

import signal
import threading
from collections.abc import Callable
from functools import partial

from epollserver import (
    CONNECT,
    DISCONNECT,
    RECEIVE,
    RESPONSE,
    Address,
    Connection,
    EpollServer,
    Reason,
    SendableFile,
    Timer,
)

from .exchange import ANSWER, IDLE, LINGER, Exchange
from .grammar import Protocol
from .headers import Headers
from .limits import Limits
from .memo import Memo
from .responses import TEXT, HeaderLines, render

OnMessageComplete = Callable[[bytes, Connection, Protocol, str, str, str, Headers], object]
"""What `HttpServer` calls: body, conn, protocol, method, path, query, headers."""

# recv(2) of 64 KiB costs the same as of 1 KiB; from 256 KiB on the allocation costs more than it.
_RECEIVE_BYTES = 65536

_SWEEP_SECONDS = 1.0


class HttpServer:
    """Calls back with every complete request; is given the answer with `send`.

    `sock` is what `EpollServer` takes: ``(host, port)``, a UNIX socket's path, a bound socket.
    ``on_message_complete(body, conn, protocol, method, path, query, headers)`` gets the body
    (`bytes`), the `Connection`, ``(1, 1)`` or ``(1, 0)``, the method, the path (percent-decoded),
    the query (raw) and the `Headers`.  It answers by `send` (`respond`, `send_file`), exactly once:
    before it returns, or later; until then the connection's next request waits, while the others
    go on.  If it raises, the client gets the status of the `HttpError`, or 500 with the
    traceback in the log (``rush_http``).

    Raises what `EpollServer` does.  A context manager: leaving it stops the server.
    """

    def __init__(
        self,
        sock: Address,
        max_conns: int = 10_000,
        on_message_complete: OnMessageComplete | None = None,
        *,
        limits: Limits | None = None,
        exclusive: bool = False,
    ) -> None:
        self.limits = limits or Limits()
        self.on_message_complete: OnMessageComplete = on_message_complete or _nobody
        self.epoll = EpollServer(sock, max_conns, exclusive=exclusive)
        """The `EpollServer` below: its address, its loop, more listeners."""
        self._sweeper: Timer | None = None
        # Shared by the exchanges
        self.memo = Memo()
        self.bodies_bytes = 0
        self.draining = False
        # Whether the client's word alone decides if its connection goes on.
        self.client_decides = self.limits.requests is None
        self.epoll.add_handler(self._connected, CONNECT)
        self.epoll.add_handler(self._receive, RECEIVE)
        self.epoll.add_handler(self._drained, RESPONSE)
        self.epoll.add_handler(self._disconnected, DISCONNECT)

    @property
    def address(self) -> tuple[str, int] | str:
        """Where the server listens: host and port, or the path of a UNIX socket."""
        return self.epoll.address

    # Running

    def run(self, threaded: bool = False) -> None:
        """Serve until `stop`; with `threaded`, in a thread of its own, and return at once.

        In the main thread SIGTERM drains the server and SIGINT stops it at once, unless the
        program has set handlers of its own.
        """
        if not threaded and threading.current_thread() is threading.main_thread():
            loop = self.epoll.loop
            if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
                loop.on_signal(signal.SIGTERM, self.stop)
            if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
                loop.on_signal(signal.SIGINT, partial(self.stop, 0))
        self.epoll.start(threaded)

    def stop(self, grace: float = 30.0, *, idle_grace: float = 2.0) -> None:
        """Accept no more, answer what is on its way, then let `run` return.

        What waits in the queue is accepted.  Every further answer says ``Connection: close``.  A
        connection that stays idle is closed after `idle_grace` seconds, so that a request that is
        just coming is not lost; what is left after `grace` seconds is closed then.  A second call
        stops at once.
        From a callback, a signal or another thread.
        """
        self.epoll.loop.call_soon_threadsafe(partial(self._drain, grace, idle_grace))

    def close(self) -> None:
        """Stop at once and close everything, also of a server that never ran.

        Waits for the thread of ``run(threaded=True)``.  Closing twice does nothing.
        """
        self.epoll.close()

    def __enter__(self) -> "HttpServer":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    # Answering

    def send(self, conn: Connection, data: bytes) -> None:
        """Answer with exactly one complete, rendered response; that ends the exchange.

        `data` is never looked into: see `render`.  A client that has gone is not an error.
        Raises `RuntimeError` if no request of `conn` awaits an answer.
        """
        exchange: Exchange = conn.data
        if exchange.head is None:
            raise RuntimeError("no request awaits an answer on this connection")
        exchange.head = None
        if exchange.together is None:
            conn.write(data)
            if exchange.phase is ANSWER:
                exchange.answered(conn)
        else:
            exchange.add(data)

    def send_file(
        self, conn: Connection, head: bytes, file: SendableFile, offset: int, count: int
    ) -> None:
        """Answer with a rendered `head` and `count` bytes of `file` from `offset`, by sendfile(2).

        The connection owns the open `file` from here on, and closes it.
        Raises `RuntimeError` as `send` does, and `ValueError` if `offset` or `count` is negative;
        nothing is sent then, and the file is closed.
        """
        exchange: Exchange = conn.data
        if offset < 0 or count < 0:
            file.close()
            raise ValueError(f"offset {offset}, count {count}: neither may be negative")
        if exchange.head is None:
            file.close()
            raise RuntimeError("no request awaits an answer on this connection")
        exchange.head = None
        if exchange.together is not None:
            exchange.write_together(conn)
        conn.write(head)
        conn.sendfile(file, offset, count)
        if exchange.phase is ANSWER:
            exchange.answered(conn)

    def respond(
        self,
        conn: Connection,
        body: bytes,
        status: int = 200,
        headers: HeaderLines = (),
        *,
        content_type: str | None = TEXT,
    ) -> None:
        """Render an answer as the present request needs it (HEAD, ``Connection``), and `send` it.

        Raises `ValueError` for what cannot be sent (see `render`); nothing is sent then.
        """
        exchange: Exchange = conn.data
        if exchange.head is None:
            raise RuntimeError("no request awaits an answer on this connection")
        data = render(
            status,
            body,
            headers,
            content_type=content_type,
            connection_line=exchange.connection_line,
            head_only=exchange.head.method == "HEAD",
        )
        self.send(conn, data)

    # What the connections do

    def _connected(self, conn: Connection) -> None:
        conn.data = Exchange(self)
        if self._sweeper is None:
            self._sweeper = self.epoll.loop.call_later(_SWEEP_SECONDS, self._sweep)

    def _receive(self, conn: Connection) -> None:
        data = conn.recv(_RECEIVE_BYTES)
        exchange: Exchange = conn.data
        if exchange.phase is IDLE:
            # The short way: the request before, again.  `feed` is its plain twin.
            head = exchange.parser.whole(data)
            if head is not None:
                exchange.dispatch(conn, head, b"")
                return
        if data:
            exchange.feed(conn, data)

    def _drained(self, conn: Connection) -> None:
        conn.data.drained(conn)

    def _disconnected(self, conn: Connection, reason: Reason) -> None:
        conn.data.release()
        if self.draining and not self.epoll.connections:
            self.epoll.stop()

    # Time

    def _sweep(self) -> None:
        """Find the connections that are late: no request pays for that."""
        loop, connections = self.epoll.loop, self.epoll.connections
        # First of all: if a check failed, there would be no limits from then on.
        self._sweeper = loop.call_later(_SWEEP_SECONDS, self._sweep) if connections else None
        for conn in list(connections):
            conn.data.check(conn, loop.now)

    def _drain(self, grace: float, idle_grace: float) -> None:
        if self.draining or grace <= 0:
            self.epoll.stop()
            return
        self.draining = True
        self.client_decides = False
        self.epoll.unlisten(accept_waiting=True)
        if not self.epoll.connections:
            self.epoll.stop()
            return
        for conn in self.epoll.connections:
            conn.data.drain()
        self.epoll.loop.call_later(min(idle_grace, grace), self._close_idle)
        self.epoll.loop.call_later(grace, self.epoll.stop)

    def _close_idle(self) -> None:
        """Close what asks for nothing."""
        for conn in list(self.epoll.connections):
            if conn.data.phase in (IDLE, LINGER):
                conn.finish()


def _nobody(*message: object) -> None:
    raise RuntimeError("this HttpServer has no on_message_complete: set it before run()")
