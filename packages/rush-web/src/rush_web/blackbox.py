"""The black box: what a worker is doing, readable when it has died or hangs.

A worker notes each request in its `Slot` before anything is done for it; who reads is another
process.  What a request costs (``tests/bench/rush-web/blackbox.py``):

- **before**: three comparisons and one double.  Method, path and query are written to the `ring`
  when they are not those of the request before: repeating them would say nothing new.
- **after**: one clock, one counter, one double.  The counters go to the slot once a second, with
  the sweep that looks for late connections anyway.

The request's beginning is the end of the one before in the same turn of the loop, or the moment
when that turn began: so one clock is enough, and time that a request has waited for another one's
handler is not its own.

Beside that there are the name of the present request's handler, whether it is picked already, and
the requests that were left to be answered later (see `pending`).
"""

import os
import struct
from collections.abc import Callable, Mapping
from time import monotonic
from typing import TYPE_CHECKING, Final, NamedTuple

from rush_http import OnMessageComplete

from .pending import Pending, pending_words
from .ring import printable, requests_of, writer
from .slots import (
    BUSY_SINCE,
    CONNECTIONS,
    FAILURES,
    LATENCIES,
    LATENCY_COUNT,
    NANOSECONDS,
    PHASE,
    PID,
    PLACE,
    STARTED,
    TICKED,
    Slot,
)

if TYPE_CHECKING:
    from epollserver import Connection, Loop
    from rush_http import Exchange, Head, Headers, Protocol

    from .routing import Handler

_Called = Callable[..., object]

_NAME = struct.Struct("<128p")
_NAME_AT: Final = 1024
_PICKED: Final = _NAME_AT + _NAME.size

QUICK: Final = 14
"""The index of `LATENCIES` that has all requests which take no longer."""
QUICK_SECONDS: Final = 2**QUICK * 1e-9


class Doing(NamedTuple):
    """What a worker is busy with."""

    seconds: float
    handler: str
    """The name of the handler, or nothing if none is picked."""
    request: str
    """``GET /report?y=2026``, cut, without control characters."""

    def __str__(self) -> str:
        return f"{self.handler}, {self.request}" if self.handler else self.request


