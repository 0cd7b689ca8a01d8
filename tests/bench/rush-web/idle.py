"""What 10,000 idle connections cost the busy ones of the same worker.

    python tests/bench/rush-web/idle.py [--idle 10000] [--busy 64] [--rounds 7] [--seconds 3]

Requests per second of the worker's CPU time, user and kernel, with no idle connection and with all
of them, in turns, the first of a round alternating; each round is a ratio, so that a noisy machine
disturbs both alike.  The idle connections have asked once.  Needs as many descriptors (ulimit -Hn)
and wrk(1).
"""

import argparse
import contextlib
import re
import statistics
import subprocess
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2] / "support"))

from crowd import Crowd, many_descriptors
from rawclient import RawClient, request

PROGRAM = """
import os
from rush_web import WebServer
server = WebServer(port=0, workers=1, max_conns=20_000, limits=LIMITS)
@server.get("/")
def hello(request):
    request.response("Hello, World!")
@server.get("/connections")
def connections(request):
    request.response(str(len(request.conn.data.server.epoll.connections)))
@server.get("/pid")
def pid(request):
    request.response(str(os.getpid()))
server.run()
""".replace("LIMITS", "__import__('rush_http').Limits(idle_seconds=3600)")
SPARE = 200  # descriptors beside the connections


def cpu_seconds(pid: int) -> float:
    """What a process has used."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


def measure(address: tuple[str, int], pid: int, options: argparse.Namespace) -> float:
    """Requests for a second of the worker's CPU time."""
    began = cpu_seconds(pid)
    load = ["wrk", "-t1", f"-c{options.busy}", f"-d{options.seconds}s"]
    said = subprocess.check_output([*load, "http://{}:{}/".format(*address)], text=True)
    found = re.search(r"(\d+) requests in", said)
    assert found is not None, said
    return int(found[1]) / (cpu_seconds(pid) - began)


def idle_ones(
    stack: contextlib.ExitStack, address: tuple[str, int], options: argparse.Namespace
) -> None:
    """Open the idle connections, until the stack ends."""
    crowd = stack.enter_context(Crowd(address, options.idle))
    wire = request("/")
    with RawClient(address) as client:
        size = len(client.get("/").head) + 4 + len("Hello, World!")
    crowd.ask(wire)
    assert len(crowd.answers(size)) == options.idle


def wait_for_none(address: tuple[str, int]) -> None:
    """Wait until the server has closed what was closed here: that is not to be counted."""
    with RawClient(address) as client:
        while int(client.get("/connections").body) > 2:  # this one, and the caller's
            pass


def rounds(address: tuple[str, int], pid: int, options: argparse.Namespace) -> None:
    """Measure, and say what came of it."""
    ratios = []
    for number in range(options.rounds):
        found = {}
        for with_idle in (number % 2 == 0, number % 2 == 1):
            with contextlib.ExitStack() as stack:
                if with_idle:
                    idle_ones(stack, address, options)
                found[with_idle] = measure(address, pid, options)
            wait_for_none(address)
        ratios.append(found[True] / found[False])
        said = f"{found[False]:,.0f} requests per CPU second alone, {found[True]:,.0f} beside"
        print(f"{said} {options.idle:,} idle ones: {ratios[-1]:.1%}", flush=True)
    print(f"{statistics.median(ratios):.1%} of the throughput (median of {options.rounds})")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    for name, usual in (("idle", 10_000), ("busy", 64), ("rounds", 7), ("seconds", 3)):
        parser.add_argument(f"--{name}", type=int, default=usual)
    options = parser.parse_args()
    command = [sys.executable, "-c", PROGRAM]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            found = re.search(r":([0-9]+)/", server.stdout.readline())
            assert found is not None
            address = "127.0.0.1", int(found[1])
            with RawClient(address) as client, many_descriptors(options.idle + SPARE):
                rounds(address, int(client.get("/pid").body), options)
        finally:
            server.terminate()


if __name__ == "__main__":
    main()
