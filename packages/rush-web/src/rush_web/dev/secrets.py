"""Secrets: names whose values are not shown, and values as text that do not show them."""

import re
import reprlib
from collections.abc import Iterable, Mapping
from typing import Final

HIDDEN: Final = "(hidden)"
"""What stands in the place of a secret."""

MOST_CHARACTERS: Final = 1000
"""How much of one value is shown."""

_WORDS = (
    "passw|passphrase|pwd|secret|token|api_?key|private_?key|access_?key|signing|credential"
    "|authorization|cookie|session|csrf|xsrf|otp|pin_?code|salt"
)
_NAME = re.compile(rf"(?:{_WORDS})|(?:^|[_-])(?:key|auth|pass)(?:$|[_-])", re.IGNORECASE)
# ``password='x'`` in the text of an object that describes itself, ``"token": "x"``, ``?token=x``
_INSIDE = re.compile(
    rf"""((?:['"]?)[\w-]*(?:{_WORDS})[\w-]*['"]?\s*[=:]\s*)"""
    r"""(b?'(?:[^'\\]|\\.)*'|b?"(?:[^"\\]|\\.)*"|(?!\(hidden\))[^\s,;&)}\]]+)""",
    re.IGNORECASE,
)


def is_secret(name: str) -> bool:
    """Whether what has this name is hidden: a password, token, key, cookie."""
    return _NAME.search(name) is not None


def without_secrets(text: str) -> str:
    """The text, with what follows a secret's name in it hidden."""
    return _INSIDE.sub(rf"\1{HIDDEN}", text)


def shown(name: str, value: object) -> str:
    """A value as text: hidden if its name says so, cut where it is long; it never raises.

    Mappings and sequences are shown to some depth, with the secrets in them hidden.  Other objects
    describe themselves (``__repr__``); one that fails to is named by its type.
    """
    if is_secret(name):
        return HIDDEN
    try:
        text = _repr.repr(value)
    except Exception as error:
        return f"<{type(value).__name__}, whose repr() raised {type(error).__name__}>"
    text = without_secrets(text)
    if len(text) > MOST_CHARACTERS:
        text = f"{text[:MOST_CHARACTERS]}... ({len(text):,} characters)"
    return text


class _Repr(reprlib.Repr):
    """Cut where there is much, and blind for secrets."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel = 4
        self.maxdict = self.maxlist = self.maxtuple = self.maxset = self.maxfrozenset = 20
        self.maxdeque = self.maxarray = 20
        self.maxstring = self.maxother = 400
        self.maxlong = 80

    def repr_dict(self, value: "dict[object, object]", level: int) -> str:
        hidden = {
            key: _HIDDEN if isinstance(key, str) and is_secret(key) else one
            for key, one in value.items()
        }
        return super().repr_dict(hidden, level)

    def repr_bytes(self, value: bytes, level: int) -> str:
        if len(value) > self.maxstring:
            return f"{value[: self.maxstring // 2]!r}... ({len(value):,} bytes)"
        return repr(value)


class _Hidden:
    def __repr__(self) -> str:
        return HIDDEN


_HIDDEN = _Hidden()
_repr = _Repr()


def hidden_pairs(pairs: Iterable[tuple[str, str]] | Mapping[str, str]) -> list[tuple[str, str]]:
    """Names and values as text, with secrets hidden and long values cut."""
    items = pairs.items() if isinstance(pairs, Mapping) else pairs
    return [
        (name, HIDDEN if is_secret(name) else _cut(without_secrets(value))) for name, value in items
    ]


def _cut(text: str) -> str:
    return text if len(text) <= MOST_CHARACTERS else f"{text[:MOST_CHARACTERS]}..."
