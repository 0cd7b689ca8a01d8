"""``rush top``: what each worker of a running server does, live in a terminal, or once for scripts.

It reads the slots of the workers (see slots.py) and disturbs nobody.
"""

import contextlib
import json
import os
import pathlib
import select
import shutil
import sys
import termios
import time
import tty
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from .paint import BOLD, DIM, RED, YELLOW, Paint, cut
from .readings import (
    PHASES,
    Reading,
    WorkerReading,
    other_layouts,
    percentile,
    read,
    servers,
)
from .slots import LATENCY_COUNT, Slots
from .units import shown_age, shown_seconds

# What is shown of rates and latencies is of so many seconds; workers count once a second.
_WINDOW_SECONDS = 5.0
_ONCE_SECONDS = 1.2
# A worker that has not counted for so long has nothing to count.
_IDLE_SECONDS = 2.5
# How long a worker may be busy with one request before it is shown in another colour.
_SLOW_SECONDS, _HUNG_SECONDS = 1.0, 10.0

_ANOTHER = "another version of rush-web: look at it with the `rush` that it runs with"

_ENTER, _LEAVE = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l"


class NoServer(Exception):
    """There is no such server, or more than one."""


def top(which: int | None, *, once: bool, as_json: bool, interval: float) -> int:
    """Show a server until somebody presses q or Ctrl-C, or it ends; the exit status.

    `which` is the port or the process of a server, if more than one runs.
    """
    try:
        slots = find(which)
    except NoServer as error:
        print(f"rush: {error}", file=sys.stderr)
        return 1
    history = History(slots)
    if once or as_json or not (sys.stdout.isatty() and sys.stdin.isatty()):
        time.sleep(_ONCE_SECONDS)
        history.look()
        width = shutil.get_terminal_size((120, 24)).columns
        lines = history.lines(width, Paint())
        try:
            print(
                json.dumps(history.as_json(), indent=2) if as_json else "\n".join(lines), flush=True
            )
        except BrokenPipeError:  # who reads has seen enough; nothing is to be flushed at the end
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return _live(slots, history, interval)


def _live(slots: Slots, history: "History", interval: float) -> int:
    server, paint = _server(slots), Paint()
    with _screen() as key:
        while os.path.exists(f"/proc/{server}"):
            width, height = shutil.get_terminal_size()
            lines = history.lines(width, paint)
            if len(lines) > height - 1:
                lines = [*lines[: height - 2], f"... {len(lines) - height + 2} more"]
            keys = paint("q quits", DIM)
            text = "".join(f"{line}\x1b[K\n" for line in lines)
            sys.stdout.write(f"\x1b[H{text}{keys}\x1b[J")
            sys.stdout.flush()
            if key(interval) == "q":
                return 0
            history.look()
            if not history.alive:  # after a reload others serve
                with contextlib.suppress(NoServer):
                    history = History(find(server))
    print(f"The server (pid {server}) has ended.")
    return 0


def _server(slots: Slots) -> int:
    """The process that stays when the server is reloaded: it has slots, in use or not."""
    parent, above = _processes(slots)
    return above if any(one.parent == above for one in servers()) else parent


def find(which: int | None = None) -> Slots:
    """The slots of the server with this port or process; of the only one if ``None``.

    Raises `NoServer`, which says what there is.
    """
    running = [slots for slots in servers() if next(slots.in_use(), None) is not None]
    found = [one for one in running if which is None or which in (*_processes(one), _port(one))]
    if len(found) == 1:
        return found[0]
    others = other_layouts()
    if which in others or (others and not running):
        pids = " and ".join(map(str, [which] if which in others else sorted(others)))
        raise NoServer(f"the server with pid {pids} is of {_ANOTHER}")
    if not running:
        raise NoServer("no server of this user is running")
    names = "\n".join(
        [f"  rush top {one.parent}    {one.address}" for one in running]
        + [f"  pid {pid} is of {_ANOTHER}" for pid in sorted(others)]
    )
    what = "several servers are" if found else f"no server has port or pid {which}: these are"
    raise NoServer(f"{what} running\n{names}")


def _processes(slots: Slots) -> tuple[int, int]:
    """The parent of the workers, and its own: after a reload that is the server's process."""
    with contextlib.suppress(OSError, ValueError):
        stat = pathlib.Path(f"/proc/{slots.parent}/stat").read_text()
        return slots.parent, int(stat.rpartition(")")[2].split()[1])
    return slots.parent, slots.parent


def _port(slots: Slots) -> int | None:
    port = slots.address.rstrip("/").rpartition(":")[2]
    return int(port) if port.isdecimal() else None


