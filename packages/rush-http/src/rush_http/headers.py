"""Headers: what a request says of itself; frozen, in order, whatever the case of the names."""

import re
from collections.abc import Iterator, Mapping
from typing import TypeVar, overload

from .shapes import TOLD

Lines = tuple[tuple[str, str], ...]

Unread = tuple["Headers", str, int, "re.Match[str] | None"]
"""Headers that were met; a head, the index of the lines that follow these, and their values."""

Selection = tuple[tuple[str, str], ...]
"""Fields that decide what is sent of a thing: name in lower case, and value; in any order."""

_D = TypeVar("_D")

# Fields that say which form of a thing to send, which part, or whether at all (RFC 9110, 12.5.3,
# 13.1 and 14.2).
_SELECTORS = (
    "accept-encoding", "if-match", "if-modified-since", "if-none-match", "if-range",
    "if-unmodified-since", "range",
)  # fmt: skip
# Their lines, each after a line end.  The look-ahead passes by most others.
_SELECTOR_LINE = re.compile(
    rf"\n(?=[AaIiRr])((?i:{'|'.join(_SELECTORS)})):[\t ]*([^\r]*)", re.ASCII
)
# Of these as well.
_TOLD_LINE = re.compile(rf"\n(?=[HhRrUu])(?i:{'|'.join(TOLD)}):", re.ASCII)

_new = object.__new__


