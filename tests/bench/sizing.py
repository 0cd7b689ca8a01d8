"""Write the numbers of the page on sizing: measured here, then calculated for more machines.

    nox -s bench -- sizing                    into packages/rush-web/docs/sizing.md, half a minute
    python tests/bench/sizing.py --print      only show them

Needs two CPUs and a C compiler, and HAProxy for its part of the table.
"""

import argparse
import contextlib
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(HERE / "whole"))

from contenders import LAUNCH, machine  # noqa: E402
from measure import Client, Round  # noqa: E402
from processes import Server, free_port  # noqa: E402
from scenarios import BY_NAME, write_files  # noqa: E402

PAGE = ROOT / "packages/rush-web/docs/sizing.md"
# The parts of the page that this writes.
SAID = "<!-- said by rush bench -->\n", "<!-- end of what it said -->\n"
MARKS = "<!-- measured by nox -s bench, sizing -->\n", "<!-- end of what was measured -->\n"
APP = """
import time
from rush_web import WebServer
server = WebServer()
server.get("/")(lambda request: request.response("hello"))
server.get("/report")(lambda request: request.response(str(sum(range(20_000)))))

@server.get("/users/<number>")
def user(request):
    time.sleep(0.005)
    request.response(request.params["number"])
"""
PATHS = ["/", "/report", "/users/7"]
PLAIN, IDLE, WORKERS = BY_NAME["plaintext"], BY_NAME["idle"], BY_NAME["workers"]
HAPROXY = shutil.which("haproxy", path=os.environ.get("PATH", "") + ":/usr/sbin")
PROXY = """
global
    nbthread 1
defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
    http-reuse always
frontend front
    bind 127.0.0.1:{port}
    option forwardfor
    default_backend rush
backend rush
    server rush 127.0.0.1:{server}
"""
# What is calculated for: CPUs of a machine, seconds of CPU that a handler takes, and what a machine
# may be loaded with, so that it bears the loss of others and the peaks.
CPUS, HANDLER_SECONDS, LOAD = 16, 0.001, 0.6
MACHINES = (1, 2, 10, 100, 1000)
MAX_CONNS = 10_000


class Measured:
    """What this machine says; rates in requests per second of CPU time."""

    def __init__(self, folder: pathlib.Path, rounds: int, seconds: float) -> None:
        self._folder, self._rounds, self._seconds = folder, rounds, seconds
        self._client = Client(folder)
        write_files(folder / "files")
        with contextlib.ExitStack() as stack:
            one = self._rush(stack, 1)
            two = self._rush(stack, 2)
            found = self._rates({"one": (one, PLAIN), "two": (two, WORKERS)})
            self.one, self.two = (median(found[name], "per_cpu_second") for name in ("one", "two"))
            self.one_bytes = found["one"][-1].memory_bytes
            self.worker_bytes = found["two"][-1].memory_bytes - self.one_bytes
            idle = self._client.measure(one, IDLE, seconds)
            self.conn_bytes = (idle.memory_bytes - self.one_bytes) / idle.idle
            self.idle = idle.per_cpu_second
            self.proxy = self._proxy_rate(stack, one) if HAPROXY else 0.0

    def _rush(self, stack: contextlib.ExitStack, workers: int) -> Server:
        port = free_port()
        argv = [sys.executable, str(LAUNCH), "rush", str(port), str(workers)]
        return self._started(stack, argv, port, workers)

    def _started(
        self, stack: contextlib.ExitStack, argv: list[str], port: int, workers: int
    ) -> Server:
        environ = dict(os.environ, BENCH_FOLDER=str(self._folder / "files"))
        server = Server(argv, port, workers, environ)
        stack.callback(server.end)
        return server

    def _rates(self, servers: dict) -> dict[str, list[Round]]:
        found: dict[str, list[Round]] = {name: [] for name in servers}
        for number in range(self._rounds + 1):
            for name, (server, scenario) in servers.items():
                one = self._client.measure(server, scenario, self._seconds if number else 0.2)
                if number:
                    found[name].append(one)
        return found

    def _proxy_rate(self, stack: contextlib.ExitStack, server: Server) -> float:
        port = free_port()
        conf = self._folder / "haproxy.cfg"
        conf.write_text(PROXY.format(port=port, server=server.port))
        proxy = self._started(stack, [str(HAPROXY), "-db", "-f", str(conf)], port, 1)
        found = self._rates({"proxy": (proxy, PLAIN)})["proxy"]
        return median(found, "per_cpu_second")


