"""Write the page on what a request costs: nanoseconds by layer, instructions by function.

    nox -s profile                                          into packages/rush-web/docs/budget.md
    python tests/bench/profile/budget.py --output page.md   with Python 3.12 or later

Needs two CPUs, a C compiler, and valgrind (Debian: valgrind).  A minute and a half.  Nanoseconds
come from interleaved rounds, as in the comparison with other servers (tests/bench/whole), of
servers that have one layer more each.  On a busy machine they say little; instructions are exact
all the same.
"""

import argparse
import contextlib
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).parent
WHOLE = HERE.parent / "whole"
sys.path.insert(0, str(WHOLE))

import functions  # noqa: E402
from contenders import machine  # noqa: E402
from measure import Client  # noqa: E402
from processes import Server, free_port  # noqa: E402
from scenarios import BY_NAME, Scenario  # noqa: E402

PAGE = HERE.parents[2] / "packages/rush-web/docs/budget.md"
SCENARIOS = [BY_NAME[name] for name in ("plaintext", "hostile", "pipelined")]
# Each has what the one before it has; the last two are asked for, and stand beside each other.
LAYERS = {
    "floor": "the kernel, and a loop in C that knows nothing of HTTP",
    "loop": "`epollserver`: `epoll_wait`, `recv` and `send`, from Python",
    "http": "`rush-http`: parsing, order, rendering",
    "web": "`rush-web`: routing, `Request`, the handler, its answer",
    "box": "the black box, latencies: what every worker has",
}
EXTRAS = {"metrics": "`metrics`: answers by their status", "access": "`access_log`, to a file"}
SHOWN = 18

INTRODUCTION = """\
# The budget of a request

Written by `nox -s profile`; what is not in a table is at its start, in
`tests/bench/profile/budget.py`.  {date}: {cpu}, Linux {kernel}, Python {python}.

A request of a connection that is kept takes two system calls and a share of a third: that is the
floor, and most of what a request costs. All else is ours.

## Nanoseconds, by layer

CPU time of the server for one request, 64 connections: the median of {rounds} interleaved rounds of
{seconds} s. The servers have one layer more each; a row is what that layer adds.
"""
FUNCTIONS = """\
## Instructions, by function

Counted by callgrind, of a worker with all layers down to the black box; the kernel's part is not in
them. *own* is what a function takes itself, with what it calls in C (`recv`, `send`, dictionaries);
*all* is with the Python functions that it calls. `-X perf`, which tells them apart, makes each call
of a Python function some 100 instructions dearer than it is.
"""


class Timing:
    """Servers of all layers, and the CPU seconds of a request in each round."""

    def __init__(self, folder: pathlib.Path, stack: contextlib.ExitStack) -> None:
        self._client = Client(folder)
        floor = folder / "floor"
        subprocess.run(["cc", "-O2", "-o", floor, WHOLE / "peers/floor.c"], check=True)
        self._servers = {}
        for name in (*LAYERS, *EXTRAS):
            port = free_port()
            argv = [sys.executable, str(HERE / "layers.py"), name, str(port)]
            if name == "floor":
                argv = [str(floor), str(port), "1"]
            server = self._servers[name] = Server(argv, port, 1, dict(os.environ))
            stack.callback(server.end)
            server.freeze()

    def measure(self, scenario: Scenario, rounds: int, seconds: float) -> dict[str, float]:
        """Nanoseconds for a request, by layer."""
        found: dict[str, list[float]] = {name: [] for name in self._servers}
        for number in range(rounds + 1):
            for name, server in self._servers.items():
                server.thaw()
                try:
                    one = self._client.measure(server, scenario, seconds if number else 0.1)
                finally:
                    server.freeze()
                if number:  # the first one warms
                    found[name].append(1e9 * one.cpu / one.requests)
        return {name: statistics.median(costs) for name, costs in found.items()}


def layers_table(costs: dict[str, dict[str, float]]) -> str:
    """What each layer adds, for each scenario."""
    names = list(costs)
    lines = [f"| layer | {' | '.join(names)} |", f"|---|{'--:|' * len(names)}"]
    before = dict.fromkeys(names, 0.0)
    for layer, what in LAYERS.items():
        cells = [f"{costs[name][layer] - before[name]:,.0f}" for name in names]
        lines.append(f"| {what} | {' | '.join(cells)} |")
        before = {name: costs[name][layer] for name in names}
    cells = [f"**{costs[name]['box']:,.0f}**" for name in names]
    lines.append(f"| **together** | {' | '.join(cells)} |")
    shares = [f"{costs[name]['floor'] / costs[name]['box']:.2f}" for name in names]
    lines.append(f"| of the floor's requests per CPU-second | {' | '.join(shares)} |")
    for extra, what in EXTRAS.items():
        cells = [f"{costs[name][extra] - costs[name]['box']:+,.0f}" for name in names]
        lines.append(f"| {what} | {' | '.join(cells)} |")
    return "\n".join(lines)


def functions_table(found: list[functions.Function]) -> str:
    """The functions that take most."""
    whole = sum(one.own for one in found)
    lines = ["| function | file | calls | own | all | share |", "|---|---|--:|--:|--:|--:|"]
    for one in found[:SHOWN]:
        file = "/".join(pathlib.PurePath(one.file).parts[-2:])
        calls = f"{one.calls:.2f}" if one.calls else ""
        lines.append(
            f"| `{one.name}` | {file} | {calls} | {one.own:,.0f} | {one.total:,.0f} "
            f"| {one.own / whole:.0%} |"
        )
    rest = sum(one.own for one in found[SHOWN:])
    lines.append(f"| {len(found[SHOWN:])} others | | | {rest:,.0f} | | {rest / whole:.0%} |")
    lines.append(f"| **together** | | | **{whole:,.0f}** | | |")
    return "\n".join(lines)


def page(folder: pathlib.Path, rounds: int, seconds: float) -> str:
    """The whole page."""
    facts = {**machine(), "date": time.strftime("%Y-%m-%d"), "rounds": rounds, "seconds": seconds}
    with contextlib.ExitStack() as stack:
        timing = Timing(folder, stack)
        costs = {one.name: timing.measure(one, rounds, seconds) for one in SCENARIOS}
    parts = [INTRODUCTION.format(**facts), layers_table(costs), ""]
    parts += [f"- {one.name}: {one.what}" for one in SCENARIOS]
    parts += ["", FUNCTIONS]
    for scenario in SCENARIOS:
        print(f"functions of {scenario.name} ...", file=sys.stderr, flush=True)
        found = functions.measure("box", scenario.request(80), folder, free_port())
        parts += [f"### {scenario.name}\n", functions_table(found), ""]
    return "\n".join(parts).rstrip() + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=0.4, help="of a round")
    parser.add_argument("--output", type=pathlib.Path, default=PAGE)
    options = parser.parse_args()
    if sys.version_info < (3, 12):
        parser.error("it needs Python 3.12 or later, for -X perf")
    with tempfile.TemporaryDirectory(prefix="rush-budget-") as name:
        text = page(pathlib.Path(name), options.rounds, options.seconds)
    options.output.write_text(text)
    print(text)


if __name__ == "__main__":
    main()
