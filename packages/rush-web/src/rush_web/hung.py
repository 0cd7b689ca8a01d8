"""Workers that hang: busy with one request for too long, never one that is idle."""

import logging
import signal
import time
from collections.abc import Callable, Iterable
from functools import partial

from epollserver import Loop

from .blackbox import doing
from .worker import Worker

_log = logging.getLogger("rush_web")

# How often they are looked for; a parent that need not look sleeps.
_LOOKS_SECONDS = 1.0
# A look that comes so late: the parent was stopped, and its workers perhaps with it (Ctrl-Z, a
# container that was frozen).  What they have not had, they cannot have taken too long.
_OVERSLEPT_SECONDS = 1.0
# SIGABRT lets a worker write down its stack, and die; within this.
_ABORT_SECONDS = 1.0


class HungWatch:
    """Reports and kills those of ``workers()`` that are busy with a request for `timeout` seconds.

    ``end(worker)`` is called for one that SIGABRT has not ended.
    """

    def __init__(
        self,
        loop: Loop,
        timeout: float,
        workers: Callable[[], Iterable[Worker]],
        end: Callable[[Worker], object],
    ) -> None:
        self._loop = loop
        self._timeout = timeout
        self._workers = workers
        self._end = end
        self._due = self._awake_since = time.monotonic()

    def look(self) -> None:
        """Look now, and again and again."""
        now = time.monotonic()
        if now - self._due > _OVERSLEPT_SECONDS:
            self._awake_since = now
        for worker in self._workers():
            since = worker.slot.busy_since
            seconds = now - since
            counted = now - max(since, self._awake_since)
            if since and counted > self._timeout and not worker.hung:
                worker.hung = True
                _log.error(
                    "%s is busy with one request for %.1f s (worker_timeout is %g s):"
                    " it is replaced; it is in %s",
                    *(worker, seconds, self._timeout, doing(worker.slot) or "no request by now"),
                )
                worker.signal(signal.SIGABRT)
                worker.signal(signal.SIGCONT)  # one that is stopped would not hear it
                self._loop.call_later(_ABORT_SECONDS, partial(self._end, worker))
        pause = min(_LOOKS_SECONDS, self._timeout / 4)
        self._due = now + pause
        self._loop.call_later(pause, self.look)
