"""What idle connections cost: memory for each of them, and throughput of the busy ones.

    python tests/bench/epollserver/idle.py
    python tests/bench/epollserver/idle.py --idle 5000 --rounds 10 --json idle.json

Two servers, one of which holds the idle connections as well; the same busy ones at each of them
in turn (A B A B ...), the first of a round alternating.  Messages per second of CPU time are
compared within each round.
"""

import argparse
import contextlib
import json
import pathlib
import resource
import signal
import socket
import statistics
import sys
import tempfile

import harness

SPARE = 200  # descriptors beside the connections


def connect(address, count):
    """Connections that have been used once, from several addresses: one has 28,000 ports."""
    with contextlib.ExitStack() as stack:
        socks = []
        for number in range(count):
            source = f"127.0.0.{2 + number % 8}", 0
            sock = socket.create_connection(address, harness.PATIENCE, source)
            socks.append(stack.enter_context(sock))
            sock.sendall(b"x")
        for sock in socks:
            if sock.recv(1) != b"x":
                sys.exit("a connection was closed instead of answered")
        return stack.pop_all()


def report(process):
    process.send_signal(signal.SIGUSR1)
    return json.loads(process.stdout.readline())


def memory_per_connection(argv, count):
    """Bytes that Python allocates, and by which the process grows, for each connection."""
    with harness.server([*argv, "--trace"]) as process:
        before = report(process)
        with connect(process.address, count):
            after = report(process)
        if after["connections"] != count:
            sys.exit(f"{after['connections']} connections, not {count}")
    with harness.server(argv) as process:
        grown = -harness.memory(process.pid)
        with connect(process.address, count):
            grown += harness.memory(process.pid)
    return {"python": (after["bytes"] - before["bytes"]) / count, "resident": grown / count}


def busy(argv, folder, options):
    """Pairs of results, one for each round: without idle connections, and with them."""
    rounds = []
    with (
        harness.server(argv) as alone,
        harness.server(argv) as beside,
        connect(beside.address, options.idle),
    ):
        for number in range(options.rounds):
            pair = {}
            order = [("alone", alone), ("beside", beside)]
            for name, process in order if number % 2 else reversed(order):
                pair[name] = harness.load(
                    folder,
                    process,
                    connections=options.busy,
                    size=options.size,
                    seconds=options.seconds,
                )
            rounds.append(pair)
            print(f"round {number + 1} of {options.rounds}", file=sys.stderr, flush=True)
        if report(beside)["connections"] < options.idle:
            sys.exit("idle connections were lost")
    return rounds


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--idle", type=int, default=10_000)
    parser.add_argument("--busy", type=int, default=64)
    parser.add_argument("--size", type=int, default=1024, help="bytes of a message")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--seconds", type=float, default=1.0, help="of each measurement")
    parser.add_argument("--json", type=pathlib.Path, help="write every round to this file as well")
    options = parser.parse_args()

    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if options.idle + options.busy + SPARE > hard:
        parser.error(f"the limit of descriptors is {hard} (ulimit -Hn): use a smaller --idle")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))

    argv = [sys.executable, harness.HERE / "idle_server.py", "0"]
    memory = memory_per_connection(argv, options.idle)
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        harness.build(folder)
        rounds = busy(argv, folder, options)

    ratios = [pair["beside"]["per_cpu_second"] / pair["alone"]["per_cpu_second"] for pair in rounds]
    print(f"{options.busy} busy connections, messages of {options.size} bytes\n")
    print("| idle connections | messages/CPU-s | messages/s | p50 ms | p99 ms |")
    print("|--:|--:|--:|--:|--:|")
    for name, count in (("alone", 0), ("beside", options.idle)):
        results = [pair[name] for pair in rounds]
        print(
            f"| {count:,} | {harness.median(results, 'per_cpu_second'):,.0f} "
            f"| {harness.median(results, 'per_second'):,.0f} "
            f"| {harness.median(results, 'p50_us') / 1000:.2f} "
            f"| {harness.median(results, 'p99_us') / 1000:.2f} |"
        )
    print(
        f"\nratio within a round: median {statistics.median(ratios):.3f}, "
        f"from {min(ratios):.3f} to {max(ratios):.3f}"
    )
    print(
        f"memory for each idle connection: {memory['python']:.0f} bytes of Python's, "
        f"{memory['resident']:.0f} bytes resident in all"
    )
    if options.json:
        options.json.write_text(json.dumps({"memory": memory, "rounds": rounds}, indent=1))


if __name__ == "__main__":
    main()
