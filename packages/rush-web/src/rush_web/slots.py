"""Slots: what each worker says of itself, in memory that others read.

One memfd (memfd_create(2)) is made before the first fork, and shared by the parent and its workers.
A worker writes to its own slot, the parent and the other workers read them all, and ``rush top``
finds them through /proc/PID/fd: there is no file that could be left over, and the kernel lets
nobody in but the same user and root.  Nothing is locked: a number is written by one instruction of
the machine, so what is read was there at some moment.  What a worker wrote stays there when it
dies, whatever kills it, until the parent gives its slot back.

A program that is executed anew gets the descriptor, and takes slots beside those of the one before:
whoever is asked counts both, and what was counted goes on.  Only to take a slot and to give it
back, which the two may do at the same time, they lock the memfd; the kernel unlocks what a process
has locked that dies.

::

    0        `Slots`: the parent, where it listens, how often each worker was replaced
    8192     what all workers have counted that are gone
    16384..  a `Slot` for each worker:
             0     doubles: see `BUSY_SINCE`      64    numbers: see `PID`
             128   counters: see `LATENCIES`      2048  the last requests: see ring.py
                                                  4096  those left for later: see pending.py
"""

import contextlib
import errno
import fcntl
import mmap
import os
import time
from collections.abc import Iterator

SLOT_BYTES = 8192
"""Two pages: a slot that nobody writes to takes no memory."""

NAME = "rush-slots"
"""The memfd is ``/memfd:rush-slots`` in /proc/PID/fd."""

# Indices of `Slot.times`: seconds of `time.monotonic`
BUSY_SINCE = 0
"""When the present request began; 0.0 if there is none."""
STARTED = 1
"""When the worker began."""
TICKED = 2
"""When it last wrote down its counters: once a second, while it has connections."""

# Indices of `Slot.numbers`
PID = 0
"""The worker's process; 0 if there is none."""
PLACE = 1
"""Which worker it is, from 0."""
PHASE = 2
"""Its `STARTING`, `READY` or `DRAINING`."""
CONNECTIONS = 3
OWNER = 4
"""The process that has forked it."""
PENDING = 5
"""How many requests wait for an answer that comes later."""

# Indices of `Slot.counts`
LATENCIES = 0
"""64 of them: how many requests have taken less than 2 ** index nanoseconds, and not less than half
of that."""
LATENCY_COUNT = 64
NANOSECONDS = 64
"""How long all requests together have taken."""
FAILURES = 65
"""Requests whose handler has raised what is answered with 500 and more."""
STATUSES = 66
"""Five of them: answers from 1xx to 5xx; only of a server with metrics."""
LOST_LINES = 71
"""Lines of the access log that could not be written."""
_COUNTS = 112

# `Slot.numbers[PHASE]`, and that of `Slots`
STARTING, READY, DRAINING = 0, 1, 2

# A reading that meets the parent at work is made again, so often at most.
_READINGS = 100

LAYOUT = b"rushweb2"
"""The first bytes; counted up when anything is moved.  These and the number of the parent, which
comes next, stay where they are."""

# Numbers of `Slots`
_PARENT, _PHASE, _WANTED, _VERSION, _BEGAN = range(1, 6)
_ADDRESS, _ADDRESS_BYTES = 128, 256
_RESTARTS, _PLACES = 1024, 256
_USED, _MOST = 3072, 1024  # a byte for each slot: a look at a page would make it take memory


class OtherLayout(ValueError):
    """The slots are of a version of this package that has them in another order."""

    def __init__(self, layout: bytes, parent: int) -> None:
        super().__init__(
            f"these are the slots of another version of rush-web: their layout is "
            f"{layout.decode('ascii', 'replace')!r}, and this version reads {LAYOUT.decode()!r}"
        )
        self.parent = parent
        """The process that has made them."""


class Slot:
    """One worker's slot; `memory` is all of it."""

    __slots__ = ("counts", "memory", "number", "numbers", "times")

    def __init__(self, number: int, memory: memoryview) -> None:
        self.number = number
        self.memory = memory
        self.times = memory[:64].cast("d")
        self.numbers = memory[64:128].cast("Q")
        self.counts = memory[128 : 128 + 8 * _COUNTS].cast("Q")

    @property
    def busy_since(self) -> float:
        """When the request that the worker is busy with began; 0.0: it is not busy."""
        return self.times[BUSY_SINCE]

    def clear(self) -> None:
        """Forget the worker that wrote here before."""
        self.memory[:] = bytes(SLOT_BYTES)


