"""WsgiApp: the callbacks of an `HttpServer` that ask a WSGI application."""

import io
import logging
from collections.abc import Callable
from functools import partial
from types import MappingProxyType
from typing import IO, TYPE_CHECKING, Final, cast

from epollserver import Connection

from ..grammar import Protocol
from ..head import Head
from ..headers import Headers
from ..pool import Pool
from ..shapes import Shapes
from ..uploads import BodyReceiver
from .answer import Application, SupportsClose
from .asking import asking
from .environ import Environ, Environs
from .files import FileWrapper
from .in_thread import InThread
from .input import ArrivingBody, BodyFile, SpooledBody
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
        self._on_error = on_error
        self.on_submit: Callable[[Pool], object] | None = None
        """Called when requests have been given to the pool: for who looks at what runs there."""
        # The input of a request that is being handled, and how many bytes it has, or nothing.
        self._larges: list[tuple[_Large, int | None]] = []
        http_server.memo.shapes = Shapes(trimmed=True)
        is_behind = http_server.proxies is not None
        environs = Environs(base, script_name, http_server.sender, is_behind=is_behind)
        self._memo = StartedMemo()
        submit = self._submit if threads else None
        self.ask: OnMessageComplete = asking(
            *(app, http_server, environs, self._memo, script_name),
            *(self._add_body, self._larges, submit),
        )
        """What calling this object does, with a call less."""
        self._handle = handle or self.ask
        if install:
            http_server.on_message_complete = self.ask
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
        self.ask(body, conn, protocol, method, path, query, headers)

    def _add_body(self, environ: Environ, body: bytes) -> _Large | None:
        """Add the input; returns it if it has to be closed."""
        large: _Large | None = None
        size: int | None = len(body)
        if self._larges:
            large, size = self._larges.pop()
            environ["wsgi.input"] = large
        else:
            environ["wsgi.input"] = io.BytesIO(body)
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
        self._larges.append((body, size))
        try:
            self._handle(b"", conn, *head.message)
        finally:
            if self._larges:
                self._larges.pop()[0].close()  # somebody else has answered

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

    def _submit(self, conn: Connection, environ: Environ, body: SupportsClose | None) -> None:
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
        if self.on_submit is not None:
            self.on_submit(self._pool)

    def _tell(self) -> None:
        if self._on_error is not None:
            self._server.epoll.loop.call_soon_threadsafe(self._on_error)


def asked_of(task: Callable[[], object]) -> str:
    """What a task of the pool that `WsgiApp.on_submit` tells of answers, in words for a log."""
    answer: InThread = cast("partial[None]", task).func.__self__  # type: ignore[attr-defined]
    head = answer.deferred.head
    return f"the application for {head.method} {head.path!r:.200}"


def _name(http_server: "HttpServer") -> tuple[str, str]:
    """SERVER_NAME and SERVER_PORT; a UNIX socket has neither, nor who listens nowhere."""
    try:
        address = http_server.address
    except RuntimeError:
        address = ""
    return (address[0], str(address[1])) if isinstance(address, tuple) else ("localhost", "80")
