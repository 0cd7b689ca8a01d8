"""One part of an entry, its file or a companion, read again while others may write it.

Whoever holds the lock may read the events of inotify.  A version is read again in this order:
follow the path (which sets its watches), read the file, read the events.  If they say that it was
written to meanwhile, what was read may be torn, so it is thrown away, and the next try is due when
the writer has closed it.
"""

import os
from collections.abc import Callable
from dataclasses import replace
from time import monotonic

from .changes import Change, Changes
from .epochs import Epochs
from .file import File
from .options import Options
from .reader import FileBusy, read_companion, read_file
from .store import Entry, Store, alike, key_of
from .turns import Turns


class Parts:
    """Reads the parts of entries; `digest` takes in what inotify has to say."""

    def __init__(
        self,
        options: Options,
        store: Store,
        changes: Changes,
        epochs: Epochs,
        digest: Callable[[], None],
    ) -> None:
        self._options = options
        self._store = store
        self._changes = changes
        self._epochs = epochs
        self._digest = digest

    def follow(self, path: str, suffixes: list[str], entry: Entry) -> dict[str, Change]:
        """Begin to read these parts again: watch them.  Returns what was reported of each.

        Raises `FileNotFound` if the file itself is gone.
        """
        changes = {suffix: self._changes.take(key_of(path, suffix)) for suffix in suffixes}
        moved = [suffix for suffix in suffixes if not self._stays(path, suffix, changes[suffix])]
        if not self._epochs.follow(path, moved, entry):
            self._store.hot.pop(path, None)
        return changes

    def _stays(self, path: str, suffix: str, change: Change) -> bool:
        """Whether this part is where it was, so that its watches are what they should be.

        To walk a path takes two system calls for each of its names.
        """
        if change.moved or not self._epochs.is_followed(key_of(path, suffix)):
            return False
        # The path of a companion may have led nowhere, and lead there now.
        return change.in_place or (change.renamed and not suffix and not os.path.islink(path))

    def reread(self, path: str, suffix: str, entry: Entry, change: Change, turns: Turns) -> None:
        """Bring one part up to date with the disk; `change` is from `follow`.

        The lock is held, but given back meanwhile.  Raises `FileNotFound` if it is the file itself
        and it is gone, other `OSError` as it is.
        """
        key = key_of(path, suffix)
        known = entry.read.get(suffix)
        watched = self._epochs.is_watched(entry)
        try:
            with turns.unlocked():
                file = self.read(path, suffix, entry, partial=known is None or not watched)
        except FileBusy:
            self._changes.wait(key, monotonic())
            return
        self._digest()
        half_way = (
            file is not None
            and known is not None
            and change.writing(monotonic())
            and _same_inode(file, known)
        )
        if half_way:
            self._changes.put_back(key, change)
        if file is None:
            entry.read.pop(suffix, None)
        elif file.content is None or not (half_way or self._changes.written(key)):
            entry.read[suffix] = file
        elif known is None and not suffix:
            entry.read[suffix] = file  # the first version: torn, perhaps, but there is no other
        # else: what was read may be torn

    def pressing(self, path: str) -> list[str]:
        """The suffixes of what must be read again before it is used."""
        now = monotonic()
        suffixes = self._options.suffixes
        return [suffix for suffix in suffixes if self._changes.is_due(key_of(path, suffix), now)]

    def read_all(self, path: str, entry: Entry) -> dict[str, File]:
        """What `read` gives of all parts that are there, in part perhaps."""
        read = {}
        for suffix in self._options.suffixes:
            file = self.read(path, suffix, entry, partial=True)
            if file is not None:
                read[suffix] = file
        return read

    def read(self, path: str, suffix: str, entry: Entry, *, partial: bool) -> File | None:
        """What is on disk now; the same object if that is what was read before.

        `None` for a companion that is not there.  Raises as `read_file` does.
        """
        known = entry.read.get(suffix)
        file = (read_companion if suffix else read_file)(
            path + suffix,
            max_bytes=self._options.max_file_bytes,
            known=known,
            partial=partial,
            keep_open=self._store.descriptors < self._options.max_open_files,
        )
        if file is None or known is None or not alike(file, known):
            return file
        return replace(known, settled=True) if file.settled else known


def _same_inode(one: File, other: File) -> bool:
    return one.inode == other.inode and one.device == other.device
