"""Several loaders as one, each below a prefix of its own."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, fields
from functools import partial
from urllib.parse import quote

from rush_http import Headers

from .answers import Reply
from .errands import OnChange
from .errors import FileNotFound, SlashMissing
from .file import File
from .listing import Listing
from .loader import IN_PATHS, Answerer, Loader
from .store import Stats


class Mounts:
    """Loaders by prefix, used as one `Loader`: ``Mounts({"/": site, "/docs/": manual})``.

    A prefix begins and ends with a slash.  Of those that a path begins with, the longest counts; a
    file that is not there is not looked for in the others.  The loaders are closed with it; they
    may share a cache.  Raises `ValueError` for a prefix that could never match.
    """

    def __init__(self, loaders: Mapping[str, Loader]) -> None:
        for prefix in loaders:
            if not prefix.startswith("/") or not prefix.endswith("/") or "//" in prefix:
                raise ValueError(f"a prefix is a path such as '/docs/', not {prefix!r:.80}")
        self._loaders = sorted(loaders.items(), key=lambda pair: len(pair[0]), reverse=True)
        self._prefixes = frozenset(loaders)

    def load(self, path: str, cache: bool = True) -> File:
        """The current version of the file at the request path: see `Loader.load`."""
        prefix, loader = self._pick(path)
        try:
            return loader.load(path[len(prefix) - 1 :], cache)
        except SlashMissing as error:
            raise _below(prefix, path, error) from None

    def answer(self, path: str, method: str, headers: Headers) -> Reply:
        """What to send to a request for `path`: see `Loader.answer`."""
        prefix, loader = self._pick(path)
        try:
            return loader.answer(path[len(prefix) - 1 :], method, headers)
        except SlashMissing as error:
            raise _below(prefix, path, error) from None

    def answerer(self, path: str) -> Answerer:
        """`answer` for one path: see `Loader.answerer`."""
        try:
            prefix, loader = self._pick(path)
        except FileNotFound:
            return partial(self.answer, path)
        answer = loader.answerer(path[len(prefix) - 1 :])

        def answer_below(method: str, headers: Headers) -> Reply:
            try:
                return answer(method, headers)
            except SlashMissing as error:
                raise _below(prefix, path, error) from None

        return answer_below

    def listing(self, path: str) -> Listing:
        """What is in the directory at the request path: see `Loader.listing`.

        The directories that other loaders are mounted at are not in it, unless they are there.
        """
        prefix, loader = self._pick(path)
        return loader.listing(path[len(prefix) - 1 :])._replace(path=path)

    def cache_files(self, *paths: str) -> int:
        """Load files ahead of their first request; returns how many: see `Loader.cache_files`.

        Of a prefix, or what is above it, the loaders below it are asked for all they have.
        """
        found = 0
        for path in paths:
            directory = path if path.endswith("/") else f"{path}/"
            below = [loader for prefix, loader in self._loaders if prefix.startswith(directory)]
            found += sum(loader.cache_files("/") for loader in below)
            if directory not in self._prefixes:
                prefix, loader = self._pick(path)
                with suppress(*([FileNotFound] if below else [])):
                    found += loader.cache_files(path[len(prefix) - 1 :])
        return found

    def on_change(self, callback: OnChange) -> OnChange:
        """Have ``callback(paths, kind)`` called by every loader: see `Loader.on_change`."""
        for _, loader in self._loaders:
            loader.on_change(callback)
        return callback

    def stats(self) -> Stats:
        """What the caches of all loaders did, added up: see `Loader.stats`."""
        each = {id(loader._cache): loader for _, loader in self._loaders}  # they may share one
        counts = [asdict(loader.stats()) for loader in each.values()]
        names = [field.name for field in fields(Stats)]
        return Stats(**{name: sum(count[name] for count in counts) for name in names})

    def close(self) -> None:
        """Close every loader, and its cache."""
        for _, loader in self._loaders:
            loader.close()

    def __enter__(self) -> "Mounts":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _pick(self, path: str) -> tuple[str, Loader]:
        if f"{path}/" in self._prefixes:
            raise SlashMissing(path, f"{quote(path, safe=IN_PATHS)}/")
        for prefix, loader in self._loaders:
            if path.startswith(prefix):
                return prefix, loader
        raise FileNotFound(path, "below none of the prefixes of these mounts")


def _below(prefix: str, path: str, error: SlashMissing) -> SlashMissing:
    return SlashMissing(path, quote(prefix[:-1], safe=IN_PATHS) + error.location)
