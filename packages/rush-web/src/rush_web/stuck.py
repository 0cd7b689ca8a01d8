"""Stuck: blocking handlers, and requests to a WSGI application, that run for too long.

A thread cannot be ended from outside, and its worker serves others meanwhile: so who is late is
reported, once, with its stack, and nothing else.  Only if all threads of the pool are late does the
worker retire: another one, that serves already, takes its place.  Who waits for a slow client, to
read more of its answer or to send more of its body, is not late.
"""

import logging
import sys
import traceback
from collections.abc import Callable
from time import monotonic
from types import FrameType

from epollserver import Loop
from rush_http import Pool

_log = logging.getLogger("rush_web")

# How often they are looked for, while any runs.
_LOOKS_SECONDS = 1.0

# Where a thread waits for its client, in `threading` below.
_CLIENT_MODULES = ("rush_http.streams", "rush_http.wsgi.input")

_OUR_MODULES = ("threading", "rush_http.", "rush_web.")


class Stuck:
    """Looks for tasks that run longer than `timeout` seconds.

    ``replace()`` is called, once, when no thread is left that is not late.
    """

    def __init__(self, loop: Loop, timeout: float, replace: Callable[[], object]) -> None:
        self._loop = loop
        self._timeout = timeout
        self._replace = replace
        self._replaced = False
        self._looks = False
        self._waited: dict[tuple[int, float], float] = {}  # since when not for its client
        self._told: set[tuple[int, float]] = set()  # thread, and when its task began

    def watch(self, pool: Pool, threads: int, name: Callable[[Callable[[], object]], str]) -> None:
        """A task has come to a pool of so many `threads`; ``name(task)`` is for the log."""
        if not self._looks:
            self._looks = True
            pause = min(_LOOKS_SECONDS, self._timeout / 4)
            self._loop.call_later(pause, lambda: self._look(pool, threads, name))

    def _look(self, pool: Pool, threads: int, name: Callable[[Callable[[], object]], str]) -> None:
        self._looks = False
        running = pool.running()
        now = monotonic()
        before, self._waited = self._waited, {}
        late = {}
        for ident, (began, task) in running.items():
            key = ident, began
            since = now if _waits_for_client(ident) else before.get(key, began)
            self._waited[key] = since
            if now - since > self._timeout:
                late[key] = task
        for one in late.keys() - self._told:
            _log.error(
                "%s runs for %.1f s (worker_timeout is %g s); its thread is at\n%s",
                *(name(late[one]), monotonic() - one[1], self._timeout, _stack(one[0])),
            )
        self._told = set(late)
        if len(late) == threads and not self._replaced:
            self._replaced = True
            _log.error("all %d threads run too long: the worker is replaced", threads)
            self._replace()
        if running:
            self.watch(pool, threads, name)


def _waits_for_client(ident: int) -> bool:
    frame = sys._current_frames().get(ident)
    while frame is not None and frame.f_globals.get("__name__") == "threading":
        frame = frame.f_back
    return frame is not None and frame.f_globals.get("__name__") in _CLIENT_MODULES


def _stack(ident: int) -> str:
    """Where a thread is, as a traceback says it, without what is ours below."""
    frame = sys._current_frames().get(ident)
    if frame is None:
        return "  (its end)"
    frames = traceback.StackSummary.extract(_own(frame))
    frames.reverse()
    return "".join(frames.format()).rstrip("\n")


def _own(frame: FrameType) -> "list[tuple[FrameType, int]]":
    frames = list(traceback.walk_stack(frame))
    while len(frames) > 1 and frames[-1][0].f_globals.get("__name__", "").startswith(_OUR_MODULES):
        frames.pop()
    return frames
