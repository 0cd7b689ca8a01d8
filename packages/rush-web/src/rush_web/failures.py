"""Failures: which error handler answers an exception, and what if that fails."""

import logging
from collections.abc import Callable, Mapping
from functools import cache
from typing import TYPE_CHECKING, cast

from rush_http import REASONS, HttpError, negotiation

from .names import named
from .values import answer_with

if TYPE_CHECKING:
    from rush_http import HeaderLines

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
        self.built_in: Handler = answer_status
        """What answers where no handler does."""
        self.on_bug: Callable[[], object] | None = None
        """Called for each exception that is a bug."""

    def find(self, error: Exception) -> "tuple[ErrorKind | None, Handler]":
        """What answers `error`, and what it was registered for: ``None`` if it is our own."""
        status = status_of(error)
        name = NOT_FOUND if status == 404 else INTERNAL_ERROR if status >= 500 else ""
        classes = [kind for kind in type(error).__mro__ if kind not in _CATCH_ALL]
        for kind in (*classes, status, name, *_CATCH_ALL):
            if kind in self._handlers and (kind is not HttpError or isinstance(error, HttpError)):
                return kind, self._handlers[kind]
        return None, self.built_in

    def answer(self, request: "Answering", error: Exception) -> None:
        """Answer for a handler that raised; the traceback goes to the log if it is a bug.

        An exception for whose class there is a handler is no bug.
        """
        what = repr(request)  # now: a log that is written later would name another request
        request.drop_body(error)
        if request.answered:  # the first answer stands; it is too late for another
            _log.error("%s failed after its answer: %s", what, error, exc_info=error)
            request.abandon()
            return
        kind, handler = self.find(error)
        status = status_of(error)
        if isinstance(error, HttpError) and status < 500:
            if status != 404:
                _log.info("%s refused: %s", what, error)
        elif isinstance(error, FileNotFoundError):
            _log.info("%s is not found: %s", what, error)  # perhaps not the client's fault
        elif isinstance(kind, type) and kind not in _CATCH_ALL:
            _log.info("%s ended with %r, for %s", what, error, named(handler))
        else:
            _log.error("%s failed: %s", what, error, exc_info=error)
            self.bug()
        request.error = error
        request.code = status
        request.pending = list(error.headers) if isinstance(error, HttpError) else []
        self._call(handler, shown(kind), request, what)

    def bug(self) -> None:
        """Tell of one, whoever has answered for it."""
        if self.on_bug is not None:
            self.on_bug()

    def _call(self, handler: "Handler", name: str, request: "Answering", what: str) -> None:
        try:
            value = handler(cast("Request", request))  # but for what `Answering` has not
            if value is not None:
                answer_with(request, value, handler)
            problem = "returned without an answer"
        except Exception:
            _log.exception("the %s handler failed for %s", name, what)
            problem = "failed"
        finally:
            request.error = None
        if not (request.answered or request.comes_later(handler)):
            _log.error("the %s handler %s: %s is answered with a plain 500", name, problem, what)
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
    accept = request.headers.get("accept")
    if accept is None or "text/html" not in accept or negotiation.best_type(accept, _KINDS) != HTML:
        request.response(f"{request.code} {REASONS.get(request.code, 'Error')}\n")
        return
    text, headers = _page(request.code)
    request.response(text, headers=headers, content_type=HTML)


HTML = "text/html; charset=utf-8"
_KINDS = ("text/plain", HTML)


@cache
def _page(status: int) -> "tuple[str, HeaderLines]":
    """The page of a status; of the few hundred that there are."""
    from .pages import status_page  # a server without browsers needs none of it

    page = status_page(status)
    return page.text, (*page.headers, ("Vary", "Accept"))
