"""Compare Rush with other servers: requests per second of CPU time, latencies, memory.

    python tests/bench/whole/compare.py                     all that is here: about five minutes
    python tests/bench/whole/compare.py --quick             a minute: five scenarios, short rounds
    python tests/bench/whole/compare.py --install           make the peers' environments before
    python tests/bench/whole/compare.py -s hostile rush nginx --rounds 7

It needs Linux, two CPUs and a C compiler; peers that are not installed are left out, with a line
that says so.  One CPU has the server that is being measured, another one the client
(`client.c`); all other servers are frozen meanwhile.  Rounds are interleaved, A B C A B C ..., so
that a slow moment of the machine hits all alike; the median of the rounds counts.  Every answer is
checked before it is measured, and its status each time.

Where the results go: ``latest.md`` and ``latest.json`` in ``tests/bench/results``, and the chart in
``docs/speed.svg``; with --quick, a choice of scenarios, or --output, into another folder.
"""

import argparse
import contextlib
import os
import pathlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator

import chart
import report
from contenders import CONTENDERS, HERE, LAUNCH, NAMES, Contender, install, machine
from measure import Client, Round, check
from processes import CLIENT_CPU, SERVER_CPU, Failed, Server, free_port
from scenarios import BY_NAME, SCENARIOS, Scenario, write_files

ROOT = HERE.parents[2]
RESULTS = ROOT / "tests/bench/results"
CHART = ROOT / "docs/speed.svg"
QUICK = ["plaintext", "query", "static", "hostile", "pipelined"]
WARM_SECONDS = 0.15
Results = dict[str, dict[str, list[Round]]]


class Comparison:
    """Servers that run, and what was found out about them: scenario to name to rounds."""

    def __init__(self, folder: pathlib.Path, options: argparse.Namespace) -> None:
        self.results: Results = {}
        self.failed: dict[str, dict[str, str]] = {}
        self._options = options
        self._folder = folder
        self._client = Client(folder)
        self._servers: dict[str, Server] = {}
        write_files(folder / "files")
        floor = HERE / "peers/floor.c"
        subprocess.run(["cc", "-O2", "-o", folder / "floor", floor], check=True)

    def end(self) -> None:
        for server in self._servers.values():
            server.end()
        self._servers.clear()

    def run(self, scenario: Scenario, contenders: list[Contender]) -> None:
        """Measure one scenario."""
        results = self.results[scenario.name] = {}
        failed = self.failed[scenario.name] = {}
        more: dict[str, tuple[str, ...]] = {}
        seconds = self._options.seconds
        with contextlib.ExitStack() as stack:
            for number in range(1 if scenario.idle else self._options.rounds):
                for contender in contenders:
                    name = contender.name
                    if scenario.name in contender.skips or name in failed:
                        continue
                    try:
                        with self._awake(contender, scenario, stack) as server:
                            if number == 0:
                                strict = contender.launcher != "floor"
                                more[name] = self._checked(scenario, server, strict)
                                if not scenario.idle:
                                    self._measure(server, scenario, WARM_SECONDS, name, more[name])
                            found = self._measure(server, scenario, seconds, name, more[name])
                        results.setdefault(name, []).append(found)
                    except Failed as error:
                        failed[name] = str(error)
                        results.pop(name, None)
                        say(f"{scenario.name}: {name} fails: {error} {error.words}")

    def _checked(self, scenario: Scenario, server: Server, strict: bool) -> tuple[str, ...]:
        deadline = time.monotonic() + 5
        while True:
            try:
                return check(scenario, server.port, strict=strict)
            except Failed:  # some listen before they can answer
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)

    def _measure(
        self, server: Server, scenario: Scenario, seconds: float, name: str, more: tuple[str, ...]
    ) -> Round:
        rate = 0.0
        if scenario.half:
            known = self.results["plaintext"].get(name)
            if not known:
                raise Failed("what it can do was not measured")
            rate = report.median(one.per_second for one in known) / 2
        return self._client.measure(server, scenario, seconds, more=more, rate=rate)

    @contextlib.contextmanager
    def _awake(
        self, contender: Contender, scenario: Scenario, stack: contextlib.ExitStack
    ) -> Iterator[Server]:
        """The contender, started if it does not run; frozen afterwards."""
        # After ten thousand connections, a server is not what it was before.
        special = scenario.workers > 1 or scenario.idle
        special = special or (scenario.closing and contender.launcher == "floor")
        key = contender.name + (f" for {scenario.name}" if special else "")
        server = self._servers.get(key)
        if server is not None and not server.alive():
            self._servers.pop(key).end()
            server = None
        if server is None:
            server = self._servers[key] = self._start(contender, scenario)
            if special:
                stack.callback(lambda: self._servers.pop(key).end())
        server.thaw()
        try:
            yield server
        finally:
            server.freeze()

    def _start(self, contender: Contender, scenario: Scenario) -> Server:
        port, workers = free_port(), scenario.workers
        argv = [contender.python, str(LAUNCH), contender.launcher, str(port), str(workers)]
        if contender.launcher == "floor":
            argv = [str(self._folder / "floor"), str(port), str(workers)]
            argv += ["close"] if scenario.closing else []
        environ = dict(os.environ, BENCH_FOLDER=str(self._folder / "files"))
        environ["PYTHONDONTWRITEBYTECODE"] = "1"
        return Server(argv, port, workers, environ)


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def chosen(options: argparse.Namespace) -> list[Contender]:
    """The contenders that can run."""
    contenders = [one for one in CONTENDERS if not options.names or one.name in options.names]
    if options.install:
        install(contenders)
    found = []
    for contender in contenders:
        if reason := contender.missing():
            say(f"{contender.name} is left out: {reason}")
        else:
            found.append(contender)
    return found


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", help=f"contenders: {', '.join(NAMES)}")
    parser.add_argument(
        *("-s", "--scenario"), action="append", choices=list(BY_NAME), help="may be repeated"
    )
    parser.add_argument("--quick", action="store_true", help="a minute, and rougher")
    parser.add_argument("--install", action="store_true", help="make environments that are missing")
    parser.add_argument("--rounds", type=int, help="of each (3; quick: 2)")
    parser.add_argument("--seconds", type=float, help="of a round (0.3)")
    parser.add_argument("--output", type=pathlib.Path, help="the folder for what is written")
    options = parser.parse_args()
    if unknown := set(options.names) - set(NAMES):
        parser.error(f"no contender {', '.join(unknown)}; there are {', '.join(NAMES)}")
    options.rounds = options.rounds or (2 if options.quick else 3)
    options.seconds = options.seconds or 0.3
    return options


