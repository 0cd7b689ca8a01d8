"""WsgiApp: the callbacks of an `HttpServer` that ask a WSGI application."""

import io
import logging
from collections.abc import Iterable, Iterator
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from epollserver import Connection, SendableFile

from ..deferred import Deferred
from ..errors import ServiceUnavailable
from ..grammar import Protocol
from ..head import Head
from ..headers import Headers
from ..pool import Pool
from ..streams import ResponseStream
from ..uploads import BodyReceiver
from .answer import Answer, Application
from .environ import Environ, Environs
from .files import FileWrapper
from .input import BodyFile, SpooledBody

if TYPE_CHECKING:
    from tempfile import SpooledTemporaryFile

    from ..server import HttpServer

WHOLE_BYTES: Final = 16 * 1024
"""A body up to this is taken whole; larger ones, and chunked ones, are streamed or spooled."""

BODY_BYTES: Final = 1 << 30
"""The largest body by default: it goes to a file or to who reads it, not into memory."""

_log = logging.getLogger("rush_http")


class WsgiApp:
    """Answers the requests of `http_server` from a WSGI application (PEP 3333).

    ``threads=0``: the application runs on the loop.  ``threads=M``: in a pool of M threads; what
    comes while all are busy waits, at most one request of each connection, unread beyond a few
    KiB.  Of one connection requests are answered in order.

    `script_name` is the path below which the application lives (``SCRIPT_NAME``).  `body_bytes` is
    the largest body; past it 413.  `environ` is added to each environ.  `install=False` leaves the
    server's callbacks alone: call this object, and `on_head_complete`, from your own.

    A context manager; leaving it ends the threads.  Made before a fork it may be used after it:
    threads are made when they are needed.
    """

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
    ) -> None:
        if threads < 0:
            raise ValueError(f"threads is {threads!r}: it must be 0 or more")
        if script_name and (not script_name.startswith("/") or script_name.endswith("/")):
            raise ValueError(f"script_name is such as '/shop', not {script_name!r}")
        self._app = app
        self._server = http_server
        self._threads = threads
        self._pool: Pool | None = None
        self._body_bytes = body_bytes
        host, port = _name(http_server.address)
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
        self._environs = Environs(base, script_name)
        if install:
            http_server.on_message_complete = self
            http_server.on_head_complete = self.on_head_complete

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
        peer = self._server.peer(conn)
        environ = self._environs.environ(protocol, method, path, query, headers, peer)
        if body:
            environ["CONTENT_LENGTH"] = str(len(body))  # also if it was chunked
        if self._threads:
            self._submit(_InThread(environ, io.BytesIO(body), self._server.defer(conn)))
        else:
            _OnLoop(environ, io.BytesIO(body), self._server, conn).run(self._app)

    def on_head_complete(self, conn: Connection, head: Head) -> BodyReceiver | None:
        """Take a body that is not small: ``http_server.on_head_complete``."""
        if not head.chunked and head.content_length <= WHOLE_BYTES:
            return None
        peer = self._server.peer(conn)
        environ = self._environs.environ(*head.message, peer)
        if self._threads:
            deferred = self._server.defer(conn)

            def start() -> None:
                self._submit(_InThread(environ, _Buffered(reader), deferred))

            reader = BodyFile(self._body_bytes, start)
            return reader

        def run(file: "SpooledTemporaryFile[bytes]") -> None:
            _OnLoop(environ, file, self._server, conn).run(self._app)

        return SpooledBody(self._body_bytes, run)

    def close(self, seconds: float = 0.0) -> None:
        """End the threads; those that are busy have so many `seconds` to end."""
        if self._pool is not None and not self._pool.close(seconds):
            _log.warning("some requests are still with the application: they are left to it")

    def __enter__(self) -> "WsgiApp":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _submit(self, answer: "_InThread") -> None:
        if self._pool is None:
            # One request of each connection is here at most: the others are not read.
            self._pool = Pool(self._threads, self._server.epoll.max_conns)
        if not self._pool.submit(partial(answer.run_safely, self._app)):
            answer.end()
            raise ServiceUnavailable("the application is ending")


