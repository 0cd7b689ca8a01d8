"""Secrets: names whose values are not shown, and values as text that do not show them."""

import re
import reprlib
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
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
# ``postgres://user:password@host``
_IN_ADDRESS = re.compile(r"(://[^\s/:@'\"]*:)(?!\(hidden\)@)[^\s/@'\"]+@")


def is_secret(name: str) -> bool:
    """Whether what has this name is hidden: a password, token, key, cookie."""
    return _NAME.search(name) is not None


def without_secrets(text: str) -> str:
    """The text, with what follows a secret's name in it hidden, and passwords in addresses."""
    return _IN_ADDRESS.sub(rf"\1{HIDDEN}@", _INSIDE.sub(rf"\1{HIDDEN}", text))


def shown(name: str, value: object) -> str:
    """A value as text: hidden if its name says so, cut where it is long; it never raises.

    Mappings and sequences are shown to some depth, with the secrets in them hidden.  Other objects
    describe themselves (``__repr__``); one that fails to is named by its type.
    """
    if is_secret(name):
        return HIDDEN
    try:
        text = _repr.repr(value)
    except BaseException as error:  # whatever a class of the application does there
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

    # `reprlib` sorts all of a mapping or a set, before it shows some.

    def repr_dict(self, value: "dict[object, object]", level: int) -> str:
        if level <= 0:
            return "{...}" if value else "{}"
        parts = [
            f"{self.repr1(key, level - 1)}: "
            + (HIDDEN if _names_secret(key) else self.repr1(one, level - 1))
            for key, one in islice(value.items(), self.maxdict)
        ]
        return "{" + ", ".join([*parts, *(["..."] if len(value) > self.maxdict else [])]) + "}"

    def repr_set(self, value: "set[object]", level: int) -> str:
        if not value or level <= 0:
            return "{...}" if value else "set()"
        parts = [self.repr1(one, level - 1) for one in islice(value, self.maxset)]
        return "{" + ", ".join([*parts, *(["..."] if len(value) > self.maxset else [])]) + "}"

    def repr_frozenset(self, value: "frozenset[object]", level: int) -> str:
        return f"frozenset({self.repr_set(value, level) if value else ''})"  # type: ignore[arg-type]

    def repr_tuple(self, value: "tuple[object, ...]", level: int) -> str:
        return super().repr_tuple(_pair(value), level)

    def repr_list(self, value: "list[object]", level: int) -> str:
        return super().repr_list(list(_pair(value)) if len(value) == 2 else value, level)

    def repr_bytes(self, value: "bytes | bytearray", level: int) -> str:
        if len(value) > self.maxstring:
            return f"{value[: self.maxstring // 2]!r}... ({len(value):,} bytes)"
        return repr(value)

    repr_bytearray = repr_bytes


def _names_secret(name: object) -> bool:
    if isinstance(name, bytes):
        name = name.decode("latin-1")
    return isinstance(name, str) and is_secret(name)


def _pair(value: "Sequence[object]") -> "tuple[object, ...]":
    """A name and its value, as headers come; the value of a secret hidden."""
    if len(value) == 2 and _names_secret(value[0]):
        return value[0], _HIDDEN
    return tuple(value)


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
