"""Changes: the files that a program is made of, watched by our own inotify cache."""

from collections.abc import Callable, Iterable
from contextlib import suppress
from time import time

from epollserver import READ, Loop, Timer
from rush_loader import AutoUpdatingCache

# Who saves several files at once is done then; and an editor that deletes a file puts it back.
_SETTLES_SECONDS = 0.02
_LOOKS_SECONDS = 0.1


class Changes:
    """Watches files in the loop of a process, and calls back when one has changed.

    ``own()`` says what files this process is made of, from `began` on (seconds since the epoch);
    ``seen(paths)`` is called with what has changed, just before the callback is.  Nothing is opened
    before `watch`.
    """

    def __init__(
        self,
        own: Callable[[], Iterable[str]],
        seen: Callable[[list[str]], object],
        began: float,
    ) -> None:
        self.own = own
        self.began = began
        """Since when files are read that will be added: what was saved later has changed."""
        self._seen = seen
        self._changed: Callable[[], object] = _nothing
        self._cache: AutoUpdatingCache | None = None
        self._loop: Loop | None = None
        self._paths: set[str] = set()  # that have changed just now
        self._missing: set[str] = set()
        self._timer: Timer | None = None
        self._looks: Timer | None = None

    def watch(self, loop: Loop, changed: Callable[[], object]) -> None:
        """Call ``changed()`` in this loop, a moment after the last of several changes."""
        self._loop = loop
        self._changed = changed
        cache = self._cache = AutoUpdatingCache(threaded=False)
        cache.on_change(self._on_change)
        self.add(self.own())
        loop.watch(cache.fileno(), READ, lambda ready: cache.process_events())

    def add(self, files: Iterable[str]) -> None:
        """Watch these as well; one that is not there is a change when it comes."""
        if self._cache is not None:
            for path in files:
                if path in self._cache:
                    continue
                if not self._is_there(path):
                    self._miss(path)
                elif self.began < self._cache[path].mtime_ns / 1e9 < time():
                    self._soon([path])  # while nobody watched

    def close(self) -> None:
        """Watch nothing any more; closing twice does nothing."""
        cache, self._cache = self._cache, None
        if cache is not None:
            cache.close()

    def _is_there(self, path: str) -> bool:
        if self._cache is not None:
            with suppress(OSError):
                self._cache.add(path)
                return True
        return False

    def _on_change(self, paths: list[str], kind: str) -> None:
        for path in paths:
            if kind == "gone" and not self._is_there(path):
                self._miss(path)
        self._soon(paths)

    def _soon(self, paths: Iterable[str]) -> None:
        assert self._loop is not None
        self._paths.update(paths)
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(_SETTLES_SECONDS, self._settled)

    def _settled(self) -> None:
        paths, self._paths = sorted(self._paths), set()
        self._timer = None
        self._seen(paths)
        self._changed()

    def _miss(self, path: str) -> None:
        """Look for a file until it is there: the cache watches only what is."""
        self._missing.add(path)
        if self._looks is None and self._loop is not None:
            self._looks = self._loop.call_later(_LOOKS_SECONDS, self._look)

    def _look(self) -> None:
        self._looks = None
        if self._cache is None:
            return
        found = {path for path in self._missing if self._is_there(path)}
        self._missing -= found
        if found:
            self._soon(found)
        if self._missing:
            self._miss(next(iter(self._missing)))


def _nothing() -> None:
    """Before there is somebody to call."""
