"""Slots: what each worker says of itself, in memory that its parent reads.

One anonymous shared mapping is made before the first fork; a slot is `SLOT_BYTES` of it.  A worker
writes to its own one, the parent reads them all, and nothing is locked: a double is written by one
instruction of the machine, so what is read was there at some moment.  What a worker wrote stays
there when it dies, whatever kills it, until its place is taken by the next one.

::

    bytes 0 to 63    doubles: see `BUSY_SINCE`
    from byte 64     free
"""

import mmap

SLOT_BYTES = 4096
"""A page: a slot that nobody writes to takes no memory."""

_TIMES_BYTES = 64

# Indices of `Slot.times`
BUSY_SINCE = 0
"""When the present request began (`time.monotonic`, seconds); 0.0 if there is none."""


class Slot:
    """One worker's slot.

    `times` are doubles that a request writes at its beginning and its end: 25 ns each.  (One clock
    for all requests of a turn of the loop would be had for less, but the last of 64 requests of
    half a second each would seem to have taken half a minute.)
    `memory` is all of it.
    """

    __slots__ = ("memory", "times")

    def __init__(self, memory: memoryview) -> None:
        self.memory = memory
        self.times = memory[:_TIMES_BYTES].cast("d")

    @property
    def busy_since(self) -> float:
        """When the request that the worker is busy with began; 0.0: it is not busy."""
        return self.times[BUSY_SINCE]

    def clear(self) -> None:
        """Forget the worker that wrote here before."""
        self.memory[:] = bytes(SLOT_BYTES)


class Slots:
    """So many slots, shared with every process that is forked from now on."""

    def __init__(self, count: int) -> None:
        memory = memoryview(mmap.mmap(-1, count * SLOT_BYTES))  # MAP_SHARED, MAP_ANONYMOUS
        self._slots = [
            Slot(memory[start : start + SLOT_BYTES]) for start in range(0, len(memory), SLOT_BYTES)
        ]

    def __getitem__(self, number: int) -> Slot:
        return self._slots[number]

    def __len__(self) -> int:
        return len(self._slots)
