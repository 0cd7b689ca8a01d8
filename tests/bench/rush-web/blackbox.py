"""Nanoseconds that the black box, metrics and the access log add to a request.

    python tests/bench/rush-web/blackbox.py [without|box|metrics|common|combined|json]

As bench_request.py does it: a connection whose `write` is replaced stands where the
kernel would be; a request of "Hello, World!" costs some 5 us more there.  Each has processes of its
own, because a function that meets two classes is slower with both; they take turns, and the best of
many rounds counts.  Given one of them, its nanoseconds alone.  The lines of 32 requests are written
together, as in a busy turn of the loop, and that write is counted.  On a machine that does other
things too, count instructions: tests/bench/instructions.py.
"""

import contextlib
import itertools
import json
import pathlib
import socket
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
from bench_request import BROWSER, PARAM, PLAIN, QUERY, ROUTES, Wire

from rush_http import CountedServer, Exchange, HttpServer, ObservedServer
from rush_loader import Loader
from rush_web import HandlersManager
from rush_web.access_log import AccessLog
from rush_web.blackbox import BlackBox
from rush_web.slots import Slots

TURNS, ROUNDS = 5, 30
CASES = ("without", "box", "metrics", "common", "combined", "json")
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
        receive, wire, run_soon = Exchange.receive, self.wire, self.server.epoll.loop.run_soon
        began = time.process_time()
        for start in range(0, len(requests), TURN):
            for data in requests[start : start + TURN]:
                receive(wire, data)
            run_soon()
        return (time.process_time() - began) / len(requests) * 1e9


def scenarios() -> dict[str, list[bytes]]:
    numbers = itertools.count()
    count = TURN * 10
    return {
        "plaintext, the same again": [PLAIN] * count,
        "query, all different": [QUERY % next(numbers) for _ in range(count)],
        "path parameter, all different": [PARAM % next(numbers) for _ in range(count)],
        "browser, all different": [BROWSER % ((next(numbers),) * 3) for _ in range(count)],
    }


def measure(name: str) -> dict[str, float]:
    """Nanoseconds for a request of each scenario."""
    with contextlib.ExitStack() as stack:
        loader = stack.enter_context(Loader("."))
        log = stack.enter_context(tempfile.NamedTemporaryFile())
        address = "127.0.0.1", 0
        if name in ("without", "box"):
            server = stack.enter_context(HttpServer(address))
        elif name == "metrics":
            server = stack.enter_context(CountedServer(address))
        else:
            server = stack.enter_context(ObservedServer(address, on_answers=print))
            server.on_answers = AccessLog(log.name, name).start(server.epoll.loop, print)
        case = Case(server, loader, boxed=name != "without")
        best = {
            scenario: min(case.round(requests) for _ in range(ROUNDS))
            for scenario, requests in scenarios().items()
        }
        socket.socket.close(case.wire)
    return best


def main() -> None:
    if sys.argv[1:]:
        print(json.dumps(measure(sys.argv[1])))
        return
    found: dict[str, list[dict[str, float]]] = {name: [] for name in CASES}
    for _ in range(TURNS):
        for name in CASES:
            said = subprocess.check_output([sys.executable, __file__, name])
            found[name].append(json.loads(said))
    print(f"{'':30}", *(f"{name:>9}" for name in CASES))
    for scenario in scenarios():
        best = [min(one[scenario] for one in found[name]) for name in CASES]
        shown = (f"{ns - best[0]:+6.0f} ns" for ns in best[1:])
        print(f"{scenario:30}", f"{best[0]:6.0f} ns", *shown)


if __name__ == "__main__":
    main()
