"""Revival: a program that died is executed anew, with pauses if it dies again and again."""

from collections.abc import Callable

from epollserver import Loop

# At once at first.
_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 10.0


class Revival:
    """Calls ``revive()`` when nobody serves, after a pause that doubles each time."""

    def __init__(self, loop: Loop, revive: Callable[[], object]) -> None:
        self._loop = loop
        self._revive = revive
        self._times = 0

    def begin(self) -> None:
        """Call it: now for the first time, later after that."""
        times, self._times = self._times, self._times + 1
        if times:
            pause = min(_FIRST_PAUSE * 2.0 ** min(times, 10), _LONGEST_PAUSE)
            self._loop.call_later(pause, self._revive)
        else:
            self._revive()

    def succeeded(self) -> None:
        """Somebody serves: the next time is the first one again."""
        self._times = 0
