"""Args: the arguments of a query, or the fields of a form."""

from binascii import a2b_qp
from collections.abc import Iterable, Iterator
from typing import Any, NoReturn, TypeVar

from rush_http import BadRequest, UriTooLong

_A = TypeVar("_A", bound="Args")

MAX_COUNT = 1000
"""How many arguments a query may have: past it the work is a client's to choose."""

_HEX = "0123456789abcdefABCDEF"
_AND, _EQUALS = "\1", "\0"
_TO_QUOTED = bytes.maketrans(b"+&=%", b" \1\0=")
_BYTES = {(a + b).encode(): bytes.fromhex(a + b) for a in _HEX for b in _HEX}


class Args(dict[str, str]):
    """A mapping from name to text; `getlist` for names that came several times.

    Read only, since several requests with the same query may have the same one; ``dict(args)`` is
    a copy to change.
    """

    # Of the names that came more than once.  A default of the class, not a slot that is set each
    # time: 50 ns less for each query (tests/bench/rush-web/args.py).
    _lists: dict[str, list[str]] | None = None

    @classmethod
    def parse(
        cls: type[_A], query: str, *, max_count: int = MAX_COUNT, max_length: int | None = None
    ) -> _A:
        """Take apart ``a=1&b=2`` as HTML forms write it (``application/x-www-form-urlencoded``).

        Of a name that comes several times the first value counts.  What is not UTF-8 becomes
        U+FFFD, a ``%`` without digits stays, a name without ``=`` has an empty value, and empty
        pieces are nothing (WHATWG URL, 5.1).  Raises `rush_http.BadRequest` for more than
        `max_count` pieces, `rush_http.UriTooLong` for more than `max_length` characters.
        """
        if max_length is not None and len(query) > max_length:
            raise UriTooLong(f"a query of {len(query)} characters (max_length={max_length})")
        if len(query) >= max_count and (count := query.count("&") + 1) > max_count:
            raise BadRequest(f"a query of {count} arguments (max_count={max_count})")
        if "%" in query:
            return cls._parse_escapes(query)
        if "+" in query:
            query = query.replace("+", " ")
        found: dict[str, str] = {}
        lists: dict[str, list[str]] | None = None
        for piece in query.split("&"):
            if piece:
                name, _, value = piece.partition("=")
                if name not in found:
                    found[name] = value
                elif lists is None:
                    lists = {name: [found[name], value]}
                else:
                    lists.setdefault(name, [found[name]]).append(value)
        args = cls(found)
        if lists is not None:
            args._lists = lists
        return args

    @classmethod
    def _parse_escapes(cls: type[_A], query: str) -> _A:
        text = _decoded_at_once(query)
        if text is None:
            return cls.of(_decoded_one_by_one(query))
        found: dict[str, str] = {}
        for piece in text.split(_AND):
            if piece:
                name, _, value = piece.partition(_EQUALS)
                if name in found or _EQUALS in value:
                    return cls.of(_decoded_one_by_one(query))  # seldom: it may take its time
                found[name] = value
        return cls(found)

    @classmethod
    def of(cls: type[_A], pairs: Iterable[tuple[str, str]]) -> _A:
        """The same of pairs of name and value; of a name that comes several times the first counts.

        ``Args(pairs)`` alone would forget all but the last one.
        """
        args = cls()
        for name, value in pairs:
            args._add(name, value)
        return args

    def _add(self, name: str, value: str) -> None:
        """Put one more value after those that `name` has."""
        if name not in self:
            dict.__setitem__(self, name, value)
            return
        if self._lists is None:
            self._lists = {}
        self._lists.setdefault(name, [self[name]]).append(value)

    def getlist(self, name: str) -> list[str]:
        """All values of a name, in order; an empty list if it did not come."""
        if self._lists is not None and name in self._lists:
            return list(self._lists[name])
        return [self[name]] if name in self else []

    def _read_only(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Raise `TypeError`: nothing can be changed."""
        raise TypeError("arguments are read only: dict(args) is a copy to change")

    __setitem__ = __delitem__ = __ior__ = _read_only
    clear = pop = popitem = setdefault = update = _read_only

    def __reduce__(self) -> tuple[object, ...]:
        return Args.of, ([(name, value) for name in self for value in self.getlist(name)],)


def _decoded_at_once(query: str) -> str | None:
    """A query without its escapes, with `_AND` and `_EQUALS` in place of ``&`` and ``=``.

    ``None`` if it has what is not to be done so: controls, beyond ASCII, ``%`` without digits.
    """
    # The escapes of quoted-printable are the same, but for their first character, and are decoded
    # in C: 1.9 us for four escapes in two of three arguments, and 4.1 us one by one
    # (tests/bench/rush-web/args.py).
    if "%0" in query:
        return None  # the controls, also those that would be taken for separators
    quoted = query.encode("ascii", "ignore").translate(_TO_QUOTED, b"\0\1\n\r")
    if len(quoted) != len(query):
        return None
    decoded = a2b_qp(quoted)
    # Each escape makes two bytes less; what is none (it would be changed) makes one or none.
    if len(decoded) != len(query) - 2 * query.count("%"):
        return None
    return decoded.decode("utf-8", "replace")


def _decoded_one_by_one(query: str) -> Iterator[tuple[str, str]]:
    """The plain twin of `_decoded_at_once`, which can do all: names and values."""
    for piece in query.replace("+", " ").split("&"):
        if piece:
            name, _, value = piece.partition("=")
            yield percent_decoded(name), percent_decoded(value)


def percent_decoded(text: str) -> str:
    """Replace escapes by what they stand for, read as UTF-8; a ``%`` without digits stays.

    The same as `urllib.parse.unquote`, in half the time (tests/bench/rush-web/args.py).
    """
    first, *pieces = text.encode("utf-8", "replace").split(b"%")
    found = [first]
    for piece in pieces:
        byte = _BYTES.get(piece[:2])
        found.append(b"%" + piece if byte is None else byte + piece[2:])
    return b"".join(found).decode("utf-8", "replace")
