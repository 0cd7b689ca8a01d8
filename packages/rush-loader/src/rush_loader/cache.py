"""A mapping from path to file that is kept fresh by a thread which reads inotify.

An entry is in one of these states, and each use begins by asking which::

    hot       watched, nothing reported: used as it is, by a look-up without lock or system call
    pressing  watched, something reported: read again by whoever comes first, the thread or a user
    cold      watched by nobody yet, as after a fork: watched and checked at its next use
    polled    cannot be watched: checked against the disk with every use

`_hot` is the whole fast path: what must not be used unseen is taken out of it.  Everything else
is guarded by `_lock`; only the reading for a polled entry is not, as it may be on a slow network.

Whoever holds the lock may read the events of inotify.  A version is read again in this order:
follow the path (which sets its watches), read the file, read the events.  If they say that it was
written to meanwhile, what was read may be torn, so it is thrown away, and the next try is due when
the writer has closed it.

The descriptor, its watches and its thread live and die together: an *epoch*.  A fork, a failure
and `close` end it; the next use begins another, in which every entry is cold.
"""

import logging
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from time import monotonic
from types import TracebackType

from .changes import Changes
from .epochs import RETRY_SECONDS, Epochs
from .errors import FileNotFound
from .file import File, open_descriptor
from .forks import tell_of_forks
from .inotify import INotify, flags
from .reader import MAX_FILE_BYTES, FileBusy, checked_path, read_file
from .store import Entry, Store
from .watches import Unwatchable

logger = logging.getLogger("rush_loader")


