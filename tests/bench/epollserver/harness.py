"""What `compare.py` and `idle.py` share: servers as processes on one CPU, the client on another."""

import contextlib
import json
import os
import pathlib
import socket
import statistics
import subprocess
import sys

HERE = pathlib.Path(__file__).parent
PACKAGE = HERE.parents[2] / "packages/epollserver"
PATIENCE = 20.0  # seconds
TICKS = os.sysconf("SC_CLK_TCK")  # per second, in /proc/PID/stat

# Two of the CPUs that this process may use: the server's and the client's.
CPUS = sorted(os.sched_getaffinity(0))[:2]


def build(folder):
    """Compile the two C programs into `folder`."""
    for name in ("echo", "client"):
        compiler = os.environ.get("CC", "cc")
        subprocess.run([compiler, "-O2", "-o", folder / name, HERE / f"{name}.c"], check=True)


@contextlib.contextmanager
def server(argv):
    """A running server; `address` is what its first line ends with."""
    environment = dict(os.environ)
    if not _has_epollserver():
        environment["PYTHONPATH"] = str(PACKAGE / "src")
    process = subprocess.Popen(
        [os.fspath(argument) for argument in argv],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: os.sched_setaffinity(0, CPUS[:1]),
    )
    with process:
        try:
            host, _, port = process.stdout.readline().strip().rpartition(" ")[2].partition(":")
            process.address = host, int(port)
            yield process
        finally:
            process.kill()


def _has_epollserver():
    with contextlib.suppress(ImportError):
        import epollserver

        return bool(epollserver)
    return False


def load(folder, process, *, connections, size, seconds):
    """Let the client work; what it counted, and the CPU time that cost the server."""
    before = cpu_seconds(process.pid)
    numbers = map(str, (process.address[1], connections, size, seconds))
    done = subprocess.run(
        [folder / "client", *numbers],
        stdout=subprocess.PIPE,
        check=True,
        timeout=seconds + PATIENCE,
        preexec_fn=lambda: os.sched_setaffinity(0, CPUS[-1:]),
    )
    result = json.loads(done.stdout)
    # One tick at least: at 10 ms each, a short run may not have used up one.
    result["cpu_seconds"] = max(cpu_seconds(process.pid) - before, 1 / TICKS)
    result["per_second"] = result["messages"] / result["seconds"]
    result["per_cpu_second"] = result["messages"] / result["cpu_seconds"]
    return result


def cpu_seconds(pid):
    """User and system time of a process."""
    # After the name, which is in brackets and may contain anything: fields 14 and 15 of proc(5).
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def memory(pid):
    """Bytes that a process has in memory."""
    pages = pathlib.Path(f"/proc/{pid}/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def check(process):
    """Raise `SystemExit` unless the server echoes, whatever the size, and closes at the end."""
    with socket.create_connection(process.address, timeout=PATIENCE) as sock:
        for size in (1, 1024, 40_000):
            sent = os.urandom(size)
            sock.sendall(sent)
            received = b""
            while len(received) < size and (piece := sock.recv(65536)):
                received += piece
            if received != sent:
                sys.exit(f"{process.args}: {size} bytes came back as {len(received)}, or others")
        sock.shutdown(socket.SHUT_WR)
        if sock.recv(1):
            sys.exit(f"{process.args}: more came back than was sent")


def median(rounds, key):
    return statistics.median(result[key] for result in rounds)


def spread(rounds, key):
    """How far the rounds are apart, as a share of their median."""
    values = [result[key] for result in rounds]
    return (max(values) - min(values)) / statistics.median(values)
