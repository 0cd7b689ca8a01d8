"""What a cache holds: entries, the least recently used first, bounded in bytes.

What belongs to an entry, its file and each companion, there or not, has a key.  That of the file is
its path.  That of a companion has a NUL before the suffix, which no path has, so it is not the key
of the same file when that is an entry of its own.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import count
from operator import itemgetter
from types import MappingProxyType

from .file import File

# What an entry takes beside its contents, with the replies that a server keeps of it.  By
# tracemalloc, for paths of six and eleven names: 2.9 and 3.9 KB, and 2.7 KB for its replies; 2.0
# and 2.6 KB for each suffix that is watched, there or not; 1.2 KB for a companion, and 2.0 KB for
# the replies of each further coding.
ENTRY_BYTES = 6912
SUFFIX_BYTES = 3072
FORM_BYTES = 3584

# Uses may be noted of paths that go at this very moment; so many such notes are left lying.
_MAX_ORPHANS = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Stats:
    """What a cache did since it was made, and what it holds; a forked child counts on."""

    hits: int
    """Uses (`get`, ``[]``, `add`) that gave a file which was kept, also one just read again."""
    misses: int
    """Uses of `add` that had to look on the disk, as nothing was kept.  `get` never does."""
    reloads: int
    """New versions of what is kept, of a companion too."""
    evictions: int
    """Entries that went because others needed the room."""
    bytes: int
    """Memory in use: contents, and what goes with them; see `AutoUpdatingCache`."""
    entries: int
    """How many files are kept."""


class Entry:
    """A path's place in the cache: what was read there, and what is given to users."""

    __slots__ = ("checked_at", "epoch", "file", "polled_until", "read")

    def __init__(self) -> None:
        self.read: dict[str, File] = {}  # by suffix: "" is the file itself, others its companions
        self.file: File | None = None  # for users; only an entry that is not in the store has none
        self.epoch = 0  # the watches that look after it; see `Upkeep`
        self.polled_until = 0.0  # no watch to be had: checked with every use, until this time
        self.checked_at = 0.0  # when the disk was last asked

    def differs(self, before: dict[str, File]) -> bool:
        """Whether what was read is not of the same versions as `before`."""
        return self.read.keys() != before.keys() or not all(
            alike(file, before[suffix]) for suffix, file in self.read.items()
        )

    def version(self) -> File:
        """What was read, put together for users."""
        companions = {suffix: file for suffix, file in self.read.items() if suffix}
        if not companions:
            return self.read[""]
        return replace(self.read[""], companions=MappingProxyType(companions))


