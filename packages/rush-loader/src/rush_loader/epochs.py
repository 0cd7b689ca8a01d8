"""An inotify descriptor with its watches and its thread: they live and die together, an epoch."""

from collections.abc import Callable
from time import monotonic

from .inotify import INotify
from .updater import Updater
from .watches import Unwatchable, Watches

# How long to do without after a failure, and without a watch that was refused: a limit may have
# been raised meanwhile, watches may have come free.
RETRY_SECONDS = 60.0


class Epochs:
    """At most one epoch at a time, begun when it is needed; guarded by the lock of its owner.

    `step` and `failed` are what the thread calls: see `Updater`.
    """

    def __init__(
        self,
        open_inotify: Callable[[], INotify],
        step: Callable[[], float | None],
        failed: Callable[[], None],
    ) -> None:
        self._open_inotify = open_inotify
        self._step = step
        self._failed = failed
        self._updater: Updater | None = None
        self._retry_at = 0.0
        self.number = 0  # of this epoch, or of the last one
        self.watches: Watches | None = None
        self.barred = False  # none may begin: a fork is near, or the owner is closed

    @property
    def stopping(self) -> bool:
        """Whether the thread should leave what is still to be done."""
        return self._updater is None or self._updater.stopping

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
            self._updater = Updater(watches.fileno(), self._step, self._failed)
        except (OSError, RuntimeError) as error:
            watches.close()
            raise Unwatchable("thread", f"no thread to be had ({error})") from error
        self.watches = watches
        self.number += 1
        return watches

    def wake(self) -> None:
        """Have the thread look how long it may wait."""
        if self._updater is not None:
            self._updater.wake()

    def stop(self) -> Updater | None:
        """Have the thread end; join what it returns, after the lock was given back."""
        updater, self._updater = self._updater, None
        if updater is not None:
            updater.stop()
        return updater

    def end(self) -> None:
        """Give back the descriptor; the thread was stopped before."""
        if self.watches is not None:
            self.watches.close()
            self.watches = None

    def fail(self) -> None:
        """End from within the thread itself, and do not begin again for a while."""
        self._retry_at = monotonic() + RETRY_SECONDS
        self.end()
        updater, self._updater = self._updater, None
        if updater is not None:  # else somebody stopped it, and waits for it
            updater.release()

    def _inotify(self) -> INotify:
        try:
            return self._open_inotify()
        except OSError as error:
            raise Unwatchable(
                "instances",
                f"no inotify descriptor to be had ({error}): raise fs.inotify.max_user_instances "
                "(sysctl), or the limit of open files (ulimit -n)",
            ) from error