class Slots:
    """So many slots, shared with every process that is forked from now on.

    `descriptor`: not new ones, but those of another process; see `of_process`.
    Raises `ValueError` for a number that makes no sense.
    """

    def __init__(self, count: int, *, descriptor: int | None = None, writable: bool = True) -> None:
        size = (count + 2) * SLOT_BYTES
        self.descriptor = os.memfd_create(NAME) if descriptor is None else descriptor
        """For the program that comes next; open as long as this object is used."""
        try:
            if not 1 <= count <= _MOST:
                raise ValueError(f"there can be 1 to {_MOST} slots, not {count}")
            if descriptor is None:
                os.ftruncate(self.descriptor, size)
            access = mmap.PROT_READ | (mmap.PROT_WRITE if writable else 0)
            # It has its own descriptor, which is not to be had.
            self._memory = memoryview(mmap.mmap(self.descriptor, size, prot=access))
        except BaseException:
            os.close(self.descriptor)
            raise
        self._count = count
        self._numbers = self._memory[:128].cast("Q")
        self._restarts = self._memory[_RESTARTS : _RESTARTS + 8 * _PLACES].cast("Q")
        self._used = self._memory[_USED : _USED + count]
        self.gone = Slot(-1, self._memory[SLOT_BYTES : 2 * SLOT_BYTES])
        """What those have counted that are gone."""
        if descriptor is None:
            self._numbers[_PARENT] = os.getpid()
            self._numbers[_BEGAN] = int(time.time())
            self._memory[:8] = LAYOUT

    @classmethod
    def of_process(cls, descriptor: int, *, writable: bool = False) -> "Slots":
        """Those that the descriptor of a memfd has; it is theirs from now on.

        Raises `OtherLayout` for those of another version, `ValueError` if it has none.
        """
        head = os.pread(descriptor, 16, 0)
        layout, parent = head[:8], int.from_bytes(head[8:], "little")
        if layout != LAYOUT:
            os.close(descriptor)
            if layout[:4] == LAYOUT[:4]:
                raise OtherLayout(layout, parent)
            raise ValueError("these are no slots")
        count = os.fstat(descriptor).st_size // SLOT_BYTES - 2
        return cls(count, descriptor=descriptor, writable=writable)

    def close(self) -> None:
        """Close the descriptor; what was read before can be read still."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1

    def __getitem__(self, number: int) -> Slot:
        if not 0 <= number < self._count:
            raise IndexError(f"there are {self._count} slots, and none has the number {number}")
        start = (number + 2) * SLOT_BYTES
        return Slot(number, self._memory[start : start + SLOT_BYTES])

    def __len__(self) -> int:
        return self._count

    def in_use(self) -> Iterator[Slot]:
        """The slots of workers that have begun."""
        slots = (self[number] for number, used in enumerate(bytes(self._used)) if used)
        return (slot for slot in slots if slot.numbers[PID])

    # Of the parent

    def take(self, place: int, *, again: bool = False) -> Slot:
        """A slot that nobody has, for a process that is to be forked: that of a place, or another.

        Two processes may have one place: who has retired and who came after it.  `again`: another
        one had the place before, which counts as a restart.
        Raises `OSError` if all are taken.
        """
        own = range(self._count)[place : place + 1]
        numbers = (*own, *reversed(range(self._count)))
        with self._locked():
            number = next((number for number in numbers if not self._used[number]), None)
            if number is None:
                raise OSError(errno.EAGAIN, f"there are {self._count} worker processes already")
            slot = self[number]
            slot.clear()
            slot.numbers[OWNER] = os.getpid()
            self._used[number] = 1
        if again:
            self._restarts[place % _PLACES] += 1
        return slot

    def give_back(self, slot: Slot) -> None:
        """The process has gone: what it has counted is kept with that of the others."""
        with self._locked():
            version = self._numbers[_VERSION] | 1
            self._numbers[_VERSION] = version  # odd: who reads now, reads again
            for index, count in enumerate(slot.counts):
                if count:
                    self.gone.counts[index] += count
            slot.clear()
            self._numbers[_VERSION] = version + 1
            self._used[slot.number] = 0

    def release(self, owner: int) -> None:
        """Give back the slots of a process that has ended, and could not do so itself."""
        for number in range(self._count):
            if self._used[number] and self[number].numbers[OWNER] == owner:
                self.give_back(self[number])

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        fcntl.lockf(self.descriptor, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.lockf(self.descriptor, fcntl.LOCK_UN)

    def describe(self, address: str, wanted: int) -> None:
        """Say where the server listens, and how many workers it should have."""
        data = address.encode("utf-8", "replace")[: _ADDRESS_BYTES - 1]
        self._memory[_ADDRESS : _ADDRESS + _ADDRESS_BYTES] = data.ljust(_ADDRESS_BYTES, b"\0")
        self._numbers[_WANTED] = wanted

    # Of everybody

    @property
    def parent(self) -> int:
        """The process of the parent."""
        return self._numbers[_PARENT]

    @property
    def began(self) -> int:
        """When the parent began: seconds since the epoch."""
        return self._numbers[_BEGAN]

    @property
    def wanted(self) -> int:
        """How many workers there should be."""
        return self._numbers[_WANTED]

    @wanted.setter
    def wanted(self, count: int) -> None:
        self._numbers[_WANTED] = count

    @property
    def address(self) -> str:
        """Where the server listens."""
        data = bytes(self._memory[_ADDRESS : _ADDRESS + _ADDRESS_BYTES])
        return data.partition(b"\0")[0].decode("utf-8", "replace")

    @property
    def phase(self) -> int:
        """`STARTING` until all workers serve, then `READY`, and `DRAINING` in the end."""
        return self._numbers[_PHASE]

    @phase.setter
    def phase(self, phase: int) -> None:
        self._numbers[_PHASE] = phase

    def restarts(self, place: int | None = None) -> int:
        """How often a worker took the place of one that has gone; in all places."""
        return sum(self._restarts) if place is None else self._restarts[place % _PLACES]

    def totals(self) -> list[int]:
        """What all workers have counted, those included that are gone."""
        totals: list[int] = []
        for _ in range(_READINGS):
            version = self._numbers[_VERSION]
            counts = [self.gone.counts, *(slot.counts for slot in self.in_use())]
            totals = [sum(column) for column in zip(*counts, strict=True)]
            if version % 2 == 0 and version == self._numbers[_VERSION]:
                break
        return totals
