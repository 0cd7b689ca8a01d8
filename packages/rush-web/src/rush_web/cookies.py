"""Cookies: read as browsers send them, written with their attributes checked, signed on demand."""

import re
from collections.abc import Callable, Sequence
from datetime import datetime
from http.cookies import CookieError, Morsel, SimpleCookie
from typing import TYPE_CHECKING, Any, Literal

from rush_http import http_date

if TYPE_CHECKING:
    from .request import Request

SameSite = Literal["Strict", "Lax", "None"]

MAX_BYTES = 4096
"""Name, value and attributes: what every browser keeps (RFC 6265, 6.1)."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_PATH = re.compile(r"/[\x20-\x3a\x3c-\x7e]*")  # RFC 6265, 4.1.1: no control, no ";"
_DOMAIN = re.compile(r"\.?[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*")
_ESCAPE = re.compile(r"\\(?:([0-3][0-7][0-7])|(.))")  # as http.cookies writes a value in quotes
_codec: "SimpleCookie" = SimpleCookie()


def parse_cookies(header: str) -> dict[str, str]:
    """The cookies of a ``Cookie`` header, name to value (RFC 6265, 5.4).

    Never raises: a piece without ``=`` or without a name is nothing.  Of a name that comes several
    times the first counts, since browsers send the one of the longest path first.  A value in
    quotes is read as `http.cookies` writes it; bytes beyond ASCII are UTF-8 if they can be.
    """
    cookies: dict[str, str] = {}
    for piece in header.split(";"):
        name, equals, value = piece.partition("=")
        name = name.strip(" \t")
        if not equals or not name or name in cookies:
            continue
        value = value.strip(" \t")
        if len(value) > 1 and value[0] == value[-1] == '"':
            value = _unquoted(value)
        elif not value.isascii():
            value = _as_utf8(value)
        cookies[name] = value
    return cookies


def _unquoted(value: str) -> str:
    """What is between the quotes, as `http.cookies` means it.

    It reads that itself, but before Python 3.13 in a time that grows with the square of the length:
    0.7 s for 16 KiB.
    """
    value = value[1:-1]
    return _ESCAPE.sub(_unescaped, value) if "\\" in value else value


def _unescaped(escape: re.Match[str]) -> str:
    octal, character = escape.groups()
    return character if octal is None else chr(int(octal, 8))


def _as_utf8(value: str) -> str:
    try:
        return value.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return value


def cookie_line(
    name: str,
    value: str,
    *,
    max_age: int | None = None,
    expires: datetime | float | None = None,
    path: str = "/",
    domain: str | None = None,
    secure: bool = False,
    httponly: bool = True,
    samesite: SameSite | None = "Lax",
) -> str:
    """The value of a ``Set-Cookie`` header; see `Request.set_cookie`."""
    _check(name, value, path, domain, secure, samesite)
    morsel: Morsel[str] = Morsel()
    try:
        morsel.set(name, value, _codec.value_encode(value)[1])
    except CookieError as error:
        raise ValueError(f"no cookie can be called {name!r:.80}: {error}") from error
    morsel["path"] = path
    if domain is not None:
        morsel["domain"] = domain
    if max_age is not None:
        morsel["max-age"] = _seconds(name, max_age)
    if expires is not None:
        morsel["expires"] = _date(name, expires)
    if secure:
        morsel["secure"] = True
    if httponly:
        morsel["httponly"] = True
    if samesite is not None:
        morsel["samesite"] = samesite
    line = morsel.OutputString()
    if len(line) > MAX_BYTES:
        raise ValueError(f"cookie {name!r:.80} has {len(line)} bytes: browsers keep {MAX_BYTES}")
    return line


def _seconds(name: str, max_age: float) -> str:
    try:
        return str(int(max_age))
    except (OverflowError, ValueError) as error:
        raise ValueError(
            f"the max_age of cookie {name!r:.80} is in whole seconds: {max_age!r:.80}"
        ) from error


def _date(name: str, expires: datetime | float) -> str:
    try:
        return http_date(expires.timestamp() if isinstance(expires, datetime) else expires)
    except (OverflowError, OSError, ValueError) as error:  # no date of the years 1 to 9999
        raise ValueError(f"cookie {name!r:.80} cannot expire at {expires!r:.80}") from error


def _check(
    name: str,
    value: str,
    path: str,
    domain: str | None,
    secure: bool,
    samesite: SameSite | None,
) -> None:
    """Raise `ValueError` for what would be dropped by browsers, or end up in another attribute."""
    if not isinstance(value, str):
        raise TypeError(f"the value of cookie {name!r:.80} is text, not {value!r:.80}")
    if _CONTROL.search(value):
        raise ValueError(f"cookie {name!r:.80} has control characters: {value!r:.80}")
    if any(character > "\xff" for character in value):
        raise ValueError(
            f"cookie {name!r:.80} has characters beyond U+00FF: use urllib.parse.quote, or a "
            f"CookieSigner: {value!r:.80}"
        )
    if not _PATH.fullmatch(path):
        raise ValueError(f"the path of a cookie begins with '/' and has no ';': {path!r:.80}")
    if domain is not None and not _DOMAIN.fullmatch(domain):
        raise ValueError(f"the domain of a cookie is a host name: {domain!r:.80}")
    if samesite not in (None, "Strict", "Lax", "None"):
        raise ValueError(f"samesite is 'Strict', 'Lax', 'None' or None, not {samesite!r:.80}")
    if samesite == "None" and not secure:
        raise ValueError(f"cookie {name!r:.80}: browsers drop SameSite=None without secure=True")
    if name.startswith(("__Secure-", "__Host-")) and not secure:
        raise ValueError(f"cookie {name!r:.80}: its name asks for secure=True")
    if name.startswith("__Host-") and (domain is not None or path != "/"):
        raise ValueError(f"cookie {name!r:.80}: its name asks for path='/' and no domain")


class CookieSigner:
    """Cookies whose values nobody can make up or change; everybody can read them.

    `secret` is text or bytes that only the server knows, or several, oldest first: the last one
    signs, all are accepted.  `max_age` is how many seconds a value is accepted, and kept by the
    browser; ``None`` means for ever, and until the browser ends.

    Needs the package itsdangerous: ``pip install "rush-web[cookies]"``; raises `RuntimeError`
    without it, and `ValueError` for an empty secret.
    """

    def __init__(
        self, secret: str | bytes | Sequence[str | bytes], *, max_age: int | None = None
    ) -> None:
        try:
            import itsdangerous  # type: ignore[import-not-found, unused-ignore]
        except ImportError as error:
            raise RuntimeError(
                "signed cookies need itsdangerous: pip install 'rush-web[cookies]'"
            ) from error
        secrets = [secret] if isinstance(secret, str | bytes) else list(secret)
        if not secrets or not all(secrets):
            raise ValueError("a secret is text or bytes that nobody can guess, not nothing")
        self.max_age = max_age
        self._bad_data: type[Exception] = itsdangerous.BadData
        self._new: Callable[..., Any] = itsdangerous.URLSafeTimedSerializer
        self._secrets = secrets

    def set(self, request: "Request", name: str, value: object, **attributes: Any) -> None:
        """Set a cookie to `value`, anything that JSON can say; `attributes` as in `set_cookie`."""
        signed: str = self._serializer(name).dumps(value)
        request.set_cookie(name, signed, **{"max_age": self.max_age, **attributes})

    def get(self, request: "Request", name: str) -> Any:
        """The value of a cookie; ``None`` if it did not come, was not signed by us, or is too old.

        A value that came from a client may be an old one that was signed by us.
        """
        signed = request.cookies.get(name)
        if signed is None:
            return None
        try:
            return self._serializer(name).loads(signed, max_age=self.max_age)
        except self._bad_data:
            return None

    def _serializer(self, name: str) -> Any:
        # A salt for each name: a value is good for the cookie that it was signed for, only.
        return self._new(self._secrets, f"rush_web.cookie.{name}")
