"""Choosing what a client likes best: ``Accept`` and ``Accept-Encoding``; no I/O.

    >>> from rush_http import negotiation
    >>> negotiation.accepted_encoding("gzip, deflate, br", ["br", "gzip"])
    'br'
    >>> negotiation.best_type("text/*;q=0.5, application/json", ["text/html", "application/json"])
    'application/json'

The server's own order decides among what the client likes equally.  What cannot be read in a
header is as if it was not sent, and so is what is past `MOST_CHARACTERS`.  An answer that was
chosen so says it: ``Vary: Accept-Encoding`` or ``Vary: Accept`` (RFC 9110, 12.5.5).
"""

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

__all__ = ["MOST_CHARACTERS", "accepted_encoding", "best_type"]

MOST_CHARACTERS = 4096
"""How much of one header is read; a browser sends 140 at most."""

# Headers that are short enough to be remembered with what came of them: at most 256 in each memo.
_SHORT = 256

_TOKEN = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_CODING = re.compile(_TOKEN)
_TYPE = re.compile(rf"({_TOKEN})/({_TOKEN})")
# RFC 9110, 5.6.6, and 5.6.4 for what is quoted.
_PARAMETER = re.compile(
    rf'({_TOKEN})=(?:({_TOKEN})|"((?:[\t \x21\x23-\x5b\x5d-\x7e\x80-\xff]'
    r'|\\[\t \x21-\x7e\x80-\xff])*)")'
)
_ESCAPED = re.compile(r"\\(.)")
# RFC 9110, 12.4.2: at most three digits after the point.
_WEIGHT = re.compile(r"0(?:\.([0-9]{0,3}))?|1(?:\.0{0,3})?")
# What matters where text is split outside of quotes.
_MARKS = {separator: re.compile(rf'\\.|["{separator}]') for separator in ",;"}

# RFC 9110, 8.4.1: the old names of codings.
_ALIASES = {"x-gzip": "gzip", "x-compress": "compress"}


def accepted_encoding(accept_encoding: str | None, available: Sequence[str]) -> str | None:
    """The content coding to send: one of `available`, ``"identity"`` for none, or `None`.

    `accept_encoding` is the value of the header, `None` if there is none; `available` are codings
    in lower case, the preferred one first (RFC 9110, section 12.5.3).  `None` means that the
    client refuses all of them and ``identity`` too: 406, or ``identity`` all the same.

    Without the header any coding would do; it is ``identity``, since clients without it tend not
    to know codings.  ``identity`` is chosen only if the client names nothing that is available,
    or likes it better.
    """
    if accept_encoding is None:
        return "identity"
    if len(accept_encoding) <= _SHORT:
        return _remembered_encoding(accept_encoding, tuple(available))
    return _encoding(accept_encoding, available)


def best_type(accept: str | None, offered: Sequence[str]) -> str | None:
    """The one of `offered` media types that the client likes best; `None` if it takes none.

    `accept` is the value of the header, `None` if there is none; `offered` are in the server's
    order, the first is what a client gets that does not care (RFC 9110, section 12.5.1).  For
    each of them the most specific range counts: ``text/html;level=1`` before ``text/html`` before
    ``text/*`` before ``*/*``.

    Raises `ValueError` for an offered type that is none.
    """
    if accept is not None and len(accept) > _SHORT:
        return _type(accept, offered)
    return _remembered_type(accept or "", tuple(offered))


def _encoding(accept_encoding: str, available: Sequence[str]) -> str | None:
    weights: dict[str, float] = {}
    for member in _members(accept_encoding):
        coding, semicolon, rest = member.partition(";")
        coding = coding.strip(" \t").lower()
        weight = _q(rest) if semicolon else 1000
        if weight is not None and _CODING.fullmatch(coding):
            coding = _ALIASES.get(coding, coding)
            weights[coding] = max(weight, weights.get(coding, 0))  # said twice: the higher one
    if "*" not in weights:
        # Acceptable though not named, but less than whatever is.
        weights.setdefault("identity", 0.5)
    others = weights.get("*", 0)
    best = max((*available, "identity"), key=lambda coding: weights.get(coding, others))
    return best if weights.get(best, others) else None


