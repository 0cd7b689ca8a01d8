"""What is in a directory, as data: the page is made by others."""

import os
import stat
from contextlib import suppress
from typing import Final, Literal, NamedTuple

from .root import Root, is_hostile, place_of

MOST_ITEMS: Final = 10_000
"""What a listing holds at most."""

# Opens nothing, so that neither a FIFO nor a device is touched: see open(2).
_LOOK = os.O_PATH | os.O_CLOEXEC


class Item(NamedTuple):
    """One name in a directory."""

    name: str
    kind: Literal["file", "directory"]
    """What it is, or where a symbolic link leads."""
    size: int
    """In bytes; 0 for a directory."""
    mtime: float
    """When it was last changed, in seconds since the epoch."""


class Listing(NamedTuple):
    """What a directory holds that would be served: files and directories, sorted by name."""

    path: str
    """The request path of the directory, with the slash at its end."""
    items: tuple[Item, ...]
    """Its names, sorted."""
    truncated: bool
    """Whether there is more than `MOST_ITEMS`, so that some of it, by chance, is not here."""


def list_directory(root: Root, path: str, *, dot_files: bool) -> Listing:
    """The listing of the request path of a directory, read from the disk.

    Symbolic links are followed inside the root; what leads out of it is left out, as is everything
    that would not be found: dot files, odd names, what is neither file nor directory.
    Raises `FileNotFound` if it is not a directory inside the root that may be read.
    """
    items: list[Item] = []
    truncated = False
    with root.directory(root.absolute(path)) as directory, os.scandir(directory) as entries:
        for entry in entries:
            if (entry.name.startswith(".") and not dot_files) or is_hostile(f"/{entry.name}"):
                continue
            with suppress(OSError):  # gone again, or it may not be looked at
                if len(items) == MOST_ITEMS:
                    truncated = True
                    break
                item = _item(root, directory, entry)
                if item is not None:
                    items.append(item)
    return Listing(path, tuple(sorted(items)), truncated)


def _item(root: Root, directory: int, entry: "os.DirEntry[str]") -> Item | None:
    if entry.is_symlink():
        descriptor = os.open(entry.name, _LOOK, dir_fd=directory)
        try:
            if not root.holds(place_of(descriptor) + "/"):
                return None
            status = os.fstat(descriptor)
        finally:
            os.close(descriptor)
    else:
        status = os.stat(entry.name, dir_fd=directory, follow_symlinks=False)
    if stat.S_ISREG(status.st_mode):
        return Item(entry.name, "file", status.st_size, status.st_mtime)
    if stat.S_ISDIR(status.st_mode):
        return Item(entry.name, "directory", 0, status.st_mtime)
    return None