class BlackBox:
    """A worker's own end of its slot."""

    def __init__(self, slot: Slot, place: int) -> None:
        self.slot = slot
        self._names: dict[object, bytes] = {None: b""}
        self._handler: _Called | None = None  # whose name is written there
        self._picked: _Called | None = None  # the same, if it has the present request
        self._pending = Pending(slot)
        self._latencies = [0] * LATENCY_COUNT
        self._written = [0] * LATENCY_COUNT
        self._counted: Callable[[], tuple[int, float]] = lambda: (0, 0.0)
        self._forget: Callable[[], object] = lambda: None
        self._write = writer(slot)
        slot.times[STARTED] = monotonic()
        slot.numbers[PLACE] = place
        slot.numbers[PID] = os.getpid()

    def watching(
        self,
        answer: OnMessageComplete,
        plain: "Mapping[str, Mapping[str, Handler]]",
        loop: "Loop",
        otherwise: "Callable[[str], Handler | None]" = lambda path: None,
    ) -> OnMessageComplete:
        """The same callback, which notes each request first.

        `plain`: the handlers that path and method decide; ``otherwise(path)``: who has a path that
        is not there, if that is known.  Others are told by `picked`.
        """
        # Names that are local to the closure: attributes would cost as much again.
        since, clock, latencies = self.slot.times, monotonic, self._latencies
        write, note, quick_seconds = self._write, self._note, QUICK_SECONDS
        turn = ended = spent = 0.0  # seconds: `ended` is when the request before this one did
        quick = 0
        last_method = last_path = last_query = ""
        handler: Handler | None = None  # of that method and path

        def watch(
            body: bytes,
            conn: "Connection",
            protocol: "Protocol",
            method: str,
            path: str,
            query: str,
            headers: "Headers",
        ) -> None:
            nonlocal turn, ended, spent, quick, last_method, last_path, last_query, handler
            if turn is not loop.now:
                spent += ended - turn  # as each begins where the one before ended
                turn = ended = loop.now
            if query != last_query or path != last_path or method != last_method:
                if path != last_path or method != last_method:
                    last_method, last_path = method, path
                    handlers = plain.get(path)
                    handler = otherwise(path) if handlers is None else handlers.get(method)
                last_query = query
                if handler is None or handler is not self._picked:
                    note(method, path, query, handler)
                else:
                    write(method, path, query)
            since[BUSY_SINCE] = began = ended
            answer(body, conn, protocol, method, path, query, headers)
            ended = clock()
            if ended - began < quick_seconds:
                quick += 1
            else:
                latencies[int((ended - began) * 1e9).bit_length()] += 1
            since[BUSY_SINCE] = 0.0

        def forget() -> None:
            nonlocal last_path
            last_path = ""

        self._counted = lambda: (quick, spent + ended - turn)
        self._forget = forget
        return watch

    def going_on(
        self,
        asked: tuple[str, str, str],
        handler: _Called,
        function: Callable[..., object],
        *arguments: object,
    ) -> None:
        """Call a function for a request that was left, as its body comes, and note that.

        `asked` is its method, path and query.  The request is not counted again.
        """
        times = self.slot.times
        self._forget()  # what was noted last
        self._note(*asked, handler)
        times[BUSY_SINCE] = monotonic()
        try:
            function(*arguments)
        except Exception:  # what is none ends the worker, and this is what it was doing
            times[BUSY_SINCE] = 0.0
            raise
        times[BUSY_SINCE] = 0.0

    def picked(self, handler: _Called) -> None:
        """The present request is this handler's, by path and method or otherwise."""
        memory = self.slot.memory
        if handler is not self._handler:
            self._handler = handler
            _NAME.pack_into(memory, _NAME_AT, self._name(handler))
        self._picked = handler
        memory[_PICKED] = 1

    def later(self, exchange: "Exchange", head: "Head | None") -> None:
        """The present request is left for later, or that is over: ``HttpServer.on_later``."""
        if head is None:
            self._pending.end(exchange)
            return
        request = f"{head.method} {head.path}{'?' if head.query else ''}{head.query}"
        name = self._name(self._picked).decode()
        self._pending.begin(exchange, f"{name}, {request}" if name else request)

    def failed(self) -> None:
        """The present request's handler has raised."""
        self.slot.counts[FAILURES] += 1

    def tick(self, connections: int) -> None:
        """Write down what was counted since the last time."""
        slot, counts, written = self.slot, self.slot.counts, self._written
        self._latencies[QUICK], seconds = self._counted()
        for index, count in enumerate(self._latencies):
            if count != written[index]:
                counts[LATENCIES + index] = written[index] = count
        counts[NANOSECONDS] = int(seconds * 1e9)
        slot.numbers[CONNECTIONS] = connections
        slot.times[TICKED] = monotonic()

    def phase(self, phase: int) -> None:
        """Say that this worker is `READY`, or `DRAINING`."""
        self.slot.numbers[PHASE] = phase

    def _note(self, method: str, path: str, query: str, handler: "_Called | None") -> None:
        """Note a request, and its handler if that is known; in this order."""
        if handler is not self._picked:
            self._picked = None
        if self._picked is None:
            self.slot.memory[_PICKED] = 0
        self._write(method, path, query)
        if handler is not None and handler is not self._picked:
            self.picked(handler)

    def _name(self, handler: "_Called | None") -> bytes:
        name = self._names.get(handler)
        if name is None:
            if len(self._names) >= _MOST_NAMES:  # of closures, made for each request
                self._names = {None: b""}
            name = self._names[handler] = handler_name(handler).encode("utf-8", "replace")
        return name


_MOST_NAMES: Final = 1024
# A reading that meets the worker at work is made again, so often at most.
_READINGS: Final = 100


def handler_name(handler: object) -> str:
    """``module.function``; of what answers by itself (redirects, files) what it is."""
    name: str = getattr(handler, "__qualname__", None) or type(handler).__qualname__
    module = getattr(handler, "__module__", None) or ""
    if module.startswith("rush_web."):
        return name.rpartition(".")[2].strip("_").replace("_", " ")
    return f"{module}.{name}" if module else name


# Of those who read


def doing(slot: Slot) -> Doing | None:
    """What the worker is busy with, and since when; ``None``: it is idle."""
    for _ in range(_READINGS):
        since = slot.busy_since
        if not since:
            return None
        requests = requests_of(slot)
        (name,) = _NAME.unpack_from(slot.memory, _NAME_AT)
        handler = printable(name) if slot.memory[_PICKED] else ""
        if since == slot.busy_since:
            break  # else another one has begun: what was read may be of both
    return Doing(max(0.0, monotonic() - since), handler, requests[0] if requests else "?")


def last_words(slot: Slot) -> str:
    """What the worker is doing, or was doing when it died: ``after 3.0 s in app.report, GET /``.

    Nothing of one that had not begun.
    """
    if not slot.numbers[PID]:
        return ""
    now = doing(slot)
    before = requests_of(slot)
    waiting = pending_words(slot)
    if now is None:
        what = f"after {monotonic() - slot.times[STARTED]:.1f} s, idle"
    else:
        before = before[1:]
        what = f"after {now.seconds:.1f} s in {now}"
    if waiting:
        what += f"; to be answered later: {waiting}"
    return f"{what}; before that: {', '.join(before)}" if before else what