def median(rounds: list[Round], name: str) -> float:
    return statistics.median(getattr(one, name) for one in rounds)


def measured_table(found: Measured) -> str:
    rows = [
        ("a worker, *Hello, World!*", f"{found.one:,.0f} requests per CPU-second"),
        ("two workers", f"{found.two:,.0f}: {found.two / found.one:.2f} of that each"),
        ("beside 10,000 idle connections", f"{found.idle:,.0f}: {found.idle / found.one:.2f}"),
        ("a server with one worker", f"{found.one_bytes / 2**20:.0f} MiB"),
        (
            "each further worker",
            f"{found.worker_bytes / 2**20:.1f} MiB more",
        ),
        ("each connection that is kept", f"{found.conn_bytes / 1024:.1f} KiB"),
    ]
    if found.proxy:
        rows.append(("HAProxy, one thread", f"{found.proxy:,.0f} requests per CPU-second"))
    return "\n".join(["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows)])


def calculated_table(found: Measured) -> str:
    """For a handler that takes its time, and for a hello; both at the load that is planned for."""
    head = ["machines", "workers", "requests/s, hello", "requests/s, handler of 1 ms"]
    head += ["clients connected", "memory of a machine for them", "HAProxy threads"]
    lines = [line(head), line(["--:"] * len(head))]
    share = min(1.0, found.two / found.one)  # noise can be more than the loss
    for machines in MACHINES:
        workers = machines * CPUS
        hello = workers * found.one * share * LOAD
        handled = workers * LOAD / (HANDLER_SECONDS + 1 / found.one)
        per_machine = CPUS * MAX_CONNS
        memory = found.one_bytes + (CPUS - 1) * found.worker_bytes + per_machine * found.conn_bytes
        threads = handled / (found.proxy * LOAD) if found.proxy else 0
        cells = [f"{machines:,}", f"{workers:,}", rounded(hello), rounded(handled)]
        cells += [f"{workers * MAX_CONNS:,}", f"{memory / 2**30:.1f} GiB"]
        lines.append(line([*cells, f"{max(1, threads):,.0f}" if threads else ""]))
    return "\n".join(lines)


def rounded(value: float) -> str:
    """Two digits are all that such a calculation has."""
    digits = len(str(int(value))) - 2
    return f"{round(value, -digits):,.0f}"


def line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def text(found: Measured) -> str:
    facts = machine()
    share = min(1.0, found.two / found.one)  # noise can be more than the loss
    return f"""\
{time.strftime("%Y-%m-%d")}, {facts["cpu"]}, {facts["cpus"]} CPUs, Linux {facts["kernel"]}, \
Python {facts["python"]}; measured by `nox -s bench -- sizing`:

{measured_table(found)}

From this, for machines of {CPUS} CPUs with as many workers, loaded to {LOAD:.0%}: what is left is
for peaks, and for the load of those that fail. Each worker is taken to answer what each of two does
({share:.2f} of one alone), and to hold {MAX_CONNS:,} connections (`max_conns`).

{calculated_table(found)}
"""


def bench(folder: pathlib.Path) -> str:
    """What `rush bench` says of a program, as a block of the page."""
    (folder / "app.py").write_text(APP)
    command = ["bench", "app:server", *PATHS]
    done = subprocess.run(
        [sys.executable, "-m", "rush_web", *command], cwd=folder, stdout=subprocess.PIPE, text=True
    )
    return f"```text\n$ rush {' '.join(command)}\n{done.stdout}```\n"


def replaced(page: str, marks: tuple[str, str], text: str) -> str:
    """The page with another text between two marks."""
    begin, end = map(re.escape, marks)
    return re.sub(f"(?<={begin}).*(?={end})", lambda _: text, page, flags=re.S)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=0.5, help="of a round")
    parser.add_argument("--print", action="store_true", help="do not change the page")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="rush-sizing-") as name:
        written = text(Measured(pathlib.Path(name), options.rounds, options.seconds))
        said = bench(pathlib.Path(name))
    print(f"{said}\n{written}")
    if not options.print:
        page = replaced(PAGE.read_text(), MARKS, f"\n{written}\n")
        PAGE.write_text(replaced(page, SAID, said))


if __name__ == "__main__":
    main()