class AutoUpdatingCache:
    """A mapping from absolute path to `File` that is never stale; for several threads.

    ``add`` reads a file and keeps it; ``get`` and ``cache[path]`` give what is kept.  What changes
    on disk is read again in the background; what is deleted goes.  A thread is started on first
    use, and again in a child after `os.fork`; no thread is alive during a fork.

    `max_bytes` bounds the contents and `ENTRY_BYTES` for each entry: the least recently used go
    first.  Of a file larger than `max_file_bytes` the content is not kept (see `File.open`).
    `revalidate` is a number of seconds: a file that was not checked for so long is compared with
    the disk when it is used, for changes that inotify does not report.  Without it, a watched file
    costs no system call.  `inotify` opens inotify descriptors.

    Where nothing can be watched, a file is compared with the disk each time it is used; the logger
    ``rush_loader`` says so once.  Close it when you are done, or use it in a ``with`` statement.
    """

    def __init__(
        self,
        *,
        max_bytes: int = 256 << 20,
        max_file_bytes: int = MAX_FILE_BYTES,
        revalidate: float | None = None,
        inotify: Callable[[], INotify] = INotify,
    ) -> None:
        if max_bytes < 0 or max_file_bytes < 0:
            given = f"max_bytes={max_bytes!r} and max_file_bytes={max_file_bytes!r}"
            raise ValueError(f"{given} are numbers of bytes: 0 or more")
        if revalidate is not None and not revalidate >= 0:
            raise ValueError(f"revalidate={revalidate!r} is a number of seconds: 0 or more")
        self._max_file_bytes = max_file_bytes
        self._revalidate = revalidate
        self._store = Store(max_bytes)
        self._touch = self._store.touch
        self._hot: dict[str, File] = {}
        self._lock = threading.RLock()  # add() looks again while it holds it
        self._changes = Changes()
        self._epochs = Epochs(inotify, self._step, self._failed)
        self._closed = False
        self._warned: set[str] = set()
        tell_of_forks(self)

    # A mapping

    def get(self, path: str) -> File | None:
        """The current version of `path`, or `None` if it is not cached (or no longer there).

        Raises `ValueError` once the cache is closed, and `OSError` if the file had to be read
        again and could not.
        """
        # The way of every request: 0.09 us where os.stat takes 1.9 us (timeit).  To ask for
        # os.getpid() here, in place of the hooks in forks.py, would add 0.18 us.
        file = self._hot.get(path)
        if file is None:
            return self._look(path)
        try:  # noqa: SIM105 (suppress() would take longer than all the rest)
            self._touch(path)
        except KeyError:
            pass  # the thread let go of it this very moment
        return file

    def __getitem__(self, path: str) -> File:
        file = self.get(path)
        if file is None:
            raise KeyError(path)
        return file

    def add(self, path: str) -> File:
        """The current version of the absolute `path`, which is read and kept if it was not yet.

        Raises `FileNotFound` if there is no regular file that may be read; that is not remembered.
        Any other `OSError` is raised as it is, and `ValueError` for a path that is not absolute.
        """
        file = self.get(path)
        if file is not None:
            return file
        checked_path(path)
        with self._lock:
            self._check_open()
            if path in self._store:  # another thread was faster
                file = self._look(path)
                if file is not None:
                    return file
            return self._add(path)

    def discard(self, path: str) -> None:
        """Let go of `path`, if it is cached; it is no longer watched."""
        with self._lock:
            self._drop(path)

    def __contains__(self, path: object) -> bool:
        return path in self._store

    def __len__(self) -> int:
        return len(self._store)

    def __iter__(self) -> Iterator[str]:
        """The cached paths at this moment, the least recently used first."""
        return iter(self._store.paths())

    def close(self) -> None:
        """End the thread, give back every descriptor and all memory; again does nothing."""
        with self._lock:
            self._closed = self._epochs.barred = True
            updater = self._epochs.stop()
        if updater is not None:
            updater.join()
        with self._lock:
            self._end_epoch()
            self._store.clear()

    def __enter__(self) -> "AutoUpdatingCache":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    # One use of what is not hot

    def _look(self, path: str) -> File | None:
        """What `get` gives for a path that is not hot."""
        self._check_open()
        entry = self._store.get(path)
        if entry is None:
            return None
        if entry.polled_until > monotonic():
            return self._poll(path, entry)
        with self._lock:
            entry = self._store.get(path)
            if entry is None:
                return None
            if self._must_check(path, entry):
                self._reload(path, entry)
                if self._changes:
                    self._epochs.wake()  # it may have less time to wait now
            else:
                self._heat(path, entry)
            if self._store.get(path) is not entry:
                return None
            self._touch(path)
            return entry.file

    def _must_check(self, path: str, entry: Entry) -> bool:
        if not self._is_watched(entry) or self._changes.pressing(path):
            return True
        return self._revalidate is not None and monotonic() - entry.checked_at >= self._revalidate

    def _poll(self, path: str, entry: Entry) -> File | None:
        """Compare with the disk; without the lock, as this may be a network's file system."""
        try:
            file = read_file(path, max_bytes=self._max_file_bytes, known=entry.file)
        except FileNotFound:
            self.discard(path)
            return None
        if file is not entry.file:
            with self._lock:
                if self._store.get(path) is entry:
                    self._install(path, entry, file)
        with suppress(KeyError):  # another thread let go of it
            self._touch(path)
        return file

    # With the lock held

    def _add(self, path: str) -> File:
        # First: to see that there is no file costs a tenth of watching the way to it.
        os.close(open_descriptor(path))
        try:
            why = self._follow(path)
            file = read_file(path, max_bytes=self._max_file_bytes)
        except BaseException:
            self._drop(path)
            raise
        entry = Entry(file)
        self._set_epoch(entry, why)
        self._store.put(path, entry)
        self._install(path, entry, file)
        return file

    def _reload(self, path: str, entry: Entry) -> None:
        """Bring `entry` up to date with the disk, or let go of it."""
        change = self._changes.take(path)
        try:
            why = self._follow(path)
            self._set_epoch(entry, why)
            file = read_file(
                path, max_bytes=self._max_file_bytes, known=entry.file, partial=why is not None
            )
        except FileBusy:
            self._changes.wait(path, monotonic())
            self._heat(path, entry)
            return
        except FileNotFound:
            self._drop(path)
            return
        except BaseException:
            self._drop(path)  # not known to be fresh: whoever wants it meets the error
            raise
        self._digest()
        if self._store.get(path) is not entry:
            return  # deleted meanwhile
        half_way = change.writing(monotonic()) and _same_inode(file, entry.file)
        if half_way:
            self._changes.put_back(path, change)
        if file.content is not None and (half_way or self._changes.written(path)):
            self._heat(path, entry)  # what was read may be torn
        else:
            self._install(path, entry, file)

    def _follow(self, path: str) -> Unwatchable | None:
        """Watch `path`; what it returns is the reason why it could not."""
        try:
            self._epochs.begin().follow(path)
        except Unwatchable as why:
            self._hot.pop(path, None)
            self._warn(why)
            return why
        return None

    def _set_epoch(self, entry: Entry, why: Unwatchable | None) -> None:
        if why is None:
            entry.epoch = self._epochs.number
            entry.polled_until = 0.0
        else:
            entry.epoch = 0
            entry.polled_until = monotonic() + RETRY_SECONDS if why.lasting else 0.0

    def _warn(self, why: Unwatchable) -> None:
        if why.kind in self._warned or not why.lasting:
            return
        self._warned.add(why.kind)
        logger.warning("Some files are checked with every use, which is slower: %s", why)

    def _install(self, path: str, entry: Entry, file: File) -> None:
        entry.checked_at = monotonic()
        if file is not entry.file:
            self._store.replace(entry, file)
        self._heat(path, entry)
        while (oldest := self._store.oldest_too_many()) is not None:
            self._drop(oldest)

    def _heat(self, path: str, entry: Entry) -> None:
        """Let `get` find it without a lock from now on, if it may."""
        if self._revalidate is not None or self._changes.pressing(path):
            return
        if self._is_watched(entry):
            self._hot[path] = entry.file

    def _is_watched(self, entry: Entry) -> bool:
        return self._epochs.watches is not None and entry.epoch == self._epochs.number

    def _drop(self, path: str) -> None:
        self._hot.pop(path, None)
        self._store.pop(path)
        self._changes.take(path)
        if self._epochs.watches is not None:
            self._epochs.watches.forget(path)

    # Events

    def _step(self) -> float | None:
        """What the thread does when there is something to do."""
        with self._lock:
            self._digest()
            due = self._changes.due(monotonic())
        for path in due:
            with self._lock:  # between two of them, others may have it
                if self._epochs.stopping:
                    return None
                self._reload_due(path)
        with self._lock:
            return self._changes.seconds_left(monotonic())

    def _reload_due(self, path: str) -> None:
        entry = self._store.get(path)
        if entry is None:
            self._changes.take(path)
        elif self._changes.is_due(path, monotonic()):
            try:
                self._reload(path, entry)
            except OSError as error:
                logger.warning("%r has changed and is read again when it is used: %s", path, error)

    def _digest(self) -> None:
        """Take in what inotify has to say; does not wait."""
        watches = self._epochs.watches
        if watches is None:
            return
        now = monotonic()
        for event in watches.read():
            if event.mask & flags.Q_OVERFLOW:
                self._suspect_all()
                continue
            for path, final in watches.concerned(event):
                self._note(path, final, event.mask, now)

    def _note(self, path: str, final: bool, mask: int, now: float) -> None:
        entry = self._store.get(path)
        if entry is None or (final and mask & (flags.DELETE | flags.MOVED_FROM)):
            self._drop(path)
            return
        self._changes.note(path, final=final, mask=mask, now=now)
        if entry.file.content is None:
            # Its old version cannot be sent any more, and size and times are never torn.
            self._changes.suspect(path)
        if self._changes.pressing(path):
            self._hot.pop(path, None)

    def _suspect_all(self) -> None:
        self._hot.clear()
        for path in self._store.paths():
            self._changes.suspect(path)

    # The end of an epoch

    def _end_epoch(self) -> None:
        self._hot.clear()
        self._changes.clear()
        self._epochs.end()

    def _failed(self) -> None:
        """The thread cannot go on, for a reason that it has logged."""
        with self._lock:
            self._epochs.fail()
            self._end_epoch()

    def _check_open(self) -> None:
        if self._closed:
            raise ValueError("the cache is closed")

    # Called by rush_loader.forks

    def before_fork(self) -> None:
        """End the epoch, and hold the lock."""
        with self._lock:
            self._epochs.barred = True
            updater = self._epochs.stop()
        if updater is not None:
            updater.join()
        self._lock.acquire()
        self._end_epoch()

    def after_fork_in_parent(self) -> None:
        """Give back the lock."""
        self._epochs.barred = self._closed
        self._lock.release()

    def after_fork_in_child(self) -> None:
        """Make a new lock: the old one belongs to a thread of the parent."""
        self._epochs.barred = self._closed
        self._lock = threading.RLock()


def _same_inode(one: File, other: File) -> bool:
    return one.inode == other.inode and one.device == other.device
