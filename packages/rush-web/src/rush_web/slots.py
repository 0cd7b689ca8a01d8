"""Slots: what each worker says of itself, in memory that its parent reads.

One anonymous shared mapping is made before the first fork; a slot is `SLOT_BYTES` of it.  A worker
writes to its own one, the parent reads them all, and nothing is locked: a double is written by one
instruction of the machine, so what is read was there at some moment.  What a worker wrote stays
there when it dies, whatever kills it, until its place is taken by the next one.

::

    bytes 0 to 63    doubles: see `BUSY_SINCE`
    from byte 64     free
"""

import errno
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

    __slots__ = ("memory", "number", "times")

    def __init__(self, number: int, memory: memoryview) -> None:
        self.number = number
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
        self._count = count
        self._memory = memoryview(mmap.mmap(-1, count * SLOT_BYTES))  # MAP_SHARED, MAP_ANONYMOUS
        self._taken: set[int] = set()

    def __getitem__(self, number: int) -> Slot:
        if not 0 <= number < self._count:
            raise IndexError(f"there are {self._count} slots, and none has the number {number}")
        start = number * SLOT_BYTES
        return Slot(number, self._memory[start : start + SLOT_BYTES])

    def __len__(self) -> int:
        return self._count

    def take(self, wish: int) -> Slot:
        """A slot that nobody has, for a process that is to be forked: that of a number, or another.

        Two processes may have one place: who has retired and who came after it.
        Raises `OSError` if all are taken.
        """
        numbers = (number for number in (wish, *reversed(range(self._count))))
        number = next((number for number in numbers if number not in self._taken), None)
        if number is None:
            raise OSError(errno.EAGAIN, f"there are {self._count} worker processes already")
        self._taken.add(number)
        slot = self[number]
        slot.clear()
        return slot

    def give_back(self, slot: Slot) -> None:
        """The process has gone; what it wrote stays there until somebody takes the slot."""
        self._taken.discard(slot.number)
