"""The ring: the last requests of a worker that differ, in its slot.

`RING` records of 256 bytes::

    0    the number of the request, from 1
    8    method, path and query, cut at 239 bytes
    248  the number again

The number is written first and last, so a record that death has cut in half is not taken for a
request.  Values of headers, and bodies, are never written here.
"""

import struct
from collections.abc import Callable
from typing import Final

from .slots import Slot

RING: Final = 8
"""How many requests are remembered."""

_RECORD = struct.Struct("<Q240pQ")
_RING_AT: Final = 2048


def writer(slot: Slot) -> Callable[[str, str, str], None]:
    """What notes a request: a function of method, path and query."""
    memory, pack = slot.memory, _RECORD.pack_into
    places = [_RING_AT + index * _RECORD.size for index in range(RING)]
    number = 0

    def note(method: str, path: str, query: str) -> None:
        nonlocal number
        number += 1
        text = f"{method} {path}?{query}" if query else f"{method} {path}"
        pack(memory, places[number % RING], number, text.encode(), number)

    return note


def requests_of(slot: Slot) -> list[str]:
    """The last requests that differ, the last one first; one that is just being written is not."""
    found = []
    for index in range(RING):
        at = _RING_AT + index * _RECORD.size
        record = bytes(slot.memory[at : at + _RECORD.size])
        number, text, again = _RECORD.unpack(record)
        if number and number == again and record == slot.memory[at : at + _RECORD.size]:
            found.append((number, printable(text)))
    return [text for _, text in sorted(found, reverse=True)]


def printable(text: bytes | str) -> str:
    """The text without anything that a terminal or a log could take for something else."""
    if isinstance(text, bytes):
        text = text.decode("utf-8", "replace")
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )
