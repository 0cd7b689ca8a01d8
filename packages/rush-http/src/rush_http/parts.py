"""Parts: what an answer with pieces of a file is made of."""

from collections.abc import Iterable

Part = bytes | tuple[int, int]
"""A part of an answer: bytes, or offset and count in a file."""


def checked(parts: Iterable[Part]) -> tuple[Part, ...]:
    """The parts, if they can be sent; `ValueError` for an offset or a count below zero."""
    parts = tuple(parts)
    for part in parts:
        if not isinstance(part, bytes):
            offset, count = part
            if offset < 0 or count < 0:
                raise ValueError(f"offset {offset}, count {count}: neither may be negative")
    return parts
