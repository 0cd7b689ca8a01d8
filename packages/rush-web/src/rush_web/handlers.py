"""HandlersManager: who answers a request, and what if that fails."""

import logging
from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Literal, cast

from rush_http import (
    REASONS,
    Exchange,
    Headers,
    HttpError,
    HttpServer,
    NotFound,
    Protocol,
    date_line,
)

from .answering import Answering
from .blocking import QUEUE, THREADS, Blocking, check_error_handlers, with_threads
from .files import OF_FILES
from .incoming import NO_PARAMS
from .redirects import Redirect, other_slash, redirect_head, to_other_slash, with_query
from .request import Request
from .routing import Handler, MethodNotAllowed, Route, Router
from .static import StaticFiles

if TYPE_CHECKING:
    from epollserver import Connection
    from rush_loader import Loader, Mounts

_log = logging.getLogger("rush_web")

NOT_FOUND = "not-found"
INTERNAL_ERROR = "internal-error"

_USUAL_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


class HandlersManager:
    """The callback of an `HttpServer`: picks the handler for each complete request and calls it.

    The order: a redirect of exactly this path; the handlers by path, then method, then filter;
    with ``trailing_slash="redirect"`` a redirect to the path with or without a slash at its end;
    a file of the loader's root, if the path begins with `files`.  OPTIONS is answered by us where
    no handler does.  A path that is there, but not for the method, is `MethodNotAllowed`; a file is
    there for GET and HEAD.

    If nothing is picked, or `FileNotFoundError` or `NotFound` comes out, the ``not-found`` error
    handler answers.  Another `HttpError` below 500 is answered with its status.  Any other
    exception is logged with its traceback, and the ``internal-error`` handler answers, as it does
    for a handler that returns without an answer: the client is not left waiting.  An error handler
    gets the request as every handler does, with `Request.error`; its answer has the status of the
    error (404; 500, or that of an `HttpError` above) unless it names another.  One that fails
    itself ends in a plain 500.

    The handlers in `blocking` run in threads, at most `blocking_threads` at a time, made when they
    are needed; `blocking_queue` requests wait for one, more are refused with 503.  `close` ends
    these threads; without such handlers there is nothing to close.

    `redirects` are path to (location, status), or (location, status, whether to keep the query).
    `files` is a prefix such as ``/static/``.
    Raises `ValueError` or `TypeError` for what could never work.
    """

    def __init__(
        self,
        handlers: Iterable[Route],
        err_handlers: Mapping[str, Handler],
        redirects: Mapping[str, Redirect],
        loader: "Loader | Mounts",
        http_server: HttpServer,
        *,
        files: str | None = None,
        trailing_slash: Literal["strict", "redirect"] = "strict",
        blocking: Collection[Handler] = (),
        blocking_threads: int = THREADS,
        blocking_queue: int = QUEUE,
    ) -> None:
        for name in err_handlers:
            check_error_name(name)
        if files is not None:
            check_prefix(files)
        self._err_handlers: dict[str, Handler] = {
            NOT_FOUND: _status_page,
            INTERNAL_ERROR: _status_page,
            **err_handlers,
        }
        self._http_server = http_server
        self._other_slash = trailing_slash == "redirect"
        self._blocking = Blocking(blocking_threads, blocking_queue, http_server.epoll.loop)
        if blocking:
            check_error_handlers(err_handlers.values(), blocking)
            handlers = with_threads(handlers, blocking, self._blocking)
        self._router = Router(handlers)
        self._redirects = {path: self._redirect(path, *where) for path, where in redirects.items()}
        self._plain = self._router.plain | {
            path: dict.fromkeys(_USUAL_METHODS, redirect)
            for path, redirect in self._redirects.items()
        }
        self._static = StaticFiles(loader, http_server, files, self._is_free)
        self._request = Request(http_server, loader, self._failed)

    def __call__(
        self,
        body: bytes,
        conn: "Connection",
        protocol: Protocol,
        method: str,
        path: str,
        query: str,
        headers: Headers,
    ) -> None:
        """Answer one request: ``http_server.on_message_complete``."""
        methods = self._plain.get(path)
        if methods is None:
            send_file = self._static.ready.get(path)
            if send_file is not None:
                if send_file(conn, method, headers):
                    return
                methods = self._static.methods
        request = self._request
        request.body = body
        request.conn = conn
        request.protocol = protocol
        request.method = method
        request.path = path
        request.query = query
        request.headers = headers
        request.code = 200
        try:
            try:
                handler = methods.get(method) if methods is not None else None
                if handler is None:
                    handler = self._find(request)
                handler(request)
            except Exception as error:
                self._failed(request, error)
            exchange: Exchange = conn.data
            if exchange.head is not None:
                self._left(request, handler)
        finally:
            # What a client sent is kept no longer than it takes, and is never another's.
            request.body = request.conn = request.headers = None  # type: ignore[assignment]
            request.known_args = request.new_cookies = None
            request.params = NO_PARAMS
            if request.known is not None:
                request.forget()

    def close(self, seconds: float = 0.0) -> None:
        """Run no more blocking handlers; those that run have so many `seconds` to end."""
        self._blocking.close(seconds)

    def _left(self, request: Request, handler: object) -> None:
        """See to a request that `handler` has left without an answer: it comes later, or never."""
        if request.later is not None and request.is_detached():
            request.later.handler = request.later.handler or handler
        elif not request.answered:
            self._failed(request, RuntimeError(f"{handler!r} returned without an answer"))

    def _find(self, request: Request) -> Handler:
        """Return what answers a request that path and method alone do not decide."""
        path, method = request.path, request.method
        handler = self._redirects.get(path) or self._router.find(request)
        if handler is not None:
            return handler
        allowed = self._router.allowed(path)
        if method not in ("GET", "HEAD") and self._static.has(path):
            allowed |= OF_FILES
        if method == "OPTIONS" and allowed:
            return _options(allowed)
        if (
            self._other_slash
            and not path.startswith("//")  # as a location it would be another host
            and method in self._router.allowed(other_slash(path))
        ):
            return _to_other_slash
        if method in self._static.methods and self._static.covers(path):
            return self._static.methods[method]
        if allowed and method not in allowed:  # else a filter said no
            raise MethodNotAllowed(f"{request!r} is not for {method}", allow=_listed(allowed))
        raise NotFound(f"nothing answers {request!r}")

    def _is_free(self, path: str) -> bool:
        """Whether nothing but a file can answer GET and HEAD of `path`."""
        if path in self._redirects or self._router.may_match(path):
            return False
        return not (self._other_slash and self._router.may_match(other_slash(path)))

    def _redirect(self, path: str, location: str, code: int, keep_query: bool = False) -> Handler:
        """A handler that sends the client elsewhere; its head is rendered now."""
        head = redirect_head(path, location, code)

        def redirect(request: Request) -> None:
            exchange: Exchange = request.conn.data
            self._http_server.send(
                request.conn, b"%b%b%b\r\n" % (head, date_line(), exchange.connection_line)
            )

        def redirect_with_query(request: Request) -> None:
            request.redirect(with_query(location, request.query), code)

        return redirect_with_query if keep_query else redirect

    def _failed(self, request: Answering, error: Exception) -> None:
        """Find the answer to an exception; the traceback goes to the log if it is a bug."""
        request.new_cookies = None
        what = repr(request)  # now: a log that is written later would name another request
        if request.answered:  # the first answer stands; it is too late for another
            _log.error("%s failed after its answer: %s", what, error, exc_info=error)
        elif isinstance(error, FileNotFoundError | NotFound):
            if not isinstance(error, NotFound):
                _log.info("%s is not found: %s", what, error)  # perhaps not the client's fault
            self._answer_error(request, NOT_FOUND, 404, error)
        elif isinstance(error, HttpError) and error.status < 500:
            _log.info("%s refused: %s", what, error)
            allow = {"Allow": error.allow} if isinstance(error, MethodNotAllowed) else {}
            request.response(_page(error.status), error.status, allow)
        else:
            _log.error("%s failed: %s", what, error, exc_info=error)
            status = error.status if isinstance(error, HttpError) else 500
            self._answer_error(request, INTERNAL_ERROR, status, error)

    def _answer_error(self, request: Answering, name: str, code: int, error: Exception) -> None:
        request.error = error
        request.code = code
        handler = self._err_handlers[name]
        try:
            handler(cast(Request, request))  # but for what `Answering` has not
            problem = "returned without an answer"
        except Exception:
            _log.exception("the %s handler failed for %s", name, repr(request))
            problem = "failed"
        finally:
            request.error = None
        if isinstance(request, Request) and request.later is not None and request.is_detached():
            request.later.handler = handler
        elif not request.answered:
            what = repr(request)
            _log.error("the %s handler %s: %s is answered with a plain 500", name, problem, what)
            request.response(_page(500), 500)


def check_error_name(name: str) -> None:
    """Raise `ValueError` if there is no error handler of that name."""
    if name not in (NOT_FOUND, INTERNAL_ERROR):
        raise ValueError(f"no error handler {name!r}: use {NOT_FOUND!r} or {INTERNAL_ERROR!r}")


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


def _status_page(request: Request) -> None:
    """Answer an error with its status: what is there as long as nobody registers anything else."""
    request.response(_page(request.code))


def _page(status: int) -> str:
    return f"{status} {REASONS.get(status, 'Error')}\n"
