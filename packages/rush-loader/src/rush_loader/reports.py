"""What the kernel has reported, and what it means for what is cached.

Reading it never waits, and may be done by whoever holds the lock.
"""

from time import monotonic
from typing import Protocol

from .changes import Changes
from .epochs import Epochs
from .file import File
from .inotify import flags
from .reader import is_link
from .store import Entry, Store, key_of, path_and_suffix
from .turns import Turns


class Keeper(Protocol):
    """Who keeps the entries; its methods are called with the lock held."""

    def drop(self, path: str) -> None:
        """Let go of `path`."""

    def lose(self, path: str) -> None:
        """Let go of a path that has come to nothing."""

    def publish(self, path: str, entry: Entry) -> File:
        """Give users what was read of `entry`."""


class Reports:
    """Reads the events of the present epoch; all methods are called with the lock held."""

    def __init__(
        self,
        suffixes: tuple[str, ...],
        store: Store,
        changes: Changes,
        epochs: Epochs,
        reading: Turns,
        keeper: Keeper,
    ) -> None:
        self._suffixes = suffixes
        self._store = store
        self._changes = changes
        self._epochs = epochs
        self._keeper = keeper
        self.reading = reading
        """The paths that somebody is reading now."""

    def take_in(self) -> None:
        """Take in what inotify has to say; does not wait."""
        watches = self._epochs.watches
        if watches is None:
            return
        now = monotonic()
        for event in watches.read():
            if event.mask & flags.Q_OVERFLOW:
                self.suspect_all()
                continue
            for key, final in watches.concerned(event):
                self._note(key, final, event.mask, now)

    def suspect_all(self) -> None:
        """Have everything looked at again before it is used: nobody knows what has changed."""
        self._store.hot.clear()
        for path in [*self._store.paths(), *self.reading.paths()]:
            for suffix in self._suffixes:
                self._changes.suspect(key_of(path, suffix))

    def _note(self, key: str, final: bool, mask: int, now: float) -> None:
        path, suffix = path_and_suffix(key)
        entry = self._store.get(path)
        being_read = path in self.reading
        if entry is None and not being_read:
            self._keeper.drop(path)
            return
        if final and mask & (flags.DELETE | flags.MOVED_FROM):
            if not being_read or (entry is not None and not suffix):
                self._gone(key)
                return
            self._changes.suspect(key)  # what is read now may be it
        elif not suffix:
            self._changes.note(key, final=final, mask=mask, now=now)
        elif final and mask & flags.CREATE and is_link(path + suffix):
            self._changes.suspect(key)  # nobody will write and close it
        else:
            self._changes.note_companion(key, final=final, mask=mask, now=now)
        known = entry.read.get(suffix) if entry is not None else None
        if known is not None and known.content is None:
            # Its old version cannot be sent any more, and size and times are never torn.
            self._changes.suspect(key)
        # While the file is being written, whoever uses it sees for himself when it has been silent
        # for long enough: under load, the thread may come much later.
        if not suffix or self._changes.pressing(key):
            self._store.hot.pop(path, None)

    def _gone(self, key: str) -> None:
        path, suffix = path_and_suffix(key)
        entry = self._store.get(path)
        if not suffix:
            self._keeper.lose(path)
        elif entry is not None:
            self._changes.take(key)
            if entry.read.pop(suffix, None) is not None:
                self._keeper.publish(path, entry)
