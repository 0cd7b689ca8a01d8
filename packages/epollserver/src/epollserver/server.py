"""EpollServer: connections come and go, and four handlers are called."""

import contextlib
import functools
import logging
import signal
import socket
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, TypeVar, overload

from .addresses import Address
from .checks import check_counts, check_event, check_seconds
from .connection import Connection
from .descriptors import DescriptorLost
from .events import DataHandler, DisconnectHandler, Event, Handler, Reason
from .kinds import connection_class
from .listeners import Kind, Listeners
from .loop import READ, Loop
from .preambles import MakePreamble, begin
from .states import CLOSED
from .timeouts import Sweeper, TimeLimits

if TYPE_CHECKING:
    import ssl

_log = logging.getLogger("epollserver")

# The reasons for which recv() closes a connection and raises.
_LOST = {Reason.RESET, Reason.TIMEOUT, Reason.ERROR}

_H = TypeVar("_H", bound=Handler)
_D = TypeVar("_D", bound=DisconnectHandler)
_R = TypeVar("_R", bound=DataHandler)


class EpollServer:
    """A TCP or UNIX server that calls your handlers.

    `address` is ``(host, port)`` (port 0: any free one, see `address`), the path of a UNIX socket,
    or a socket that is bound already; `listen` adds more.  ``None`` listens nowhere: what is served
    comes by `adopt`.
    `max_conns` connections are served at a time; the next ones wait in the kernel's queue, which
    holds `backlog` of them.
    `high_water` is how many unsent bytes of a connection stop the reading from it; a writer that
    goes on, past `max_queued` bytes in memory, costs the connection.
    `idle_seconds`, `drain_seconds`: the time limits that connections begin with, see `Connection`.
    `ssl_context`: speak TLS, with `TlsConnection`; a client has `handshake_seconds` to begin.
    ``preamble(conn)`` makes what reads the first bytes of each connection (see `Preamble`), which
    are to come within `preamble_seconds`.
    `exclusive`: of several processes that wait on the same socket, one is woken for a connection
    (``EPOLLEXCLUSIVE``).  `reuse_port`: ``SO_REUSEPORT`` for the sockets opened here.

    Raises `ValueError` or `TypeError` for arguments that make no sense, and `OSError` as bind(2)
    does; nothing is left open then.  Sockets that the server opened it closes; one that was
    given stays the caller's.  A context manager: leaving it stops the server and waits for it.
    """

    stopping = False
    """Whether `stop` with a grace was called: time for connections to come to an end."""

    _on_connect: Handler | None = None
    _on_response: Handler | None = None
    _on_disconnect: DisconnectHandler | None = None
    _on_data: DataHandler | None = None  # instead of _on_receive
    _started = False
    _serving = False
    _thread: threading.Thread | None = None

    def __init__(
        self,
        address: Address | None,
        max_conns: int = 10_000,
        *,
        backlog: int = 1024,
        high_water: int = 256 * 1024,
        max_queued: int = 64 * 1024 * 1024,
        idle_seconds: float | None = None,
        drain_seconds: float | None = None,
        ssl_context: "ssl.SSLContext | None" = None,
        handshake_seconds: float = 10.0,
        preamble: MakePreamble | None = None,
        preamble_seconds: float = 10.0,
        exclusive: bool = False,
        reuse_port: bool = False,
    ) -> None:
        check_counts(max_conns=max_conns, backlog=backlog)
        check_counts(high_water=high_water, max_queued=max_queued)
        check_seconds(idle_seconds=idle_seconds, drain_seconds=drain_seconds)
        check_seconds(handshake_seconds=handshake_seconds, preamble_seconds=preamble_seconds)
        self.max_conns = max_conns
        self.high_water = high_water
        self.max_queued = max_queued
        self.idle_seconds = idle_seconds
        self.drain_seconds = drain_seconds
        self._ssl_context = ssl_context
        self._handshake_seconds = handshake_seconds
        self._preamble = preamble
        self._preamble_seconds = preamble_seconds
        self._new = connection_class(ssl_context)
        self.loop = Loop()
        """The server's `Loop`: timers, signals, other descriptors."""
        self.connections: set[Connection] = set()
        """The connections that are served now.  Go through a copy: a `write` that finds its
        peer gone removes one."""
        self.entering: set[Connection] = set()
        """The connections that are in their preamble, or in their TLS handshake."""
        self._leaving: dict[Connection, Reason] = {}  # closed, DISCONNECT is due
        self._on_receive: Handler = _nobody
        self._sweeper = Sweeper(self.loop, lambda: self.connections)
        self._listeners = Listeners(
            self.loop,
            self._room,
            self._serve_descriptor,
            backlog=backlog,
            exclusive=exclusive,
            reuse_port=reuse_port,
        )
        try:
            if address is not None:
                self.listen(address)
        except BaseException:
            self.loop.close()
            raise

    # Handlers

    @overload
    def add_handler(
        self, handler: DisconnectHandler, on_event: Literal[Event.DISCONNECT]
    ) -> None: ...

    @overload
    def add_handler(self, handler: DataHandler, on_event: Literal[Event.DATA]) -> None: ...

    @overload
    def add_handler(
        self, handler: Handler, on_event: Literal[Event.CONNECT, Event.RECEIVE, Event.RESPONSE]
    ) -> None: ...

    def add_handler(self, handler: Callable[..., object], on_event: Event) -> None:
        """Call `handler` when `on_event` happens, instead of the one that was there.

        ``CONNECT``: ``handler(conn)``; a handler that returns ``False`` refuses the connection,
        which is closed; what it wrote before is sent as far as the socket takes it at once.
        ``RECEIVE``: ``handler(conn)``; there is something to read, be it the end.
        ``DATA``: ``handler(conn, data)``; instead of ``RECEIVE``: up to 64 KiB of what has arrived,
        or ``b""`` for the end.  Of these two the one that was added last is called.
        ``RESPONSE``: ``handler(conn)``; what a `Connection.write` had to keep is out.
        ``DISCONNECT``: ``handler(conn, reason)``; once per connection that was not refused. The
        socket is closed already; ``conn.data`` is still there.

        A handler that raises costs its connection; the traceback is logged.
        Raises `TypeError` if `handler` cannot be called and `ValueError` for another event.
        """
        if not callable(handler):
            raise TypeError(f"a handler must be callable, not {handler!r:.80}")
        check_event(on_event)
        setattr(self, f"_on_{on_event.value}", handler)  # _on_connect, _on_receive, ...
        if on_event is Event.RECEIVE:
            self._on_data = None

    @overload
    def handler(self, on_event: Literal[Event.DISCONNECT]) -> Callable[[_D], _D]: ...

    @overload
    def handler(self, on_event: Literal[Event.DATA]) -> Callable[[_R], _R]: ...

    @overload
    def handler(
        self, on_event: Literal[Event.CONNECT, Event.RECEIVE, Event.RESPONSE]
    ) -> Callable[[_H], _H]: ...

    def handler(
        self, on_event: Event
    ) -> Callable[[_H], _H] | Callable[[_D], _D] | Callable[[_R], _R]:
        """`add_handler` as a decorator: ``@server.handler(on_event=RECEIVE)``."""
        check_event(on_event)

        def register(handler: _H) -> _H:
            self.add_handler(handler, on_event)  # type: ignore[call-overload]
            return handler

        return register

    # Listening

    @property
    def address(self) -> tuple[str, int] | str:
        """Where the first listener listens: host and port, or the path of a UNIX socket."""
        return self._listeners.address()

    def listen(self, address: Address) -> socket.socket:
        """Accept connections there as well; returns the listening socket.

        Raises as the constructor does; what was listened to before goes on.
        """
        return self._listeners.add(address)

    def unlisten(self, sock: socket.socket | None = None, *, accept_waiting: bool = False) -> None:
        """Accept no more from `sock`, or (``None``) from any listener; connections go on.

        With `accept_waiting`, what waits in its queue is accepted first, as far as `max_conns`
        allows: when the last descriptor of a listener is closed, that would be reset.
        A listener that the server opened is closed.
        Raises `ValueError` if `sock` is not one of its listeners.
        """
        if accept_waiting:
            self._listeners.take_waiting(sock)
        if sock is None:
            self._listeners.clear()
        else:
            self._listeners.remove(sock)

    def adopt(self, sock: socket.socket) -> Connection:
        """Serve a connected socket as if it had been accepted; returns its `Connection`.

        The descriptor is taken over: `sock` is empty afterwards.  For `socket.socketpair` in
        tests, and for descriptors that come from elsewhere.  It counts for `max_conns`, and is
        served also if that many are there already.
        """
        kind = sock.family, sock.type, sock.proto
        return self._serve_descriptor(sock.detach(), kind)

    def check_descriptors(self) -> None:
        """Raise `DescriptorLost` if the loop's descriptors, or a listener's, were closed by others.

        Connections are not looked at: there may be many, and a lost one is met when it is used.
        """
        self.loop.check_own()
        self._listeners.check()

    def _serve_descriptor(self, fd: int, kind: Kind) -> Connection:
        conn = self._new(self, fd, kind)
        try:
            self.loop.watch(fd, READ, conn._ready)
        except ValueError as error:  # another connection has had this number
            socket.socket.close(conn)
            raise DescriptorLost(fd, "a connection") from error
        except BaseException:
            socket.socket.close(conn)
            raise
        begin(self, conn)
        return conn

    def _room(self) -> int:
        return self.max_conns - len(self.connections) - len(self.entering)

    def _enter(self, conn: Connection) -> None:
        """Serve a connection from now on: the owner is told."""
        self.entering.discard(conn)
        self.connections.add(conn)
        if self._on_connect is not None and self._call(self._on_connect, conn) is False:
            self.connections.discard(conn)
            self._leaving.pop(conn, None)  # if the handler has closed it as well
            conn.close()

    # Running

    def start(self, threaded: bool = False) -> None:
        """Serve until `stop`; with `threaded`, in a thread of its own, and return at once.

        In the main thread SIGINT and SIGTERM stop the server, unless the program has set
        handlers of its own; `threaded` touches no signals.
        Raises `RuntimeError` if there is no handler for ``RECEIVE`` or ``DATA``, when called twice,
        and with `threaded` if `Loop.on_signal` is in use: only the main thread can put that back.
        """
        if self._on_receive is _nobody and self._on_data is None:
            words = "nobody would read: add a handler for RECEIVE or DATA before start()"
            raise RuntimeError(words)
        if self._started:
            raise RuntimeError("this server was started or closed already: make another")
        if threaded and self.loop._signals is not None:
            raise RuntimeError("threaded=True and on_signal() exclude each other")
        self._started = self._serving = True
        if threaded:
            self._thread = threading.Thread(target=self._serve, name="epollserver", daemon=True)
            self._thread.start()
        else:
            self._serve(signals=threading.current_thread() is threading.main_thread())

    def stop(self, grace: float = 0.0) -> None:
        """Close everything and let `start` return; ``DISCONNECT`` fires for every connection.

        With `grace`, accept no more (after those that wait already, as far as `max_conns` allows),
        and let the connections end by themselves for so many seconds; handlers see `stopping`.
        What is left is closed then.  A second call closes it now.
        From a handler, a signal or another thread.
        """
        if grace > 0:
            self.loop.call_soon_threadsafe(functools.partial(self._wind_down, grace))
        else:
            self.loop.stop()

    def close(self) -> None:
        """Stop and close everything; of a server that was never started, too.

        Waits for the thread of ``start(threaded=True)``.  A server that is serving in this thread
        (a handler closes it) or in the caller's own one is told to stop, as by `stop`.
        Closing twice does nothing.
        """
        self.stop()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()
        if not self._serving:
            self._close()

    def _close(self) -> None:
        self._started = True  # and over
        self._listeners.clear()
        for conn in [*self.connections, *self.entering]:
            with contextlib.suppress(DescriptorLost):  # told already, or over anyway
                conn._end(Reason.SERVER_STOP)
        self.loop.last_calls()  # the last DISCONNECTs, and what other threads have asked for
        self.loop.close()

    def __enter__(self) -> "EpollServer":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _serve(self, signals: bool = False) -> None:
        try:
            if signals:
                for signum in (signal.SIGINT, signal.SIGTERM):
                    if signal.getsignal(signum) in (signal.default_int_handler, signal.SIG_DFL):
                        self.loop.on_signal(signum, self.stop)
            self._listeners.resume()
            self.loop.run()
        finally:
            self._close()
            self._serving = False

    def _wind_down(self, grace: float) -> None:
        if self.stopping:
            self.loop.stop()
            return
        self.unlisten(accept_waiting=True)
        self.stopping = True
        self.loop.call_later(grace, self.loop.stop)
        self._stop_if_alone()

    def _stop_if_alone(self) -> None:
        if self.stopping and not self.connections and not self.entering:
            self.loop.stop()

    # Called by connections

    def _time_limits(
        self, idle_seconds: float | None, drain_seconds: float | None
    ) -> TimeLimits | None:
        if idle_seconds is None and drain_seconds is None:
            return None
        self._sweeper.start()
        return TimeLimits(idle_seconds, drain_seconds)

    def _call(self, handler: Handler, conn: Connection) -> object:
        """Call a handler that may fail; what it returns, or ``None`` then."""
        try:
            return handler(conn)
        except Exception as error:
            self._failed(conn, error)
        return None

    def _failed(self, conn: Connection, error: Exception) -> None:
        """Log what a handler has raised, and close its connection."""
        if isinstance(error, OSError) and conn._state is CLOSED and conn._reason in _LOST:
            # Its own recv() met a broken connection, and closed it: nothing went wrong here.
            _log.debug("connection lost: %s", error)
        else:
            _log.error("a handler failed, its connection is closed", exc_info=error)
            conn._end(Reason.ERROR)

    def _left(self, conn: Connection, reason: Reason) -> None:
        """Count one less; tell the owner at the end of this turn, when no handler is at work."""
        if conn in self.connections:
            self.connections.discard(conn)
            if not self._leaving:
                self.loop.call_soon(self._say_goodbye)
            self._leaving[conn] = reason
        self.entering.discard(conn)
        self._listeners.resume()
        self._stop_if_alone()

    def _say_goodbye(self) -> None:
        leaving, self._leaving = self._leaving, {}
        if self._on_disconnect is None:
            return
        for conn, reason in leaving.items():
            try:
                self._on_disconnect(conn, reason)
            except Exception:
                _log.exception("the handler for DISCONNECT failed")


def _nobody(conn: Connection) -> None:
    """Stand where the handler for ``RECEIVE`` will be."""
