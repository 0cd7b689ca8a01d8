"""From the path of a request to a file under a root, and never to one outside of it.

See `root` for how.  Where a file really is, is asked of every `File`, also of one from the cache,
which may have been read again through a link that was swapped.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Protocol
from urllib.parse import quote

from rush_http import Headers

from .answers import Replies, Reply
from .cache import AutoUpdatingCache
from .cache_control import CacheControl
from .codings import TWINS, compressed
from .errands import OnChange
from .errors import FileNotFound, IsDirectory, SlashMissing
from .file import File
from .listing import Listing, list_directory
from .reader import read_file
from .root import Root, is_hostile, outside
from .store import Stats

# Paths are remembered once they were found.  Links can give one file any number of names, so the
# memory is emptied when it is full; the next load of each path takes some microseconds more.
_MAX_REMEMBERED = 16384

Answerer = Callable[[str, Headers], Reply]
"""``(method, headers) -> Reply``: what to send of one path."""

# What a path holds as it is (RFC 3986, 3.3); the rest is percent-encoded.
IN_PATHS = "/:@!$&'()*+,;="


class Cache(Protocol):
    """What a `Loader` asks of a cache: `AutoUpdatingCache`, or your own."""

    def get(self, path: str) -> File | None:
        """The current version of `path` if it is cached."""

    def add(self, path: str) -> File:
        """The current version of `path`, kept; raises `FileNotFound`."""

    def discard(self, path: str) -> None:
        """Let go of `path`, if it is cached."""

    def close(self) -> None:
        """Give back everything."""


class Loader:
    """Files under `root` by the decoded path of a request.

    `cache` is an `AutoUpdatingCache` of its own if not given, with `compressed` and `TWINS`; it is
    closed with the loader.  A path that ends with ``/`` gives the file `index` in that directory.
    Names that begin with a dot are not found unless `dot_files`.  `fallback` is the path of
    the page that answers for all that is not found and has no extension, as applications of one
    page want it.  `cache_control` are pairs of a pattern and a value, see `CacheControl`: the first
    that fits counts, and what none fits is ``no-cache`` (keep it, but ask), or immutable if a
    hash is in its name.  If `root` is a symbolic link, it may be swapped.

    Raises `FileNotFoundError` or `NotADirectoryError` if `root` is not a directory, and
    `ValueError` for names and values that could never be served.
    """

    def __init__(
        self,
        root: str | os.PathLike[str],
        cache: Cache | None = None,
        *,
        index: str = "index.html",
        dot_files: bool = False,
        fallback: str | None = None,
        cache_control: Iterable[tuple[str, str]] = (),
    ) -> None:
        if not index or "/" in index or is_hostile(f"/{index}"):
            raise ValueError(f"index={index!r} is not the name of a file")
        if fallback is not None and (not fallback.startswith("/") or is_hostile(fallback)):
            raise ValueError(f"fallback={fallback!r} is not a path such as '/index.html'")
        self._root = Root(root, dot_files=dot_files)
        self._cache_control = CacheControl(cache_control)
        self._cache = _own_cache() if cache is None else cache
        self._get = self._cache.get
        self._index = index
        self._dot_files = dot_files
        self._fallback = fallback
        # Request path: absolute path, and how it is sent.
        self._remembered: dict[str, tuple[str, _Policy]] = {}
        self._policies: dict[str, _Policy] = {}  # by cache_control
        self._inside = self._root.inside  # for which replies were worked out

    @property
    def root(self) -> str:
        """The real path of the root directory."""
        return self._root.real

    def load(self, path: str, cache: bool = True) -> File:
        """The current version of the file at the decoded request path, ``/css/site.css``.

        With ``cache=False`` it is not kept if it is not in the cache already.  Raises
        `FileNotFound` for whatever is not to be served, with the reason; `SlashMissing`, which is
        one, for a directory without the slash at its end; other `OSError` as it is.
        """
        # 0.22 us for a hit, so that a path is taken apart only once.
        known = self._remembered.get(path)
        if known is not None:
            file = self._get(known[0])
            # Where it is was asked before there were replies.
            if file is not None and known[1].key in file.replies:
                return file
        return self._load(path, cache)[0]

    def answer(self, path: str, method: str, headers: Headers) -> Reply:
        """What to send to a request for `path`: `load` and `rush_loader.answer` in one.

        Raises what `load` does.
        """
        return self.answerer(path)(method, headers)

    def answerer(self, path: str) -> Answerer:
        """`answer` for one path, ``(method, headers) -> Reply``: to be kept by who serves it often.

        Quick if the path was answered before; it always gives what is there when it is called.
        """
        known = self._remembered.get(path)
        if known is None:
            return partial(self._first_answer, path)
        absolute, policy = known
        get, otherwise = self._get, self._first_answer

        def answer(method: str, headers: Headers) -> Reply:
            file = get(absolute)
            # Where it is was asked before there were replies.
            if file is not None and (replies := file.replies.get(policy.key)) is not None:
                if method == "GET" and (reply := replies.known.get(headers.selection)):
                    return reply
                return replies.reply(file, method, headers)
            return otherwise(path, method, headers)

        return answer

    def _first_answer(self, path: str, method: str, headers: Headers) -> Reply:
        """The first one of a version."""
        file, replies = self._load(path)
        return replies.reply(file, method, headers)

    def listing(self, path: str) -> Listing:
        """What is in the directory at the request path, which ends with a slash: see `Listing`.

        Read from the disk each time.  Raises `FileNotFound` if it is no directory.
        """
        if not path.endswith("/"):
            raise FileNotFound(path, "the path of a directory ends with a slash")
        return list_directory(self._root, path, dot_files=self._dot_files)

    def cache_files(self, *paths: str) -> int:
        """Load files ahead of their first request; returns how many.

        A path that ends with ``/`` or is a directory means every file below it, except those that
        would not be served; directories behind symbolic links are left out.  Raises
        `FileNotFound` for a path that is neither.
        """
        found = 0
        for path in paths:
            absolute = self._root.absolute(path.rstrip("/") or path)
            if os.path.isdir(absolute):
                found += sum(self._load_if_served(below) for below in self._below(absolute))
            else:
                self.load(path)
                found += 1
        return found

    def on_change(self, callback: OnChange) -> OnChange:
        """Have ``callback(paths, kind)`` called when files that are cached have changed.

        As `AutoUpdatingCache.on_change`; `paths` are absolute.  Returns `callback`.
        Raises `TypeError` if the loader was given a cache that cannot tell.
        """
        if not isinstance(self._cache, AutoUpdatingCache):
            raise TypeError(f"{self._cache!r:.80} is a cache that does not tell of changes")
        return self._cache.on_change(callback)

    def stats(self) -> Stats:
        """What the cache did until now, and what it holds: `AutoUpdatingCache.stats`.

        Raises `TypeError` if the loader was given a cache that cannot tell.
        """
        if not isinstance(self._cache, AutoUpdatingCache):
            raise TypeError(f"{self._cache!r:.80} is a cache that does not count")
        return self._cache.stats()

    def close(self) -> None:
        """Close the cache, also one that was given."""
        self._cache.close()

    def __enter__(self) -> "Loader":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _load(self, path: str, cache: bool = True) -> tuple[File, Replies]:
        """The file, and what is sent of it."""
        served = path + self._index if path.endswith("/") else path
        absolute = self._root.absolute(served)
        cache_control = self._cache_control.value(served)
        policy = self._policies.setdefault(cache_control, _Policy(cache_control))
        key = policy.key  # before the file: a later key is for what was found later
        try:
            file = self._find(absolute, cache)
        except FileNotFound as error:
            return self._load_otherwise(path, absolute, cache, error)
        if len(self._remembered) >= _MAX_REMEMBERED:
            self._remembered.clear()
        self._remembered[path] = absolute, policy
        replies = file.replies.get(key)
        if replies is None:
            replies = file.replies[key] = Replies(file, policy.cache_control)
            if self._has_moved():  # asked after they were put there: no swap comes in between
                return self._load(path, cache)
        return file, replies

    def _has_moved(self) -> bool:
        """Whether the root is elsewhere than before; replies of before do not count then."""
        self._root.look()
        if self._root.inside == self._inside:
            return False
        self._inside = self._root.inside
        for policy in list(self._policies.values()):
            policy.key = object()
        return True

    def _load_otherwise(
        self, path: str, absolute: str, cache: bool, error: FileNotFound
    ) -> tuple[File, Replies]:
        """What there is in place of a file: the way to a directory, or the fallback."""
        if isinstance(error, IsDirectory) and not path.endswith("/"):
            with self._root.directory(absolute):
                raise SlashMissing(path, f"{quote(path, safe=IN_PATHS)}/") from None
        fallback = self._fallback
        if fallback is None or path == fallback or "." in path[path.rfind("/") :]:
            raise error
        return self._load(fallback, cache)

    def _find(self, absolute: str, cache: bool) -> File:
        file = self._get(absolute)
        if file is not None and self._root.holds(file.real_path):
            return file
        if file is not None:
            self._cache.discard(absolute)  # it may be from before a link was swapped
        file = self._cache.add(absolute) if cache else read_file(absolute)
        if not self._root.holds(file.real_path):
            self._cache.discard(absolute)
            raise outside(absolute, self._root)
        return file

    def _below(self, directory: str) -> Iterator[str]:
        """The request path of every file below the absolute path of a directory."""
        with self._root.directory(directory):
            pass  # it is inside
        for place, _, names in os.walk(directory):
            for name in names:
                yield self._root.request_path(f"{place.rstrip('/')}/{name}")

    def _load_if_served(self, path: str) -> bool:
        try:
            self.load(path)
        except FileNotFound:
            return False
        return True


class _Policy:
    """How a loader sends some of its files; `key` is that of its replies, which no other has."""

    __slots__ = ("cache_control", "key")

    def __init__(self, cache_control: str) -> None:
        self.cache_control = cache_control
        self.key = object()


def _own_cache() -> AutoUpdatingCache:
    return AutoUpdatingCache(companions=tuple(TWINS), prepare=compressed)
