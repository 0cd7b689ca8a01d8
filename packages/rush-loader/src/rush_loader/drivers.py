"""Who has the events of inotify read, and in time: a thread, or the program with a loop of its own.

A thread is an `Updater`: it waits for inotify, and for the eventfd by which it is ended at once.
For a program, `Attended` takes its place: one descriptor, `Readiness`, is readable when something
was reported, and when something that waits is due.  It is that of an epoll in which inotify and a
timer are.
"""

import ctypes
import logging
import os
import select
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol
from weakref import finalize

logger = logging.getLogger("rush_loader")

_GONE_SECONDS = 1.0  # the kernel takes some microseconds to bury a thread
_CLOCK_MONOTONIC = 1

_libc = ctypes.CDLL(None, use_errno=True)


class Driver(Protocol):
    """Who has the events read: an `Updater`, a thread; or an `Attended`, the program itself."""

    stopping: bool
    ended: bool

    def wake(self) -> None:
        """Have the next step made soon."""

    def stop(self) -> None:
        """End; does not wait."""

    def join(self) -> None:
        """Wait for the end."""

    def release(self) -> None:
        """Give back what is left of it."""


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
                    ready = poller.poll(None if seconds is None else int(seconds * 1000) + 1)
                    if any(descriptor == self._bell for descriptor, _ in ready):
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


class _Timer(ctypes.Structure):
    """``struct itimerspec``: an interval, of which we have none, and the time until it rings."""

    _fields_ = (("interval", ctypes.c_long * 2), ("value", ctypes.c_long * 2))


class Readiness:
    """A pollable descriptor, and a timer that makes it readable.

    Python has had timers of this kind since 3.13 only, so libc is asked.
    """

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._timer = _libc.timerfd_create(_CLOCK_MONOTONIC, os.O_CLOEXEC | os.O_NONBLOCK)
        if self._timer < 0:
            error = ctypes.get_errno()
            self._epoll.close()
            raise OSError(error, os.strerror(error))
        self._epoll.register(self._timer, select.EPOLLIN)
        self._end = finalize(self, os.close, self._timer)  # an epoll sees to itself

    def fileno(self) -> int:
        """The descriptor to wait for."""
        return self._epoll.fileno()

    def attach(self, descriptor: int) -> None:
        """Be readable when `descriptor` is."""
        self._epoll.register(descriptor, select.EPOLLIN)

    def detach(self, descriptor: int) -> None:
        """Heed `descriptor` no longer; before it is closed."""
        with suppress(OSError, ValueError):  # somebody closed every descriptor; closed ourselves
            self._epoll.unregister(descriptor)

    def ring_in(self, seconds: float | None) -> None:
        """Be readable after so many seconds; `None` for never."""
        nanoseconds = 0 if seconds is None else max(1, int(seconds * 1e9))
        timer = _Timer((0, 0), divmod(nanoseconds, 1_000_000_000))
        _libc.timerfd_settime(self._timer, 0, ctypes.byref(timer), None)

    def close(self) -> None:
        """Give back both descriptors."""
        self._epoll.close()
        self._end()


class Attended:
    """Takes the place of an `Updater`: the program itself calls the step, when it is told to."""

    def __init__(self, readiness: Readiness, descriptor: int) -> None:
        self._readiness = readiness
        self._descriptor = descriptor
        self.stopping = False
        self.ended = True
        readiness.attach(descriptor)

    def wake(self) -> None:
        """Have the program call soon."""
        self._readiness.ring_in(0.0)

    def stop(self) -> None:
        """Heed the descriptor no longer."""
        self.stopping = True
        self.release()

    def join(self) -> None:
        """Nothing: there is no thread."""

    def release(self) -> None:
        """Heed the descriptor no longer."""
        self._readiness.detach(self._descriptor)
