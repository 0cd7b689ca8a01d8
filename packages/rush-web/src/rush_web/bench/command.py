"""``rush bench``: hello, a file and the routes of an application, one table."""

import argparse
import contextlib
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from urllib.parse import quote

from ..programs import Mistake, load_server
from ..server import WebServer
from ..units import shown_seconds
from .client import Load, NoAnswer, ask_once, load
from .subject import Subject, queued_seconds, subject

_ROUNDS = 3
_WARM_SECONDS = 0.1
_BUSY = 0.85
_FILE_BYTES = 4096
_MOST_PATHS = 6
_SAFE = "%/?&=+:@!$'()*,;~"  # in a path or query; all else is encoded
_HELLO, _FILE = "hello, nothing else", "a file of 4 KiB"


class Row:
    """What is asked, and what came of it."""

    def __init__(self, name: str, server: Subject, path: str, *, own: bool = False) -> None:
        self.name = name
        self.own = own
        self.load = Load()
        self.cpu = 0.0
        self.queued = 0.0
        self.failed = ""
        self._server = server
        host = "{}:{}".format(*server.address)
        path = quote(path, safe=_SAFE)
        self._wire = f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()

    def check(self) -> None:
        """Ask once; what cannot be measured says why in `failed`."""
        try:
            answer = ask_once(self._server.address, self._wire)
        except NoAnswer as error:
            self.failed = str(error)
        else:
            if answer.status >= 400:
                self.failed = f"it answers {answer.status} {answer.reason}"

    def measure(self, connections: int, seconds: float, *, counted: bool = True) -> None:
        """One round."""
        server, own = self._server, os.getpid()
        before = server.cpu_seconds(), server.queued_seconds() + queued_seconds(own)
        try:
            found = load(server.address, self._wire, connections, seconds)
        except NoAnswer as error:
            self.failed = str(error)
            return
        if counted:
            self.cpu += server.cpu_seconds() - before[0]
            self.queued += server.queued_seconds() + queued_seconds(own) - before[1]
            self.load.add(found)

    @property
    def cpu_each(self) -> float:
        """CPU time of the server for one request, in seconds."""
        return self.cpu / max(1, self.load.requests)

    @property
    def per_second(self) -> float:
        """Requests that were answered in a second."""
        return self.load.requests / self.load.seconds if self.load.seconds else 0.0

    def limit(self) -> str:
        """What had no more to give."""
        seconds = self.load.seconds or 1.0
        server, client = self.cpu / seconds, self.load.client_cpu / seconds
        if server > _BUSY:
            return "the server"
        if client > _BUSY:
            return "this client"
        if server + client > _BUSY and len(os.sched_getaffinity(0)) == 1:
            return "the CPU, shared"
        # In turns: while one of the two is waited for, the other one has nothing to do.
        busy = max(server, client) + self.queued / seconds > _BUSY
        return "other work" if busy or not self.own else "waiting"


def bench(options: argparse.Namespace) -> int:
    """Measure, and print the table; the exit status: 1 if a path could not be measured.

    Raises `Mistake` for options that make no sense.
    """
    if options.connections < 1 or not options.seconds > 0:
        raise Mistake("--connections is 1 or more, and --seconds more than 0")
    for path in options.path:
        if not path.startswith("/"):
            raise Mistake(f"{path!r:.80} is no path of a request: it begins with /")
    cpus = sorted(os.sched_getaffinity(0))
    with contextlib.ExitStack() as stack:
        rows = _rows(stack, options, cpus)
        if len(cpus) > 1:
            os.sched_setaffinity(0, set(cpus[1:]))
            stack.callback(os.sched_setaffinity, 0, set(cpus))
        _measure(rows, options.connections, options.seconds)
    if options.json:
        print(json.dumps([_as_json(row, rows[0]) for row in rows], indent=2))
    else:
        print("\n".join(_lines(rows, options, len(cpus))))
    return 1 if any(row.failed for row in rows) else 0


def _rows(stack: contextlib.ExitStack, options: argparse.Namespace, cpus: list[int]) -> list[Row]:
    cpu = cpus[0] if len(cpus) > 1 else None
    folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="rush-bench-"))
    own = None
    if options.server is not None:
        own = stack.enter_context(subject(partial(load_server, options.server), cpu))
    usual = stack.enter_context(subject(partial(_usual, folder), cpu))
    rows = [Row(_HELLO, usual, "/"), Row(_FILE, usual, "/static/page.html")]
    if own is not None:
        paths = options.path or own.paths[:_MOST_PATHS]
        rows += [Row(f"GET {path}", own, path, own=True) for path in paths]
        _say_what_is_left_out(own, bool(options.path))
    return rows


