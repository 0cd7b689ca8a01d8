"""What a cache holds: entries, the least recently used first, bounded in bytes."""

from collections import OrderedDict

from .file import File

# What an entry takes beside its content: the File, its head and strings, its place in the tables
# of the store and of the watches.  Measured with tracemalloc: 2.5 KB for a path of five names.
ENTRY_BYTES = 2560


class Entry:
    """A path's place in the cache; the file in it is replaced by its successor."""

    __slots__ = ("checked_at", "epoch", "file", "polled_until")

    def __init__(self, file: File) -> None:
        self.file = file
        self.epoch = 0  # the watches that look after it; see AutoUpdatingCache
        self.polled_until = 0.0  # no watch to be had: checked with every use, until this time
        self.checked_at = 0.0  # when the disk was last asked


class Store:
    """Entries by path, in the order of their use, as many as `max_bytes` allow."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._entries: OrderedDict[str, Entry] = OrderedDict()
        self.bytes = 0
        self.get = self._entries.get
        # Moves a path to the end of the queue; KeyError if it is not there.
        self.touch = self._entries.move_to_end

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, path: object) -> bool:
        return path in self._entries

    def paths(self) -> list[str]:
        """All paths, the least recently used first."""
        return list(self._entries)

    def put(self, path: str, entry: Entry) -> None:
        """Keep a new entry as the most recently used."""
        self._entries[path] = entry
        self.bytes += _bytes_of(entry.file)

    def replace(self, entry: Entry, file: File) -> None:
        """Give an entry that is kept its next version."""
        self.bytes += _bytes_of(file) - _bytes_of(entry.file)
        entry.file = file

    def pop(self, path: str) -> None:
        """Let go of a path, if it is there."""
        entry = self._entries.pop(path, None)
        if entry is not None:
            self.bytes -= _bytes_of(entry.file)

    def oldest_too_many(self) -> str | None:
        """The path that has to go next; `None` if everything fits."""
        if self.bytes <= self._max_bytes or not self._entries:
            return None
        return next(iter(self._entries))

    def clear(self) -> None:
        """Let go of everything."""
        self._entries.clear()
        self.bytes = 0


def _bytes_of(file: File) -> int:
    return ENTRY_BYTES if file.content is None else ENTRY_BYTES + len(file.content)
