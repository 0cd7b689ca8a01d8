"""Headers: what a request says of itself; frozen, in order, whatever the case of the names."""

from collections.abc import Iterator, Mapping

Lines = tuple[tuple[str, str], ...]


_new = object.__new__


class Headers(Mapping[str, str]):
    """Header fields as a mapping from name to value; the case of a name does not matter.

    A field that came several times has one value, its lines joined by ``", "`` as RFC 9110, 5.2
    says (``"; "`` for ``Cookie``); `getlist` has them apart.  Frozen: the same object may
    serve several requests.
    """

    __slots__ = ("_lines", "_unread", "_values")

    def __init__(self, lines: Lines = ()) -> None:
        """`lines` are (name, value) in the order they came, the names in lower case."""
        self._unread: tuple[Headers, str, int] | None = None
        self._lines = lines
        values = dict(lines)
        self._values: dict[str, str] | None = (
            values if len(values) == len(lines) else _joined(lines)
        )

    @staticmethod
    def unread(first: "Headers", text: str, at: int) -> "Headers":
        """The lines of `first`, then those of the valid head `text` from the index `at` on.

        They are taken apart when somebody looks: most requests are answered without.
        """
        headers = _new(Headers)
        headers._unread = first, text, at
        headers._values = None
        return headers

    @property
    def values_by_name(self) -> dict[str, str]:
        """The values by their names in lower case; not to be changed."""
        values = self._values
        return self._read() if values is None else values

    def _read(self) -> dict[str, str]:
        # Two threads may both do this: they come to the same, and `_values` is set last.
        unread = self._unread
        if unread is not None:
            first, text, at = unread
            pairs = [line.partition(":") for line in text[at:-4].split("\r\n")]
            rest = [(name.lower(), value.strip(" \t")) for name, _, value in pairs]
            self._lines = lines = (*first.lines(), *rest)
            values = dict(lines)
            self._values = values if len(values) == len(lines) else _joined(lines)
            self._unread = None
        assert self._values is not None
        return self._values

    def __getitem__(self, name: str) -> str:
        values = self.values_by_name
        try:
            return values[name]
        except KeyError:
            return values[name.lower()]

    def get(self, name: str, default: str | None = None) -> str | None:  # type: ignore[override]
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
        if self._values is None:
            self._read()
        return self._lines


def _joined(lines: Lines) -> dict[str, str]:
    values: dict[str, str] = {}
    for name, value in lines:
        if name in values:
            joint = "; " if name == "cookie" else ", "
            value = f"{values[name]}{joint}{value}"
        values[name] = value
    return values
