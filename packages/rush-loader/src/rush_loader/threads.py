"""The threads of a cache: who reads the events, and who does the errands; none lives in a fork."""

import threading
from collections.abc import Collection

from .epochs import Epochs
from .errands import Errands


class Threads:
    """Ends them, and lets them begin again.

    Several may want them ended at a time, such as two threads that fork: none begins before all of
    them have allowed it.
    """

    def __init__(self, lock: threading.Condition, epochs: Epochs, errands: Errands) -> None:
        self._lock = lock
        self._epochs = epochs
        self._errands = errands
        self._halts = 0  # not allowed yet

    def halt(self) -> None:
        """End them, but for the one that asks: see `join`; none begins until `allow`.

        Without the lock: who wants it can have it meanwhile.  Also within a signal handler that
        has interrupted who holds it.
        """
        with self._lock:
            self._halts += 1
            self._epochs.barred = True
            driver = self._epochs.stop()
            self._errands.stop()
            while driver is not None and not driver.ended:
                self._lock.wait()  # gives it back, however often this thread has taken it
        if driver is not None:
            driver.join()

    def join(self, excused: Collection[threading.Thread] = ()) -> None:
        """After `halt`: wait for their end, but for the one that asks and those in `excused`."""
        self._errands.join(excused)

    def ended(self, excused: Collection[threading.Thread]) -> bool:
        """Whether `join` has nobody to wait for."""
        return not self._errands.others(excused)

    def allow(self, *, barred: bool) -> None:
        """Let them begin again, as soon as nobody else wants them ended; with the lock held.

        With `barred`, no epoch begins.
        """
        self._halts -= 1
        if not self._halts:
            self._epochs.barred = barred
            self._errands.allow()

    def after_fork_in_child(self, lock: threading.Condition, *, barred: bool) -> None:
        """Take another lock.  Whoever else wanted them ended is not here."""
        self._lock = lock
        self._halts = 1
        self._errands.after_fork_in_child(lock)
        self.allow(barred=barred)

    def stir(self) -> None:
        """Have those who wait look again; without the lock."""
        with self._lock:
            self._lock.notify_all()
