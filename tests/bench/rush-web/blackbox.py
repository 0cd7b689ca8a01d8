"""Nanoseconds that the black box, metrics and the access log add to a request.

    python tests/bench/rush-web/blackbox.py

As bench_request.py does it: a connection that sends nowhere stands where the kernel would be; a
request of "Hello, World!" costs some 4 us more there.  All take turns, and the best of many rounds
counts.  The lines of 32 requests are written together, as in a busy turn of the loop, and that
write is counted.
"""

import contextlib
import itertools
import pathlib
import socket
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
from bench_request import BROWSER, PARAM, PLAIN, QUERY, ROUTES, Wire

from rush_http import HttpServer, ObservedServer
from rush_loader import Loader
from rush_web import HandlersManager
from rush_web.access_log import AccessLog
from rush_web.blackbox import BlackBox
from rush_web.metrics import counting_statuses
from rush_web.slots import Slots

ROUNDS = 150
TURN = 32


class Case:
    """A server, and a connection of it."""

    def __init__(self, server: HttpServer, loader: Loader, *, boxed: bool) -> None:
        self.server = server
        box = BlackBox(Slots(1).take(0), 0) if boxed else None
        manager = HandlersManager(ROUTES, {}, {}, loader, server)
        server.on_message_complete = manager.__call__
        if box is not None:
            server.on_message_complete = manager.watched_by(box, server.epoll.loop)
        here, there = socket.socketpair()
        there.close()
        self.wire = Wire(server.epoll, here.detach(), (here.family, here.type, here.proto))
        server._connected(self.wire)

    def round(self, requests: list[bytes]) -> float:
        receive, wire, run_soon = self.server._receive, self.wire, self.server.epoll.loop.run_soon
        began = time.process_time()
        for start in range(0, len(requests), TURN):
            for data in requests[start : start + TURN]:
                receive(wire, data)
            run_soon()
        return (time.process_time() - began) / len(requests) * 1e9


def main() -> None:
    numbers = itertools.count()
    count = TURN * 10
    scenarios = {
        "plaintext, the same again": [PLAIN] * count,
        "query, all different": [QUERY % next(numbers) for _ in range(count)],
        "path parameter, all different": [PARAM % next(numbers) for _ in range(count)],
        "browser, all different": [BROWSER % ((next(numbers),) * 3) for _ in range(count)],
    }
    with contextlib.ExitStack() as stack:
        loader = stack.enter_context(Loader("."))
        log = stack.enter_context(tempfile.NamedTemporaryFile())

        def plain() -> HttpServer:
            return stack.enter_context(HttpServer(("127.0.0.1", 0)))

        def observed() -> ObservedServer:
            return stack.enter_context(ObservedServer(("127.0.0.1", 0), on_answers=print))

        counted = observed()
        counted.on_answers = counting_statuses(Slots(1).take(0))
        cases = {
            "without": Case(plain(), loader, boxed=False),
            "box": Case(plain(), loader, boxed=True),
            "metrics": Case(counted, loader, boxed=True),
        }
        for template in ("common", "combined", "json"):
            logged = observed()
            access_log = AccessLog(log.name, template)
            logged.on_answers = access_log.start(logged.epoll.loop, print)
            cases[template] = Case(logged, loader, boxed=True)
        print(f"{'':30}", *(f"{name:>9}" for name in cases))
        for name, requests in scenarios.items():
            best = dict.fromkeys(cases, float("inf"))
            for _ in range(ROUNDS):
                for key, case in cases.items():
                    best[key] = min(best[key], case.round(requests))
            base = best["without"]
            shown = (
                f"{ns:6.0f} ns" if ns == base else f"{ns - base:+6.0f} ns" for ns in best.values()
            )
            print(f"{name:30}", *shown, flush=True)
        for case in cases.values():
            socket.socket.close(case.wire)


if __name__ == "__main__":
    main()