class Headers(Mapping[str, str]):
    """Header fields as a mapping from name to value; the case of a name does not matter.

    A field that came several times has one value, its lines joined by ``", "`` as RFC 9110, 5.2
    says (``"; "`` for ``Cookie``); `getlist` has them apart.  Frozen: the same object may
    serve several requests.
    """

    __slots__ = ("_lines", "_selectors", "_unread", "_values", "selection")
    _unread: "Unread"  # only of those that `unread` has made

    def __init__(self, lines: Lines = ()) -> None:
        """`lines` are (name, value) in the order they came, the names in lower case."""
        self._lines: Lines | None = lines
        self._selectors: dict[str, str] | None = None
        self.selection: Selection | None = None
        """`selectors` once somebody has asked for them, as what can be a key: to be looked at."""
        values = dict(lines)
        self._values: dict[str, str] | None = (
            values if len(values) == len(lines) else _joined(lines)
        )

    @staticmethod
    def unread(
        first: "Headers", text: str, at: int, values: re.Match[str] | None = None
    ) -> "Headers":
        """The lines of `first`, then those of the valid head `text` from the index `at` on.

        They are taken apart when somebody looks: most requests are answered without.  `values`:
        their values, if they have a shape that is known (see `Shapes`).
        """
        headers = _new(Headers)
        headers._unread = first, text, at, values
        headers._values = headers._lines = headers._selectors = headers.selection = None
        return headers

    @property
    def values_by_name(self) -> dict[str, str]:
        """The values by their names in lower case; not to be changed."""
        values = self._values
        return self._read() if values is None else values

    @property
    def selectors(self) -> dict[str, str]:
        """The part of `values_by_name` that conditions, ranges and content codings are about.

        Not to be changed.
        """
        found = self._selectors
        if found is None:
            self._selectors = found = self._find_selectors()
            self.selection = tuple(found.items())
        return found

    @property
    def told(self) -> dict[str, str]:
        """A part of `values_by_name` that has what logs tell: Host, Referer and User-Agent.

        Not to be changed.
        """
        values = self._values
        if values is None:
            # Most browsers send these first, the same each time: 0.3 us, where to take their other
            # lines apart takes 1.2, and 0.1 if their names are known (timeit, CPython 3.11).
            first, text, at, lines = self._unread
            if (
                not lines.re.groupindex
                if lines is not None
                else _TOLD_LINE.search(text, at - 1) is None
            ):
                return first.values_by_name
            values = self._read()
        return values

    def picked(self, names: tuple[str, ...]) -> tuple[str | None, ...]:
        """The values of the fields with these names in lower case, ``None`` for what is not there.

        For a few names, that are looked for in every request: the other lines are left as they are.
        """
        values = self._values
        if values is None:
            # A line with the address of a client: 1.2 us, where to take them all apart takes 2.2
            # (timeit, CPython 3.11).
            first, text, at, _ = self._unread
            known, rest = first.values_by_name, text[at - 1 :].lower()
            found = []
            for name in names:
                value, start = known.get(name), rest.find(f"\n{name}:")
                if start >= 0:
                    begin = start + len(name) + 2
                    if value is not None or rest.find(f"\n{name}:", begin) >= 0:
                        break  # several lines
                    end = at - 1 + rest.index("\r", begin)
                    value = text[at - 1 + begin : end].strip(" \t")
                found.append(value)
            else:
                return tuple(found)
            values = self._read()
        return tuple([values.get(name) for name in names])

    def known_part(self) -> "Unread | None":
        """What `unread` was called with, if nobody has looked at the lines yet."""
        return self._unread if self._values is None else None

    # Two threads may both do what follows: they come to the same.

    def _find_selectors(self) -> dict[str, str]:
        values = self._values
        if values is None:
            # A browser's request for a file takes 44,900 instructions so, and 51,500 if its three
            # new lines are taken apart (valgrind, tests/bench/rush-loader/bench_static.py).
            first, text, at, _ = self._unread
            known = first.selectors
            lines = _SELECTOR_LINE.findall(text, at - 1)
            if not lines:
                return known
            found = known.copy()
            for name, value in lines:
                found[name.lower()] = value.rstrip("\t ")
            if len(found) == len(known) + len(lines):
                return found
            values = self._read()
        return {name: values[name] for name in _SELECTORS if name in values}

    def _read(self) -> dict[str, str]:
        first, text, at, _ = self._unread
        values = first.values_by_name.copy()
        for line in text[at:-4].split("\r\n"):
            name, _, value = line.partition(":")
            name = name.lower()
            if name in values:
                values = _joined(self.lines())
                break
            values[name] = value.strip(" \t")
        self._values = values
        return values

    def __getitem__(self, name: str) -> str:
        values = self.values_by_name
        try:
            return values[name]
        except KeyError:
            return values[name.lower()]

    @overload
    def get(self, name: str, default: None = None) -> str | None: ...

    @overload
    def get(self, name: str, default: str | _D) -> str | _D: ...

    def get(self, name: str, default: object = None) -> object:
        """The value of the field, or `default`."""
        values = self._values
        if values is None:
            values = self._read()
        value = values.get(name)
        return values.get(name.lower(), default) if value is None else value

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in self.values_by_name

    def __iter__(self) -> Iterator[str]:
        return iter(self.values_by_name)

    def __len__(self) -> int:
        return len(self.values_by_name)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Headers) and self.lines() == other.lines()

    def __hash__(self) -> int:
        return hash(self.lines())

    def __repr__(self) -> str:
        # Names only: values may be secrets, and a repr ends up in a log.
        return f"<Headers {', '.join(name for name, _ in self.lines())}>"

    def getlist(self, name: str) -> list[str]:
        """The values of each line with this name, in order."""
        name = name.lower()
        return [value for key, value in self.lines() if key == name]

    def lines(self) -> Lines:
        """Every line as (name in lower case, value), in order."""
        lines = self._lines
        if lines is None:
            first, text, at, _ = self._unread
            pairs = [line.partition(":") for line in text[at:-4].split("\r\n")]
            rest = [(name.lower(), value.strip(" \t")) for name, _, value in pairs]
            self._lines = lines = (*first.lines(), *rest)
        return lines


def _joined(lines: Lines) -> dict[str, str]:
    values: dict[str, str] = {}
    for name, value in lines:
        if name in values:
            joint = "; " if name == "cookie" else ", "
            value = f"{values[name]}{joint}{value}"
        values[name] = value
    return values
