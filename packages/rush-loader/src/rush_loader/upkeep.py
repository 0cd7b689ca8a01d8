"""What a cache keeps, and how it stays fresh.

An entry is in one of these states, and each use begins by asking which::

    hot       watched, nothing reported: used as it is, by a look-up without lock or system call
    written   watched, somebody is writing the file: each use asks whether it is time to read it
    pressing  watched, to be read again: by whoever comes first, the thread or a user
    cold      watched by nobody yet, as after a fork: watched and checked at its next use
    polled    cannot be watched: checked against the disk with every use

`Store.hot` is the whole fast path: what must not be used unseen is taken out of it.  Everything
else is guarded by `lock`, which is given back while a file is read, as that may take long.  One
thread at a time reads for an entry, and who wants it meanwhile waits; for a polled one there may be
many.

Companions of an entry are files whose paths have something more at the end, there or not.  Each is
followed, reported and read by itself (`parts.py`), under a key of its own; for users, they are one
version with the file.  Whoever holds the lock may read the events of inotify.

The descriptor, its watches and who reads it live and die together: an *epoch*.  A fork, a failure
and `close` end it; the next use begins another, in which every entry is cold.
"""

import logging
import threading
from collections.abc import Callable, Collection
from contextlib import suppress
from time import monotonic

from .changes import Changes
from .drivers import Driver, Updater
from .epochs import Epochs
from .errands import Errands
from .errors import FileNotFound
from .file import File
from .inotify import INotify
from .options import Options
from .parts import Parts
from .reports import Reports
from .store import Entry, Stats, Store, key_of, path_and_suffix
from .threads import Threads
from .turns import Turns
from .watches import Unwatchable

logger = logging.getLogger("rush_loader")

_BUSY_SECONDS = 0.05  # until a step asks again whether somebody has read what is due


