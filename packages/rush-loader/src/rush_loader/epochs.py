"""An inotify descriptor with its watches and who reads it: they live and die together, an epoch."""

import logging
from collections.abc import Callable, Iterable
from time import monotonic

from .drivers import Driver
from .inotify import INotify
from .store import Entry, key_of
from .watches import Unwatchable, Walked, Watches

logger = logging.getLogger("rush_loader")

# How long to do without after a failure, and without a watch that was refused: a limit may have
# been raised meanwhile, watches may have come free.
RETRY_SECONDS = 60.0


class Epochs:
    """At most one epoch at a time, begun when it is needed; guarded by the lock of its owner.

    ``drive(descriptor)`` begins to have the events of an inotify descriptor read; ``began()`` is
    called after that.
    """

    def __init__(
        self,
        open_inotify: Callable[[], INotify],
        drive: Callable[[int], Driver],
        began: Callable[[], None],
    ) -> None:
        self._open_inotify = open_inotify
        self._drive = drive
        self._began = began
        self._warned: set[str] = set()
        self._driver: Driver | None = None
        self._retry_at = 0.0
        self.number = 0  # of this epoch, or of the last one
        self.watches: Watches | None = None
        self.barred = False  # none may begin: a fork is near, or the owner is closed

    @property
    def stopping(self) -> bool:
        """Whether the thread should leave what is still to be done."""
        return self._driver is None or self._driver.stopping

    def begin(self) -> Watches:
        """The watches of this epoch, which begins now if there is none.

        Raises `Unwatchable` if there is no descriptor or no thread to be had.
        """
        if self.watches is not None:
            return self.watches
        if self.barred:
            raise Unwatchable("between two epochs", lasting=False)
        if monotonic() < self._retry_at:
            raise Unwatchable("failed", "what watches them has failed, see above")
        watches = Watches(self._inotify())
        try:
            self._driver = self._drive(watches.fileno())
        except (OSError, RuntimeError) as error:
            watches.close()
            raise Unwatchable("thread", f"no thread to be had ({error})") from error
        self.watches = watches
        self.number += 1
        self._began()
        return watches

    def is_watched(self, entry: Entry) -> bool:
        """Whether the watches of this epoch look after `entry`."""
        return self.watches is not None and entry.epoch == self.number

    def enrol(self, entry: Entry) -> None:
        """Have the watches of this epoch look after `entry`: each part is to be followed now.

        If that cannot be, it is polled for a while.
        """
        try:
            self.begin()
        except Unwatchable as why:
            self._give_up(entry, why)
        else:
            entry.epoch = self.number
            entry.polled_until = 0.0

    def follow(self, path: str, suffixes: Iterable[str], entry: Entry) -> bool:
        """Watch these parts of `entry`; false if that cannot be: it is not watched any more then.

        What was worked out for the place of the file is forgotten if its path leads elsewhere, or
        may have meanwhile.
        Raises `FileNotFound` if the file itself is not there.
        """
        if self.watches is None or not self.is_watched(entry):
            return False
        walked: Walked = {}
        try:
            for suffix in suffixes:
                key = key_of(path, suffix) if suffix else None
                elsewhere = self.watches.follow(path + suffix, key, walked)
                if elsewhere and not suffix and entry.file is not None:
                    entry.file.replies.clear()
        except Unwatchable as why:
            self._give_up(entry, why)
            return False
        return True

    def is_followed(self, key: str) -> bool:
        """Whether watches are set for what has this key."""
        return self.watches is not None and key in self.watches

    def wake(self) -> None:
        """Have the thread look how long it may wait."""
        driver = self._driver  # a finalizer has no lock
        if driver is not None:
            driver.wake()

    def stop(self) -> Driver | None:
        """Have the thread end; join what it returns, after the lock was given back."""
        if self._driver is not None:
            self._driver.stop()
        return self._driver

    def end(self) -> None:
        """Give back the descriptors; the thread was stopped before, or ends by itself."""
        driver, self._driver = self._driver, None
        if driver is not None:
            driver.release()
        if self.watches is not None:
            self.watches.close()
            self.watches = None

    def fail(self) -> None:
        """End from within the thread itself, and do not begin again for a while."""
        self._retry_at = monotonic() + RETRY_SECONDS
        self.end()

    def _give_up(self, entry: Entry, why: Unwatchable) -> None:
        entry.epoch = 0
        entry.polled_until = monotonic() + RETRY_SECONDS if why.lasting else 0.0
        if why.lasting and why.kind not in self._warned:
            self._warned.add(why.kind)
            logger.warning("Some files are checked with every use, which is slower: %s", why)

    def _inotify(self) -> INotify:
        try:
            return self._open_inotify()
        except OSError as error:
            raise Unwatchable(
                "instances",
                f"no inotify descriptor to be had ({error}): raise fs.inotify.max_user_instances "
                "(sysctl), or the limit of open files (ulimit -n)",
            ) from error