def _q(text: str) -> int | None:
    """The weight after the semicolon, in thousandths."""
    name, _, value = text.strip(" \t").partition("=")
    return _thousandths(value) if name in ("q", "Q") else None


def _thousandths(value: str) -> int | None:
    match = _WEIGHT.fullmatch(value)
    if match is None:
        return None
    return 1000 if value[0] == "1" else int((match[1] or "").ljust(3, "0"))


class _MediaRange(NamedTuple):
    type: str
    subtype: str
    parameters: frozenset[tuple[str, str]]
    weight: int  # thousandths

    def specificity(self) -> tuple[bool, bool, int]:
        return self.type != "*", self.subtype != "*", len(self.parameters)

    def covers(self, other: "_MediaRange") -> bool:
        return (
            self.type in ("*", other.type)
            and self.subtype in ("*", other.subtype)
            and self.parameters <= other.parameters
        )


def _type(accept: str, offered: Sequence[str]) -> str | None:
    ranges = [found for member in _members(accept) if (found := _media_range(member))]
    best, best_weight = None, 0
    for offer in offered:
        kind = _media_range(offer)
        if kind is None or kind.subtype == "*":
            raise ValueError(f"offered media type is not type/subtype: {offer!r:.80}")
        fitting = [(found.specificity(), found.weight) for found in ranges if found.covers(kind)]
        # Said twice of the same: the higher one.
        weight = max(fitting)[1] if fitting else 0 if ranges else 1000
        if weight > best_weight:
            best, best_weight = offer, weight
    return best


def _media_range(text: str) -> _MediaRange | None:
    """One member of ``Accept``; `None` if it is malformed (RFC 9110, section 12.5.1)."""
    name, _, rest = text.partition(";")
    match = _TYPE.fullmatch(name.strip(" \t").lower())
    if match is None or (match[1] == "*" and match[2] != "*"):
        return None
    weight: int | None = 1000
    parameters = set()
    for part in _split(rest, ";"):
        found = _PARAMETER.fullmatch(part.strip(" \t"))
        if found is None:
            return None
        key, token, quoted = found.groups()
        if key in ("q", "Q"):
            weight = _thousandths(token or "")
        else:
            value = _ESCAPED.sub(r"\1", quoted) if token is None else token
            parameters.add((key.lower(), value.lower()))
    if weight is None:
        return None
    return _MediaRange(match[1], match[2], frozenset(parameters), weight)


def _members(header: str) -> Iterator[str]:
    """The members of a list (RFC 9110, section 5.6.1), without the empty ones."""
    if len(header) > MOST_CHARACTERS:
        header = header[:MOST_CHARACTERS].rpartition(",")[0]  # no half member
    return _split(header, ",")


def _split(text: str, separator: str) -> Iterator[str]:
    """The parts of `text` between the separators that are not quoted, without the empty ones."""
    return filter(str.strip, _quoted(text, separator) if '"' in text else text.split(separator))


def _quoted(text: str, separator: str) -> Iterator[str]:
    """One pass, whatever the text: a quote that is not closed makes the rest one part."""
    start = 0
    quoted = False
    for mark in _MARKS[separator].finditer(text):
        if quoted:
            quoted = mark[0] != '"'
        elif mark[0][-1] == '"':  # a backslash is nothing special outside of quotes
            quoted = True
        elif mark[0][-1] == separator:
            yield text[start : mark.end() - 1]
            start = mark.end()
    yield text[start:]


# 0.15 us against 4 and 17 us for the headers of a browser; there are a few dozen of those.
_remembered_encoding = lru_cache(256)(_encoding)
_remembered_type = lru_cache(256)(_type)
