"""A mapping from path to file that is kept fresh by a thread which reads inotify.

What happens behind it is in `upkeep.py`.
"""

import logging
import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from weakref import finalize

from .drivers import Attended, Driver, Readiness
from .errands import OnChange
from .file import File, open_descriptor
from .forks import tell_of_forks
from .inotify import INotify, PromptINotify
from .options import Options
from .reader import MAX_FILE_BYTES, checked_path
from .store import Stats
from .upkeep import Upkeep

logger = logging.getLogger("rush_loader")


class AutoUpdatingCache:
    """A mapping from absolute path to `File` that is never stale; for several threads.

    ``add`` reads a file and keeps it; ``get`` and ``cache[path]`` give what is kept.  What changes
    on disk is read again in the background; what is deleted goes.  A thread is started on first
    use, and again in a child after `os.fork`; no thread is alive during a fork.  With
    ``threaded=False`` there is none: see `fileno`.

    `max_bytes` bounds the contents, and 7 KB for each file, 3 KB for each of `companions`, there
    or not, 4 KB for each coding that it has: the least recently used go first.  Of a file larger
    than `max_file_bytes` the content is not kept, but the open file, for as many as
    `max_open_files` (see `File.open`).
    `revalidate` is a number of seconds: a file that was not checked for so long is compared with
    the disk when it is used, for changes that inotify does not report.  Without it, a watched file
    costs no system call.

    `companions` are suffixes such as ``.gz``: the files whose paths have one more are read with a
    file, and what becomes of them makes another version of it (see `File.companions`).
    ``prepare(file)`` returns a `File` for the place of the new version `file`, such as one with
    `File.encodings`.  It is called once for each version, in a thread of the cache of its own;
    until it returns, and if it raises (which is logged), the version is given as it is.
    `inotify` opens inotify descriptors.

    Where nothing can be watched, a file is compared with the disk each time it is used; the logger
    ``rush_loader`` says so once.  Close it when you are done, or use it in a ``with`` statement.
    """

    def __init__(
        self,
        *,
        max_bytes: int = 256 << 20,
        max_file_bytes: int = MAX_FILE_BYTES,
        max_open_files: int = 256,
        revalidate: float | None = None,
        companions: tuple[str, ...] = (),
        prepare: Callable[[File], File] | None = None,
        threaded: bool = True,
        inotify: Callable[[], INotify] = PromptINotify,
    ) -> None:
        options = Options(
            max_bytes=max_bytes,
            max_file_bytes=max_file_bytes,
            max_open_files=max_open_files,
            revalidate=revalidate,
            companions=tuple(companions) if not isinstance(companions, str) else companions,
            prepare=prepare,
        )
        self._readiness: Readiness | None = None
        self._threaded = threaded
        drivers = () if threaded else (self._attend, self._ring, self._close_readiness)
        self._upkeep = Upkeep(options, inotify, *drivers)
        self._hot = self._upkeep.store.hot
        self._used = self._upkeep.store.used
        self._ticks = self._upkeep.store.ticks
        tell_of_forks(self._upkeep)
        self._finalize: finalize[..., AutoUpdatingCache] | None = None
        if threaded:  # else there is no thread that keeps something alive
            self._finalize = finalize(self, _abandoned, self._upkeep)
            self._finalize.atexit = False

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
            return self._upkeep.look(path)
        self._used[path] = next(self._ticks)
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
        self._upkeep.count_miss()
        # Before it is watched: to see that there is no file costs a tenth of it.
        os.close(open_descriptor(path))
        while True:
            file = self._upkeep.add(path) or self.get(path)
            if file is not None:
                return file

    def discard(self, path: str) -> None:
        """Let go of `path`, if it is cached; it is no longer watched."""
        self._upkeep.discard(path)

    def __contains__(self, path: object) -> bool:
        return path in self._upkeep.store

    def __len__(self) -> int:
        return len(self._upkeep.store)

    def __iter__(self) -> Iterator[str]:
        """The cached paths at this moment, the least recently used first."""
        return iter(self._upkeep.store.paths())

    def stats(self) -> Stats:
        """What it did until now, and what it holds."""
        return self._upkeep.stats()

    # Being told

    def on_change(self, callback: OnChange) -> OnChange:
        """Have ``callback(paths, kind)`` called whenever what is cached has changed on disk.

        `paths` is a list of str.  `kind` is ``changed``: there is another version, which `get`
        gives now; or ``gone``: deleted, moved away or no longer readable, and not cached any more.
        There is no ``created``: only what is cached is watched, not what was discarded, or had to
        go for others, or is gone (also if it came back at once) until it is added again.

        It is called in a thread of the cache, one call at a time, without any lock: it may use the
        cache and take its time; that delays other callbacks and a fork, nothing else.  Without
        threads, it is called by `process_events`.  An exception is logged, and changes nothing.
        Returns `callback`, so that it can be a decorator; `off_change` ends it.  In a forked child,
        the calls begin when the cache is used.
        """
        with self._upkeep.lock:
            self._upkeep.errands.callbacks.append(callback)
        self._upkeep.resume()
        return callback

    def off_change(self, callback: OnChange) -> None:
        """Do not call `callback` any more; a call that has begun goes on.

        Raises `ValueError` if it was not given to `on_change`.
        """
        with self._upkeep.lock:
            self._upkeep.errands.callbacks.remove(callback)

    # A loop of your own

    def fileno(self) -> int:
        """A descriptor that is readable when `process_events` should be called.

        It stays the same until the cache is closed, and belongs to it: wait for it with select,
        poll or epoll, and do not read it.  A forked child asks for its own.
        Raises `ValueError` if the cache has a thread for this, or is closed.
        """
        return self._own_readiness().fileno()

    def process_events(self) -> None:
        """Take in what has changed, read that again, and call those who want to know; never waits.

        What is cached is as fresh as the last call.  For one thread at a time.
        Raises `ValueError` as `fileno` does.
        """
        readiness = self._own_readiness()
        try:
            seconds = self._upkeep.step()
        except Exception:
            logger.exception("Keeping cached files fresh failed")
            self._upkeep.failed()
            seconds = None
        self._upkeep.errands.run()
        if not self._upkeep.closed:  # by a callback
            readiness.ring_in(0.0 if self._upkeep.errands.waiting else seconds)

    def _own_readiness(self) -> Readiness:
        if self._threaded:
            raise ValueError("a thread processes the events of this cache; see threaded=False")
        with self._upkeep.lock:
            if self._upkeep.closed:
                raise ValueError("the cache is closed")
            if self._readiness is None:
                self._readiness = Readiness()
            return self._readiness

    def _attend(self, descriptor: int) -> Driver:
        return Attended(self._own_readiness(), descriptor)

    def _ring(self) -> None:
        with suppress(OSError):  # no descriptors left: done with the next call
            self._own_readiness().ring_in(0.0)

    # Its end

    def close(self) -> None:
        """End its threads, give back every descriptor and all memory; again does nothing.

        A file that somebody still sends from is closed when that is over.
        """
        if self._finalize is not None:
            self._finalize.detach()
        self._upkeep.close()
        self._close_readiness()

    def __enter__(self) -> "AutoUpdatingCache":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _close_readiness(self) -> None:
        with self._upkeep.lock:
            readiness, self._readiness = self._readiness, None
        if readiness is not None:
            readiness.close()


def _abandoned(upkeep: Upkeep) -> None:
    if upkeep.abandon():
        warnings.warn(
            "an AutoUpdatingCache was not closed; use it in a with statement", ResourceWarning, 1
        )
