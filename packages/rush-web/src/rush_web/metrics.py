"""Metrics and health: what all workers together have counted, and whether they serve.

Whichever worker is asked reads the slots of all.  The counters go on when a worker is replaced;
what one has counted in the last second before it was killed is missing.
"""

import contextlib
import json
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Final

from rush_http import Answered, HeaderLines, Headers, HttpServer, OnAnswers

from .readings import PHASES, Reading, read
from .slots import (
    FAILURES,
    LATENCIES,
    LATENCY_COUNT,
    LOST_LINES,
    NANOSECONDS,
    READY,
    STATUSES,
    Slot,
    Slots,
)

if TYPE_CHECKING:
    from epollserver import Connection

    from .request import Request

TEXT_FORMAT: Final = "text/plain; version=0.0.4; charset=utf-8"
"""The ``Content-Type`` of Prometheus' text format."""

METRICS, HEALTH = "/metrics", "/health"
"""The paths on a port of its own, if none are given."""

# The buckets that are told: 16 us to 69 s by powers of two; what is below or above is nobody's.
_LEAST_BUCKET, _LAST_BUCKET = 14, 36

# What is left, in seconds, to those who ask when the pages end.
_GRACE: Final = 5.0
_IDLE_GRACE: Final = 0.5
_RETIRED_IDLE_GRACE: Final = 2.0
_UNCACHED: Final = (("Cache-Control", "no-store"),)
_MOST_CONNECTIONS: Final = 100


def exposition(slots: Slots) -> str:
    """What is counted, in Prometheus' text format 0.0.4."""
    lines: list[str] = []
    for name, kind, text, samples in _families(slots, read(slots)):
        lines += (f"# HELP {name} {text}", f"# TYPE {name} {kind}")
        lines += (f"{name}{labels} {value}" for labels, value in samples)
    return "\n".join(lines) + "\n"


_Samples = Iterable[tuple[str, float]]


def _families(slots: Slots, reading: Reading) -> Iterator[tuple[str, str, str, _Samples]]:
    totals = slots.totals()
    latencies = totals[LATENCIES : LATENCIES + LATENCY_COUNT]
    workers = [(f'{{worker="{one.place}",pid="{one.pid}"}}', one) for one in reading.workers]
    yield "rush_requests_total", "counter", "Requests answered.", [("", sum(latencies))]
    yield (
        *("rush_request_seconds", "histogram", "Time from a request to its answer, or deferral."),
        _histogram(latencies, totals[NANOSECONDS] * 1e-9),
    )
    yield (
        *("rush_responses_total", "counter", "Answers sent, by the class of their status."),
        [
            (f'{{code="{number + 1}xx"}}', count)
            for number, count in enumerate(totals[STATUSES : STATUSES + 5])
        ],
    )
    yield (
        *("rush_failures_total", "counter", "Requests that ended in an error of the server."),
        [("", totals[FAILURES])],
    )
    yield (
        *("rush_access_log_lost_lines_total", "counter", "Lines that could not be written."),
        [("", totals[LOST_LINES])],
    )
    yield "rush_workers", "gauge", "Worker processes.", [("", len(workers))]
    yield "rush_workers_wanted", "gauge", "How many there should be.", [("", slots.wanted)]
    yield (
        *("rush_worker_restarts_total", "counter", "Workers that took the place of another."),
        [("", slots.restarts())],
    )
    yield "rush_start_time_seconds", "gauge", "When the server began.", [("", slots.began)]
    yield (
        *("rush_connections", "gauge", "Connections, a second ago at most."),
        [(labels, one.connections) for labels, one in workers],
    )
    yield (
        *("rush_worker_memory_bytes", "gauge", "Memory, of what is shared its part."),
        [(labels, one.memory) for labels, one in workers],
    )
    yield (
        *("rush_worker_busy_seconds", "gauge", "How long it has been busy with one request."),
        [(labels, round(one.doing.seconds, 6) if one.doing else 0) for labels, one in workers],
    )


def _histogram(latencies: list[int], seconds: float) -> _Samples:
    """The samples of a histogram; their names end in what kind they are."""
    below = sum(latencies[:_LEAST_BUCKET])
    for index in range(_LEAST_BUCKET, _LAST_BUCKET + 1):
        below += latencies[index]
        yield f'_bucket{{le="{2**index / 1e9}"}}', below
    count = sum(latencies)
    yield '_bucket{le="+Inf"}', count
    yield "_sum", round(seconds, 9)
    yield "_count", count