def main() -> int:
    options = parsed()
    if SERVER_CPU == CLIENT_CPU:
        say("note: there is one CPU only, which server and client share")
    names = options.scenario or (QUICK if options.quick else list(BY_NAME))
    if "half" in names and "plaintext" not in names:
        names = ["plaintext", *names]
    scenarios = [scenario for scenario in SCENARIOS if scenario.name in names]
    contenders = chosen(options)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="rush-bench-") as name:
        folder = pathlib.Path(name)
        folder.chmod(0o755)  # nginx reads as somebody else
        comparison = Comparison(folder, options)
        try:
            for scenario in scenarios:
                say(f"{scenario.name} ...")
                comparison.run(scenario, contenders)
                print(report.table(scenario, comparison.results[scenario.name]), flush=True)
        finally:
            comparison.end()
    whole = not (options.quick or options.scenario or options.names)
    facts = {
        "date": time.strftime("%Y-%m-%d"),
        "machine": machine(),
        "versions": {contender.name: contender.version() for contender in contenders},
        "rounds": options.rounds,
        "round_seconds": options.seconds,
        "took_seconds": round(time.monotonic() - began),
    }
    where = options.output or (RESULTS if whole else ROOT / ".nox/bench")
    where.mkdir(parents=True, exist_ok=True)
    svg = CHART if whole and not options.output else where / "speed.svg"
    svg.parent.mkdir(parents=True, exist_ok=True)
    data = report.as_json(facts, comparison.results, comparison.failed)
    (where / "latest.json").write_text(data)
    (where / "latest.md").write_text(report.markdown(data))
    svg.write_text(chart.svg(data))
    say(f"{facts['took_seconds']} s; written: {where}/latest.md, latest.json, {svg}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
