"""The thread that waits for inotify, and can be ended at once."""

import logging
import os
import select
import threading
import time
from collections.abc import Callable
from contextlib import suppress

logger = logging.getLogger("rush_loader")

_GONE_SECONDS = 1.0  # the kernel takes some microseconds to bury a thread


class Updater:
    """Calls ``step()`` in a daemon thread when `descriptor` is readable, and when it asked to be.

    `step` returns the seconds after which it wants to be called in any case, or `None`.  If it
    raises, that is logged, ``failed()`` is called and the thread ends: a step that failed once
    would likely fail for ever.  ``has_ended()`` is called last of all, when `ended` is true.

    `stop` and then `join` end it, and then `release`: `stop` from anywhere, `join` from any other
    thread.
    """

    def __init__(
        self,
        descriptor: int,
        step: Callable[[], float | None],
        failed: Callable[[], None],
        has_ended: Callable[[], None],
    ) -> None:
        self._descriptor = descriptor
        self._step = step
        self._failed = failed
        self._has_ended = has_ended
        self._bell = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._thread = threading.Thread(target=self._run, name="rush-loader", daemon=True)
        self.stopping = self.ended = False
        try:
            self._thread.start()
        except BaseException:
            os.close(self._bell)
            raise

    def wake(self) -> None:
        """Have `step` called soon."""
        os.eventfd_write(self._bell, 1)

    def stop(self) -> None:
        """End the thread after the step that it is in; does not wait for it."""
        self.stopping = True
        self.wake()

    def join(self) -> None:
        """Wait until the thread has ended, for the kernel too."""
        self._thread.join()
        wait_until_gone(self._thread.native_id)

    def release(self) -> None:
        """Give back the descriptor; nobody may `wake` it now."""
        os.close(self._bell)

    def _run(self) -> None:
        try:
            poller = select.poll()
            poller.register(self._descriptor, select.POLLIN)
            poller.register(self._bell, select.POLLIN)
            while not self.stopping:
                seconds = self._step()
                if not self.stopping:
                    # Rounded up: a millisecond too early would be a step for nothing.
                    poller.poll(None if seconds is None else int(seconds * 1000) + 1)
                    with suppress(BlockingIOError):
                        os.eventfd_read(self._bell)
        except Exception:
            logger.exception("The thread that keeps cached files fresh failed")
            self._failed()
        finally:
            self.ended = True
            self._has_ended()


def wait_until_gone(thread_id: int | None) -> None:
    """Wait for the kernel to forget a thread that was joined."""
    # Before Python 3.13, join() returns while the kernel still counts the thread; Python 3.12
    # counts the kernel's threads at os.fork() and warns.
    deadline = time.monotonic() + _GONE_SECONDS
    while os.path.exists(f"/proc/self/task/{thread_id}") and time.monotonic() < deadline:
        os.sched_yield()
