"""Failures: which error handler answers an exception, and what if that fails."""

import logging
from collections.abc import Callable, Mapping
from functools import cache, lru_cache
from typing import TYPE_CHECKING, cast

from rush_http import REASONS, TEXT, HttpError, NotFound, date_line, negotiation, render_head

from .names import named
from .values import answer_with

if TYPE_CHECKING:
    from rush_http import Exchange, HeaderLines

    from .answering import Answering
    from .request import Request
    from .routing import Handler

_log = logging.getLogger("rush_web")

NOT_FOUND = "not-found"
INTERNAL_ERROR = "internal-error"

ErrorKind = str | int | type[Exception]
"""What an error handler is for: a name, a status, a class of exceptions."""

# They stand for (nearly) all, so whatever else was registered is meant more closely.
_CATCH_ALL = (HttpError, Exception)
# So many classes and statuses are remembered, with what they are answered by.
_MOST_KINDS = 256


class Failures:
    """The error handlers of a server.

    Of those that fit an exception answers the one for

    1. its class, or the nearest of the classes above it, but `HttpError` and `Exception`;
    2. its status: that of an `HttpError`, 404 for `FileNotFoundError`, 500 for any other;
    3. its name: ``not-found`` for 404, ``internal-error`` from 500 on;
    4. `HttpError`, then `Exception`;

    and if there is none, `built_in`: a page for browsers, else a line of plain text.
    Raises `ValueError` or `TypeError` for what no error can be.
    """

    def __init__(self, handlers: "Mapping[ErrorKind, Handler]") -> None:
        for kind in handlers:
            check_error_kind(kind)
        self._handlers = dict(handlers)
        self._kind: Callable[[type[Exception], int], ErrorKind | None]
        self._kind = lru_cache(_MOST_KINDS)(self._find_kind)  # type: ignore[assignment]
        self.built_in: Handler = answer_ready
        """What answers where no handler does."""
        self.on_bug: Callable[[], object] | None = None
        """Called for each exception that is a bug."""

    def find(self, error: Exception) -> "tuple[ErrorKind | None, Handler]":
        """What answers `error`, and what it was registered for: ``None`` if it is our own."""
        kind = self._kind(type(error), status_of(error))
        return kind, self.built_in if kind is None else self._handlers[kind]

    def _find_kind(self, error: type[Exception], status: int) -> ErrorKind | None:
        name = NOT_FOUND if status == 404 else INTERNAL_ERROR if status >= 500 else ""
        classes = [kind for kind in error.__mro__ if kind not in _CATCH_ALL]
        for kind in (*classes, status, name, *_CATCH_ALL):
            if kind in self._handlers and (kind is not HttpError or issubclass(error, HttpError)):
                return kind
        return None

    def not_found(self, request: "Request") -> None:
        """Answer a request that nothing is there for: a handler.

        As `answer` does for `NotFound`, which is made if somebody may want to see it.
        """
        is_seen = request.after or self.built_in is not answer_ready
        if is_seen or self._kind(NotFound, NotFound.status) is not None:
            self.answer(request, NotFound(f"nothing answers {request!r}"))
            return
        request.code = NotFound.status
        request.pending = None  # as for each error
        answer_ready(request)

    def answer(self, request: "Answering", error: Exception) -> None:
        """Answer for a handler that raised; the traceback goes to the log if it is a bug.

        An exception for whose class there is a handler is no bug.
        """
        request.drop_body(error)
        # In the log the text of the request, not itself: written later it would name another.
        if request.answered:  # the first answer stands; it is too late for another
            _log.error("%s failed after its answer: %s", repr(request), error, exc_info=error)
            request.abandon()
            return
        kind, handler = self.find(error)
        status = status_of(error)
        if isinstance(error, HttpError) and status < 500:
            if status != 404:
                _log.info("%s refused: %s", repr(request), error)
        elif isinstance(error, FileNotFoundError):
            _log.info("%s is not found: %s", repr(request), error)  # perhaps not the client's fault
        elif isinstance(kind, type) and kind not in _CATCH_ALL:
            _log.info("%s ended with %r, for %s", repr(request), error, named(handler))
        else:
            _log.error("%s failed: %s", repr(request), error, exc_info=error)
            self.bug()
        request.error = error
        request.code = status
        request.pending = list(error.headers) if isinstance(error, HttpError) else []
        self._call(handler, kind, request)

    def bug(self) -> None:
        """Tell of one, whoever has answered for it."""
        if self.on_bug is not None:
            self.on_bug()

    def _call(self, handler: "Handler", kind: ErrorKind | None, request: "Answering") -> None:
        try:
            value = handler(cast("Request", request))  # but for what `Answering` has not
            if value is not None:
                answer_with(request, value, handler)
            problem = "returned without an answer"
        except Exception:
            _log.exception("the %s handler failed for %s", shown(kind), repr(request))
            problem = "failed"
        finally:
            request.error = None
        if not (request.answered or request.comes_later(handler)):
            words = "the %s handler %s: %s is answered with a plain 500"
            _log.error(words, shown(kind), problem, repr(request))
            request.code, request.after, request.pending = 500, (), None
            answer_status(request)


