"""What a line of the access log says: its formats, and how a line is made of an answer.

A format is text with fields in braces, ``{client} {request} {status}``.  It is compiled once, into
a function that makes many lines.

What a client sends cannot end a line, nor begin another field: control characters, quotes,
backslashes and all beyond ASCII are escaped.  The path is percent-encoded anew, so that it is what
a client could have sent.
"""

import re
import time
from collections.abc import Callable
from functools import cache
from json.encoder import encode_basestring_ascii
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from rush_http import Answered

from .access_source import FIELDS, source_of

if TYPE_CHECKING:
    from epollserver import Connection
    from rush_http import Head, ObservedExchange

Lines = Callable[[list[Answered]], list[str]]
"""What makes lines of answers (see `rush_http.ObservedServer`)."""

_COMMON: Final = '{client} - - [{time}] "{request}" {status} {bytes}'
_JSON_FIELDS = (
    *("iso", "client", "method", "path", "query", "status", "bytes", "seconds"),
    *("referer", "agent", "pid"),
)
NAMED: Final = {
    "common": f"{_COMMON} {{seconds}}",
    "combined": f'{_COMMON} "{{referer}}" "{{agent}}" {{seconds}}',
}
"""Formats that have a name, beside ``json``; what is known by it, then the time to answer."""

_FIELD = re.compile(r"\{([a-z]*)\}")
_UNSAFE = re.compile(r"[^ !#-\[\]-~]+")  # all but visible ASCII and blanks; " and \ too
# What no path has to encode (RFC 3986, 3.3), and what `quote` leaves as it is.
_SAFE_IN_PATH: Final = "/!$&'()*+,;=:@~"
_PLAIN_PATH = re.compile(r"[/!$&'()*+,;=:@~A-Za-z0-9_.-]*")


def check_format(template: str) -> None:
    """Raise `ValueError` for what `lines_maker` raises it for."""
    if template != "json":
        _parts(NAMED.get(template, template))


def lines_maker(template: str, pid: int, *, is_behind: bool = False) -> Lines:
    """Compile a format: the name of one, ``json``, or text with `FIELDS` in braces.

    `is_behind`: the clients are those that trusted proxies tell.
    Raises `ValueError` for a field that there is not, and for a text of several lines.
    """
    as_json = template == "json"
    parts = _JSON if as_json else _parts(NAMED.get(template, template))
    names = {
        "clock": _Clock(),
        "client_of": client_of,
        "escaped": escaped,
        "quoted": encode_basestring_ascii,
        "pid": pid,
        "ESCAPED": _Kept(escaped),
        "HTTP_1_1": (1, 1),
        "MOST": len(_seconds()),
        "NOTHING": {},
        "PATHS": _paths,
        "SECONDS": _seconds(),
        "STATUSES": _STATUSES,
    }
    # Of the format there are only literals in it, and fields that we know.
    exec(source_of(parts, as_json=as_json, is_behind=is_behind), names)
    made: Lines = names["lines"]  # type: ignore[assignment]
    return made


_STATUSES: Final = {b"%d" % status: str(status) for status in range(100, 600)}


@cache
def _seconds() -> list[str]:
    """Up to 10 ms, by microseconds: a look into it takes half the time of formatting (timeit).

    Made where there is a log: that takes 2 ms, which a start without one need not wait for.
    """
    return [f"0.{number:06d}" for number in range(10_000)]


_JSON: Final = [
    *((f'{", " if number else "{"}"{name}": ', name) for number, name in enumerate(_JSON_FIELDS)),
    ("}", ""),
]


def _parts(template: str) -> list[tuple[str, str]]:
    """The format as pairs: text, and the field after it."""
    if not template.isprintable():
        raise ValueError(f"a format of the access log is one line of text, not {template!r:.80}")
    parts, at = [], 0
    for match in _FIELD.finditer(template):
        if match[1] not in FIELDS:
            raise ValueError(f"no field {{{match[1]}}} for the access log: {', '.join(FIELDS)}")
        parts.append((template[at : match.start()], match[1]))
        at = match.end()
    parts.append((template[at:], ""))
    for text, _ in parts:
        if "{" in text or "}" in text:
            raise ValueError(f"braces in a format of the access log are for fields: {text!r:.80}")
    return parts


def escaped(text: str) -> str:
    """The text as a part of a line or of a field in quotes, which nothing in it can end."""
    # In 0.1 us for a short one; a regular expression takes twice that.
    if text.isascii() and text.isprintable() and '"' not in text and "\\" not in text:
        return text
    return _UNSAFE.sub(_escape, text)


def _escape(match: "re.Match[str]") -> str:
    # The bytes that came: the values of headers are read as Latin-1 (RFC 9110, 5.5).
    return "".join(f"\\x{byte:02x}" for byte in match[0].encode("latin-1", "replace"))


def path_of(path: str) -> str:
    """A decoded path, encoded anew."""
    return _paths[path]


def _encoded(path: str) -> str:
    return path if _PLAIN_PATH.fullmatch(path) else quote(path, _SAFE_IN_PATH)


class _Kept(dict[str, str]):
    """What a function makes of texts, kept: 0.02 us for a look, where to make it is 0.2 to 0.6."""

    def __init__(self, make: Callable[[str], str]) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, text: str) -> str:
        made = self._make(text)
        if len(text) <= _KEPT_CHARS:
            if len(self) >= _MOST_KEPT:
                self.clear()
            self[text] = made
        return made


_KEPT_CHARS: Final = 256
_MOST_KEPT: Final = 1024
_paths = _Kept(_encoded)


def client_of(conn: "Connection", head: "Head | None") -> str:
    """The address of the client for whom a request was sent, or a dash."""
    exchange: ObservedExchange = conn.data
    if head is None:
        return exchange.client or "-"
    client = exchange.server.forwarded(conn, head.headers).client
    return "-" if client is None else client.host


class _Clock:
    """The time of day as text, made once a second."""

    def __init__(self) -> None:
        self._second = 0
        self._texts = "", ""

    def texts(self) -> tuple[str, str]:
        """``23/Nov/2026:16:20:03 +0000`` and ``2026-11-23T16:20:03+0000`` (ISO 8601)."""
        second = int(time.time())
        if second != self._second:
            self._second = second
            now = time.localtime(second)
            month = _MONTHS[now.tm_mon - 1]  # whatever the locale is
            self._texts = (
                time.strftime(f"%d/{month}/%Y:%H:%M:%S %z", now),
                time.strftime("%Y-%m-%dT%H:%M:%S%z", now),
            )
        return self._texts


_MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
