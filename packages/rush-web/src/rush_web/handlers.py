"""HandlersManager: who answers a request, and what if that fails."""

import logging
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from rush_http import (
    REASONS,
    Exchange,
    Headers,
    HttpError,
    HttpServer,
    NotFound,
    Protocol,
    date_line,
    render_head,
)

from .request import NO_PARAMS, REDIRECTS, Request
from .routing import Handler, Route, Router

if TYPE_CHECKING:
    from epollserver import Connection
    from rush_loader import Loader

_log = logging.getLogger("rush_web")

NOT_FOUND = "not-found"
INTERNAL_ERROR = "internal-error"

_USUAL_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


class HandlersManager:
    """The callback of an `HttpServer`: picks the handler for each complete request and calls it.

    The order: a redirect of exactly this path; the handlers by path, then method, then filter;
    a file of the loader's root, if the path begins with `files`.

    If nothing is picked, or `FileNotFoundError` or `NotFound` comes out, the ``not-found`` error
    handler answers.  Another `HttpError` below 500 is answered with its status.  Any other
    exception is logged with its traceback, and the ``internal-error`` handler answers, as it does
    for a handler that returns without an answer: the client is not left waiting.  An error handler
    gets the request as every handler does, with `Request.error`; its answer has the status of the
    error (404; 500, or that of an `HttpError` above) unless it names another.  One that fails
    itself ends in a plain 500.

    `redirects` are path to (location, status).  `files` is a prefix such as ``/static/``.
    Raises `ValueError` or `TypeError` for what could never work.
    """

    def __init__(
        self,
        handlers: Iterable[Route],
        err_handlers: Mapping[str, Handler],
        redirects: Mapping[str, tuple[str, int]],
        loader: "Loader",
        http_server: HttpServer,
        *,
        files: str | None = None,
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
        self._loader = loader
        self._files = files
        self._router = Router(handlers)
        self._redirects = {path: self._redirect(path, *where) for path, where in redirects.items()}
        self._plain = self._router.plain | {
            path: dict.fromkeys(_USUAL_METHODS, redirect)
            for path, redirect in self._redirects.items()
        }
        self._request = Request(http_server, loader)

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
        request = self._request
        request.body = body
        request.conn = conn
        request.protocol = protocol
        request.method = method
        request.path = path
        request.query = query
        request.headers = headers
        request.params = NO_PARAMS
        request.error = request.known_args = None
        request.code = 200
        try:
            methods = self._plain.get(path)
            handler = methods.get(method) if methods is not None else None
            if handler is None:
                handler = self._find(request)
            handler(request)
        except Exception as error:
            self._failed(request, error)
        exchange: Exchange = conn.data
        if exchange.head is not None:
            self._failed(request, RuntimeError(f"{handler!r} returned without an answer"))

    def _find(self, request: Request) -> Handler:
        """Return what answers a request that path and method alone do not decide."""
        handler = self._redirects.get(request.path) or self._router.find(request)
        if handler is not None:
            return handler
        if (
            self._files is not None
            and request.path.startswith(self._files)
            and request.method in ("GET", "HEAD")
        ):
            return self._file
        raise NotFound(f"nothing answers {request!r}")

    def _file(self, request: Request) -> None:
        assert self._files is not None
        request.response_file(request.path[len(self._files) - 1 :])

    def _redirect(self, path: str, location: str, code: int) -> Handler:
        """A handler that sends the client elsewhere; its head is rendered now."""
        head = redirect_head(path, location, code)

        def redirect(request: Request) -> None:
            exchange: Exchange = request.conn.data
            self._http_server.send(
                request.conn, b"%b%b%b\r\n" % (head, date_line(), exchange.connection_line)
            )

        return redirect

    def _failed(self, request: Request, error: Exception) -> None:
        """Find the answer to an exception; the traceback goes to the log if it is a bug."""
        what = repr(request)  # now: a log that is written later would name another request
        if _answered(request):  # the first answer stands; it is too late for another
            _log.error("%s failed after its answer: %s", what, error, exc_info=error)
        elif isinstance(error, FileNotFoundError | NotFound):
            if not isinstance(error, NotFound):
                _log.info("%s is not found: %s", what, error)  # perhaps not the client's fault
            self._answer_error(request, NOT_FOUND, 404, error)
        elif isinstance(error, HttpError) and error.status < 500:
            _log.info("%s refused: %s", what, error)
            request.response(_page(error.status), error.status)
        else:
            _log.error("%s failed: %s", what, error, exc_info=error)
            status = error.status if isinstance(error, HttpError) else 500
            self._answer_error(request, INTERNAL_ERROR, status, error)

    def _answer_error(self, request: Request, name: str, code: int, error: Exception) -> None:
        request.error = error
        request.code = code
        try:
            self._err_handlers[name](request)
            problem = "returned without an answer"
        except Exception:
            _log.exception("the %s handler failed for %s", name, repr(request))
            problem = "failed"
        if not _answered(request):
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


def redirect_head(path: str, location: str, code: int) -> bytes:
    """Render the head of a redirect; raise `ValueError` if it could never work."""
    if not path.startswith("/"):
        raise ValueError(f"a redirect's path begins with '/': {path!r:.80}")
    if "<" in path or ">" in path:
        raise ValueError(f"a redirect is for one path, without parameters: {path!r:.80}")
    if code not in REDIRECTS:
        raise ValueError(f"a redirect is one of {REDIRECTS}, not {code!r}: {path!r:.80}")
    return render_head(code, [("Location", location), ("Content-Length", "0")])


def _answered(request: Request) -> bool:
    exchange: Exchange = request.conn.data
    return exchange.head is None


def _status_page(request: Request) -> None:
    """Answer an error with its status: what is there as long as nobody registers anything else."""
    request.response(_page(request.code))


def _page(status: int) -> str:
    return f"{status} {REASONS.get(status, 'Error')}\n"
