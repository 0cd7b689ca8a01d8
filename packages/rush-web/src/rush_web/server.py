"""WebServer: options in, sockets, workers, run."""

import contextlib
import logging
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, Literal, TypeVar

from rush_http import HttpServer, Limits
from rush_loader import Loader, Mounts

from .application import WsgiCallable
from .blocking import QUEUE, THREADS
from .changes import Changes
from .check import Problem, find_problems
from .config import configure
from .crew import START_FAILED
from .explain import Explanation, explain
from .failures import ErrorKind, check_error_kind
from .groups import Group
from .jsons import EncodeJson, JsonName
from .options import check_options
from .privileges import Owner, find_owner
from .reload import Upstream
from .routing import Handler
from .running import OnStartup, Run
from .serving import QUICK_GRACE, make_worker

if TYPE_CHECKING:
    from .testing import TestClient

_log = logging.getLogger("rush_web")

_H = TypeVar("_H", bound=Handler)
_S = TypeVar("_S", bound=OnStartup)
_E = TypeVar("_E", bound=Callable[[], object])


class WebServer(Group):
    """Handlers and files, served by several processes.

    `host` and `port` are where (port 0: any free one); a host such as ``"unix:/run/x.sock"`` is a
    UNIX socket.  For several addresses, `bind` is a list in their place:
    ``["127.0.0.1:80", "[::1]:80", "unix:/run/x.sock"]``.  Sockets that systemd hands over are
    served in place of all.  With `certfile` and `keyfile` (PEM) it is TLS.
    `trusted_proxies` are the addresses and networks of proxies (``"unix"``: over UNIX sockets),
    which are believed on who a client is: by the `proxy_headers` that they set, and by the
    `proxy_protocol`, ``"required"`` of all or spoken by those who are ``"trusted"``; see
    `rush_http.TrustedProxies`.
    `workers` is how many processes serve, by default one for each CPU that this process may use.
    `root` is the folder of the loader; its files are served below the path `files`
    (``"/static/"``), by default not at all.  With `listing`, a folder without an
    index has a page that lists it.  `fallback` is the path of the page in the root that answers
    where there is no file, and the name has no dot: for applications of one page.
    For all that a `Loader` can be told (an index, dot files, ``Cache-Control``), and for `Mounts`,
    give a `loader` in place of the root; `run` closes it.
    `max_conns` and `limits` hold for each worker.  `listen="shared"` gives the workers one queue of
    connections instead of one each: for handlers that take long.  `grace` is how many
    seconds SIGTERM leaves to requests that are on their way.  ``/x`` and ``/x/`` are two paths;
    with ``trailing_slash="redirect"`` the one that no handler answers leads to the other one.
    `blocking_threads` handlers that block may run at a time in each worker, and `blocking_queue`
    requests wait for them; see `blocking`.  With `development`, mistakes are told that would cost
    time to look for: see `StaleRequest`.
    `json` makes the JSON of answers: the standard library's, ``"orjson"`` or ``"msgspec"`` if they
    are installed, or a function from a value to `str` or `bytes`.

    A worker that is busy with one request for longer than `worker_timeout` seconds is replaced,
    and its stack is in the log.  It is also replaced, but by one that serves already, after
    `recycle_requests` requests or `recycle_seconds` seconds, and up to a fifth more; `None`, the
    default of the three: never.

    `pid_file` holds the number of the parent.  Workers run as `user` (``"www"``, ``"www:group"``,
    or numbers), the parent goes on as who started it.  `umask` is for the files that are made,
    UNIX sockets among them.

    `access_log` is a file for a line about each answer, ``"-"`` for the standard output, ``True``
    for the logger ``rush_web.access``; `access_format` is ``common``, ``combined``, ``json`` or
    text with fields in braces.  `metrics` and `health` are paths of pages on what the workers have
    counted, and whether they serve; with a `status_port` they are there, and nowhere else.

    `wsgi` is an application (PEP 3333), which answers what nothing else does: no route, no
    redirect, no file that is there.  It lives below the path `root_path` (``SCRIPT_NAME``), and
    runs in `threads` threads of each worker; 0: where the handlers run, for one that waits for
    nothing.
    A body for it may have 1 GiB if `limits` says nothing else.

    Raises `ValueError` for options that make no sense, `RuntimeError` for a package that is not
    there.
    """

    why_not: ClassVar[str] = ""
    """Why no server can run just now; empty if it can."""

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 9090,
        bind: Sequence[str] = (),
        certfile: str | os.PathLike[str] | None = None,
        keyfile: str | os.PathLike[str] | None = None,
        trusted_proxies: Sequence[str] = (),
        proxy_headers: Sequence[str] = ("x-forwarded-for",),
        proxy_protocol: Literal["off", "required", "trusted"] = "off",
        workers: int | None = None,
        root: str | os.PathLike[str] | None = None,
        files: str | None = None,
        listing: bool = False,
        fallback: str | None = None,
        loader: Loader | Mounts | None = None,
        max_conns: int = 10_000,
        limits: Limits | None = None,
        listen: Literal["reuseport", "shared"] = "reuseport",
        grace: float = 30.0,
        trailing_slash: Literal["strict", "redirect"] = "strict",
        blocking_threads: int = THREADS,
        blocking_queue: int = QUEUE,
        development: bool = False,
        json: JsonName | EncodeJson = "json",
        worker_timeout: float | None = None,
        recycle_requests: int | None = None,
        recycle_seconds: float | None = None,
        pid_file: str | os.PathLike[str] | None = None,
        user: str | int | None = None,
        umask: int | None = None,
        access_log: str | os.PathLike[str] | bool = False,
        access_format: str = "combined",
        metrics: str | None = None,
        health: str | None = None,
        status_port: int | None = None,
        wsgi: WsgiCallable | None = None,
        threads: int = 0,
        root_path: str = "",
    ) -> None:
        super().__init__()
        self.host = host
        self.port = port
        self.bind = bind
        self.certfile = certfile
        self.keyfile = keyfile
        self.trusted_proxies = trusted_proxies
        self.proxy_headers = proxy_headers
        self.proxy_protocol = proxy_protocol
        self.workers = len(os.sched_getaffinity(0)) if workers is None else workers
        self.root = root
        self.files = files
        self.listing = listing
        self.fallback = fallback
        self.loader = loader
        self.max_conns = max_conns
        self.limits = limits or Limits()
        self.listen = listen
        self.grace = grace
        self.trailing_slash = trailing_slash
        self.blocking_threads = blocking_threads
        self.blocking_queue = blocking_queue
        self.development = development
        self.json = json
        self.error_handlers: dict[ErrorKind, Handler] = {}
        self.worker_timeout = worker_timeout
        self.recycle_requests = recycle_requests
        self.recycle_seconds = recycle_seconds
        self.pid_file = pid_file
        self.user = user
        self.umask = umask
        self.access_log = access_log
        self.access_format = access_format
        self.metrics = metrics
        self.health = health
        self.status_port = status_port
        self.wsgi = wsgi
        self.threads = threads
        self.root_path = root_path
        self.live = False
        """Whether pages reload when what they are made of is saved; in development only."""
        self.request_lines = False
        """Whether each request is a line in the terminal; in development only."""
        self.changes: Changes | None = None
        """What a reload follows by itself, in development."""
        self._on_startup: list[OnStartup] = []
        self._on_shutdown: list[Callable[[], object]] = []
        self._check()

    # What is served

    def error_handler(self, kind: ErrorKind) -> Callable[[_H], _H]:
        """Decorate the handler for errors of a kind.

        That is a class of exceptions, a status (413), or a name: ``"not-found"`` (404) or
        ``"internal-error"`` (500 and above).  If several fit, the nearest class answers, else the
        one for the status, else the one for the name; `Exception` and `rush_http.HttpError`, which
        stand for all, come last.
        It gets the request, with `Request.error`, and answers as every handler does; its answers
        have the status of the error unless they name another.  An exception with a handler for its
        class is no bug, and leaves no traceback in the log.
        Raises `ValueError` or `TypeError` for what no error can be.
        """
        check_error_kind(kind)

        def register(handler: _H) -> _H:
            if not callable(handler):
                raise TypeError(f"an error handler must be callable, not {handler!r:.80}")
            self.error_handlers[kind] = handler
            return handler

        return register

    def check(self) -> list[Problem]:
        """What can never work as it is registered: duplicates, loops, hidden files; see `Problem`.

        Nothing is bound or started; files are looked for in `root`.
        """
        return find_problems(self)

    def explain(
        self, method: str, target: str, headers: Mapping[str, str] | None = None, body: bytes = b""
    ) -> Explanation:
        """Say who would answer a request, and why: ``print(server.explain("GET", "/x?y=1"))``.

        `target` is a path and perhaps a query, percent-encoded as in a URL.  Filters are called,
        with a request that has no connection, and comes from 127.0.0.1; handlers are not.
        Raises `rush_http.BadRequest` for a target that no request can have.
        """
        return explain(self, method, target, headers or {}, body)

    def on_startup(self, callback: _S) -> _S:
        """Call ``callback(loader)`` in the parent, before anything is bound or forked.

        The place to fill the cache: ``loader.cache_files("/")``; workers inherit what is there.
        """
        self._on_startup.append(callback)
        return callback

    def on_shutdown(self, callback: _E) -> _E:
        """Call ``callback()`` in the parent, when every worker has ended, however that came."""
        self._on_shutdown.append(callback)
        return callback

    # Running

    def run(
        self,
        *,
        on_ready: Callable[[str], object] | None = None,
        environ: Mapping[str, str] = os.environ,
    ) -> int:
        """Serve until SIGTERM or SIGINT; returns 0, the exit status.

        SIGTERM lets requests that are on their way be answered, SIGINT stops at once.
        `on_ready` is called in the parent with the line that says what is served, where, and by
        how many workers, as soon as all of them serve; by default the line is printed.
        Variables of `environ` go before what the program says: ``RUSH_PORT``, say (`OPTIONS`).
        In the main thread only.  Raises `ConfigError` for variables that cannot be used, `OSError`
        if the address cannot be had or the root is no folder, and ``SystemExit(3)`` if an
        on_startup callback failed or not even the first worker could start, with the reason in the
        log; nothing is left running then.
        """
        if self.why_not:
            raise RuntimeError(self.why_not)
        configure(self, environ)
        owner = self._check()
        upstream = Upstream.find()
        if upstream is not None and self.changes is not None:
            upstream.made_of(self.changes.own())
        run = Run(self, self._on_startup, self._on_shutdown)
        try:
            try:
                run.begin()
            except Exception as error:
                _log.exception("an on_startup callback failed: the server stops")
                if upstream is not None:
                    upstream.trouble(f"in an on_startup callback\n{type(error).__name__}: {error}")
                raise SystemExit(START_FAILED) from error
            status = run.serve(owner, upstream, on_ready or say)
        finally:
            run.end()
        if status:
            # Not only returned: a program that ends with `server.run()` must not end with 0.
            raise SystemExit(status)
        return status

    def test_client(self, *, timeout: float = 10.0, raise_exceptions: bool = True) -> "TestClient":
        """A client for tests, of one worker in this thread, without a network.

        It has the routes that are registered now; `on_startup` is called first, `on_shutdown` when
        it is closed.  An answer may take `timeout` seconds.  What a handler raises is raised where
        the answer was asked for; without `raise_exceptions` the client gets what everybody would,
        and `TestResponse.error` is what was raised.
        A `loader` that was given is left open.
        """
        # Only now: a server needs nothing of it.
        from .testing.client import TestClient
        from .testing.worker import Worker

        return TestClient(Worker(self._one_worker(), timeout), raise_exceptions=raise_exceptions)

    @contextlib.contextmanager
    def _one_worker(self) -> Iterator[HttpServer]:
        """A worker that listens nowhere."""
        self._check()
        run = Run(self, self._on_startup, self._on_shutdown)
        try:
            run.begin()
            http_server, manager = make_worker(self, None, run.loader)
            try:
                with http_server:
                    yield http_server
            finally:
                manager.close(QUICK_GRACE)
        finally:
            run.end(keep_given=True)

    def _check(self) -> Owner:
        """Raise `ValueError` for options that make no sense; also for those changed since."""
        check_options(self)
        return find_owner(self.user)


def say(text: str) -> None:
    """Print and flush; that nobody reads it stops no server."""
    encoding = getattr(sys.stdout, "encoding", None) or "ascii"
    with contextlib.suppress(OSError, ValueError):
        print(text.encode(encoding, "backslashreplace").decode(encoding), flush=True)
