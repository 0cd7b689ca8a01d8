"""Blocking: handlers that wait for something run in threads, and hold nobody else up."""

import logging
from collections.abc import Callable, Collection, Hashable, Iterable
from dataclasses import replace
from functools import partial, wraps
from typing import TYPE_CHECKING, cast

from epollserver import Loop
from rush_http import Pool

from .names import named
from .stuck import Stuck
from .values import answer_with

if TYPE_CHECKING:
    from .detached import Detached
    from .request import Request
    from .routing import Handler, Route

RETRY_AFTER = "1"  # seconds: a queue that is full now is another one then

# How often a full queue is told of, in seconds: it is full for many requests at a time.
_TOLD_EVERY = 1.0

_log = logging.getLogger("rush_web")


THREADS = 64
"""Each costs some 50 KiB, and often a connection to a database: more are seldom of use."""

QUEUE = 256
"""Requests that wait for a thread: four turns of all threads; who had to wait longer gives up."""


def check_threads(threads: int, queue: int) -> None:
    """Raise `ValueError` for numbers that make no sense."""
    if threads < 1:
        raise ValueError(f"blocking_threads is {threads!r}: it must be 1 or more")
    if queue < 0:
        raise ValueError(f"blocking_queue is {queue!r}: it must be 0 or more")


class Blocking:
    """Makes of handlers that block such that do not: the threads run them with a `Detached`."""

    def __init__(self, threads: int, queue: int, loop: Loop) -> None:
        check_threads(threads, queue)
        self._threads = threads
        self._queue = queue
        self._loop = loop
        self._pool: Pool | None = None  # until it is used
        self._told = float("-inf")
        self.stuck: Stuck | None = None
        """Who looks for handlers that run too long."""

    def handler(self, handler: "Handler") -> "Handler":
        """The handler that runs `handler` in a thread."""

        @wraps(handler)
        def run_in_thread(request: "Request") -> None:
            if self._pool is None:
                self._pool = Pool(self._threads, self._queue)
            if not self._pool.has_room():
                self._refuse(request, handler)
                return
            detached = request.detach(handler)
            self._pool.submit(partial(_run, handler, detached))
            if self.stuck is not None:
                self.stuck.watch(self._pool, self._threads, _name)

        return run_in_thread

    def close(self, seconds: float = 0.0) -> None:
        """Let those that run end, for so many `seconds`; nothing is run any more."""
        if self._pool is not None and not self._pool.close(seconds):
            _log.warning("blocking handlers are still running: they are left to themselves")

    def _refuse(self, request: "Request", handler: "Handler") -> None:
        now = self._loop.now
        if now - self._told >= _TOLD_EVERY:
            self._told = now
            _log.warning(
                "%r for %s is refused with 503: all %d threads are busy, and %d requests wait "
                "(blocking_threads, blocking_queue)",
                request,
                named(handler),
                self._threads,
                self._queue,
            )
        request.response("503 Service Unavailable\n", 503, {"Retry-After": RETRY_AFTER})


def _name(task: Callable[[], object]) -> str:
    """The handler and the request of a task that `Blocking` has made."""
    handler, request = cast("partial[None]", task).args
    return f"{named(handler)} for {request!r}"


def _run(handler: "Handler", request: "Detached") -> None:
    try:
        value = handler(cast("Request", request))  # but for what `Answering` has not
        if value is not None and not (request.gone and request.answered):  # else nobody wants it
            answer_with(request, value, handler)
    except Exception as error:
        request.fail(error)
    except BaseException as error:  # SystemExit: of the process, a handler in a thread has no say
        request.fail(RuntimeError(f"{named(handler)} raised {error!r}"))


def with_threads(
    routes: "Iterable[Route]", marked: "Collection[Handler]", blocking: Blocking
) -> "list[Route]":
    """The routes; those whose handlers are `marked` run in threads.

    Raises `ValueError` for one with ``stream=True``: its body comes in the server's thread.
    """
    found = []
    for route in routes:
        if isinstance(route.handler, Hashable) and route.handler in marked:
            if route.stream:
                raise ValueError(f"a blocking handler takes its body whole: {route!r:.200}")
            route = replace(route, handler=blocking.handler(route.handler))
        found.append(route)
    return found


def check_error_handlers(handlers: "Iterable[Handler]", marked: "Collection[Handler]") -> None:
    """Raise `ValueError` if one of them is `marked`: they run in the server's thread."""
    for handler in handlers:
        if isinstance(handler, Hashable) and handler in marked:
            raise ValueError(f"an error handler cannot be blocking: {handler!r:.200}")
