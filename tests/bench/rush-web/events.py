"""What 1,000 open streams of events cost the ordinary requests of their worker.

    python tests/bench/rush-web/events.py [streams]

CPU time of the worker, user and kernel, for ``GET /``: with no stream open and with all of them,
in turns, so that a noisy machine disturbs both alike.  Then what one event to all of them costs.
"""

import contextlib
import re
import statistics
import subprocess
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2] / "support"))

from crowd import Crowd, many_descriptors
from rawclient import RawClient, request

ROUNDS = 7
REQUESTS = 20_000
EVENTS = 20
GET = request("/")

PROGRAM = """
import os
from rush_web import WebServer

server = WebServer(port=0, workers=1)
opened = set()


@server.get("/")
def plain(request):
    request.response("Hello, World!")


@server.get("/pid")
def pid(request):
    request.response(str(os.getpid()))


@server.get("/events")
def events(request):
    stream = request.events()
    opened.add(stream)
    stream.on_gone(lambda: opened.discard(stream))


@server.get("/open")
def count(request):
    request.response(str(len(opened)))


@server.get("/tell")
def tell(request):
    request.response(str(sum(stream.send({"news": 1}) for stream in list(opened))))


server.run()
"""


class Worker:
    """The worker: its process, and a client of it."""

    def __init__(self, client: RawClient) -> None:
        self._client = client
        self._pid = int(client.get("/pid").body)

    def cpu_seconds(self) -> float:
        """Return what it has used."""
        return int(Path(f"/proc/{self._pid}/schedstat").read_text().split()[0]) / 1e9

    def cost(self) -> float:
        """Return the CPU seconds of one ordinary request."""
        size = len(self._client.get("/").head) + 4 + len("Hello, World!")
        began = self.cpu_seconds()
        for _ in range(REQUESTS):
            self._client.send(GET)
            self._client.exactly(size)
        return (self.cpu_seconds() - began) / REQUESTS

    def wait_for(self, count: int) -> None:
        """Wait until so many streams are open."""
        while int(self._client.get("/open").body) != count:
            pass

    def tell(self) -> float:
        """Return the CPU seconds of an event to all."""
        began = self.cpu_seconds()
        self._client.get("/tell")
        self._client.get("/")
        return self.cpu_seconds() - began


def measure(address: tuple[str, int], count: int) -> None:
    without, with_streams, events = [], [], []
    with RawClient(address) as client:
        worker = Worker(client)
        for _ in range(ROUNDS):
            without.append(worker.cost())
            with Crowd(address, count) as crowd:
                crowd.ask(request("/events"))
                worker.wait_for(count)
                with_streams.append(worker.cost())
                events += [worker.tell() for _ in range(EVENTS)]
            worker.wait_for(0)
    ratios = [one / other for one, other in zip(without, with_streams, strict=True)]
    print(f"{min(without) * 1e6:.2f} us of CPU for a request, no stream open")
    print(f"{min(with_streams) * 1e6:.2f} us with {count} streams open")
    print(f"{statistics.median(ratios):.1%} of the speed (median of {ROUNDS} rounds)")
    print(f"{min(events) * 1e3:.1f} ms of CPU for an event to all of them")


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    with (
        contextlib.ExitStack() as stack,
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, text=True
        ) as server,
    ):
        stack.enter_context(many_descriptors())
        try:
            assert server.stdout is not None
            found = re.search(r":([0-9]+)/", server.stdout.readline())
            assert found is not None
            measure(("127.0.0.1", int(found[1])), count)
        finally:
            server.terminate()


if __name__ == "__main__":
    main()
