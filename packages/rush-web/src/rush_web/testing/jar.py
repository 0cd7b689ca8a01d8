"""CookieJar: the cookies that a client keeps, as a browser would."""

import time
from collections.abc import Iterator, Mapping
from email.utils import parsedate_to_datetime
from typing import NamedTuple

from ..cookies import cookie_line, parse_cookies


class _Cookie(NamedTuple):
    name: str
    path: str
    written: str  # the value, as it goes over the wire
    expires: float | None  # seconds since the epoch


class CookieJar(Mapping[str, str]):
    """A mapping from name to value; of two of one name, the one of the longest path.

    There is one host, so `Domain` counts for nothing; `Secure` neither: a test has no TLS.
    """

    def __init__(self) -> None:
        self._cookies: dict[tuple[str, str], _Cookie] = {}

    def set(self, name: str, value: str, *, path: str = "/") -> None:
        """Put a cookie, as if the server had set it.  Raises as `Request.set_cookie` does."""
        self.take(cookie_line(name, value, path=path), "/")

    def discard(self, name: str) -> None:
        """Drop the cookies of a name, if there are any."""
        for key in [key for key in self._cookies if key[0] == name]:
            del self._cookies[key]

    def clear(self) -> None:
        """Drop all of them."""
        self._cookies.clear()

    def take(self, line: str, request_path: str) -> None:
        """Do what a ``Set-Cookie`` says (RFC 6265, 5.2 and 5.3)."""
        first, *rest = line.split(";")
        name, equals, written = (part.strip(" \t") for part in first.partition("="))
        if not equals or not name:
            return
        attributes = {}
        for attribute in rest:
            key, _, value = attribute.partition("=")
            attributes[key.strip(" \t").lower()] = value.strip(" \t")
        path = attributes.get("path", "")
        if not path.startswith("/"):
            path = request_path.rpartition("/")[0] or "/"
        expires = _expiry(attributes)
        self._cookies.pop((name, path), None)
        if expires is None or expires > time.time():
            self._cookies[name, path] = _Cookie(name, path, written, expires)

    def header(self, request_path: str) -> str:
        """The ``Cookie`` header of a request; empty if it has none."""
        fitting = [one for one in self._fresh() if _matches(one.path, request_path)]
        return "; ".join(f"{one.name}={one.written}" for one in fitting)

    def _fresh(self) -> list[_Cookie]:
        """Those that have not expired, the longest path first (RFC 6265, 5.4)."""
        now = time.time()
        cookies = [one for one in self._cookies.values() if not one.expires or one.expires > now]
        return sorted(cookies, key=lambda one: -len(one.path))

    def _values(self) -> dict[str, str]:
        return parse_cookies("; ".join(f"{one.name}={one.written}" for one in self._fresh()))

    def __getitem__(self, name: str) -> str:
        return self._values()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values())

    def __len__(self) -> int:
        return len(self._values())

    def __repr__(self) -> str:
        return f"<CookieJar {self._values()!r}>"


def _expiry(attributes: Mapping[str, str]) -> float | None:
    """When a cookie ends, in seconds since the epoch; ``Max-Age`` goes before ``Expires``."""
    age = attributes.get("max-age", "")
    if age.removeprefix("-").isdecimal():
        return time.time() + int(age)
    try:
        return parsedate_to_datetime(attributes.get("expires", "")).timestamp()
    except (TypeError, ValueError):  # not there, or no date
        return None


def _matches(path: str, request_path: str) -> bool:
    """Whether a cookie of `path` goes to `request_path` (RFC 6265, 5.1.4)."""
    below = path if path.endswith("/") else f"{path}/"
    return request_path == path or request_path.startswith(below)
