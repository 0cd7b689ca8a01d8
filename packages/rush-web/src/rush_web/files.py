"""Files: whether a server has one at a path; nothing is kept of it."""

import os
from typing import TYPE_CHECKING

from rush_loader import File, FileNotFound, Loader, Mounts

if TYPE_CHECKING:
    from .server import WebServer

OF_FILES = frozenset({"GET", "HEAD", "OPTIONS"})
"""The methods that are answered where there is a file."""


def has_file(server: "WebServer", path: str) -> bool:
    """Whether GET of `path` may be answered with a file; routes and redirects aside."""
    if server.files is None or not path.startswith(server.files):
        return False
    below = path[len(server.files) - 1 :]
    if server.loader is not None:
        return _is_found(server.loader, below)
    if server.root is None:
        return False
    try:
        loader = Loader(server.root, _NoCache())
    except OSError:
        return False
    with loader:
        return _is_found(loader, below)


def place_of(server: "WebServer") -> str:
    """`` of`` and the folder that files come from; nothing if it is not one folder."""
    root = server.loader.root if isinstance(server.loader, Loader) else server.root
    return "" if root is None else f" of {os.path.abspath(root)}"


def _is_found(loader: Loader | Mounts, path: str) -> bool:
    try:
        loader.load(path, cache=False)
    except OSError:
        return False
    return True


class _NoCache:
    """The cache of a loader that is asked once."""

    def get(self, path: str) -> File | None:
        return None

    def add(self, path: str) -> File:
        raise FileNotFound(path, "this cache keeps nothing")

    def discard(self, path: str) -> None:
        pass

    def close(self) -> None:
        pass
