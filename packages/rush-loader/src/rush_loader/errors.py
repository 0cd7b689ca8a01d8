"""The errors of this package: there is no such file, or it is a directory."""

import errno

from rush_http import NotFound

_ABSENT = frozenset(
    {
        errno.ENOENT,
        errno.ENOTDIR,
        errno.ELOOP,
        errno.ENAMETOOLONG,
        errno.EACCES,
        errno.EPERM,
        errno.EINVAL,  # a name that this file system cannot hold
        errno.EILSEQ,
        errno.ENXIO,  # a socket, or a device without a driver
        errno.ENODEV,
        errno.ESTALE,
    }
)


class FileNotFound(NotFound, FileNotFoundError):
    """There is no regular file at this path that may be read.

    It is a `FileNotFoundError` for programs that read files, and a `rush_http.NotFound` (status
    404) for those that answer requests.  `filename` is the path asked for, `strerror` the reason.
    """

    def __init__(self, path: str, reason: str = "no such file") -> None:
        OSError.__init__(self, errno.ENOENT, reason, path)

    def __reduce__(self) -> tuple[type["FileNotFound"], tuple[str, str]]:
        return type(self), (str(self.filename), str(self.strerror))


class IsDirectory(FileNotFound):
    """There is a directory at this path, and no file."""


class SlashMissing(FileNotFound):
    """A directory was asked for by its path without the slash at its end.

    Without the slash, a browser would resolve the links of the page against the directory above.
    Who knows nothing of that has a `FileNotFound`.
    """

    def __init__(self, path: str, location: str) -> None:
        super().__init__(path, f"a directory, whose path ends with a slash: {location}")
        self.location = location
        """Where it is: the path with the slash, percent-encoded, for a ``Location`` line.  It
        begins with one slash, so that it never names another host."""

    def __reduce__(self) -> tuple[type["SlashMissing"], tuple[str, str]]:
        return type(self), (str(self.filename), self.location)


def absent(path: str, error: OSError) -> OSError:
    """`FileNotFound` if `error` says that there is nothing to read at `path`, else `error` itself.

    Too many open descriptors or a failing disk do not make a file absent: those stay what they are.
    """
    if error.errno in _ABSENT and not isinstance(error, FileNotFound):
        return FileNotFound(path, error.strerror or "no such file")
    return error