def _usual(folder: str) -> WebServer:
    Path(folder, "page.html").write_bytes(b"x" * _FILE_BYTES)
    server = WebServer(root=folder, files="/static/")
    server.get("/")(lambda request: request.response("Hello, World!"))
    return server


def _say_what_is_left_out(own: Subject, chosen: bool) -> None:
    if own.left_out:
        _note(f"without {', '.join(own.left_out)}: only the work of a worker is measured")
    if chosen:
        return
    if len(own.paths) > _MOST_PATHS:
        _note(f"the first {_MOST_PATHS} of {len(own.paths)} routes; others by their path")
    if own.other_routes:
        _note(f"name a path for routes with parameters: {', '.join(own.other_routes[:3])}")


def _note(text: str) -> None:
    print(f"rush: {text}", file=sys.stderr)


def _measure(rows: list[Row], connections: int, seconds: float) -> None:
    """Rounds through all rows, so that a slow moment of the machine hits all alike."""
    for row in rows:
        row.check()
    able = [row for row in rows if not row.failed]
    for number in range(_ROUNDS):
        for row in able:
            if number == 0:
                row.measure(connections, _WARM_SECONDS, counted=False)
            if not row.failed:
                row.measure(connections, seconds / _ROUNDS / len(able))


# What is shown


def _lines(rows: list[Row], options: argparse.Namespace, cpus: int) -> Iterator[str]:
    where = "client and server share the only CPU" if cpus == 1 else "the client has another one"
    yield (
        f"One worker on one CPU of {cpus}, {where}; {options.connections} connections, "
        f"{options.seconds:g} s in all."
    )
    yield ""
    titles = ("", "requests/s", "CPU each", "yours", "p50", "p99", "limited by")
    yield from _table([titles, *(_cells(row, rows[0]) for row in rows)])
    yield ""
    yield from _explained(rows, cpus)


def _table(rows: list[tuple[str, ...]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    last = len(widths) - 1
    for row in rows:
        cells = (
            cell.ljust(width) if place in (0, last) else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        yield "  ".join(cells).rstrip()


def _cells(row: Row, hello: Row) -> tuple[str, ...]:
    if row.failed:
        return (row.name, "-", "-", "-", "-", "-", row.failed)
    own = max(0.0, row.cpu_each - hello.cpu_each)
    return (
        row.name,
        f"{row.per_second:,.0f}",
        shown_seconds(row.cpu_each),
        f"{shown_seconds(own)} {own / row.cpu_each:4.0%}" if row.own else "",
        shown_seconds(row.load.percentile(0.5)),
        shown_seconds(row.load.percentile(0.99)),
        row.limit(),
    )


def _explained(rows: list[Row], cpus: int) -> Iterator[str]:
    hello, limits = rows[0], {row.limit() for row in rows if not row.failed}
    if not hello.failed and hello.cpu_each:
        could = 1 / hello.cpu_each
        yield f"A CPU that does nothing else answers about {_rounded(could)} hellos a second."
        if cpus > 1:
            yield f"{cpus} workers on {cpus} CPUs answer about {_rounded(could * cpus * 0.95)}."
    if any(row.own for row in rows):
        yield "yours: what your handler takes beyond hello, and its share of the whole."
    if "this client" in limits:
        yield "limited by this client: it has no more to ask; CPU each is right all the same."
    if "waiting" in limits:
        yield (
            "limited by waiting: the handler neither computes nor answers (a database, a disk, a "
            "lock): @server.blocking."
        )
    if "other work" in limits:
        yield "limited by other work: something else has the CPUs; look again when it has ended."


def _rounded(number: float) -> str:
    """To two digits: what was measured in some seconds is no better than that."""
    return f"{float(f'{number:.2g}'):,.0f}"


def _as_json(row: Row, hello: Row) -> dict[str, object]:
    """One row, with times in seconds."""
    return {
        "name": row.name,
        "error": row.failed or None,
        "requests": row.load.requests,
        "statuses": dict(row.load.statuses),
        "requests_per_second": round(row.per_second, 1),
        "cpu_seconds": row.cpu_each,
        "own_cpu_seconds": max(0.0, row.cpu_each - hello.cpu_each) if row.own else None,
        "p50_seconds": row.load.percentile(0.5),
        "p99_seconds": row.load.percentile(0.99),
        "limited_by": None if row.failed else row.limit(),
    }
