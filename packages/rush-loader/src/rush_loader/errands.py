"""What a cache does for its users: calls that may take long, so never where events wait for it.

They are made one at a time, without any lock, in a thread of their own that begins with the first
of them; or by whoever calls `run`, for a program that wants no thread.
"""

import logging
import threading
from collections.abc import Callable, Collection

from .drivers import wait_until_gone
from .file import File

logger = logging.getLogger("rush_loader")

_IDLE_SECONDS = 10.0  # after which a thread without work ends

OnChange = Callable[[list[str], str], object]
"""``callback(paths, kind)``; `kind` is ``changed`` or ``gone``."""


class Errands:
    """Tells `callbacks` of changes, and has each new version prepared.

    Everything with an underscore, and what is put in, is guarded by `lock`, the owner's.
    ``install(path, file, prepared)`` is called with the lock held.  If there is to be no thread,
    ``ring()`` has somebody call `run`.
    """

    def __init__(
        self,
        lock: threading.Condition,
        prepare: Callable[[File], File] | None,
        install: Callable[[str, File, File], None],
        ring: Callable[[], None] | None,
    ) -> None:
        self._lock = lock
        self._prepare = prepare
        self._install = install
        self._ring = ring
        self._thread: threading.Thread | None = None  # that takes what comes
        self._threads: set[threading.Thread] = set()  # those alive: a call outlives a fork in it
        self._caller: threading.Thread | None = None  # the one of them that is in a call
        self._stopping = False
        self._news: list[tuple[str, str]] = []  # path and kind
        self._unprepared: dict[str, File] = {}
        self.callbacks: list[OnChange] = []

    @property
    def waiting(self) -> bool:
        """Whether there is something to do."""
        return bool(self._news or self._unprepared)

    @property
    def has_thread(self) -> bool:
        """Whether a thread is there."""
        return bool(self._threads)

    def tell(self, path: str, kind: str) -> None:
        """Have every callback told of this change."""
        if self.callbacks:
            self._news.append((path, kind))
            self.begin()

    def prepare(self, path: str, file: File) -> None:
        """Have this version prepared, if it is still the current one then."""
        if self._prepare is not None:
            self._unprepared[path] = file
            self.begin()

    def forget(self, path: str) -> None:
        """Prepare nothing for `path`."""
        self._unprepared.pop(path, None)

    def begin(self) -> None:
        """Have what is waiting done."""
        if not self.waiting or self._stopping:
            return
        if self._ring is not None:
            self._ring()
            return
        if self._thread is None:
            thread = threading.Thread(target=self._work, name="rush-loader-errands", daemon=True)
            try:
                thread.start()
            except RuntimeError as error:
                logger.warning("What was asked for with changes has to wait: %s", error)
                return
            self._thread = thread
            self._threads.add(thread)
        self._lock.notify_all()

    def run(self) -> None:
        """Make the calls that wait: all callbacks, and one file prepared; without the lock."""
        with self._lock:
            news, self._news = self._news, []
            callbacks = list(self.callbacks)
        for paths, kind in _grouped(news):
            for callback in callbacks:
                try:
                    callback(list(paths), kind)
                except Exception:
                    logger.exception("%r failed, told of files that are %s", callback, kind)
        self._prepare_one()

    def stop(self) -> None:
        """Have the thread end after the call that it is in."""
        self._stopping = True
        self._thread = None
        self._lock.notify_all()

    def join(self, excused: Collection[threading.Thread]) -> None:
        """After `stop`: wait until all `others` have ended, for the kernel too.

        Without the lock; see `Threads.halt`.
        """
        with self._lock:
            before = set(self._threads)
            while self.others(excused):
                self._lock.wait()
            ended = before - self._threads
        for thread in ended:
            thread.join()
            wait_until_gone(thread.native_id)

    def others(self, excused: Collection[threading.Thread]) -> set[threading.Thread]:
        """The threads, but for this one and those in `excused`, who may change."""
        return self._threads.difference((threading.current_thread(),), excused)

    def allow(self) -> None:
        """Let a thread begin again after `stop`, as soon as there is something to do."""
        self._stopping = False

    def clear(self) -> None:
        """Forget everything that waits."""
        self._news.clear()
        self._unprepared.clear()

    def after_fork_in_child(self, lock: threading.Condition) -> None:
        """Take another lock.  The parent tells its callbacks; to prepare is to be done here too."""
        self._lock = lock
        self._news.clear()
        self._threads &= {threading.current_thread()}
        self._caller = None

    def _work(self) -> None:
        me = threading.current_thread()
        try:
            while self._may_call(me):
                self.run()
        finally:
            with self._lock:
                self._end_call(me)
                self._threads.discard(me)

    def _may_call(self, me: threading.Thread) -> bool:
        """Wait until this thread may make a call; false if it is to end."""
        with self._lock:
            self._end_call(me)
            while self._thread is me and not self._stopping:
                if self.waiting and self._caller is None:
                    self._caller = me
                    return True
                if not self._lock.wait(_IDLE_SECONDS) and not self.waiting:
                    self._thread = None
            return False

    def _end_call(self, me: threading.Thread) -> None:
        if self._caller is me:
            self._caller = None
        self._lock.notify_all()

    def _prepare_one(self) -> None:
        with self._lock:
            if not self._unprepared or self._prepare is None:
                return
            path = next(iter(self._unprepared))
            file = self._unprepared.pop(path)
        try:
            prepared = self._prepare(file)
            if not isinstance(prepared, File):
                raise TypeError(f"prepare returned {prepared!r:.200}, which is not a File")
        except Exception:
            logger.exception("%r is kept as it is: %r failed", path, self._prepare)
            return
        with self._lock:
            self._install(path, file, prepared)


def _grouped(news: list[tuple[str, str]]) -> list[tuple[list[str], str]]:
    """News of one kind that follow each other as one; each path once in it."""
    groups: list[tuple[dict[str, None], str]] = []
    for path, kind in news:
        if not groups or groups[-1][1] != kind:
            groups.append(({}, kind))
        groups[-1][0][path] = None
    return [(list(paths), kind) for paths, kind in groups]