class Store:
    """Entries by path, as many as `max_bytes` allow.

    `companions` is how many of them each file has, there or not.
    """

    def __init__(self, max_bytes: int, companions: int = 0) -> None:
        self._max_bytes = max_bytes
        self._entry_bytes = ENTRY_BYTES + companions * SUFFIX_BYTES
        self._entries: dict[str, Entry] = {}
        self._oldest: list[tuple[str, int]] = []  # the latest first; see `oldest_too_many`
        self._own_ticks = 0  # those that are no hits
        self.get = self._entries.get
        self.hot: dict[str, File] = {}  # those that may be used as they are; see `Upkeep`
        # A use is ``used[path] = next(ticks)``: the order of use and a count of hits in one.  A hit
        # takes 0.11 us with it, and 0.15 us with OrderedDict.move_to_end and a counter (timeit).
        self.ticks = count()
        self.used: dict[str, int] = {}
        self.bytes = 0
        self.descriptors = 0  # open, of large files
        self.misses = self.reloads = self.evictions = 0

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, path: object) -> bool:
        return path in self._entries

    def stats(self) -> Stats:
        """What is kept, and what the counters say."""
        hits = next(self.ticks) - self._own_ticks
        self._own_ticks += 1
        return Stats(
            hits=hits,
            misses=self.misses,
            reloads=self.reloads,
            evictions=self.evictions,
            bytes=self.bytes,
            entries=len(self),
        )

    def touch(self, path: str) -> None:
        """Note a use."""
        self.used[path] = next(self.ticks)

    def paths(self) -> list[str]:
        """All paths, the least recently used first."""
        return [path for path, _ in sorted(self._uses(), key=itemgetter(1))]

    def limit_open(self, entry: Entry, most: int) -> None:
        """Do without descriptors of what was read of `entry`, past `most` of all."""
        free = most - self.descriptors
        if entry.file is not None:
            free += _descriptors(entry.file)
        for suffix, file in entry.read.items():
            if file.descriptor is not None:
                free -= 1
                if free < 0:
                    entry.read[suffix] = replace(file, descriptor=None)

    def put(self, path: str, entry: Entry, file: File) -> None:
        """Keep a new entry as the most recently used."""
        entry.file = file
        self._entries[path] = entry
        self._weigh(file, 1)
        self.used[path] = next(self.ticks)
        self._own_ticks += 1
        if len(self.used) > len(self._entries) + _MAX_ORPHANS:
            self._forget_orphans()

    def replace(self, entry: Entry, file: File) -> None:
        """Give an entry that is kept its next version."""
        if entry.file is not None:
            self._weigh(entry.file, -1)
        self._weigh(file, 1)
        entry.file = file

    def renew(self, entry: Entry, file: File) -> None:
        """`replace` it by what was read anew."""
        self.replace(entry, file)
        self.reloads += 1

    def pop(self, path: str) -> None:
        """Let go of a path, if it is there."""
        self.hot.pop(path, None)
        entry = self._entries.pop(path, None)
        self.used.pop(path, None)
        if entry is not None and entry.file is not None:
            self._weigh(entry.file, -1)

    def oldest_too_many(self) -> str | None:
        """The path that has to go next; `None` if everything fits.

        All are sorted by their use at times, and then go in this order, without those used since.
        So whatever many that sort takes (0.15 s for 100,000) is paid for by as many uses.
        """
        if self.bytes <= self._max_bytes or not self._entries:
            return None
        while True:
            while self._oldest:
                path, tick = self._oldest.pop()
                if path in self._entries and self.used.get(path) == tick:
                    return path
            self._oldest = sorted(self._uses(), key=itemgetter(1), reverse=True)

    def clear(self) -> None:
        """Let go of everything."""
        self._entries.clear()
        self.hot.clear()
        self.used.clear()
        self._oldest.clear()
        self.bytes = self.descriptors = 0

    def _uses(self) -> Iterator[tuple[str, int]]:
        return ((path, self.used.get(path, 0)) for path in list(self._entries))

    def _weigh(self, file: File, sign: int) -> None:
        forms = len(file.companions) + len(file.encodings)
        self.bytes += sign * (self._entry_bytes + FORM_BYTES * forms + file.memory_bytes)
        self.descriptors += sign * _descriptors(file)

    def _forget_orphans(self) -> None:
        for path in list(self.used):
            if path not in self._entries:
                self.used.pop(path, None)


def _descriptors(file: File) -> int:
    return sum(one.descriptor is not None for one in (file, *file.companions.values()))


def alike(one: File, other: File) -> bool:
    """Whether two files were read of the same version, at the same place."""
    return one is other or (
        one.content == other.content
        and one.real_path == other.real_path
        and one.size == other.size
        and one.mtime_ns == other.mtime_ns
        and one.ctime_ns == other.ctime_ns
        and one.inode == other.inode
        and one.device == other.device
    )


def key_of(path: str, suffix: str) -> str:
    """The key of what is at ``path + suffix`` for the entry `path`."""
    return f"{path}\0{suffix}" if suffix else path


def path_and_suffix(key: str) -> tuple[str, str]:
    """The entry's path, and the suffix of its companion: "" for the file itself."""
    path, _, suffix = key.partition("\0")
    return path, suffix
