"""``Cache-Control`` by the path of a file (RFC 9111, section 5.2)."""

import re
from collections.abc import Iterable
from fnmatch import translate

IMMUTABLE = "public, max-age=31536000, immutable"
"""For what never changes: a new version has another name.  A year, and no questions (RFC 8246)."""

ASK = "no-cache"
"""Keep it, but ask whether it has changed before each use; the answer is a short 304 if not."""

# A name with a hash of its content: eight or more hexadecimal digits between dots or hyphens,
# before the extension.  With a letter and a digit among them, so that neither a date
# (report-20260131.pdf) nor a word (facade.css) is taken for one.
_FINGERPRINTED = re.compile(
    r"[^/]*[.-](?=[0-9]*[a-f])(?=[a-f]*[0-9])[0-9a-f]{8,64}(?:\.[A-Za-z0-9]+)+\Z"
)
# What is named after a UUID (RFC 9562) may change and keep its name; and nobody gives a page a new
# name with each version: who would link to it?
_OTHERWISE_NAMED = re.compile(
    r".*(?:[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}|\.x?html?\Z)", re.IGNORECASE
)


class CacheControl:
    """The first rule that fits a path.

    `rules` are pairs of a pattern and a value.  A pattern is as in the shell, with ``*``, ``?`` and
    ``[...]``; one without a slash is for the name of the file, one with it for the whole path,
    where ``*`` matches slashes too.  An empty value means no such line.  What no rule
    fits is `IMMUTABLE` if its name has a fingerprint, else `ASK`.
    Raises `ValueError` for a value that no header may hold.
    """

    def __init__(self, rules: Iterable[tuple[str, str]] = ()) -> None:
        self._rules = []
        for pattern, value in rules:
            if not value.isascii() or not (value.isprintable() or not value):
                raise ValueError(f"cache_control of {pattern!r} is no value of a header: {value!r}")
            self._rules.append(("/" in pattern, re.compile(translate(pattern)), value))

    def value(self, path: str) -> str:
        """For the file at this request path."""
        name = path[path.rfind("/") + 1 :]
        for whole, pattern, value in self._rules:
            if pattern.match(path if whole else name):
                return value
        if _FINGERPRINTED.match(name) and not _OTHERWISE_NAMED.match(name):
            return IMMUTABLE
        return ASK
