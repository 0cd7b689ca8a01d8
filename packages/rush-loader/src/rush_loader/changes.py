"""What the kernel reported of cached files, and when it is time to read them again; no I/O.

Per path, until it is read again::

                MODIFY                                   CLOSE_WRITE
    (nothing) ----------> being written: wait for the ---------------> pressing: read it now
        |                 close, or 100 ms of silence                       ^
        +-------------------------------------------------------------------+
                 MOVED_TO, CREATE, ATTRIB, anything on its way

A file that is saved by rename is whole when its name appears, so it is read at once.  One that is
written in place is whole when its writer says so by closing it; a writer that keeps it open (a
log) says nothing, so its silence is taken for it.
"""

from .inotify import flags

QUIET_SECONDS = 0.1

# Who compresses a file makes the other one first and writes to it much later; that is never kept
# open for good, and half of it is no use to anybody.
COMPANION_QUIET_SECONDS = 10.0

_RENAMED = flags.CREATE | flags.MOVED_TO


class Change:
    """What was reported of one path since it was last read."""

    __slots__ = ("moved", "quiet_at", "renamed", "whole", "written")

    def __init__(self) -> None:
        self.moved = False  # the path may lead elsewhere
        self.renamed = False  # the name is that of another file, or a link, now
        self.whole = False  # there is a new version, and nobody is writing it
        self.quiet_at: float | None = None  # somebody is writing it; silent enough at this time
        self.written = False  # its content has changed, so what was read meanwhile can be torn

    @property
    def pressing(self) -> bool:
        """Whether it must be looked at before it is used again."""
        return self.moved or self.whole

    @property
    def in_place(self) -> bool:
        """Whether something was reported, and nothing of where the path leads."""
        return (self.whole or self.written) and not self.moved and not self.renamed

    def writing(self, now: float) -> bool:
        """Whether a writer is in the middle of it."""
        return not self.whole and self.quiet_at is not None and self.quiet_at > now

    def due_at(self) -> float:
        """When it is to be read again; ``0.0`` for now."""
        return 0.0 if self.pressing or self.quiet_at is None else self.quiet_at

    def note(self, final: bool, mask: int, now: float, quiet: float) -> None:
        """Take in one event; `final` if it is about the file itself, not a name on its way.

        `quiet` is for how many seconds nobody has written when it is taken for whole.
        """
        if not final:
            self.moved = True
            return
        self.renamed = self.renamed or bool(mask & _RENAMED)
        if mask & flags.MODIFY:
            self.written = True
            self.whole = False
            self.quiet_at = now + quiet
        elif mask & flags.ATTRIB:
            # Writers set times and mode before they close: that is no reason to look early.
            self.whole = self.whole or not self.writing(now)
        else:  # it was closed, or another file has this name now
            self.written = self.written or bool(mask & flags.CLOSE_WRITE)
            self.whole = True
            self.quiet_at = None


class Changes:
    """The paths that have to be read again; the times are those of `time.monotonic`."""

    def __init__(self) -> None:
        self._changes: dict[str, Change] = {}

    def __len__(self) -> int:
        return len(self._changes)

    def note(self, path: str, *, final: bool, mask: int, now: float) -> None:
        """Take in one event about `path`: see `Change.note`."""
        self._of(path).note(final, mask, now, QUIET_SECONDS)

    def note_companion(self, path: str, *, final: bool, mask: int, now: float) -> None:
        """Take in one event about a companion: when it is created it is not yet written."""
        if final and mask & flags.CREATE:
            mask |= flags.MODIFY
        self._of(path).note(final, mask, now, COMPANION_QUIET_SECONDS)

    def suspect(self, path: str) -> None:
        """It may have changed: read it now."""
        self._of(path).moved = True

    def wait(self, path: str, now: float) -> None:
        """It is being written: read it when it has been silent for `QUIET_SECONDS`."""
        self.note(path, final=True, mask=flags.MODIFY, now=now)

    def pressing(self, path: str) -> bool:
        """Whether what is cached of it must not be used before it was read again."""
        change = self._changes.get(path)
        return change is not None and change.pressing

    def awaited(self, path: str) -> bool:
        """Whether it is to be read again, now or later."""
        return path in self._changes

    def written(self, path: str) -> bool:
        """Whether its content was written to since `take`."""
        change = self._changes.get(path)
        return change is not None and change.written

    def take(self, path: str) -> Change:
        """Forget and return what was reported of `path`: it is going to be read."""
        return self._changes.pop(path, None) or Change()

    def put_back(self, path: str, change: Change) -> None:
        """Wait on for what `take` gave: it was too early to read `path`."""
        newer = self._of(path)
        newer.quiet_at = max(newer.quiet_at or 0.0, change.quiet_at or 0.0)
        newer.written = newer.written or change.written

    def clear(self) -> None:
        """Forget everything."""
        self._changes.clear()

    def due(self, now: float) -> list[str]:
        """The paths that are to be read now."""
        return [path for path, change in self._changes.items() if change.due_at() <= now]

    def is_due(self, path: str, now: float) -> bool:
        """Whether `path` is to be read now."""
        change = self._changes.get(path)
        return change is not None and change.due_at() <= now

    def seconds_left(self, now: float) -> float | None:
        """How long until the next path is due; `None` if nothing was reported."""
        if not self._changes:
            return None
        return max(0.0, min(change.due_at() for change in self._changes.values()) - now)

    def _of(self, path: str) -> Change:
        change = self._changes.get(path)
        if change is None:
            change = self._changes[path] = Change()
        return change
