"""One descriptor for a program that has a loop of its own, in place of the cache's thread.

It is that of an epoll in which inotify and a timer are; so it is readable when something was
reported, and when something that waits is due.
"""

import ctypes
import os
import select
from contextlib import suppress
from weakref import finalize

_CLOCK_MONOTONIC = 1

_libc = ctypes.CDLL(None, use_errno=True)


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
