"""Args: the arguments of a query, or the fields of a form."""

from binascii import a2b_qp
from collections.abc import Iterable
from typing import Any, NoReturn, TypeVar

from rush_http import BadRequest, UriTooLong

_A = TypeVar("_A", bound="Args")

MAX_COUNT = 1000
"""How many arguments a query may have: past it the work is a client's to choose."""

_HEX = "0123456789abcdefABCDEF"
_BYTES = {(a + b).encode(): bytes.fromhex(a + b) for a in _HEX for b in _HEX}
_AND, _EQUALS = "\1", "\0"
# From ASCII; what `a2b_qp` or we could take for something else becomes a byte that no UTF-8 has.
_TO_QUOTED = bytes.maketrans(b"+&=%\0\1\n\r", b" \1\0=\xff\xff\xff\xff")


class MissingArgument(BadRequest, KeyError):
    """There is no such argument, or field of a form: ``args["name"]`` of what has no such name.

    It is a `KeyError`, as of any mapping; whom no handler helps, the client is answered with 400.
    """


class Args(dict[str, str]):
    """A mapping from name to text; `getlist` for names that came several times.

    A name that is not there is a `MissingArgument`; ``get`` asks whether it is.

    Read only, since several requests with the same query may have the same one; ``dict(args)`` is
    a copy to change.
    """

    __slots__ = ("_again",)

    _again: list[tuple[str, str]] | None
    """Name and value of those that came after the first of their name; may be not set."""

    def __missing__(self, name: str) -> NoReturn:
        raise MissingArgument(f"there is no argument {name!r:.80}")

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
        if "%" in query:
            return cls._parse_escapes(query, max_count)
        if "+" in query:
            query = query.replace("+", " ")
        pieces = query.split("&")
        if len(pieces) > max_count:
            raise _too_many(pieces, max_count)
        found: dict[str, str] = {}
        again = None
        for piece in pieces:
            if piece:
                name, _, value = piece.partition("=")
                if name not in found:
                    found[name] = value
                elif again is None:
                    again = [(name, value)]
                else:
                    again.append((name, value))
        args = cls(found)
        args._again = again
        return args

    @classmethod
    def _parse_escapes(cls: type[_A], query: str, max_count: int) -> _A:
        # The escapes of quoted-printable are the same, but for their first character, and are
        # decoded in C: in a third of the time of doing it one by one
        # (tests/bench/rush-web/args.py).
        if "%0" in query or query[-1] == "%" or not query.isascii():
            # Controls, also those that would be taken for separators; and `a2b_qp` drops "=".
            return cls._parse_one_by_one(query, max_count)
        decoded = a2b_qp(query.encode().translate(_TO_QUOTED))
        if 0x3D in decoded:  # "=": from a "%" without digits, or from "%3D"
            return cls._parse_one_by_one(query, max_count)
        try:
            text = decoded.decode()
        except UnicodeDecodeError:
            return cls._parse_one_by_one(query, max_count)
        pieces = text.split(_AND)
        if len(pieces) > max_count:
            raise _too_many(pieces, max_count)
        found: dict[str, str] = {}
        for piece in pieces:
            if piece:
                name, _, value = piece.partition(_EQUALS)
                if name in found or _EQUALS in value:  # seldom: it may take its time
                    return cls._parse_one_by_one(query, max_count)
                found[name] = value
        return cls(found)

    @classmethod
    def _parse_one_by_one(cls: type[_A], query: str, max_count: int) -> _A:
        """The plain twin of `_parse_escapes`, which can do all."""
        pieces = query.replace("+", " ").split("&")
        if len(pieces) > max_count:
            raise _too_many(pieces, max_count)
        pairs = [piece.partition("=") for piece in pieces if piece]
        return cls.of((percent_decoded(name), percent_decoded(value)) for name, _, value in pairs)

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
        else:
            self._again = self._pairs_again()
            self._again.append((name, value))

    def getlist(self, name: str) -> list[str]:
        """All values of a name, in order; an empty list if it did not come."""
        found = [self[name]] if name in self else []
        return found + [value for key, value in self._pairs_again() if key == name]

    def _pairs_again(self) -> list[tuple[str, str]]:
        return getattr(self, "_again", None) or []

    def _read_only(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Raise `TypeError`: nothing can be changed."""
        raise TypeError("arguments are read only: dict(args) is a copy to change")

    __setitem__ = __delitem__ = __ior__ = _read_only
    clear = pop = popitem = setdefault = update = _read_only

    def __reduce__(self) -> tuple[object, ...]:
        return Args.of, ([(name, value) for name in self for value in self.getlist(name)],)


def _too_many(pieces: list[str], max_count: int) -> BadRequest:
    return BadRequest(f"a query of {len(pieces)} arguments (max_count={max_count})")


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
