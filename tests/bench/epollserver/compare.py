"""The echo server beside others: messages per second of CPU time, on one core each.

    python tests/bench/epollserver/compare.py
    python tests/bench/epollserver/compare.py --seconds 1 --only epollserver c-loop
    python tests/bench/epollserver/compare.py --uvloop-python VENV/bin/python --json table.json

The same client in C for all, on the second CPU; interleaved rounds (A B C A B C ...), the median
of each figure.  Every server is checked before: an echo that is wrong ends the run.

Messages per CPU-second is the figure to compare: user and system time of the server, which the
load on the machine and a client at its limit hardly change.  Messages per second and latencies
mean something on an idle machine only.
"""

import argparse
import contextlib
import json
import pathlib
import subprocess
import sys
import tempfile

import harness

BASELINE = "c-loop"


def contenders(folder, uvloop_python):
    """Name and command of each; `uvloop_python` is ``None`` if there is no uvloop."""
    python = sys.executable
    streams, protocol = harness.HERE / "asyncio_streams.py", harness.HERE / "asyncio_protocol.py"
    commands = {
        BASELINE: [folder / "echo", "0"],
        "epollserver": [python, harness.PACKAGE / "examples/echo.py", "0"],
        "asyncio-protocol": [python, protocol, "0"],
        "asyncio-streams": [python, streams, "0"],
    }
    if uvloop_python:
        commands["uvloop-protocol"] = [uvloop_python, protocol, "0", "--uvloop"]
        commands["uvloop-streams"] = [uvloop_python, streams, "0", "--uvloop"]
    return commands


def versions(python):
    """What Python and uvloop an interpreter has; ``None`` if it has no uvloop."""
    program = "import platform, uvloop; print(platform.python_version(), uvloop.__version__)"
    with contextlib.suppress(OSError):
        done = subprocess.run([python, "-c", program], capture_output=True, text=True)
        if done.returncode == 0:
            return done.stdout.split()
    return None


def measure(commands, folder, options):
    """Name to its results, one for each round."""
    results = {name: [] for name in commands}
    with contextlib.ExitStack() as stack:
        servers = {name: stack.enter_context(harness.server(commands[name])) for name in commands}
        for process in servers.values():
            harness.check(process)
        for number in range(options.rounds):
            for name, process in servers.items():
                result = harness.load(
                    folder,
                    process,
                    connections=options.connections,
                    size=options.size,
                    seconds=options.seconds,
                )
                result["memory"] = harness.memory(process.pid)
                results[name].append(result)
            print(f"round {number + 1} of {options.rounds}", file=sys.stderr, flush=True)
    return results


def table(results):
    """Markdown, the best first."""
    lines = [
        "| server | messages/CPU-s | ratio | ± | messages/s | p50 ms | p99 ms | memory MB |",
        "|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    cost = {name: harness.median(rounds, "per_cpu_second") for name, rounds in results.items()}
    for name in sorted(results, key=cost.__getitem__, reverse=True):
        rounds = results[name]
        # Ratios within a round: what disturbs the machine for a while disturbs both.
        ratio = "-"
        if BASELINE in results:
            pairs = zip(rounds, results[BASELINE], strict=True)
            ratios = [{"ratio": a["per_cpu_second"] / b["per_cpu_second"]} for a, b in pairs]
            ratio = f"{harness.median(ratios, 'ratio'):.2f}"
        lines.append(
            f"| {name} | {cost[name]:,.0f} | {ratio} "
            f"| {harness.spread(rounds, 'per_cpu_second') / 2:.0%} "
            f"| {harness.median(rounds, 'per_second'):,.0f} "
            f"| {harness.median(rounds, 'p50_us') / 1000:.2f} "
            f"| {harness.median(rounds, 'p99_us') / 1000:.2f} "
            f"| {harness.median(rounds, 'memory') / 1e6:.1f} |"
        )
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=1.0, help="of each round of each server")
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--size", type=int, default=1024, help="bytes of a message")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="these servers only")
    parser.add_argument("--json", type=pathlib.Path, help="write every round to this file as well")
    parser.add_argument(
        "--uvloop-python", default=sys.executable, help="an interpreter that has uvloop"
    )
    options = parser.parse_args()

    found = versions(options.uvloop_python)
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        commands = contenders(folder, options.uvloop_python if found else None)
        unknown = set(options.only or ()) - set(commands)
        if unknown:
            parser.error(f"{', '.join(sorted(unknown))}: not one of {', '.join(commands)}")
        commands = {n: c for n, c in commands.items() if not options.only or n in options.only}
        harness.build(folder)
        results = measure(commands, folder, options)
    print(
        f"{options.connections} connections, messages of {options.size} bytes, {options.rounds} "
        f"rounds of {options.seconds:g} s, Python {sys.version.split()[0]}"
    )
    if found:
        print(f"uvloop {found[1]} on Python {found[0]}")
    else:
        print("without uvloop: --uvloop-python names an interpreter that has it")
    if len(harness.CPUS) < 2:
        print("server and client share one CPU: latencies and messages/s mean little")
    print(f"\n{table(results)}")
    if options.json:
        options.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
