"""HttpServer: exchanges on top of EpollServer."""

import logging
import signal
import threading
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from epollserver import (
    CONNECT,
    DATA,
    DISCONNECT,
    RESPONSE,
    Address,
    Connection,
    EpollServer,
    Reason,
    Timer,
)

from .answers import Answers
from .exchange import Exchange
from .forwarded import Forwarded
from .grammar import Protocol
from .head import Head
from .headers import Headers
from .limits import Limits
from .memo import Memo
from .origins import origin_of, origin_told, preambles
from .peer import Peer, peer_of
from .phases import IDLE, LINGER
from .proxies import TrustedProxies
from .uploads import BodyReceiver

if TYPE_CHECKING:
    import ssl

OnMessageComplete = Callable[[bytes, Connection, Protocol, str, str, str, Headers], object]
"""What `HttpServer` calls: body, conn, protocol, method, path, query, headers."""

OnHeadComplete = Callable[[Connection, Head], BodyReceiver | int | None]
"""What `HttpServer` asks about a body, when its head is complete: conn, head."""

# How often the late are looked for; sooner if a limit is shorter than that.
_SWEEP_SECONDS = 1.0
_LEAST_SWEEP_SECONDS = 0.05

_log = logging.getLogger("rush_http")


class HttpServer(Answers):
    """Calls back with every complete request; is given the answer with `send`.

    `sock` is what `EpollServer` takes: ``(host, port)``, a UNIX socket's path, a bound socket, or
    ``None``: what is served comes by ``epoll.adopt``.  `max_conns` connections are served at a
    time, the next ones wait in the kernel's queue; `limits` say what a client may do.
    ``on_message_complete(body, conn, protocol, method, path, query, headers)`` gets the body
    (`bytes`), the `Connection`, ``(1, 1)`` or ``(1, 0)``, the method, the path (percent-decoded),
    the query (raw) and the `Headers`.  It answers by `send` (`respond`, `send_file`, `stream` ...),
    exactly once: before it returns, or later (`defer`); until then the connection's next request
    waits, while the others go on.  If it raises, the client gets the status of the `HttpError`, or
    500 with the traceback in the log (``rush_http``).

    ``on_head_complete(conn, head)`` is asked about every request that has a body, before that is
    read.  It returns a `BodyReceiver`, which gets the body in pieces; or ``None``, and
    ``on_message_complete`` gets it whole; or a number, which is how many bytes it may have then, in
    place of ``Limits.body_bytes``; or it answers at once (also by raising an `HttpError`), and what
    comes of the body is dropped.

    `ssl_context` (`ssl.SSLContext`): speak TLS; nothing else changes.  `proxies`: whose word
    counts on who a client is, see `forwarded`; nobody's, if not said.  `exclusive`: see
    `EpollServer`.

    Raises what `EpollServer` does.  A context manager: leaving it stops the server.
    """

    exchange_class: type[Exchange] = Exchange

    def __init__(
        self,
        sock: Address | None,
        max_conns: int = 10_000,
        on_message_complete: OnMessageComplete | None = None,
        *,
        on_head_complete: OnHeadComplete | None = None,
        limits: Limits | None = None,
        ssl_context: "ssl.SSLContext | None" = None,
        proxies: TrustedProxies | None = None,
        exclusive: bool = False,
    ) -> None:
        self.limits = limits = limits or Limits()
        self.on_message_complete: OnMessageComplete = on_message_complete or _nobody
        self.on_head_complete = on_head_complete
        self.unasked_bytes = 0
        """`on_head_complete` is not asked about bodies up to this, if their length is announced:
        they come whole."""
        self.epoll = EpollServer(
            sock,
            max_conns,
            exclusive=exclusive,
            high_water=limits.write_buffer_bytes,
            ssl_context=ssl_context,
            handshake_seconds=limits.handshake_seconds,
            preamble=None if proxies is None else preambles(proxies),
            preamble_seconds=limits.head_seconds,
        )
        """The `EpollServer` below: its address, its loop, more listeners."""
        self._loop = self.epoll.loop
        self._is_tls = ssl_context is not None
        self.proxies = proxies
        """Whose word counts on who a client is."""
        self.on_sweep: Callable[[], object] | None = None
        """Called about once a second while there are connections, and after the last has gone."""
        self.on_later: Callable[[Exchange, Head | None], object] | None = None
        """Called with a request that is left to be answered later; with ``None`` when that is over:
        its answer has come, or begun as a stream, or the client has gone."""
        self._sweeper: Timer | None = None
        self._sweep_seconds = max(_LEAST_SWEEP_SECONDS, min(_SWEEP_SECONDS, limits.least_seconds))
        # Shared by the exchanges
        self.memo = Memo()
        self.bodies_bytes = 0
        self.draining = False
        self.idle_seconds = limits.idle_seconds
        # Whether the client's word alone decides if its connection goes on.
        self.client_decides = self.limits.requests is None
        self.epoll.add_handler(self._connected, CONNECT)
        self.epoll.add_handler(self.exchange_class.receive, DATA)
        self.epoll.add_handler(self._drained, RESPONSE)
        self.epoll.add_handler(self._disconnected, DISCONNECT)

    @property
    def address(self) -> tuple[str, int] | str:
        """Where the server listens: host and port, or the path of a UNIX socket."""
        return self.epoll.address

    @property
    def is_tls(self) -> bool:
        """Whether the connections speak TLS."""
        return self._is_tls

    def peer(self, conn: Connection) -> Peer | None:
        """The address of a client; ``None`` over a UNIX socket, and of one that has gone.

        Asked of the kernel once for a connection.  Behind a proxy it is the proxy's, unless that
        has told another by the PROXY protocol; see `forwarded`.
        """
        exchange: Exchange = conn.data
        peer = exchange.peer
        if peer is None:
            peer = exchange.peer = peer_of(conn) or False
        return peer or None

    def sender(self, conn: Connection) -> Forwarded:
        """Who sends what comes by a connection, whatever headers say; the host is ``None``.

        The peer, unless a trusted proxy has told another by the PROXY protocol.
        """
        exchange: Exchange = conn.data
        origin = exchange.origin
        if origin is None:
            origin = exchange.origin = origin_of(self, conn)
        return origin[0]

    def forwarded(self, conn: Connection, headers: Headers) -> Forwarded:
        """For whom a request with these `headers` was sent: client, scheme and host.

        Of a connection that no trusted proxy has sent, the headers are not looked at: it is the
        `sender` then.
        """
        exchange: Exchange = conn.data
        origin = exchange.origin
        if origin is None:
            origin = exchange.origin = origin_of(self, conn)
        sender, is_believed = origin
        if not is_believed or self.proxies is None:
            return sender
        return self.proxies.forwarded(headers, sender)

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
        connection that stays idle, or in its TLS handshake, is closed after `idle_grace` seconds,
        so that a request that is just coming is not lost; what is left after `grace` seconds is
        closed then.  A second call stops at once.
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

    # What the connections do

    def _connected(self, conn: Connection) -> None:
        header = conn.data
        conn.data = self.exchange_class(self)
        if header is not None:
            origin_told(self, conn, header)
        if self._sweeper is None:
            self._sweeper = self.epoll.loop.call_later(self._sweep_seconds, self._sweep)

    def _drained(self, conn: Connection) -> None:
        conn.data.drained(conn)

    def _disconnected(self, conn: Connection, reason: Reason) -> None:
        try:
            conn.data.gone(reason)
        except Exception:
            _log.exception("a callback for a connection that has gone failed")

    # Time

    def _sweep(self) -> None:
        """Find the connections that are late: no request pays for that."""
        loop, connections = self.epoll.loop, self.epoll.connections
        # First of all: if a check failed, there would be no limits from then on.
        again = self._sweep_seconds
        self._sweeper = loop.call_later(again, self._sweep) if connections else None
        self.epoll.check_descriptors()
        for conn in list(connections):
            conn.data.check(conn, loop.now)
        if self.on_sweep is not None:
            self.on_sweep()

    def _drain(self, grace: float, idle_grace: float) -> None:
        if self.draining or grace <= 0:
            self.epoll.stop()
            return
        self.draining = True
        self.client_decides = False
        # For those whose answers end later than that: the sweep closes them.
        self.idle_seconds = min(self.idle_seconds, idle_grace)
        self.epoll.unlisten(accept_waiting=True)  # now, not in the turn of the stop() below
        for conn in list(self.epoll.connections):
            conn.data.drain()
        self.epoll.loop.call_later(min(idle_grace, grace), self._close_idle)
        self.epoll.stop(grace)

    def _close_idle(self) -> None:
        """Close what asks for nothing."""
        for conn in list(self.epoll.entering):
            conn.close()
        for conn in list(self.epoll.connections):
            exchange: Exchange = conn.data
            if exchange.phase in (IDLE, LINGER):
                if conn.partial_since is None:  # else a request may be in that record
                    exchange.finish_idle(conn)
            elif exchange.upgraded is not None and exchange.upgraded.on_stop is None:
                conn.finish()


def _nobody(*message: object) -> None:
    raise RuntimeError("this HttpServer has no on_message_complete: set it before run()")
