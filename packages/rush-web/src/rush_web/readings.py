"""Readings: what the workers of a server say in their slots, as one process reads it of others."""

import contextlib
import os
import pathlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from time import monotonic

from .blackbox import Doing, doing
from .ring import requests_of
from .slots import (
    CONNECTIONS,
    FAILURES,
    LATENCIES,
    LATENCY_COUNT,
    NAME,
    PHASE,
    PID,
    PLACE,
    STARTED,
    TICKED,
    OtherLayout,
    Slot,
    Slots,
)

PHASES = ("starting", "ready", "draining")
"""The names of `slots.STARTING` and so on."""


@dataclass(frozen=True)
class WorkerReading:
    """One worker at one moment."""

    place: int
    """Which worker it is, from 1."""
    pid: int
    phase: str
    seconds: float
    """How long it has lived."""
    ticked: float
    """When it wrote down its counters (`time.monotonic`): once a second, if it is at work."""
    latencies: tuple[int, ...]
    """Requests by the power of two of nanoseconds that they have taken less than."""
    failures: int
    connections: int
    memory: int
    """Bytes; of what it shares with others, its part."""
    restarts: int
    """How often a worker in its place was replaced."""
    doing: Doing | None
    last: str
    """The last request."""

    @property
    def requests(self) -> int:
        """How many requests it has answered."""
        return sum(self.latencies)


@dataclass(frozen=True)
class Reading:
    """A server at one moment."""

    at: float
    workers: tuple[WorkerReading, ...]


def read(slots: Slots) -> Reading:
    """Read all workers that live."""
    workers = [_read(slots, slot) for slot in slots.in_use()]
    living = [worker for worker in workers if os.path.exists(f"/proc/{worker.pid}")]
    return Reading(monotonic(), tuple(sorted(living, key=lambda one: (one.place, one.pid))))


def _read(slots: Slots, slot: Slot) -> WorkerReading:
    place, pid = slot.numbers[PLACE], slot.numbers[PID]
    requests = requests_of(slot)
    return WorkerReading(
        place=place + 1,
        pid=pid,
        phase=PHASES[min(slot.numbers[PHASE], len(PHASES) - 1)],
        seconds=max(0.0, monotonic() - slot.times[STARTED]),
        ticked=slot.times[TICKED],
        latencies=tuple(slot.counts[LATENCIES : LATENCIES + LATENCY_COUNT]),
        failures=slot.counts[FAILURES],
        connections=slot.numbers[CONNECTIONS],
        memory=memory_of(pid),
        restarts=slots.restarts(place),
        doing=doing(slot),
        last=requests[0] if requests else "",
    )


def memory_of(pid: int) -> int:
    """Bytes of memory of a process, with its part of what it shares (proc(5), Pss); 0: unknown."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0


def percentile(latencies: Sequence[int], part: float) -> float | None:
    """Seconds in which this part of the requests was answered: 0.99 for the 99th percentile.

    Between the powers of two it is as if they were spread evenly.  ``None`` if there are none.
    """
    wanted = sum(latencies) * part
    below = 0
    for index, count in enumerate(latencies):
        if count and below + count >= wanted:
            least = (1 << index) / 2
            return least * (1 + (wanted - below) / count) * 1e-9
        below += count
    return None


def servers() -> Iterator[Slots]:
    """The slots of every server that runs and that this user may look at."""
    return (found for found in _all_found() if isinstance(found, Slots))


def other_layouts() -> set[int]:
    """The processes of servers that cannot be read: they run with another version of rush-web."""
    return {found.parent for found in _all_found() if isinstance(found, OtherLayout)}


def _all_found() -> Iterator[Slots | OtherLayout]:
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdecimal():
            with contextlib.suppress(OSError):
                yield from _of_process(int(entry.name))


def _of_process(pid: int) -> Iterator[Slots | OtherLayout]:
    folder = f"/proc/{pid}/fd"
    seen = set()  # mmap(2) of Python has a descriptor of its own
    for name in os.listdir(folder):
        path = f"{folder}/{name}"
        with contextlib.suppress(OSError, ValueError):
            if os.readlink(path).startswith(f"/memfd:{NAME}"):
                inode = os.stat(path).st_ino
                found = None if inode in seen else _opened(path)
                seen.add(inode)
                if found is not None and found.parent == pid:  # its workers have it as well
                    yield found


def _opened(path: str) -> Slots | OtherLayout:
    try:
        slots = Slots.of_process(os.open(path, os.O_RDONLY | os.O_CLOEXEC))
    except OtherLayout as error:
        return error
    slots.close()
    return slots
