"""One at a time for each path, others wait."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Turns:
    """The paths whose turn it is; all methods are called with `lock` held, the owner's."""

    def __init__(self, lock: threading.Condition) -> None:
        self._lock = lock
        self._taken: set[str] = set()

    def __contains__(self, path: object) -> bool:
        return path in self._taken

    def __len__(self) -> int:
        return len(self._taken)

    def paths(self) -> list[str]:
        """All paths for which somebody works now."""
        return list(self._taken)

    def wait(self, path: str) -> None:
        """Wait until nobody works for `path`."""
        while path in self._taken:
            self._lock.wait()

    @contextmanager
    def take(self, path: str) -> Iterator[None]:
        """Be the one who works for `path`, which must be free."""
        self._taken.add(path)
        try:
            yield
        finally:
            self._taken.discard(path)
            self._lock.notify_all()

    @contextmanager
    def unlocked(self) -> Iterator[None]:
        """Give back the lock meanwhile."""
        lock = self._lock  # a child gets another one
        lock.release()
        try:
            yield
        finally:
            lock.acquire()
