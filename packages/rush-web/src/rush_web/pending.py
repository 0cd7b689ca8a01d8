"""Pending: the requests of a worker that are to be answered later, in its slot.

`MOST` records of 128 bytes, after those of the `ring`::

    0    since when it waits: seconds of `time.monotonic`; 0.0: this record is free
    8    handler, method, path and query, cut at 119 bytes

The time is written last, and cleared first.  Of more requests only the number is known.
"""

import struct
from time import monotonic
from typing import Final

from .ring import printable
from .slots import PENDING, Slot

MOST: Final = 32

_RECORD = struct.Struct("<d120p")
_PENDING_AT: Final = 4096
_SHOWN: Final = 5


class Pending:
    """A worker's own end of it."""

    def __init__(self, slot: Slot) -> None:
        self._slot = slot
        self._free = [_PENDING_AT + index * _RECORD.size for index in range(MOST)]
        self._taken: dict[object, int] = {}

    def begin(self, key: object, text: str) -> None:
        """A request waits from now on; `key` is for `end`."""
        if key in self._taken:
            self.end(key)
        self._taken[key] = at = self._free.pop() if self._free else 0
        if at:
            data = text.encode("utf-8", "replace")
            _RECORD.pack_into(self._slot.memory, at, 0.0, data)
            struct.pack_into("<d", self._slot.memory, at, monotonic())
        self._slot.numbers[PENDING] = len(self._taken)

    def end(self, key: object) -> None:
        """It waits no more; nothing if it was not known."""
        at = self._taken.pop(key, None)
        if at:
            struct.pack_into("<d", self._slot.memory, at, 0.0)
            self._free.append(at)
        self._slot.numbers[PENDING] = len(self._taken)


def pending_of(slot: Slot) -> list[tuple[float, str]]:
    """The requests that wait, with how many seconds they do; the longest first."""
    found = []
    for index in range(MOST):
        since, text = _RECORD.unpack_from(slot.memory, _PENDING_AT + index * _RECORD.size)
        if since:
            found.append((monotonic() - since, printable(text)))
    return sorted(found, reverse=True)


def pending_words(slot: Slot) -> str:
    """``app.report, GET /report (2.0 s), app.report, GET /report?y=2 (1.5 s) and 3 more``."""
    found = pending_of(slot)
    shown = ", ".join(f"{text} ({seconds:.1f} s)" for seconds, text in found[:_SHOWN])
    more = max(slot.numbers[PENDING], len(found)) - len(found[:_SHOWN])
    return f"{shown} and {more} more" if more > 0 and shown else shown