class History:
    """The last readings of a server, and what follows from them."""

    def __init__(self, slots: Slots) -> None:
        self._slots = slots
        self._readings = deque([read(slots)])

    def look(self) -> None:
        """Read once more."""
        self._readings.append(read(self._slots))
        while len(self._readings) > 2 and self._now.at - self._readings[1].at >= _WINDOW_SECONDS:
            self._readings.popleft()

    @property
    def _now(self) -> Reading:
        return self._readings[-1]

    @property
    def alive(self) -> bool:
        """Whether any worker lives."""
        return bool(self._now.workers)

    def rate(self, worker: WorkerReading) -> float:
        """Requests per second of a worker, between the moments when it has counted."""
        before = self._before(worker)
        if before is None or self._now.at - worker.ticked > _IDLE_SECONDS:
            return 0.0
        seconds = worker.ticked - before.ticked
        if before.requests == 0 and not before.ticked:
            seconds = worker.ticked - self._readings[0].at
        return max(0.0, (worker.requests - before.requests) / seconds) if seconds > 0 else 0.0

    def latencies(self, *workers: WorkerReading) -> list[int]:
        """Those of the last seconds; if there was no request, of all time."""
        recent, ever = [0] * LATENCY_COUNT, [0] * LATENCY_COUNT
        for worker in workers:
            before = self._before(worker)
            for index, count in enumerate(worker.latencies):
                ever[index] += count
                recent[index] += max(0, count - (before.latencies[index] if before else 0))
        return recent if any(recent) else ever

    def _before(self, worker: WorkerReading) -> WorkerReading | None:
        for reading in self._readings:
            for one in reading.workers:
                if one.pid == worker.pid and reading is not self._now:
                    return one
        return None

    # What is shown

    def as_json(self) -> dict[str, object]:
        """Everything, with times in seconds and memory in bytes."""
        slots, workers = self._slots, self._now.workers
        return {
            "address": slots.address,
            "pid": slots.parent,
            "phase": PHASES[slots.phase],
            "uptime_seconds": round(time.time() - slots.began),
            "workers_wanted": slots.wanted,
            "restarts": slots.restarts(),
            "requests_per_second": round(sum(map(self.rate, workers)), 1),
            **self._percentiles(*workers),
            "workers": [
                {
                    "worker": one.place,
                    "pid": one.pid,
                    "phase": one.phase,
                    "uptime_seconds": round(one.seconds, 1),
                    "requests": one.requests,
                    "failures": one.failures,
                    "requests_per_second": round(self.rate(one), 1),
                    **self._percentiles(one),
                    "connections": one.connections,
                    "memory_bytes": one.memory,
                    "restarts": one.restarts,
                    "busy_seconds": round(one.doing.seconds, 3) if one.doing else 0,
                    "handler": one.doing.handler if one.doing else None,
                    "request": one.doing.request if one.doing else None,
                    "last_request": one.last,
                }
                for one in workers
            ],
        }

    def _percentiles(self, *workers: WorkerReading) -> dict[str, float | None]:
        latencies = self.latencies(*workers)
        return {f"p{part}_seconds": percentile(latencies, part / 100) for part in (50, 99)}

    def lines(self, width: int, paint: Paint) -> list[str]:
        """A head and a table, no line longer than `width`."""
        slots, workers = self._slots, self._now.workers
        latencies = self.latencies(*workers)
        head = (
            f"{slots.address}  pid {slots.parent}  up {shown_age(time.time() - slots.began)}",
            f"{len(workers)} of {slots.wanted} workers, {PHASES[slots.phase]}"
            f"  {sum(map(self.rate, workers)):,.0f} requests/s"
            f"  p50 {shown_seconds(percentile(latencies, 0.5))}"
            f"  p99 {shown_seconds(percentile(latencies, 0.99))}",
        )
        titles = ("", "PID", "STATE", "REQ/S", "P50", "P99", "CONNS", "MEMORY", "RESTARTS")
        rows = [titles, *(self._row(one) for one in workers)]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        room = max(0, width - sum(widths) - 2 * len(widths))
        what = ["REQUEST", *map(_request, workers)]
        paints = [BOLD, *map(_colour, workers)]
        lines = [cut(line, width) for line in head]
        lines[0] = paint(lines[0], BOLD)
        lines.append("")
        for row, request, colour in zip(rows, what, paints, strict=True):
            cells = [
                cell.ljust(size) if title == "STATE" else cell.rjust(size)
                for cell, size, title in zip(row, widths, titles, strict=True)
            ]
            line = cut(f"{'  '.join(cells)}  {cut(request, room)}".rstrip(), width)
            lines.append(paint(line, colour) if colour else line)
        return lines

    def _row(self, one: WorkerReading) -> tuple[str, ...]:
        latencies = self.latencies(one)
        state = one.phase
        if one.doing and one.doing.seconds >= _SLOW_SECONDS:
            state = f"busy {shown_seconds(one.doing.seconds)}"
        return (
            str(one.place),
            str(one.pid),
            state,
            f"{self.rate(one):,.0f}",
            shown_seconds(percentile(latencies, 0.5)),
            shown_seconds(percentile(latencies, 0.99)),
            f"{one.connections:,}",
            f"{one.memory / 2**20:,.1f} MiB" if one.memory else "-",
            str(one.restarts),
        )


def _request(one: WorkerReading) -> str:
    return str(one.doing) if one.doing else f"({one.last})" if one.last else ""


def _colour(one: WorkerReading) -> str:
    busy = one.doing.seconds if one.doing else 0.0
    if busy >= _HUNG_SECONDS:
        return RED
    return YELLOW if busy >= _SLOW_SECONDS or one.phase != "ready" else ""


@contextmanager
def _screen() -> Iterator[Callable[[float], str]]:
    """Have the terminal's other screen; gives what waits for a key so many seconds."""
    stdin = sys.stdin.fileno()
    before = termios.tcgetattr(stdin)

    def key(seconds: float) -> str:
        ready, _, _ = select.select([stdin], [], [], seconds)
        return os.read(stdin, 1).decode("latin-1") if ready else ""

    tty.setcbreak(stdin)
    sys.stdout.write(_ENTER)
    try:
        yield key
    except KeyboardInterrupt:
        pass
    finally:
        sys.stdout.write(_LEAVE)
        sys.stdout.flush()
        termios.tcsetattr(stdin, termios.TCSADRAIN, before)
