"""One version of one file, and everything that is worked out once per version."""

import io
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from rush_http import http_date

from .descriptors import Descriptor, SharedReader
from .errors import FileNotFound, IsDirectory, absent
from .mime import content_type

if TYPE_CHECKING:
    from .answers import Replies

# O_NONBLOCK: a FIFO without a writer would hold open() for ever.  O_NOCTTY: a terminal must not
# become ours.  Neither has an effect on a regular file.
_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY

_NO_ENCODINGS: Final[Mapping[str, bytes]] = MappingProxyType({})
_NO_ETAGS: Final[Mapping[str, str]] = MappingProxyType({})
_NO_COMPANIONS: Final[Mapping[str, "File"]] = MappingProxyType({})


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class File:
    """One version of one regular file; never changed, so it can be shared by threads.

    A change on disk makes another `File`.  Two are the same version if they are the same object.
    """

    path: str
    """The absolute path that was asked for."""
    real_path: str
    """Where the kernel says it was when it was read: no symbolic links in it."""
    content: bytes | None = field(repr=False)
    """The whole file; `None` if it is too large to be kept in memory: see `open`."""
    size: int
    """Bytes of the content, also if `content` is `None`."""
    mtime_ns: int
    """When the content was last changed, in nanoseconds since the epoch."""
    ctime_ns: int
    """When anything was last changed, the mode and the number of links too; cannot be set back."""
    device: int
    """The number of the device that it is on, as stat(2) has it."""
    inode: int
    """Its number there: a file that replaces it has another."""
    settled: bool = field(repr=False)
    """Whether any later change gives other time stamps; not so if it was read right after one."""
    content_type: str
    """Its media type, by the extension; text says that it is UTF-8."""
    etag: str
    """A strong validator, quoted: from the content, or for a large file from its stamps."""
    last_modified: str
    """`mtime_ns` as HTTP writes it, never later than when it was read (RFC 9110, 8.8.2.1)."""
    encodings: Mapping[str, bytes] = field(default_factory=lambda: _NO_ENCODINGS, repr=False)
    """The content compressed, by content coding (``gzip``); see `compressed`."""
    encoding_etags: Mapping[str, str] = field(default_factory=lambda: _NO_ETAGS, repr=False)
    """Strong validators of `encodings`; one that is missing is worked out when it is first sent."""
    companions: Mapping[str, "File"] = field(default_factory=lambda: _NO_COMPANIONS, repr=False)
    """Files beside this one, by what their names have more (``.gz``); see `AutoUpdatingCache`."""
    twins: Mapping[str, "File"] = field(default_factory=lambda: _NO_COMPANIONS, repr=False)
    """Those `companions` that may be sent in its place, by content coding; see `compressed`."""
    replies: "dict[object, Replies]" = field(init=False, default_factory=dict, repr=False)
    """What `answer` and each `Loader` have worked out; see there for the keys.

    A cache empties it when `path` leads to the same version another way, perhaps from elsewhere.
    """
    descriptor: Descriptor | None = field(default=None, repr=False)
    """What a cache keeps open of a file that is too large for `content`; see `open`."""

    @property
    def memory_bytes(self) -> int:
        """Bytes of contents in memory: its own, the compressed ones, and those of companions."""
        return (
            len(self.content or b"")
            + sum(map(len, self.encodings.values()))
            + sum(companion.memory_bytes for companion in self.companions.values())
        )

    def open(self) -> io.RawIOBase:
        """A new binary file object of this very version, for what is too large for `content`.

        The caller closes it.  It has a position of its own, but may share its descriptor: use that
        with an explicit offset, as sendfile(2) does.  Raises `FileNotFound` if the file is gone or
        has become another version: load it again then.
        """
        if self.descriptor is not None:
            status = os.fstat(self.descriptor.number)
            # ctime may differ: to rename another file over this one takes a link from it.
            if status.st_mtime_ns != self.mtime_ns or status.st_size != self.size:
                raise FileNotFound(self.path, "changed since it was loaded; load it again")
            return SharedReader(self.descriptor)
        descriptor = open_descriptor(self.path)
        try:
            if not self.same_version(os.fstat(descriptor)):
                raise FileNotFound(self.path, "changed since it was loaded; load it again")
            return os.fdopen(descriptor, "rb", buffering=0)
        except BaseException:
            os.close(descriptor)
            raise

    def same_version(self, status: os.stat_result) -> bool:
        """Whether `status` is of this version; see `settled` for when that can be trusted."""
        return (
            status.st_mtime_ns == self.mtime_ns
            and status.st_ctime_ns == self.ctime_ns
            and status.st_ino == self.inode
            and status.st_dev == self.device
            and status.st_size == self.size
        )


def open_descriptor(path: str) -> int:
    """A descriptor of the regular file at `path`; the caller closes it.

    Raises `FileNotFound` for whatever is not a regular file that may be read, and any other
    `OSError` as it is.  It never waits for a FIFO or a device.
    """
    return open_regular(path)[0]


def open_regular(path: str) -> tuple[int, os.stat_result]:
    """`open_descriptor`, and what `os.fstat` says of it."""
    try:
        descriptor = os.open(path, _FLAGS)
    except OSError as error:
        raise absent(path, error) from error
    try:
        status = os.fstat(descriptor)
        if stat.S_ISDIR(status.st_mode):
            raise IsDirectory(path, "a directory")
        if not stat.S_ISREG(status.st_mode):
            raise FileNotFound(path, "not a regular file")
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor, status


# Time stamps are as coarse as the kernel's tick (4 ms) on most file systems, and 2 s on FAT:
# within that, a second change can leave the same stamps as the first.
_COARSEST_NS = 2_000_000_000


def new_file(
    path: str, real_path: str, content: bytes | None, status: os.stat_result, now_ns: int
) -> File:
    """A `File` with all that HTTP wants to know of it.

    `status` is from before it was read, and `now_ns` the time before `status`.
    """
    size = status.st_size if content is None else len(content)
    kind = content_type(path)
    etag = content_etag(content) if content is not None else _status_etag(status)
    modified = http_date(min(max(status.st_mtime_ns, 0), now_ns) // 1_000_000_000)
    return File(
        path=path,
        real_path=real_path,
        content=content,
        size=size,
        mtime_ns=status.st_mtime_ns,
        ctime_ns=status.st_ctime_ns,
        device=status.st_dev,
        inode=status.st_ino,
        settled=_settled(status, now_ns),
        content_type=kind,
        etag=etag,
        last_modified=modified,
    )


def _settled(status: os.stat_result, now_ns: int) -> bool:
    # mtime can be set to any time, so one in the future says nothing; ctime cannot, and a clock
    # of another machine that is ahead of ours only costs some needless reading.
    if now_ns - status.st_ctime_ns < _COARSEST_NS:
        return False
    return not 0 <= now_ns - status.st_mtime_ns < _COARSEST_NS


def content_etag(content: bytes) -> str:
    """A strong validator, quoted: the same for the same content, in every process."""
    return f'"{blake2b(content, digest_size=16).hexdigest()}"'


def _status_etag(status: os.stat_result) -> str:
    stamps = (
        status.st_dev,
        status.st_ino,
        status.st_size,
        status.st_mtime_ns & 0xFFFFFFFFFFFFFFFF,  # the years before 1970
        status.st_ctime_ns & 0xFFFFFFFFFFFFFFFF,
    )
    return '"' + "-".join(f"{stamp:x}" for stamp in stamps) + '"'
