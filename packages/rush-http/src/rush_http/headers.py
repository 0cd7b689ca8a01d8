"""Headers: what a request says of itself; frozen, in order, whatever the case of the names."""

from collections.abc import Iterator, Mapping


class Headers(Mapping[str, str]):
    """Header fields as a mapping from name to value; the case of a name does not matter.

    A field that came several times has one value, its lines joined by ``", "`` as RFC 9110, 5.2
    says (``"; "`` for ``Cookie``); `getlist` has them apart.  Frozen: the same object may
    serve several requests.
    """

    __slots__ = ("_lines", "values_by_name")

    def __init__(self, lines: tuple[tuple[str, str], ...] = ()) -> None:
        """`lines` are (name, value) in the order they came, the names in lower case."""
        self._lines = lines
        values = dict(lines)
        self.values_by_name = values if len(values) == len(lines) else _joined(lines)

    def __getitem__(self, name: str) -> str:
        try:
            return self.values_by_name[name]
        except KeyError:
            return self.values_by_name[name.lower()]

    def get(self, name: str, default: str | None = None) -> str | None:  # type: ignore[override]
        """The value of the field, or `default`."""
        value = self.values_by_name.get(name)
        return self.values_by_name.get(name.lower(), default) if value is None else value

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in self.values_by_name

    def __iter__(self) -> Iterator[str]:
        return iter(self.values_by_name)

    def __len__(self) -> int:
        return len(self.values_by_name)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Headers) and self._lines == other._lines

    def __hash__(self) -> int:
        return hash(self._lines)

    def __repr__(self) -> str:
        # Names only: values may be secrets, and a repr ends up in a log.
        return f"<Headers {', '.join(name for name, _ in self._lines)}>"

    def getlist(self, name: str) -> list[str]:
        """The values of each line with this name, in order."""
        name = name.lower()
        return [value for key, value in self._lines if key == name]

    def lines(self) -> tuple[tuple[str, str], ...]:
        """Every line as (name in lower case, value), in order."""
        return self._lines


def _joined(lines: tuple[tuple[str, str], ...]) -> dict[str, str]:
    values: dict[str, str] = {}
    for name, value in lines:
        if name in values:
            joint = "; " if name == "cookie" else ", "
            value = f"{values[name]}{joint}{value}"
        values[name] = value
    return values
