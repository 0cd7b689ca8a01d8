"""Converters: what a parameter of a path may be, and what the handler gets of it."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final
from uuid import UUID

from rush_http import HttpError

Convert = Callable[[str], object]
"""One segment's text to a value; raises `ValueError` if the text is none."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_UUID = re.compile(r"[0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}")
_MAX_DIGITS = 18  # what fits into 64 bits with a sign, so into a column of a database


@dataclass(frozen=True)
class Converter:
    """A kind of parameter: ``<name:parameter>``.

    `convert` is called with one segment that is not empty; ``None`` leaves the text as it is.  Of
    several kinds at one place of a path, the lower `rank` is tried first.  `rest` takes all that
    is left of the path, slashes too.
    """

    name: str
    convert: Convert | None
    rank: int
    rest: bool = False
    own: bool = False
    """Whether it is of somebody else's making: its answers may change."""

    def takes(self, text: str) -> bool:
        """Whether `text`, a segment that is not empty, is of this kind."""
        try:
            if self.convert is not None:
                self.convert(text)
        except ValueError:
            return False
        return True


def to_int(text: str) -> int:
    """1 to 18 ASCII digits as a number: it fits into 64 bits; no sign, no blanks."""
    if len(text) > _MAX_DIGITS or not (text.isascii() and text.isdigit()):
        raise ValueError(f"not a number of 1 to {_MAX_DIGITS} digits: {text!r:.80}")
    return int(text)


def to_uuid(text: str) -> UUID:
    """Five groups of hexadecimal digits with hyphens (RFC 9562, section 4), in either case."""
    if not _UUID.fullmatch(text):
        raise ValueError(f"not a UUID: {text!r:.80}")
    return UUID(text)


# Own ones are ranked between these two: after what is known to be narrow, before what takes all.
_TEXT_RANK = 1_000_000
TEXT: Final = Converter("text", None, _TEXT_RANK)
REST: Final = Converter("path", None, _TEXT_RANK + 1, rest=True)

CONVERTERS: Final[Mapping[str, Converter]] = MappingProxyType(
    {
        "int": Converter("int", to_int, 0),
        "uuid": Converter("uuid", to_uuid, 1),
        "text": TEXT,
        "path": REST,
    }
)
"""The kinds of parameters that are always there; a plain ``<id>`` is ``<text:id>``."""


def own_converter(name: str, convert: Convert, known: Mapping[str, Converter]) -> Converter:
    """Make a kind of parameter that is tried after those that are `known` and not plain text.

    Raises `ValueError` for a name that is none or that is known, `TypeError` for a `convert` that
    cannot be called.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ValueError(f"a converter has a name such as 'hex', not {name!r:.80}")
    if name in known:
        raise ValueError(f"there is a converter {name!r} already")
    if not callable(convert):
        raise TypeError(f"converter {name!r} is not callable: {convert!r:.80}")
    return Converter(name, _said_plainly(name, convert), len(known), own=True)


def _said_plainly(name: str, convert: Convert) -> Convert:
    """The same, but what it raises without meaning to says in the log where that was."""

    def said_plainly(text: str) -> object:
        try:
            return convert(text)
        except (ValueError, HttpError, FileNotFoundError):
            raise
        except Exception as error:
            raise RuntimeError(
                f"converter {name!r} failed for {text!r:.80}: {error!r:.200} (a ValueError says no)"
            ) from error

    return said_plainly