def status_of(error: Exception) -> int:
    """The status of an answer to `error` that names none."""
    if isinstance(error, HttpError):
        return error.status
    return 404 if isinstance(error, FileNotFoundError) else 500


def shown(kind: ErrorKind | None) -> str:
    """What an error handler is for, in words: ``not-found``, ``413``, ``KeyError``."""
    return kind.__qualname__ if isinstance(kind, type) else str(kind or "built-in error")


def check_error_kind(kind: ErrorKind) -> None:
    """Raise `ValueError` or `TypeError` if no error is of that kind."""
    if isinstance(kind, str):
        if kind not in (NOT_FOUND, INTERNAL_ERROR):
            raise ValueError(f"no error handler {kind!r}: use {NOT_FOUND!r} or {INTERNAL_ERROR!r}")
    elif isinstance(kind, int):
        if not 400 <= kind <= 599:
            raise ValueError(f"no error handler for {kind!r}: an error has a status of 400 to 599")
    elif not isinstance(kind, type) or not issubclass(kind, Exception):
        raise TypeError(
            f"an error handler is for a name, a status or a class of exceptions, not {kind!r:.80}"
        )


def answer_status(request: "Answering") -> None:
    """Answer an error with its status: what is there as long as nobody registers anything else.

    A page for who likes ``text/html`` best, a line of plain text for all others.
    """
    if not _likes_pages(request):
        request.response(_line(request.code))
        return
    text, headers = _page(request.code)
    request.response(text, headers=headers, content_type=HTML)


def answer_ready(request: "Answering") -> None:
    """As `answer_status`, of what was rendered before, if no other headers go with it.

    A 404 takes a third of the instructions so (tests/bench/instructions.py).
    """
    if request.pending or request.after:
        answer_status(request)
        return
    head, body = _rendered(request.code, _likes_pages(request))
    if request.method == "HEAD":
        body = b""
    exchange: Exchange = cast("Request", request).conn.data
    line = exchange.connection_line
    request.raw_response(b"".join((head, date_line(), line, b"\r\n", body)))


def _likes_pages(request: "Answering") -> bool:
    accept = request.headers.get("accept")
    return (
        accept is not None
        and "text/html" in accept
        and negotiation.best_type(accept, _KINDS) == HTML
    )


HTML = "text/html; charset=utf-8"
_KINDS = ("text/plain", HTML)


def _line(status: int) -> str:
    return f"{status} {REASONS.get(status, 'Error')}\n"


@cache
def _rendered(status: int, is_page: bool) -> tuple[bytes, bytes]:
    """Head and body of the answer with a status, but for what is new each time."""
    text, headers = _page(status) if is_page else (_line(status), ())
    body = text.encode()
    kind = ("Content-Type", HTML if is_page else TEXT)
    return render_head(status, (kind, *headers, ("Content-Length", str(len(body))))), body


@cache
def _page(status: int) -> "tuple[str, HeaderLines]":
    """The page of a status; of the few hundred that there are."""
    from .pages import status_page  # a server without browsers needs none of it

    page = status_page(status)
    return page.text, (*page.headers, ("Vary", "Accept"))
