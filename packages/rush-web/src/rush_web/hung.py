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

    def look(self) -> None:
        """Look now, and again and again."""
        for worker in self._workers():
            since = worker.slot.busy_since
            seconds = time.monotonic() - since
            if since and seconds > self._timeout and not worker.hung:
                worker.hung = True
                _log.error(
                    "%s is busy with one request for %.1f s (worker_timeout is %g s):"
                    " it is replaced; it is in %s",
                    *(worker, seconds, self._timeout, doing(worker.slot) or "no request by now"),
                )
                worker.signal(signal.SIGABRT)
                self._loop.call_later(_ABORT_SECONDS, partial(self._end, worker))
        self._loop.call_later(min(_LOOKS_SECONDS, self._timeout / 4), self.look)
