"""Gone: whether a client has gone while somebody works for it, and who wants to know."""

import logging
from collections.abc import Callable

from epollserver import Loop

_log = logging.getLogger("rush_http")


class Gone:
    """True once the client has gone; its callbacks are called once, in the server's thread."""

    __slots__ = ("_callbacks", "_happened")

    def __init__(self) -> None:
        self._happened = False
        self._callbacks: list[Callable[[], object]] = []

    def __bool__(self) -> bool:
        return self._happened

    def tell(self, callback: Callable[[], object], loop: Loop) -> None:
        """Call `callback` when it happens, soon if it has.  From any thread."""
        # In this order, and each is taken out by one only: the server's thread may be telling now.
        self._callbacks.append(callback)
        if self._happened and not loop.call_soon_threadsafe(self._call):
            self._call()  # the server is closed

    def happen(self) -> None:
        """It has happened; the second time changes nothing."""
        self._happened = True
        self._call()

    def _call(self) -> None:
        while self._callbacks:
            call(self._callbacks.pop(0))


def call(callback: Callable[[], object]) -> None:
    """Call what the application has left with us; what it raises is logged."""
    try:
        callback()
    except Exception:
        _log.exception("a callback failed: %r", callback)
