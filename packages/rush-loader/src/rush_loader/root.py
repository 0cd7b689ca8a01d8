"""A directory, and what lies inside of it, whatever names and symbolic links say.

Names alone cannot tell: a symbolic link may leave the root, and may be swapped between a look
and an open.  So it is opened first, then the kernel is asked where the descriptor really is, and
only what lies under the root's real path counts as inside.
"""

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager

from .errors import FileNotFound, absent

# Refused wherever it is in a path: control characters, a backslash (a separator elsewhere), what
# is not a character at all (bytes that were not UTF-8), empty segments, ``.`` and ``..``.
_HOSTILE = re.compile(r"[\x00-\x1f\x7f-\x9f\\\ud800-\udfff]|//|/\.\.?(?:/|\Z)")
_HIDDEN = re.compile(r"/\.")

_MAX_PATH_BYTES = 4095  # PATH_MAX without its NUL
_MAX_NAME_BYTES = 255  # NAME_MAX of nearly all file systems

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NONBLOCK | os.O_CLOEXEC


class Root:
    """The directory `given`; if that is a symbolic link, it may be swapped.

    Raises `FileNotFoundError` or `NotADirectoryError` if it is not a directory.
    """

    def __init__(self, given: str | os.PathLike[str], *, dot_files: bool = False) -> None:
        self.given = os.path.abspath(given)
        """Its absolute path, as it was given."""
        _check(self.given)
        self._top = self.given.rstrip("/")
        self._dot_files = dot_files
        self.real = ""
        """Its real path."""
        self.inside = ""
        """What the real path of everything inside begins with."""
        self._stamp: tuple[int, ...] = ()
        self.find()

    def look(self) -> None:
        """`find` it anew if it is another directory than before, for one system call."""
        if self._stamp != _stamp(self.given):
            self.find()

    def find(self) -> None:
        """Ask the kernel anew where the root is."""
        self._stamp = _stamp(self.given)
        self.real = os.path.realpath(self.given)
        self.inside = self.real.rstrip("/") + "/"

    def holds(self, real_path: str) -> bool:
        """Whether a real path is inside."""
        if real_path.startswith(self.inside):
            return True
        self.find()
        return real_path.startswith(self.inside)

    def absolute(self, path: str) -> str:
        """The absolute path that a request path stands for; `FileNotFound` for a hostile one."""
        absolute = self._top + path
        if not path.startswith("/"):
            raise FileNotFound(path, "a request path begins with a slash")
        if is_hostile(path):
            raise FileNotFound(path, "a request path that no link of ours has")
        if not self._dot_files and _HIDDEN.search(path):
            raise FileNotFound(path, "names with a leading dot are served with dot_files=True only")
        raw = absolute.encode("utf-8", "surrogateescape")  # the root's own name may be odd
        if len(raw) > _MAX_PATH_BYTES or max(map(len, raw.split(b"/"))) > _MAX_NAME_BYTES:
            raise FileNotFound(path[:80] + "...", "too long for a path")
        return absolute

    def request_path(self, absolute: str) -> str:
        """The other way: what the absolute path of something below the root is asked for as."""
        return absolute[len(self._top) :]

    @contextmanager
    def directory(self, absolute: str) -> Iterator[int]:
        """A descriptor of a directory inside; `FileNotFound` if it is none, or is not inside."""
        try:
            descriptor = os.open(absolute, _DIRECTORY)
        except OSError as error:
            raise absent(absolute, error) from error
        try:
            if not self.holds(place_of(descriptor) + "/"):
                raise outside(absolute, self)
            yield descriptor
        finally:
            os.close(descriptor)


def is_hostile(path: str) -> bool:
    """Whether no request path, or no name after a slash, that we serve looks like this."""
    return _HOSTILE.search(path) is not None


def place_of(descriptor: int) -> str:
    """Where the kernel says that an open file is."""
    return os.readlink(f"/proc/self/fd/{descriptor}")


def outside(absolute: str, root: Root) -> FileNotFound:
    """The error for what a symbolic link leads to."""
    return FileNotFound(absolute, f"outside of the root {root.real!r}")


def _stamp(path: str) -> tuple[int, ...]:
    try:
        status = os.stat(path)
    except OSError:
        return ()  # nothing is inside
    # The number of an inode is used again, but not with the same time.
    return status.st_dev, status.st_ino, status.st_ctime_ns


def _check(root: str) -> None:
    if not os.path.exists(root):
        raise FileNotFoundError(errno.ENOENT, "the root of a Loader does not exist", root)
    if not os.path.isdir(root):
        raise NotADirectoryError(errno.ENOTDIR, "the root of a Loader is not a directory", root)
