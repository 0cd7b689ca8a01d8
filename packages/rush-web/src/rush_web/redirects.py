"""Redirects: their heads are rendered ahead, when they are registered."""

from typing import Final
from urllib.parse import quote

from rush_http import render_head

Redirect = tuple[str, int] | tuple[str, int, bool]
"""Where to, the status, and whether the query of the request goes along (no, if not said)."""

REDIRECTS: Final = (301, 302, 303, 307, 308)

_PERMANENT = frozenset({301, 308})
_ASCII = "".join(map(chr, range(128)))
# RFC 3986, 3.3: what a path may have as it is.
_PATH = "/:@!$&'()*+,;=-._~"


def redirect_status(code: int | None, permanent: bool | None) -> int:
    """The status of a redirect: `code`, or 301 for good (as if not said) and 302 for now.

    Raises `ValueError` if the two contradict each other.
    """
    if code is None:
        return 302 if permanent is False else 301
    if permanent is not None and permanent != (code in _PERMANENT):
        raise ValueError(f"permanent={permanent} and {code} contradict each other: name one")
    return code


def redirect_head(path: str, location: str, code: int) -> bytes:
    """Render the head of a redirect; raise `ValueError` or `TypeError` if it never works."""
    if not isinstance(path, str) or not isinstance(location, str):
        raise TypeError(f"a redirect is from text to text, not {path!r:.80} to {location!r:.80}")
    if not path.startswith("/"):
        raise ValueError(f"a redirect's path begins with '/': {path!r:.80}")
    if "<" in path or ">" in path:
        raise ValueError(f"a redirect is for one path, without parameters: {path!r:.80}")
    if code not in REDIRECTS:
        raise ValueError(f"a redirect is one of {REDIRECTS}, not {code!r}: {path!r:.80}")
    return render_head(code, [("Location", to_uri(location)), ("Content-Length", "0")])


def to_uri(location: str) -> str:
    """What a header can say in place of `location`: UTF-8, percent-encoded (RFC 3987, 3.1)."""
    return location if location.isascii() else quote(location, safe=_ASCII)


def with_query(location: str, query: str) -> str:
    """Put the query of a request after that of `location`, before its fragment."""
    if not query:
        return location
    url, mark, fragment = location.partition("#")
    return f"{url}{'&' if '?' in url else '?'}{query}{mark}{fragment}"


def to_other_slash(path: str) -> str:
    """The location of the same path with a slash at its end, or without the one it has."""
    return quote(other_slash(path), safe=_PATH)


def other_slash(path: str) -> str:
    """The same path with a slash at its end, or without the one it has."""
    return path[:-1] if path.endswith("/") else f"{path}/"
