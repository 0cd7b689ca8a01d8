"""Receiving: a body that is taken in pieces, as it comes.

::

    head ──▶ handler: receive(...) ──▶ piece, piece ... ──▶ then(request) ──▶ answer
                                                     └────▶ lost: an error handler answers, if
                                                            there is still somebody to answer

The handler of a route with ``stream=True`` is called as soon as the head is there.  Whoever takes
the body is called from then on; the one `Request` of the worker serves others meanwhile, and is
filled again before `then` is called.
"""

import logging
import os
from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar, cast

from epollserver import Reason
from rush_http import BodyReceiver, HttpError

from .forms import Form, FormLimits
from .names import named
from .sinks import OnLost, OnPiece, Sink, ToCallbacks, ToFile, ToForm
from .streaming import Streaming
from .values import Returned, answer_with

if TYPE_CHECKING:
    from .blackbox import BlackBox
    from .request import Request
    from .routing import Handler, Route

_log = logging.getLogger("rush_web")

_T = TypeVar("_T")

# What of a request is there again when its body has come, beside its message.
_KEPT = (
    "params",
    "code",
    "pending",
    "after",
    "known",
    "later",
)

Resume = Callable[["Kept", "Handler"], object]
"""What goes on with a request, by calling a handler with it."""


class Kept:
    """What is to be known of a request while others are served."""

    __slots__ = ("_values", "conn", "handler", "message")

    def __init__(self, request: "Receiving") -> None:
        self.conn = request.conn
        self.message = (
            request.protocol,
            request.method,
            request.path,
            request.query,
            request.headers,
        )
        self.handler: Handler
        """What goes on with it."""
        self._values: dict[str, Any] = {name: getattr(request, name) for name in _KEPT}

    def restore(self, request: "Receiving") -> "dict[str, Handler]":
        """Fill a request with it; returns the handler by method."""
        for name, value in self._values.items():
            setattr(request, name, value)
        return {request.method: self.handler}

    @property
    def asked(self) -> tuple[str, str, str]:
        """Method, path and query."""
        return self.message[1:4]


class Receiver(BodyReceiver):
    """Takes the body of a request whose handler has returned, and goes on with it at the end."""

    def __init__(
        self,
        kept: Kept,
        resume: Resume,
        sink: Sink[_T],
        then: Callable[["Request", _T], Returned],
        who: "Callable[..., object]",
        box: "BlackBox | None" = None,
    ) -> None:
        self._kept = kept
        self._box = box
        self._resume = resume
        self._who = who
        self._error: Exception | None = None  # what a piece has led to, if it is no `HttpError`
        self._sink: Sink[Any] = sink
        self._then: Callable[[Request, Any], Returned] = then

    def on_piece(self, data: bytes) -> None:
        """As `BodyReceiver.on_piece`."""
        self._noted(self._take_piece, data)

    def _take_piece(self, data: bytes) -> None:
        try:
            self._sink.write(data)
        except HttpError:
            raise
        except Exception as error:
            self._error = error  # `on_lost` has it logged, once, and answered
            raise HttpError(f"a piece of a body could not be taken: {error!r:.200}") from error

    def on_end(self) -> None:
        """As `BodyReceiver.on_end`."""
        self._noted(self._resume, self._kept, self._as_handler(self.complete))

    def on_lost(self, reason: Reason | Exception) -> None:
        """As `BodyReceiver.on_lost`: of what was refused our error handlers say why."""
        self._noted(self._give_up, self._error or reason)

    def _give_up(self, reason: Reason | Exception) -> None:
        self.give_up(reason)
        if isinstance(reason, Exception) and self._kept.conn.data.head is not None:
            self._resume(self._kept, self._as_handler(lambda request: _raise(reason)))

    def _noted(self, function: Callable[..., object], *arguments: object) -> None:
        """Call a function, of which the black box knows whose request it is for."""
        if self._box is None:
            function(*arguments)
        else:
            self._box.going_on(self._kept.asked, self._who, function, *arguments)

    def complete(self, request: "Request") -> Returned:
        """Call who was to be called at the end."""
        try:
            result = self._sink.finish()
        except Exception as error:
            self.give_up(error)
            raise
        if isinstance(result, Form):
            request.take_form(result)  # closed when this has ended
        return self._then(request, result)

    def take(self, request: "Request", body: bytes) -> None:
        """Take a body that is there already."""
        try:
            if body:
                self._sink.write(body)
        except Exception as error:
            self.give_up(error)
            raise
        value = self.complete(request)
        if value is not None:
            answer_with(request, value, self._who)
        else:
            request.comes_later(self._who)  # who is named if it never comes

    def give_up(self, reason: Reason | Exception) -> None:
        """Let go of a body that nobody wants any more, or that will never be complete."""
        try:
            self._sink.lost(reason)
        except Exception:
            _log.exception("who took a body that is lost has failed: %s", named(self._who))

    def _as_handler(self, function: "Handler") -> "Handler":
        """`function`, with the name of what was to be called at the end."""

        @wraps(cast("Handler", self._who))
        def handler(request: "Request") -> Returned:
            return function(request)

        return handler