def health(slots: Slots) -> tuple[str, int]:
    """``ready`` and 200; ``starting`` or ``draining`` and 503: send nobody here then.

    Of the server: a worker that drains as others have taken its place answers ``ready``.
    """
    return PHASES[slots.phase], 200 if slots.phase == READY else 503


def under(health: str) -> tuple[str, str]:
    """The paths below that of health: whether the process lives, and whether it is ready."""
    front = health.rstrip("/")
    return f"{front}/live", f"{front}/ready"


def counting_statuses(slot: Slot) -> OnAnswers:
    """What counts the answers, in a worker."""
    counts = slot.counts

    def count(answers: list[Answered]) -> None:
        classes = [answer[2][0] for answer in answers]
        for first in set(classes):
            counts[_BEFORE_STATUSES + first] += classes.count(first)

    return count


_BEFORE_STATUSES: Final = STATUSES - ord("1")


class Pages:
    """The two pages of a worker: as handlers, or on a port of their own."""

    def __init__(self, slots: Slots, tick: Callable[[], object]) -> None:
        """`tick` writes down what this worker has counted."""
        self._slots = slots
        self._tick = tick

    def metrics(self, request: "Request") -> None:
        """The handler for metrics."""
        self._tick()  # what it has counted itself is not a second old
        request.response(exposition(self._slots), content_type=TEXT_FORMAT)

    def health(self, request: "Request") -> None:
        """The handler for health: JSON for who asks for it, else text."""
        self._answer_health(request, *health(self._slots))

    def live(self, request: "Request") -> None:
        """The handler for whether this process answers at all, which it does."""
        self._answer_health(request, "live", 200)

    def _answer_health(self, request: "Request", word: str, status: int) -> None:
        body, content_type = self._health(request.headers, word)
        request.response(body, status, _UNCACHED, content_type=content_type)

    def _health(self, headers: Headers, word: str) -> tuple[str, str]:
        if "application/json" in (headers.get("accept") or ""):
            workers = len(list(self._slots.in_use()))
            told = {"status": word, "workers": workers, "workers_wanted": self._slots.wanted}
            return json.dumps(told) + "\n", "application/json"
        return word + "\n", "text/plain; charset=utf-8"

    @contextlib.contextmanager
    def served(
        self, sock: socket.socket, metrics: str, path: str
    ) -> Iterator[Callable[[], object]]:
        """Serve them at this socket, in a thread: also while a handler holds the worker.

        What is given ends that, as the end of the block does, when who has asked is answered.
        """
        with sock, contextlib.closing(_Port(sock, partial(self._page, metrics, path))) as port:
            thread = threading.Thread(target=port.run, name="rush-status", daemon=True)
            thread.start()
            try:
                yield port.end
            finally:
                port.end(_IDLE_GRACE)
                thread.join()

    def _page(self, metrics: str, path: str, asked: str, headers: Headers) -> "_Page | None":
        """What is at the path `asked` of a port of its own."""
        live, ready = under(path)
        if asked == metrics:
            return exposition(self._slots), 200, (), TEXT_FORMAT
        if asked not in (path, live, ready):
            return None
        word, status = ("live", 200) if asked == live else health(self._slots)
        body, content_type = self._health(headers, word)
        return body, status, _UNCACHED, content_type


_Page = tuple[str, int, HeaderLines, str]  # body, status, headers, content type


class _Port(HttpServer):
    """Answers with the pages that it is given by ``page(path, headers)``."""

    def __init__(self, sock: socket.socket, page: Callable[[str, Headers], _Page | None]) -> None:
        super().__init__(sock, _MOST_CONNECTIONS, self._answer, exclusive=True)
        self._page = page
        self._ended = False

    def end(self, idle_grace: float = _RETIRED_IDLE_GRACE) -> None:
        """Stop when who has asked is answered; the second time, that changes nothing."""
        if not self._ended:  # a second stop() would be at once
            self._ended = True
            self.stop(_GRACE, idle_grace=idle_grace)

    def _answer(
        self,
        body: bytes,
        conn: "Connection",
        protocol: tuple[int, int],
        method: str,
        path: str,
        query: str,
        headers: Headers,
    ) -> None:
        if method not in ("GET", "HEAD"):
            self.respond(conn, b"405 Method Not Allowed\n", 405, [("Allow", "GET, HEAD")])
        elif (page := self._page(path, headers)) is None:
            self.respond(conn, b"404 Not Found\n", 404)
        else:
            text, status, lines, content_type = page
            self.respond(conn, text.encode(), status, lines, content_type)
