"""HandlersManager: who answers a request, and what if that fails."""

from collections.abc import Callable, Collection, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Literal

from rush_http import (
    Exchange,
    Headers,
    HttpServer,
    OnMessageComplete,
    Protocol,
)

from .blocking import QUEUE, THREADS, Blocking, check_error_handlers, with_threads
from .bodies import Bodies, has_own_way
from .common import Common
from .failures import ErrorKind, Failures
from .files import OF_FILES
from .hooks import Chosen, Hooks, ended
from .incoming import NO_PARAMS
from .jsons import EncodeJson, JsonName, json_encoder
from .names import named
from .ready import Ready
from .receiving import Kept
from .redirects import Redirect, other_slash, redirect_head, to_other_slash, with_query
from .request import Request
from .routing import ANY_PATH, Handler, MethodNotAllowed, Route, Router
from .static import StaticFiles
from .stuck import Stuck
from .values import answer_with

if TYPE_CHECKING:
    from epollserver import Connection, Loop
    from rush_loader import Loader, Mounts

    from .application import Application
    from .blackbox import BlackBox

_USUAL_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class HandlersManager:
    """The callback of an `HttpServer`: picks the handler for each complete request and calls it.

    The order: a redirect of exactly this path; the handlers by path, then method, then filter;
    with ``trailing_slash="redirect"`` a redirect to the path with or without a slash at its end;
    a file of the loader's root, if the path begins with `files`.  OPTIONS is answered by us where
    no handler does.  A path that is there, but not for the method, is `MethodNotAllowed`; a file is
    there for GET and HEAD.

    What a handler returns is its answer, if it has not answered itself.  One that does neither is
    an error: the client is not left waiting.

    For an exception, and if nothing is picked (`NotFound`), an error handler answers: the one for
    its class, its status or its name, see `Failures`.  It gets the request as every handler does,
    with `Request.error`; its answer has the status of the error (that of an `HttpError`, 404 for
    `FileNotFoundError`, else 500) unless it names another, and the headers of an `HttpError`.  One
    that fails itself ends in a plain 500.  Exceptions that are bugs are logged with their
    traceback.

    The handlers in `blocking` run in threads, at most `blocking_threads` at a time, made when they
    are needed; `blocking_queue` requests wait for one, more are refused with 503.  `close` ends
    these threads; without such handlers there is nothing to close.

    For routes with ``stream=True`` or a ``body_limit`` it sets ``http_server.on_head_complete``.

    `hooks` are functions to be called before and after all that; `json` is what makes JSON.
    `redirects` are path to (location, status), or (location, status, whether to keep the query).
    `files` is a prefix such as ``/static/``; with `listing`, folders without an index are listed.
    `application` is made with what handles a request and what is told of bugs, and asked where
    nothing else answers: also below `files` if there is no such file.
    Raises `ValueError` or `TypeError` for what could never work.
    """

    def __init__(
        self,
        handlers: Iterable[Route],
        err_handlers: Mapping[ErrorKind, Handler],
        redirects: Mapping[str, Redirect],
        loader: "Loader | Mounts",
        http_server: HttpServer,
        *,
        files: str | None = None,
        listing: bool = False,
        trailing_slash: Literal["strict", "redirect"] = "strict",
        blocking: Collection[Handler] = (),
        blocking_threads: int = THREADS,
        blocking_queue: int = QUEUE,
        hooks: Hooks | None = None,
        json: JsonName | EncodeJson = "json",
        application: Callable[[OnMessageComplete, Callable[[], object]], "Application"]
        | None = None,
    ) -> None:
        if files is not None:
            check_prefix(files)
        self._failures = Failures(err_handlers)
        self._not_found: Handler = self._failures.not_found
        self._box: BlackBox | None = None
        self._http_server = http_server
        self._other_slash = trailing_slash == "redirect"
        self._blocking = Blocking(blocking_threads, blocking_queue, http_server.epoll.loop)
        if blocking:
            check_error_handlers(err_handlers.values(), blocking)
            handlers = with_threads(handlers, blocking, self._blocking)
        self._hooks = Chosen(hooks, handlers)
        self._router = Router(self._hooks.routes)
        self._redirects = {path: self._redirect(path, *where) for path, where in redirects.items()}
        methods = _USUAL_METHODS.union(*(route.methods for route in self._hooks.routes))
        self._picks = self._router.plain | {
            path: dict.fromkeys(methods, redirect) for path, redirect in self._redirects.items()
        }
        ready = Ready(http_server)
        for path, (location, code, *keep_query) in redirects.items():
            if not (self._hooks or any(keep_query)):
                ready.add_head(path, redirect_head(path, location, code))
        self._senders = ready.senders
        # What is called at once.  Where there are hooks, nothing is.
        at_once = {} if self._hooks else self._picks
        self._plain = {path: them for path, them in at_once.items() if path not in ready.senders}
        self._find_route = self._router.find
        self._static = StaticFiles(loader, http_server, files, self._is_free, ready, listing)
        self._encode_json = json_encoder(json)
        self._common = Common(http_server)
        self._request = Request(
            http_server, loader, self._failures.answer, self._common, encode_json=self._encode_json
        )
        if any(map(has_own_way, self._hooks.routes)):
            http_server.on_head_complete = bodies = Bodies(
                self._router,
                self._redirects,
                self._common,
                self,
                self._resume,
                partial(Request, http_server, loader),
                others=application is not None,
            )
            if any(route.stream for route in self._hooks.routes):
                self._find_route = bodies.find
        self._pick = self._find_hooked if self._hooks else self._find_route
        # Not by name, but by what picks: it may come to be watched.
        self._application = application and application(
            lambda *it: http_server.on_message_complete(*it), self._failures.bug
        )
        self._ask: Handler | None = None
        # Who is asked where a file was, and may be no more.
        self._if_unready = self._static.methods
        if self._application is not None:
            self._ask, self._if_unready = self._application.ask, {}
            http_server.on_head_complete = self._application.bodies(
                self._may_be_others, http_server.on_head_complete
            )
        # Asked at once where nothing else can answer: 28,000 instructions less for a request
        # (tests/bench/instructions.py application).
        self._asked: OnMessageComplete | None = None
        if self._application and self._router.all_plain and not (self._hooks or self._other_slash):
            self._asked = self._application.asked.__call__
            self._plain[ANY_PATH] = {}  # "OPTIONS *" is about the routes

    def __call__(
        self,
        body: bytes,
        conn: "Connection",
        protocol: Protocol,
        method: str,
        path: str,
        query: str,
        headers: Headers,
        kept: Kept | None = None,
    ) -> None:
        """Answer one request: ``http_server.on_message_complete``.

        `kept` is what is known of one that was left for its body to come, which has come.
        """
        methods = self._plain.get(path)
        if methods is None:
            sender = self._senders.get(path)
            if sender is not None:
                if sender(conn, method, headers):
                    return
                methods = self._if_unready
                if self._box is not None and method in methods:
                    self._box.picked(methods[method])
            elif self._asked is not None and not self._static.covers(path):
                try:
                    self._asked(body, conn, protocol, method, path, query, headers)
                    return
                except Exception as error:
                    assert self._application is not None
                    methods = {method: self._application.failing(error)}
        request = self._request
        request.body = body
        request.conn = conn
        request.protocol = protocol
        request.method = method
        request.path = path
        request.query = query
        request.headers = headers
        request.code = 200
        if kept is not None:
            methods = kept.restore(request)
        try:
            try:
                handler = methods.get(method) if methods is not None else None
                if handler is None:
                    handler = self._pick(request) or self._find(request)
                    if self._box is not None:
                        self._box.picked(handler)
                request.handler = handler
                value = handler(request)
                if value is not None:
                    answer_with(request, value, handler)
            except Exception as error:
                self._failures.answer(request, error)
            exchange: Exchange = conn.data
            if exchange.head is not None and not (
                request.answered or request.comes_later(handler) or handler is self._ask
            ):
                silent = RuntimeError(f"{named(handler)} returned without an answer, and no value")
                self._failures.answer(request, silent)
        finally:
            # What a client sent is kept no longer than it takes, and is never another's.
            request.body = request.conn = request.headers = None  # type: ignore[assignment]
            request.pending = None
            request.params = NO_PARAMS
            if request.known is not None:
                request.forget()

    def _resume(self, kept: Kept, handler: Handler) -> None:
        """Go on with a request that was left for its body to come."""
        kept.handler = handler
        self(b"", kept.conn, *kept.message, kept)

    def watched_by(self, box: "BlackBox", loop: "Loop") -> OnMessageComplete:
        """What is to be called in place of this object, so that `box` knows of each request."""
        self._box = box
        self._failures.on_bug = box.failed
        self._http_server.on_later = box.later
        plain = {} if self._hooks else self._picks
        watched = box.watching(self.__call__, plain, loop, self._asks)
        if isinstance(self._http_server.on_head_complete, Bodies):
            self._http_server.on_head_complete.watched_by(box, watched)
        return watched

    def watch_threads(self, timeout: float, replace: Callable[[], object]) -> None:
        """Report what runs in a thread for longer than `timeout` seconds; see `Stuck`."""
        loop = self._http_server.epoll.loop
        self._blocking.stuck = Stuck(loop, timeout, replace)
        if self._application is not None:  # another pool, which has all its threads to itself
            self._application.watch_threads(Stuck(loop, timeout, replace))

    def close(self, seconds: float = 0.0) -> None:
        """Run no more blocking handlers; those that run have so many `seconds` to end."""
        self._blocking.close(seconds)
        if self._application is not None:
            self._application.close(seconds)

    def _find_hooked(self, request: Request) -> Handler | None:
        """`Router.find` for a server with functions that are called before, or after."""
        request.pending = []
        request.after = self._hooks.after
        if ended(request, self._hooks.before):
            return _nothing
        path = request.path
        handler = self._redirects.get(path) or self._picks.get(path, {}).get(request.method)
        return handler or self._find_route(request)

    def _find(self, request: Request) -> Handler:
        """Return what answers a request that no route is for."""
        path, method = request.path, request.method
        if path in self._redirects:
            return self._redirects[path]  # whatever the method is
        allowed = self._router.allowed(path)
        ask = self._ask
        if ask is None and method not in ("GET", "HEAD") and self._static.has(path):
            allowed |= OF_FILES
        if method == "OPTIONS" and allowed:
            return _options(allowed)
        if (
            self._other_slash
            and not path.startswith("//")  # as a location it would be another host
            and method in self._router.allowed(other_slash(path))
        ):
            return _to_other_slash
        static = self._static
        if method in static.methods and static.covers(path) and (ask is None or static.has(path)):
            return static.methods[method]
        if ask is not None and (not allowed or method in allowed):
            return ask
        if allowed and method not in allowed:  # else a filter said no
            raise MethodNotAllowed(f"{request!r} is not for {method}", allow=_listed(allowed))
        return self._not_found

    def _asks(self, path: str) -> Handler | None:
        """The application, if it is asked at once about a path that is not plain."""
        return None if self._asked is None or self._static.covers(path) else self._ask

    def _may_be_others(self, path: str) -> bool:
        """Whether something else than the application may answer requests with a body."""
        return path in self._redirects or self._router.may_match(path)

    def _is_free(self, path: str) -> bool:
        """Whether nothing but a file can answer GET and HEAD of `path`, and nobody is asked."""
        if self._hooks or path in self._redirects or self._router.may_match(path):
            return False
        return not (self._other_slash and self._router.may_match(other_slash(path)))

    def _redirect(self, path: str, location: str, code: int, keep_query: bool = False) -> Handler:
        """A handler that sends the client elsewhere."""
        redirect_head(path, location, code)  # raises now

        def redirect(request: Request) -> None:
            request.redirect(with_query(location, request.query if keep_query else ""), code)

        return redirect


def check_prefix(files: str) -> None:
    """Raise `ValueError` if `files` is no prefix of paths."""
    if not files.startswith("/") or not files.endswith("/"):
        raise ValueError(f"files is a prefix such as '/static/', with both slashes, not {files!r}")


def _listed(methods: Iterable[str]) -> str:
    return ", ".join(sorted(methods))


def _options(allowed: Iterable[str]) -> Handler:
    """Say what a path is there for (RFC 9110, 9.3.7)."""
    allow = _listed(allowed)

    def options(request: Request) -> None:
        request.response(b"", 204, {"Allow": allow})

    return options


def _to_other_slash(request: Request) -> None:
    request.redirect(with_query(to_other_slash(request.path), request.query), 308)


def _nothing(request: Request) -> None:
    """Follow an answer that was given before."""
