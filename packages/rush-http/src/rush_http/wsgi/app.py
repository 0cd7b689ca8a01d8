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
from ..exchange import Exchange
from ..grammar import HTTP_1_1, Protocol
from ..head import Head
from ..headers import Headers
from ..pool import Pool
from ..streams import ResponseStream
from ..uploads import BodyReceiver
from .answer import Answer, Application
from .environ import PROTOCOLS, Environ, Environs
from .files import FileWrapper
from .input import BodyFile, SpooledBody
from .started import StartedMemo

if TYPE_CHECKING:
    from tempfile import SpooledTemporaryFile

    from ..server import HttpServer, OnMessageComplete

    _Large = SpooledTemporaryFile[bytes] | io.BufferedReader

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
    server's callbacks alone: call this object, and `on_head_complete`, from your own.  `handle` is
    called when a body that is not small is at hand, by default this object: it may call this one,
    or answer itself.

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
        handle: "OnMessageComplete | None" = None,
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
        self._environs = Environs(base, script_name, http_server.peer)
        self._script_name = script_name
        self._memo = StartedMemo()
        self._handle = handle or self.__call__
        self._large: _Large | None = None  # the input of a request that is being handled
        if install:
            http_server.on_message_complete = self.__call__  # bound: 1,200 instructions less
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
        exchange: Exchange = conn.data
        # What `fields` does, for the headers of the request before.
        if headers is exchange.environ_headers:
            environ: Environ = exchange.environ.copy()
        else:
            environ = self._environs.fields(exchange, headers, conn)
        if self._script_name or not path.isascii():
            path = self._environs.path_info(environ, path)
        environ["REQUEST_METHOD"] = method
        environ["PATH_INFO"] = path
        environ["QUERY_STRING"] = query
        if protocol is not HTTP_1_1:
            environ["SERVER_PROTOCOL"] = PROTOCOLS[protocol]
        if body:
            environ["CONTENT_LENGTH"] = str(len(body))  # also if it was chunked
        large, self._large = self._large, None
        environ["wsgi.input"] = io.BytesIO(body) if large is None else large
        if self._threads:
            self._submit(_InThread(environ, large, self._memo, self._server.defer(conn)))
        else:
            _OnLoop(environ, large, self._memo, self._server, conn).run(self._app)

    def on_head_complete(self, conn: Connection, head: Head) -> BodyReceiver | None:
        """Take a body that is not small: ``http_server.on_head_complete``."""
        if not head.chunked and head.content_length <= WHOLE_BYTES:
            return None
        if not self._threads:
            return SpooledBody(self._body_bytes, partial(self._handle_large, conn, head))
        reader = BodyFile(
            self._body_bytes, lambda: self._handle_large(conn, head, _Buffered(reader))
        )
        return reader

    def _handle_large(self, conn: Connection, head: Head, body: "_Large") -> None:
        """Let a request be handled whose body is at hand as a file."""
        self._large = body
        try:
            self._handle(b"", conn, *head.message)
        finally:
            large, self._large = self._large, None
            if large is not None:
                large.close()  # somebody else has answered

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
        self,
        environ: Environ,
        body: object,
        memo: StartedMemo,
        server: "HttpServer",
        conn: Connection,
    ) -> None:
        self._body = body
        self._memo = memo
        self._server = server
        self._conn = conn
        self.environ = environ
        self.started = self.stream = self._iterable = None

    def send_whole(self, body: bytes) -> None:
        started = self.started
        if (
            started is not None
            and started.quick
            and type(body) is bytes
            and (started.length is None or started.length == len(body))
            and self.stream is None
        ):
            exchange: Exchange = self._conn.data
            head = exchange.head
            if head is not None and head.method != "HEAD" and not exchange.connection_line:
                # What `respond` does.
                self._server.send(self._conn, started.answer(body))
                if self._iterable is not None or self._body is not None:
                    self.end()
                return
        super().send_whole(body)

    def respond(self, body: bytes) -> None:
        said = self.said()
        self._server.respond(
            self._conn, body, said.status, said.headers, content_type=said.content_type
        )

    def respond_file(self, file: SendableFile, offset: int, count: int) -> None:
        said = self.said()
        self._server.respond_file(
            self._conn,
            *(file, offset, count, said.status, said.headers),
            content_type=said.content_type,
        )

    def open_stream(self) -> ResponseStream:
        said = self.said()
        return self._server.start_stream(
            self._conn,
            *(said.status, said.headers),
            content_type=said.content_type,
            length=said.length,
        )

    def send_pieces(self, pieces: Iterator[bytes]) -> None:
        if self.stream is None:
            said = self.said()
            self._server.stream(
                self._conn,
                _Closing(pieces, self),
                *(said.status, said.headers),
                content_type=said.content_type,
                length=said.length,
            )
            return
        for piece in pieces:  # after write(): there is nobody to wait for
            self.stream.write(piece)
        self.stream.finish()
        self.end()


class _InThread(Answer):
    """An answer in a thread of the pool, which may wait for the client."""

    __slots__ = ("_deferred",)

    def __init__(
        self, environ: Environ, body: object, memo: StartedMemo, deferred: Deferred
    ) -> None:
        super().__init__(environ, body, memo)
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
        said = self.said()
        self._deferred.respond(body, said.status, said.headers, content_type=said.content_type)

    def respond_file(self, file: SendableFile, offset: int, count: int) -> None:
        said = self.said()
        self._deferred.respond_file(
            *(file, offset, count, said.status, said.headers), content_type=said.content_type
        )

    def open_stream(self) -> ResponseStream:
        said = self.said()
        return self._deferred.start_stream(
            said.status, said.headers, content_type=said.content_type, length=said.length
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


def _name(http_server: "HttpServer") -> tuple[str, str]:
    """SERVER_NAME and SERVER_PORT; a UNIX socket has neither, nor who listens nowhere."""
    try:
        address = http_server.address
    except RuntimeError:
        address = ""
    return (address[0], str(address[1])) if isinstance(address, tuple) else ("localhost", "80")
