"""Args: the arguments of a query."""

from urllib.parse import unquote_plus


class Args(dict[str, str]):
    """A mapping from name to text; `getlist` for names that came several times."""

    __slots__ = ("_lists",)

    def __init__(self) -> None:
        super().__init__()
        self._lists: dict[str, list[str]] = {}  # of the names that came more than once

    @classmethod
    def parse(cls, query: str) -> "Args":
        """Take apart ``a=1&b=2`` as HTML forms write it (``application/x-www-form-urlencoded``).

        Never raises: what is not UTF-8 becomes U+FFFD, a ``%`` without digits stays, a name
        without ``=`` has an empty value, and empty pieces are nothing.
        """
        args = cls()
        coded = "%" in query or "+" in query
        for piece in query.split("&"):
            if not piece:
                continue
            name, _, value = piece.partition("=")
            if coded:
                name, value = unquote_plus(name), unquote_plus(value)
            if name in args:
                args._lists.setdefault(name, [args[name]]).append(value)
            else:
                args[name] = value
        return args

    def getlist(self, name: str) -> list[str]:
        """All values of a name, in order; an empty list if it did not come."""
        if name in self._lists:
            return list(self._lists[name])
        return [self[name]] if name in self else []
