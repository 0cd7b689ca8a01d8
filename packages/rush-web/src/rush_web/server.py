"""WebServer: options in, sockets, workers, run."""

import contextlib
import logging
import os
import resource
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, ClassVar, Literal, TypeVar, cast

from rush_http import HttpServer, Limits
from rush_loader import Loader, Mounts

from .access_log import AccessLog
from .application import WsgiCallable
from .banner import Banner, facts_of
from .blocking import QUEUE, THREADS
from .changes import Changes
from .check import Problem, find_problems
from .config import configure
from .crew import START_FAILED
from .explain import Explanation, explain
from .failures import ErrorKind, check_error_kind
from .groups import Group
from .jsons import EncodeJson, JsonName
from .logs import also_reopened
from .options import check_options
from .pidfile import PidFile
from .prefork import Prefork
from .privileges import Owner, find_owner
from .reload import Upstream
from .routing import Handler
from .serving import QUICK_GRACE, make_worker, serve
from .sockets import Sockets, addresses_of
from .titles import set_title
from .tls import make_context

if TYPE_CHECKING:
    from .testing import TestClient

_log = logging.getLogger("rush_web")

_H = TypeVar("_H", bound=Handler)
_S = TypeVar("_S", bound=Callable[[Loader], object] | Callable[[Mounts], object])
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
        self._on_startup: list[Callable[[Loader], object] | Callable[[Mounts], object]] = []
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
        loader = self._open_loader()
        ends = _Once(partial(self._end, loader))
        try:
            try:
                self._start_up(loader)
            except Exception as error:
                _log.exception("an on_startup callback failed: the server stops")
                if upstream is not None:
                    upstream.trouble(f"in an on_startup callback\n{type(error).__name__}: {error}")
                raise SystemExit(START_FAILED) from error
            status = self._run(loader, owner, upstream, on_ready or say, ends)
        finally:
            ends()
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
        loader = self._open_loader()
        try:
            self._start_up(loader)
            http_server, manager = make_worker(self, None, loader)
            try:
                with http_server:
                    yield http_server
            finally:
                manager.close(QUICK_GRACE)
        finally:
            if loader is not self.loader:
                loader.close()
            self._shut_down()

    def _open_loader(self) -> Loader | Mounts:
        if self.loader is not None:
            return self.loader
        return Loader("." if self.root is None else self.root, fallback=self.fallback)

    def _start_up(self, loader: Loader | Mounts) -> None:
        for startup in self._on_startup:
            cast(Callable[[Loader | Mounts], object], startup)(loader)

    def _shut_down(self) -> None:
        for shutdown in self._on_shutdown:
            try:
                shutdown()
            except Exception:  # the others are to be called as well
                _log.exception("an on_shutdown callback failed: %r", shutdown)

    def _end(self, loader: Loader | Mounts) -> None:
        """All workers have ended."""
        loader.close()
        self._shut_down()

    def _run(
        self,
        loader: Loader | Mounts,
        owner: Owner,
        upstream: Upstream | None,
        on_ready: Callable[[str], object],
        on_gone: Callable[[], object],
    ) -> int:
        """Have everything that the processes need, and run them."""
        context = None if self.certfile is None else make_context(self.certfile, self.keyfile)
        if self.umask is not None:
            os.umask(self.umask)
        host = "127.0.0.1" if self.host.startswith("unix:") else self.host
        sockets = Sockets(
            self._addresses(),
            self.workers,
            shared=self.listen == "shared",
            status=None if self.status_port is None else (host, self.status_port),
            handed=() if upstream is None else upstream.sockets,
            owner=owner[:2],
        )
        with contextlib.ExitStack() as stack:
            stack.callback(sockets.files.remove)
            stack.callback(sockets.close)
            access_log = self._access_log(stack, owner)
            banner = Banner(facts_of(self, sockets, loader))
            if self.pid_file is not None and upstream is None:
                stack.enter_context(PidFile(self.pid_file))
            _raise_descriptor_limit(self.max_conns)
            set_title("parent" if upstream is None else "program")
            return Prefork(
                partial(serve, self, sockets, loader, owner, context, access_log),
                self.workers,
                sockets=sockets,
                grace=self.grace + 1,
                on_ready=partial(on_ready, banner),
                on_gone=on_gone,
                owner=owner,
                upstream=upstream,
                timeout=self.worker_timeout,
                lifetime=self.recycle_seconds,
                changes=self.changes,
            ).run()

    def _addresses(self) -> list[tuple[str, int] | str]:
        return addresses_of(self.bind, self.host, self.port)

    def _access_log(self, stack: contextlib.ExitStack, owner: Owner) -> AccessLog | None:
        if not self.access_log:
            return None
        access_log = AccessLog(self.access_log, self.access_format, owner[:2])
        stack.callback(access_log.close)
        also_reopened.append(access_log.reopen)
        stack.callback(also_reopened.remove, access_log.reopen)
        return access_log

    def _check(self) -> Owner:
        """Raise `ValueError` for options that make no sense; also for those changed since."""
        check_options(self)
        return find_owner(self.user)


def say(text: str) -> None:
    """Print and flush; that nobody reads it stops no server."""
    encoding = getattr(sys.stdout, "encoding", None) or "ascii"
    with contextlib.suppress(OSError, ValueError):
        print(text.encode(encoding, "backslashreplace").decode(encoding), flush=True)


class _Once:
    """Calls it the first time it is called."""

    def __init__(self, callback: Callable[[], object]) -> None:
        self._callback: Callable[[], object] | None = callback

    def __call__(self) -> None:
        callback, self._callback = self._callback, None
        if callback is not None:
            callback()


def _raise_descriptor_limit(max_conns: int) -> None:
    """Raise the soft limit of descriptors as far as it may go, and say so if that is not enough."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):  # a hard limit above fs.nr_open
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if hard != resource.RLIM_INFINITY and hard < max_conns:
        _log.warning(
            "only %d descriptors are allowed (ulimit -Hn): fewer than max_conns=%d", hard, max_conns
        )