class Upkeep:
    """Entries by path, and all that is done to them; `AutoUpdatingCache` is its face.

    Without threads, `drive` has events read (see `Epochs`), `ring` has errands done, and `forked`
    is called in a forked child.
    """

    def __init__(
        self,
        options: Options,
        open_inotify: Callable[[], INotify],
        drive: Callable[[int], Driver] | None = None,
        ring: Callable[[], None] | None = None,
        forked: Callable[[], None] = lambda: None,
    ) -> None:
        self._options = options
        self.store = Store(options.max_bytes, len(options.suffixes) - 1)
        self.lock = threading.Condition()
        self.errands = Errands(self.lock, options.prepare, self._prepared, ring)
        self.closed = False
        self._abandoned = False
        self._forked = forked
        self._reading = Turns(self.lock)
        self._changes = Changes()
        self._epochs = Epochs(open_inotify, drive or self._thread, self._began)
        self._threads = Threads(self.lock, self._epochs, self.errands)
        self._reports = Reports(
            options.suffixes, self.store, self._changes, self._epochs, self._reading, self
        )
        self._parts = Parts(options, self.store, self._changes, self._epochs, self._reports.take_in)

    # Used by any thread

    def look(self, path: str) -> File | None:
        """The version of `path` that is current, if it is kept; for what is not hot."""
        self._check_open()
        entry = self.store.get(path)
        if entry is None:
            return None
        if entry.polled_until > monotonic():
            return self._poll(path, entry)
        with self.lock:
            self._reading.wait(path)
            entry = self.store.get(path)
            if entry is None:
                return None
            keys = self._unchecked(path, entry)
            if keys:
                self._refresh(path, entry, keys)
                if self._changes:
                    self._epochs.wake()  # it may have less time to wait now
            if self.store.get(path) is not entry:
                return None
            self._heat(path, entry)
            self.store.touch(path)
            return entry.file

    def add(self, path: str) -> File | None:
        """Read and keep `path`, which was not kept; `None` if another thread was faster."""
        with self.lock:
            self._check_open()
            self._reading.wait(path)
            if path in self.store:
                return None
            entry = Entry()
            with self._reading.take(path):
                try:
                    self._epochs.enrol(entry)
                    self._reread(path, entry, list(self._options.suffixes))
                    self._check_open()
                except BaseException:
                    self.drop(path)
                    raise
                return self.publish(path, entry)

    def discard(self, path: str) -> None:
        """Let go of `path`, if it is kept; not of what is only just being added."""
        with self.lock:
            if path in self.store:
                self.drop(path)

    def count_miss(self) -> None:
        """Note that what is asked for is not kept."""
        with self.lock:
            self.store.misses += 1

    def stats(self) -> Stats:
        """What was done until now, and what is kept."""
        with self.lock:
            return self.store.stats()

    def resume(self) -> None:
        """Begin to watch, if somebody has asked to be told of changes."""
        with self.lock:
            if self.errands.callbacks and len(self.store) and not self.closed:
                with suppress(Unwatchable):
                    self._epochs.begin()
            self.errands.begin()

    def close(self) -> None:
        """End everything."""
        with self.lock:
            self.closed = True
        self._threads.halt()
        self._threads.join()
        with self.lock:
            self._clear()

    def abandon(self) -> bool:
        """Have the threads end everything; whether there are any.  No lock: for a finalizer."""
        running = self._epochs.watches is not None or self.errands.has_thread
        self.closed = self._abandoned = True
        with suppress(OSError):  # it ends just now
            self._epochs.wake()
        return running

    def _clear(self) -> None:
        self._end_epoch()
        self.store.clear()
        self.errands.clear()

    # Called by rush_loader.forks

    def halt(self) -> None:
        """End the threads."""
        self._threads.halt()

    def wait_until_quiet(self, forking: Collection[threading.Thread]) -> None:
        """Wait for the end of all threads but this one, and those in `forking`."""
        self._threads.join(forking)

    def is_quiet(self, forking: Collection[threading.Thread]) -> bool:
        """Whether there is nobody to wait for."""
        return self._threads.ended(forking)

    def stir(self) -> None:
        """Have those who wait look again."""
        self._threads.stir()

    def before_fork(self) -> None:
        """End the epoch, and hold the lock."""
        self.lock.acquire()
        self._end_epoch()

    def after_fork_in_parent(self) -> None:
        """Give back the lock, and go on."""
        self._threads.allow(barred=self.closed)
        self.lock.release()
        self.resume()

    def after_fork_in_child(self) -> None:
        """Make a new lock: the old one belongs to a thread of the parent."""
        self.lock = threading.Condition()
        self._reading = self._reports.reading = Turns(self.lock)
        self._threads.after_fork_in_child(self.lock, barred=self.closed)
        self._forked()

    # One use of what is not hot

    def _unchecked(self, path: str, entry: Entry) -> list[str]:
        """The suffixes of `entry` that must be read again before it is used."""
        age = monotonic() - entry.checked_at
        late = self._options.revalidate is not None and age >= self._options.revalidate
        if late or not self._epochs.is_watched(entry):
            return list(self._options.suffixes)
        return self._parts.pressing(path)

    def _poll(self, path: str, entry: Entry) -> File | None:
        """Compare with the disk; without the lock, as this may be a network's file system."""
        try:
            read = self._parts.read_all(path, entry)
        except FileNotFound:
            with self.lock:
                if self.store.get(path) is entry:
                    self.lose(path)
            return None
        if read != entry.read:  # two files are equal if they are the same object
            with self.lock:
                if self.store.get(path) is entry:
                    before, entry.read = entry.read, read
                    if entry.differs(before):
                        self.publish(path, entry)
        self.store.touch(path)
        return entry.file

    # With the lock held

    def _check_open(self) -> None:
        if self.closed:
            raise ValueError("the cache is closed")

    def _refresh(self, path: str, entry: Entry, suffixes: list[str]) -> None:
        """Bring these parts of `entry` up to date with the disk, or let go of it."""
        before = dict(entry.read)
        with self._reading.take(path):
            if not self._epochs.is_watched(entry):
                self._epochs.enrol(entry)
            try:
                self._reread(path, entry, suffixes)
            except BaseException as error:
                if self.store.get(path) is entry:
                    self.lose(path)
                if isinstance(error, FileNotFound):
                    return
                raise  # not known to be fresh: whoever wants it meets the error
            if self.store.get(path) is not entry:
                return  # deleted meanwhile
            entry.checked_at = monotonic()
            if entry.differs(before):
                self.publish(path, entry)

    def _reread(self, path: str, entry: Entry, suffixes: list[str]) -> None:
        changes = self._parts.follow(path, suffixes, entry)
        for suffix, change in changes.items():
            self._parts.reread(path, suffix, entry, change, self._reading)

    def publish(self, path: str, entry: Entry) -> File:
        """Give users what was read of `entry`; with the lock held."""
        self.store.limit_open(entry, self._options.max_open_files)
        file = entry.version()
        if entry.file is None:
            entry.checked_at = monotonic()
            self.store.put(path, entry, file)
        else:
            self.store.renew(entry, file)
            self.errands.tell(path, "changed")
        self.errands.prepare(path, file)
        self._heat(path, entry)
        self._make_room()
        return file

    def _prepared(self, path: str, file: File, prepared: File) -> None:
        """Put a version in the place of that from which it was made."""
        entry = self.store.get(path)
        if entry is not None and entry.file is file:
            self.store.replace(entry, prepared)
            if path in self.store.hot:
                self.store.hot[path] = prepared
            self._make_room()

    def _make_room(self) -> None:
        while (oldest := self.store.oldest_too_many()) is not None:
            self.drop(oldest)
            self.store.evictions += 1

    def _heat(self, path: str, entry: Entry) -> None:
        """Let `get` find it without a lock from now on, if it may."""
        if self._options.revalidate is not None or not self._epochs.is_watched(entry):
            return
        if entry.file is None or self._changes.awaited(path) or self._parts.pressing(path):
            return
        self.store.hot[path] = entry.file

    def drop(self, path: str) -> None:
        """Let go of `path`; with the lock held."""
        self.store.pop(path)
        self.errands.forget(path)
        for suffix in self._options.suffixes:
            key = key_of(path, suffix)
            self._changes.take(key)
            if self._epochs.watches is not None:
                self._epochs.watches.forget(key)

    def lose(self, path: str) -> None:
        """Let go of a path that has come to nothing; with the lock held."""
        if path in self.store:
            self.errands.tell(path, "gone")
        self.drop(path)

    # Watching

    def _thread(self, descriptor: int) -> Driver:
        return Updater(descriptor, self.step, self.failed, self._threads.stir)

    def _began(self) -> None:
        self.errands.begin()  # what a fork has interrupted
        if self.errands.callbacks:  # to be told of changes, nobody has to ask for what is kept
            self._reports.suspect_all()
            self._epochs.wake()

    # Events

    def step(self) -> float | None:
        """Do what there is to do; how many seconds later to do so again, whatever happens."""
        with self.lock:
            if self._abandoned:
                self._epochs.stop()
                self.errands.stop()
                self._clear()
                return None
            self._reports.take_in()
            due = self._changes.due(monotonic())
        for key in due:
            with self.lock:  # between two of them, others may have it
                if self._epochs.stopping:
                    return None
                self._refresh_due(key)
        with self.lock:
            seconds = self._changes.seconds_left(monotonic())
            if seconds is not None and self._reading:
                seconds = max(seconds, _BUSY_SECONDS)
            return seconds

    def failed(self) -> None:
        """The step cannot go on, for a reason that was logged."""
        with self.lock:
            self._epochs.fail()
            self._end_epoch()

    def _refresh_due(self, key: str) -> None:
        path, suffix = path_and_suffix(key)
        entry = self.store.get(path)
        if path in self._reading:
            return  # by somebody else, whom we do not wait for: others may change meanwhile
        if entry is None:
            self._changes.take(key)
        elif self._changes.is_due(key, monotonic()):
            try:
                self._refresh(path, entry, self._unchecked(path, entry) or [suffix])
            except OSError as error:
                logger.warning("%r has changed and is read again when it is used: %s", path, error)
            if self.store.get(path) is entry:
                self._heat(path, entry)

    def _end_epoch(self) -> None:
        self.store.hot.clear()
        self._changes.clear()
        self._epochs.end()
