"""Application: the WSGI application of a worker, asked where nothing else answers."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from rush_http import BodyReceiver, Head, HttpServer, Limits, OnHeadComplete, OnMessageComplete
from rush_http.wsgi import WsgiApp, asked_of

from .request import Request
from .routing import Handler

if TYPE_CHECKING:
    from epollserver import Connection

    from .server import WebServer
    from .stuck import Stuck

WsgiCallable = Callable[..., object]
"""What PEP 3333 calls an application."""

BODY_BYTES = 1 << 30
"""The largest body for an application, unless `Limits.body_bytes` says something: it is streamed,
or spooled to disk."""


class Application:
    """Asks the application; `ask` is a handler.

    `handle` is the callback of the `HttpServer`, which picks who answers.  `on_bug` is called
    when the application has failed in a thread; on the loop its exception is raised here.
    """

    def __init__(
        self,
        server: "WebServer",
        http_server: HttpServer,
        handle: OnMessageComplete,
        on_bug: Callable[[], object],
    ) -> None:
        app = server.wsgi
        assert app is not None
        limit = server.limits.body_bytes
        self._http_server = http_server
        self.asked = wsgi = WsgiApp(
            app,  # type: ignore[arg-type]
            http_server,
            server.threads,
            script_name=server.root_path,
            multiprocess=server.workers > 1,
            body_bytes=BODY_BYTES if limit == Limits().body_bytes else limit,
            install=False,
            handle=handle,
            on_error=on_bug,
        )
        """What answers without a look at the routes; what it raises is for `failing`."""

        def ask(request: Request) -> None:
            message = request.body, request.conn, request.protocol, request.method
            try:
                wsgi(*message, request.path, request.query, request.headers)
            except FileNotFoundError as error:
                raise _bug(error) from error

        # For `rush top` and the log.
        ask.__module__ = getattr(app, "__module__", "")
        ask.__qualname__ = getattr(app, "__qualname__", type(app).__qualname__)
        self.ask = ask
        self.close = wsgi.close
        self._threads = server.threads

    def watch_threads(self, stuck: "Stuck") -> None:
        """Let `stuck` look for requests that run too long in the threads."""
        threads = self._threads
        self.asked.on_submit = lambda pool: stuck.watch(pool, threads, asked_of)

    @staticmethod
    def failing(error: Exception) -> Handler:
        """A handler that raises what the application has raised."""

        def fail(request: Request) -> None:
            if isinstance(error, FileNotFoundError):
                raise _bug(error) from error
            raise error

        return fail

    def bodies(
        self, may_be_others: Callable[[str], bool], others: OnHeadComplete | None
    ) -> OnHeadComplete:
        """The ``on_head_complete`` of the server: who takes a body.

        ``may_be_others(path)``: whether something else may answer there.
        """
        wsgi = self.asked
        if others is None:
            self._http_server.unasked_bytes = wsgi.whole_bytes

        def on_head_complete(conn: "Connection", head: Head) -> BodyReceiver | int | None:
            if may_be_others(head.path):
                return None if others is None else others(conn, head)
            return wsgi.on_head_complete(conn, head)

        return on_head_complete


def _bug(error: FileNotFoundError) -> RuntimeError:
    """What it is: to a handler of ours it would mean 404."""
    return RuntimeError(f"the application has raised {error!r:.200}")
