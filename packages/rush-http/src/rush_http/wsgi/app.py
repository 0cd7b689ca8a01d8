"""WsgiApp: the callbacks of an `HttpServer` that ask a WSGI application."""

import io
import logging
from collections.abc import Callable
from functools import partial
from types import MappingProxyType
from typing import IO, TYPE_CHECKING, Final

from epollserver import Connection

from ..exchange import Exchange
from ..grammar import HTTP_1_1, Protocol
from ..head import Head
from ..headers import Headers
from ..pool import Pool
from ..uploads import BodyReceiver
from .answer import Application
from .environ import PROTOCOLS, Environ, Environs
from .files import FileWrapper
from .in_thread import InThread
from .input import ArrivingBody, BodyFile, SpooledBody
from .on_loop import OnLoop
from .started import StartedMemo

if TYPE_CHECKING:
    from ..server import HttpServer, OnMessageComplete

BODY_BYTES: Final = 1 << 30
"""The largest body by default: it goes to a file or to who reads it, not into memory."""

_Large = IO[bytes] | ArrivingBody

_log = logging.getLogger("rush_http")


class WsgiApp:
    """Answers the requests of `http_server` from a WSGI application (PEP 3333).

    ``threads=0``: the application runs on the loop.  ``threads=M``: in a pool of M threads; what
    comes while all are busy waits, at most one request of each connection, unread beyond a few
    KiB.  Of one connection requests are answered in order.

    `script_name` is the path below which the application lives (``SCRIPT_NAME``).  `body_bytes` is
    the largest body, in bytes; past it 413.  `environ` is added to each environ.  `install=False`
    leaves the server's callbacks alone: call this object, and `on_head_complete`, from your own.
    `handle` is called when a body that is not small is at hand, by default this object: it may call
    this one, or answer itself.

    A context manager; leaving it ends the threads.  Made before a fork it may be used after it:
    threads are made when they are needed.
    Raises `ValueError` for `threads` below 0, and for a `script_name` that is no path.
    """

    whole_bytes: Final = 16 * 1024
    """A body up to this is taken whole; larger ones, and chunked ones, are streamed or spooled."""

    def __init__(
        self,
        app: Application,
        http_server: "HttpServer",
        threads: int = 0,
        *,
        script_name: str = "",
        multiprocess: bool = True,
        body_bytes: int = BODY_BYTES,
        environ: Environ | MappingProxyType[str, object] = MappingProxyType({}),
        install: bool = True,
        handle: "OnMessageComplete | None" = None,
        on_error: Callable[[], object] | None = None,
    ) -> None:
        if threads < 0:
            raise ValueError(f"threads is {threads!r}: it must be 0 or more")
        if script_name and (not script_name.startswith("/") or script_name.endswith("/")):
            raise ValueError(f"script_name is such as '/shop', not {script_name!r}")
        script_name = script_name.encode().decode("latin-1")  # as PATH_INFO is
        self._app = app
        self._server = http_server
        self._threads = threads
        self._pool: Pool | None = None
        self._due: list[InThread] = []  # requests of this turn, for the pool
        self._body_bytes = body_bytes
        host, port = _name(http_server)
        base = {
            "SERVER_SOFTWARE": "rush-http",
            "SERVER_NAME": host,
            "SERVER_PORT": port,
            "wsgi.url_scheme": "https" if http_server.is_tls else "http",
            "wsgi.multithread": threads > 1,
            "wsgi.multiprocess": multiprocess,
            "wsgi.file_wrapper": FileWrapper,
            **environ,
        }
        self._is_behind = http_server.proxies is not None
        self._environs = Environs(base, script_name, http_server.sender, is_behind=self._is_behind)
        self._script_name = script_name
        self._memo = StartedMemo()
        self._handle = handle or self.__call__
        self._on_error = on_error
        # The input of a request that is being handled, and how many bytes it has.
        self._large: tuple[_Large, int | None] | None = None
        if install:
            http_server.on_message_complete = self.__call__  # bound: 1,200 instructions less
            http_server.on_head_complete = self.on_head_complete
            http_server.unasked_bytes = self.whole_bytes

    def __call__(
        self,
        body: bytes,
        conn: Connection,
        protocol: Protocol,
        method: str,
        path: str,
        query: str,
        headers: Headers,
    ) -> None:
        """Answer one request: ``http_server.on_message_complete``."""
        exchange: Exchange = conn.data
        # What `fields` does, for the headers of the request before.
        if headers is exchange.environ_headers:
            environ: Environ = exchange.environ.copy()
        else:
            environ = self._environs.fields(exchange, headers, conn)
        if self._is_behind:
            told = self._server.forwarded(conn, headers)
            if exchange.origin is None or told is not exchange.origin[0]:  # not as in `fields`
                self._environs.forward(environ, told)
        if self._script_name or not path.isascii():
            path = self._environs.path_info(environ, path)
        environ["REQUEST_METHOD"] = method
        environ["PATH_INFO"] = path
        environ["QUERY_STRING"] = query
        if protocol is not HTTP_1_1:
            environ["SERVER_PROTOCOL"] = PROTOCOLS[protocol]
        large = self._add_body(environ, body) if body or self._large is not None else None
        if self._threads:
            self._submit(conn, environ, large)
            return
        answer = OnLoop()
        answer.environ = environ
        answer.conn = conn
        answer.server = self._server
        answer.memo = self._memo
        answer.body = large
        answer.started = answer.stream = answer.iterable = None
        answer.run(self._app)

    def _add_body(self, environ: Environ, body: bytes) -> _Large | None:
        """Add the input; returns it if it has to be closed."""
        large: _Large | None = None
        size: int | None = len(body)
        if self._large is None:
            environ["wsgi.input"] = io.BytesIO(body)
        else:
            (large, size), self._large = self._large, None
            environ["wsgi.input"] = large
        if size is not None:
            environ["CONTENT_LENGTH"] = str(size)  # also if it was chunked
        return large

    def on_head_complete(self, conn: Connection, head: Head) -> BodyReceiver | None:
        """Take a body that is not small: ``http_server.on_head_complete``."""
        if not head.chunked and head.content_length <= self.whole_bytes:
            return None
        handle = partial(self._handle_large, conn, head)
        if not self._threads:
            return SpooledBody(self._body_bytes, handle)
        reader = BodyFile(self._body_bytes, lambda: handle(ArrivingBody(reader), reader.size))
        if head.expects_continue:
            # Who reads it, asks for it; who refuses, spares the client to send it.
            reader.pause()
            self._server.epoll.loop.call_soon(reader.begin)
        return reader

    def _handle_large(self, conn: Connection, head: Head, body: _Large, size: int | None) -> None:
        """Let a request be handled whose body is at hand as a file."""
        self._large = body, size
        try:
            self._handle(b"", conn, *head.message)
        finally:
            large, self._large = self._large, None
            if large is not None:
                large[0].close()  # somebody else has answered

    def close(self, seconds: float = 0.0) -> None:
        """End the threads; those that are busy have so many `seconds` to end."""
        due, self._due = self._due, []
        for answer in due:  # of a loop that turns no more
            answer.end()
        if self._pool is not None and not self._pool.close(seconds):
            _log.warning("some requests are still with the application: they are left to it")

    def __enter__(self) -> "WsgiApp":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _submit(self, conn: Connection, environ: Environ, body: _Large | None) -> None:
        assert body is None or isinstance(body, ArrivingBody)
        answer = InThread()
        answer.environ = environ
        answer.deferred = self._server.defer(conn)
        answer.memo = self._memo
        answer.on_error = self._tell
        answer.body = answer.arriving = body
        answer.started = answer.stream = answer.iterable = None
        # At the end of this turn: a thread that is woken takes the GIL from the loop at its next
        # system call.  Of 64 connections requests take a third less CPU time so
        # (tests/bench/rush-web/wsgi_servers.py -a threads).
        if not self._due:
            self._server.epoll.loop.call_soon(self._hand_over)
        self._due.append(answer)

    def _hand_over(self) -> None:
        """Give the requests of this turn to the threads."""
        if self._pool is None:
            # One request of each connection is here at most: the others are not read.
            self._pool = Pool(self._threads, self._server.epoll.max_conns)
        due, self._due = self._due, []
        for answer in due:
            if not self._pool.submit(partial(answer.run_safely, self._app)):
                answer.end()
                answer.deferred.respond(b"503 Service Unavailable\n", 503)

    def _tell(self) -> None:
        if self._on_error is not None:
            self._server.epoll.loop.call_soon_threadsafe(self._on_error)


def _name(http_server: "HttpServer") -> tuple[str, str]:
    """SERVER_NAME and SERVER_PORT; a UNIX socket has neither, nor who listens nowhere."""
    try:
        address = http_server.address
    except RuntimeError:
        address = ""
    return (address[0], str(address[1])) if isinstance(address, tuple) else ("localhost", "80")
