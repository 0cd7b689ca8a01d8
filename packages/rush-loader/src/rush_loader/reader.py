"""Reading one whole version of a file, while others may be writing it.

The order is what makes it right: open; ask who that is (`fstat`) and where (`/proc/self/fd`);
read; ask again who it is.  If it changed meanwhile, it is read again from the start.
"""

import errno
import logging
import os
import stat
from contextlib import suppress
from dataclasses import replace
from time import time_ns

from .descriptors import Descriptor
from .errors import FileNotFound
from .file import File, new_file, open_regular

logger = logging.getLogger("rush_loader")

MAX_FILE_BYTES = 1 << 20  # above it, sendfile is faster than a copy from memory

_TRIES = 5  # each takes the time of one read; a writer that never pauses wins in the end


class FileBusy(OSError):
    """A file that is written all the time, so that no whole version of it could be read."""

    def __init__(self, path: str) -> None:
        super().__init__(errno.EBUSY, "written faster than it can be read", path)


def read_file(
    path: str,
    *,
    max_bytes: int = MAX_FILE_BYTES,
    known: File | None = None,
    partial: bool = True,
    keep_open: bool = False,
) -> File:
    """The version of `path` that is on disk now; `known` itself if it still is that version.

    A file larger than `max_bytes` is not read, its `content` is `None`; with `keep_open`, it has
    a descriptor to read it from.  For one that is written
    all the time it gives what it found last, which can be a mix; if not `partial`, it raises
    `FileBusy`.
    Raises `FileNotFound` for all that is not a regular file, `OSError` for what went wrong.
    """
    for _ in range(_TRIES):
        file, whole = _read_once(path, max_bytes, known, keep_open)
        if whole:
            return file
    if partial:
        return file
    raise FileBusy(path)


def read_companion(
    path: str, *, max_bytes: int, known: File | None, partial: bool, keep_open: bool
) -> File | None:
    """What `read_file` gives, but `None` for what is not there, is empty, or cannot be read.

    Raises `FileBusy`.  Empty is what somebody is only about to write.
    """
    try:
        file = read_file(
            path, max_bytes=max_bytes, known=known, partial=partial, keep_open=keep_open
        )
    except (FileNotFound, FileBusy) as error:
        if isinstance(error, FileBusy):
            raise
        return None
    except OSError as error:
        logger.warning("%r is done without: %s", path, error)
        return None
    return file if file.size else None


def is_link(path: str) -> bool:
    """Whether `path` is a symbolic link, or one of several hard links."""
    try:
        status = os.lstat(path)
    except OSError:
        return False
    return stat.S_ISLNK(status.st_mode) or status.st_nlink > 1


def checked_path(path: str) -> str:
    """`path` itself, if a file can have that name.

    Raises `ValueError` if it is not absolute, `FileNotFound` if no file can be called so.
    """
    if not isinstance(path, str):
        raise TypeError(f"path is not a str: {path!r:.200}; see os.fspath()")
    if not path.startswith("/"):
        raise ValueError(f"path is not absolute: {path!r:.200}; see os.path.abspath()")
    try:
        if b"\0" in os.fsencode(path):
            raise FileNotFound(path, "no name holds a NUL")
    except UnicodeEncodeError as error:
        raise FileNotFound(path, "no name holds such characters") from error
    return path


def _read_once(path: str, max_bytes: int, known: File | None, keep_open: bool) -> tuple[File, bool]:
    now_ns = time_ns()
    number, before = open_regular(path)
    descriptor = Descriptor(number)  # closes it, when nobody refers to it
    place = _place(number)
    if known is not None and _still(known, before, place):
        return known, True
    content = None
    if before.st_size <= max_bytes:
        content = _content(number, before.st_size, max_bytes)
        _wait_for_writer(number)
    after = os.fstat(number)
    if after.st_nlink == 0:
        # Deleted since it was opened, so the kernel added this to where it was.
        place = place.removesuffix(" (deleted)")
    file = new_file(path, place, content, before, now_ns)
    if content is None and keep_open:
        file = replace(file, descriptor=descriptor)
    return file, _unchanged(before, after, content)


def _place(descriptor: int) -> str:
    try:
        return os.readlink(f"/proc/self/fd/{descriptor}")
    except FileNotFoundError as error:
        # Not to be taken for a missing file: without /proc every file would be missing.
        raise OSError(errno.ENOSYS, "rush_loader needs /proc to be mounted") from error


def _still(known: File, status: os.stat_result, place: str) -> bool:
    return known.settled and known.real_path == place and known.same_version(status)


def _content(descriptor: int, size: int, max_bytes: int) -> bytes | None:
    """All of a file that should have `size` bytes; `None` if it has more than `max_bytes`."""
    content = os.read(descriptor, size + 1)  # one more than there should be: it may have grown
    if len(content) == size:
        return content
    # A signal cut it short, it has changed, or it is a file of /proc, whose size is not known.
    pieces = [content]
    missing = max_bytes + 1 - len(content)
    while missing > 0 and (piece := os.read(descriptor, missing)):
        pieces.append(piece)
        missing -= len(piece)
    return b"".join(pieces) if missing > 0 else None


def _wait_for_writer(descriptor: int) -> None:
    """Let a write or a truncation end that has begun, so that it has been reported after this.

    What it does can be seen before inotify is told: on a truncation of ext4, milliseconds before.
    But it holds the lock of the inode meanwhile, and to look for a hole takes that lock.  Without
    this, one version in some thousand of a file overwritten again and again was torn (test_stress).
    """
    with suppress(OSError):  # ENXIO: the file is empty
        os.lseek(descriptor, 0, os.SEEK_HOLE)


def _unchanged(before: os.stat_result, after: os.stat_result, content: bytes | None) -> bool:
    if content is None and before.st_size > 0:
        return True  # nothing was read, so nothing can be torn
    if before.st_mtime_ns != after.st_mtime_ns or before.st_size != after.st_size:
        return False
    if content is not None and len(content) != before.st_size:
        return False
    # A save by rename takes a link away from the version being read, which changes its ctime
    # but nothing in it.
    return before.st_ctime_ns == after.st_ctime_ns or before.st_nlink != after.st_nlink