class Coming:
    """The body of the present request, while its handler may say who takes it."""

    __slots__ = ("asked", "box", "receiver", "resume", "route")

    def __init__(self, resume: Resume, box: "BlackBox | None") -> None:
        self.resume = resume
        self.box = box
        self.receiver: Receiver | None = None
        self.route: Route | None = None
        """The route of the request, as soon as it is known."""
        self.asked: Request | None = None
        """What the filters were asked with, if that was before the request is handled."""


class Receiving(Streaming):
    """A request whose body may be taken in pieces."""

    __slots__ = ()

    def receive(
        self,
        on_piece: OnPiece,
        then: "Handler",
        on_lost: OnLost | None = None,
    ) -> BodyReceiver:
        """Take the body in pieces: ``on_piece(piece)`` for each, in the worker's thread.

        When all have come, ``then(request)`` is called, a handler as any other.  If it will never
        be complete, ``on_lost(reason)``: a `Reason` if the client has gone; an exception if the
        body was refused (too large, too slow), or `on_piece` has raised; the error handlers answer
        then.  Nothing is called with what this handler had: keep it in the functions.

        Returns what can ``pause()`` and ``resume()`` the client, from any thread.
        In a route without ``stream=True``, and if there is no body, all is called at once.
        Raises `RuntimeError` if somebody takes the body already.
        """
        sink = ToCallbacks(on_piece, on_lost)
        return self._receive(sink, lambda request, _: then(request), then)

    def receive_file(
        self, path: str | os.PathLike[str], then: "Callable[[Request, int], Returned]"
    ) -> BodyReceiver:
        """Write the body to a file; ``then(request, size)`` is called when it is there.

        It is written beside `path` and takes its place when it is complete: nobody sees a part of
        it, and nothing is left of one that is lost.  Never make a path of what a client has sent
        unseen.  Raises `OSError` if it cannot be written, and else as `receive`.
        """
        return self._receive(ToFile(path), then, then)

    def receive_form(
        self, then: "Callable[[Request, Form], Returned]", limits: FormLimits | None = None
    ) -> BodyReceiver:
        """Take a form apart as it comes; ``then(request, form)`` is called when it is complete.

        Files are spooled to disk, whatever their size; they are closed, and gone, when `then` has
        ended.  Refused as by `parse_form`, and returns and raises as `receive`.
        """
        content_type = self.headers.get("content-type")
        return self._receive(ToForm(content_type, limits or FormLimits()), then, then)

    def drop_body(self, error: Exception) -> None:
        """As `Answering.drop_body`."""
        coming = self.common.coming
        if coming is not None and coming.receiver is not None:
            receiver, coming.receiver = coming.receiver, None
            receiver.give_up(error)

    @property
    def is_receiving(self) -> bool:
        """Whether somebody takes the body that is still to come."""
        coming = self.common.coming
        return coming is not None and coming.receiver is not None

    def _receive(
        self,
        sink: Sink[_T],
        then: "Callable[[Request, _T], Returned]",
        who: "Callable[..., object]",
    ) -> BodyReceiver:
        coming = self.common.coming
        kept = Kept(self)
        if coming is None:
            receiver = Receiver(kept, _nobody, sink, then, who)
        else:
            receiver = Receiver(kept, coming.resume, sink, then, who, coming.box)
        if coming is None:
            receiver.take(cast("Request", self), self.body)
        elif coming.receiver is None:
            coming.receiver = receiver
        else:
            error = RuntimeError(f"the body of {self!r} is taken already")
            receiver.give_up(error)
            raise error
        return receiver


def _nobody(kept: Kept, handler: object) -> None:
    """Never called: nothing is to come."""


def _raise(error: Exception) -> NoReturn:
    raise error
