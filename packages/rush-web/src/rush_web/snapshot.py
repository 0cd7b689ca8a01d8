"""Snapshot: a copy of a request to keep, which nothing changes."""

from types import MappingProxyType
from typing import Any, ClassVar

from .incoming import Incoming, Known

# What changes only by being worked out, on demand.
_WORKED_OUT = frozenset({"_last_args", "_last_query", "known"})


class Snapshot(Incoming):
    """A request as it was, for as long as it is kept; made by `Request.snapshot`.

    Everything a handler reads is there, but for the connection.  Setting an attribute raises
    `AttributeError`.  `context` is a copy of its own.  `parse_form` takes the body apart anew; the
    files of that form are closed when the snapshot is let go of.
    """

    __slots__ = ()

    _changeable: ClassVar[frozenset[str]] = _WORKED_OUT

    def __init__(self, request: Incoming) -> None:
        put = super().__setattr__
        for name in ("protocol", "method", "path", "query", "headers", "body", "error"):
            put(name, getattr(request, name))
        put("params", MappingProxyType(dict(request.params)))
        self.known = known = Known()
        known.forwarded = request.told()
        if request.known is not None:
            known.client = request.known.client
            known.context.update(request.known.context)
            known.cookies = request.known.cookies
            known.args = request.known.args
        self._last_query, self._last_args = request._last_query, request._last_args

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.method} {self.path!r:.200}>"

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in self._changeable:
            raise AttributeError(f"{self!r} is a copy: {name!r:.80} cannot be set")
        super().__setattr__(name, value)

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{self!r} is a copy: {name!r:.80} cannot be deleted")

    def __del__(self) -> None:
        known = getattr(self, "known", None)  # it may have failed while it was made
        if known is not None:
            known.close()