class _OnLoop(Answer):
    """An answer in the server's thread."""

    __slots__ = ("_conn", "_server")

    def __init__(
        self, environ: Environ, body: object, server: "HttpServer", conn: Connection
    ) -> None:
        super().__init__(environ, body)
        self._server = server
        self._conn = conn

    def respond(self, body: bytes) -> None:
        self._server.respond(
            self._conn, body, self.status, self.headers, content_type=self.content_type
        )

    def respond_file(self, file: SendableFile, offset: int, count: int) -> None:
        self._server.respond_file(
            self._conn,
            *(file, offset, count, self.status, self.headers),
            content_type=self.content_type,
        )

    def open_stream(self) -> ResponseStream:
        return self._server.start_stream(
            self._conn,
            *(self.status, self.headers),
            content_type=self.content_type,
            length=self.length,
        )

    def send_pieces(self, pieces: Iterator[bytes]) -> None:
        if self.stream is None:
            self._server.stream(
                self._conn,
                _Closing(pieces, self),
                *(self.status, self.headers),
                content_type=self.content_type,
                length=self.length,
            )
            return
        for piece in pieces:  # after write(): there is nobody to wait for
            self.stream.write(piece)
        self.stream.finish()
        self.end()


class _InThread(Answer):
    """An answer in a thread of the pool, which may wait for the client."""

    __slots__ = ("_deferred",)

    def __init__(self, environ: Environ, body: object, deferred: Deferred) -> None:
        super().__init__(environ, body)
        self._deferred = deferred

    def run_safely(self, app: Application) -> None:
        """As `run`; what it raises is logged, and answered with 500."""
        try:
            self.run(app)
        except ConnectionError as error:
            if not self._deferred.gone:
                self._failed(error)
        except Exception as error:
            self._failed(error)

    def _failed(self, error: Exception) -> None:
        _log.error("%s failed", self.what(), exc_info=error)
        self._deferred.respond(b"500 Internal Server Error\n", 500)

    def respond(self, body: bytes) -> None:
        self._deferred.respond(body, self.status, self.headers, content_type=self.content_type)

    def respond_file(self, file: SendableFile, offset: int, count: int) -> None:
        self._deferred.respond_file(
            *(file, offset, count, self.status, self.headers), content_type=self.content_type
        )

    def open_stream(self) -> ResponseStream:
        return self._deferred.start_stream(
            self.status, self.headers, content_type=self.content_type, length=self.length
        )

    def write(self, data: bytes) -> None:
        super().write(data)
        assert self.stream is not None
        if not self.stream.wait():
            raise ConnectionResetError("the client has gone")

    def send_pieces(self, pieces: Iterator[bytes]) -> None:
        stream = self.stream = self.stream or self.open_stream()
        for piece in pieces:
            if not stream.write(piece) and not stream.wait():
                break  # the client has gone
        else:
            stream.finish()
        self.end()


class _Closing:
    """Pieces, and what is to be done when they are not wanted any more."""

    def __init__(self, pieces: Iterable[bytes], answer: Answer) -> None:
        self._pieces = pieces
        self._answer = answer

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._pieces)

    def close(self) -> None:
        self._answer.end()


class _Buffered(io.BufferedReader):
    """A body that is arriving, with lines; closing it lets the rest go."""

    def __init__(self, reader: BodyFile) -> None:
        super().__init__(reader)
        self._reader = reader

    def close(self) -> None:
        self._reader.let_go()


def _name(address: tuple[str, int] | str) -> tuple[str, str]:
    """SERVER_NAME and SERVER_PORT; a UNIX socket has neither."""
    return (address[0], str(address[1])) if isinstance(address, tuple) else ("localhost", "80")
