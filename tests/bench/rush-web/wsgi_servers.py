"""The same WSGI application on `rush wsgi` and on other servers: what a request costs each.

    python tests/bench/rush-web/wsgi_servers.py FOLDER --set-up      # once: installs the others
    python tests/bench/rush-web/wsgi_servers.py FOLDER               # three tables
    python tests/bench/rush-web/wsgi_servers.py FOLDER -a flask rush bjoern --rounds 3 --seconds 1

FOLDER is an environment of the Python that runs this; rush is run by it from PYTHONPATH.  It needs
wrk, taskset, and for bjoern and uWSGI a C compiler and libev's headers.  One worker each on CPU 0,
64 connections of wrk from CPU 1; in each round every server is started, asked, and ended.

``bare``: an application of two lines.  ``flask``: a route with a parameter, arguments and JSON.
``threads``: the bare one in four threads.  Of each column the median over the rounds; `+-` is the
spread of the first one.  Requests per second of CPU time count what the server's processes take,
user and system; p99 is what wrk saw, with all 64 always waiting: it follows from the speed, except
where somebody is kept waiting.  Memory is PSS, which counts what processes share once.
gunicorn's sync worker and uWSGI's http-socket close each connection.
"""

import argparse
import contextlib
import http.client
import json
import os
import pathlib
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

PACKAGES = ["bjoern", "fastpysgi", "granian", "gunicorn", "uWSGI", "waitress", "cheroot", "flask"]
PACKAGES.append("inotify_simple")  # rush's own
APPS = """
def bare(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "13")])
    return [b"Hello, World!"]

try:
    from flask import Flask, request
except ImportError:
    flask = None
else:
    flask = Flask("apps")

    @flask.get("/hello/<name>")
    def hello(name):
        return {"hello": name, "page": request.args.get("page", 1, int)}
"""
ASKED = {
    "bare": ("/", b"Hello, World!"),
    "flask": ("/hello/Ann?page=2", {"hello": "Ann", "page": 2}),
}
ASKED["threads"] = ASKED["bare"]
CONNECTIONS = 64

_RUSH = "{python} -m rush_web wsgi apps:{app} --port {port} --workers 1"
_RUSH_HTTP = (
    "import apps; from rush_http import HttpServer; from rush_http.wsgi import WsgiApp;"
    " server = HttpServer(('127.0.0.1', {port})); WsgiApp(apps.{app}, server); server.run()"
)
_GRANIAN = "{bin}/granian --interface wsgi --port {port} --no-ws --http 1 --no-log"
_GUNICORN = "{bin}/gunicorn -b 127.0.0.1:{port} -w 1 --log-level error apps:{app}"
_WAITRESS = "{bin}/waitress-serve --listen=127.0.0.1:{port} --connection-limit=1000"
_UWSGI = "{bin}/uwsgi --http11-socket 127.0.0.1:{port} --module apps:{app} -L -l 100 --need-app"
_BJOERN = "import apps, bjoern; bjoern.run(apps.{app}, '127.0.0.1', {port})"
_FASTPYSGI = (
    "import apps, fastpysgi; server = fastpysgi.server;"
    " server.init(apps.{app}, '127.0.0.1', {port}, loglevel=3, workers=1); server.run()"
)
_CHEROOT = (
    "import apps; from cheroot.wsgi import Server;"
    " server = Server(('127.0.0.1', {port}), apps.{app}, {threads}, max={threads},"
    " request_queue_size=1024); server.keep_alive_conn_limit = 1024; server.start()"
)
ONE = {
    "rush": _RUSH,
    "rush-http": ("{python}", "-c", _RUSH_HTTP),
    "bjoern": ("{python}", "-c", _BJOERN),
    "fastpysgi": ("{python}", "-c", _FASTPYSGI),
    "granian": f"{_GRANIAN} --blocking-threads 1 apps:{{app}}",
    "gunicorn sync": f"{_GUNICORN} -k sync",
    "uWSGI": _UWSGI,
    "waitress": f"{_WAITRESS} --threads=1 apps:{{app}}",
    "cheroot": ("{python}", "-c", _CHEROOT.replace("{threads}", "1")),
    "gunicorn gthread": f"{_GUNICORN} -k gthread --threads 1 --keep-alive 60",
}
FOUR = {
    "rush": f"{_RUSH} --threads 4",
    "granian": f"{_GRANIAN} --blocking-threads 4 apps:{{app}}",
    "gunicorn gthread": f"{_GUNICORN} -k gthread --threads 4 --keep-alive 60",
    "uWSGI": f"{_UWSGI} --enable-threads --threads 4",
    "waitress": f"{_WAITRESS} --threads=4 apps:{{app}}",
    "cheroot": ("{python}", "-c", _CHEROOT.replace("{threads}", "4")),
}
TABLES = {"bare": ONE, "flask": ONE, "threads": FOUR}


class Server:
    """One server of an application, pinned to CPU 0."""

    def __init__(self, command, app, environment, folder):
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        parts = command.split() if isinstance(command, str) else command
        values = {"bin": f"{environment}/bin", "python": f"{environment}/bin/python"}
        values |= {"app": "flask" if app == "flask" else "bare", "port": str(self.port)}
        # Not str.format: of programs there are braces that are not ours.
        words = [re.sub(r"\{(\w+)\}", lambda name: values[name[1]], part) for part in parts]
        self._log = tempfile.TemporaryFile()  # noqa: SIM115
        self._process = subprocess.Popen(
            ["taskset", "-c", "0", *words],
            cwd=folder,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def ready(self, app):
        """Wait for the right answer."""
        target, wanted = ASKED[app]
        end = time.monotonic() + 15
        while True:
            try:
                connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
                connection.request("GET", target)
                body = connection.getresponse().read()
                connection.close()
                break
            except OSError:
                if self._process.poll() is not None or time.monotonic() > end:
                    raise SystemExit(f"it does not serve: {self._said()}") from None
                time.sleep(0.05)
        if (json.loads(body) if isinstance(wanted, dict) else body) != wanted:
            raise SystemExit(f"it answers {body[:100]!r}")

    def _said(self):
        self._log.seek(0)
        return self._log.read()[-2000:].decode(errors="replace")

    def _pids(self):
        found, new = [], [self._process.pid]
        while new:
            pid = new.pop()
            found.append(pid)
            for children in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):
                new += map(int, children.read_text().split())
        return found

    def cpu_seconds(self):
        ticks = 0
        for pid in self._pids():
            fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    def memory_mib(self):
        kib = 0
        for pid in self._pids():
            text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
            kib += int(re.search(r"^Pss: +(\d+)", text, re.M)[1])
        return kib / 1024

    def end(self):
        """End it and all that it has started, and wait for that."""
        for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(self._process.pid, signum)
                self._process.wait(1)
            except (subprocess.TimeoutExpired, ProcessLookupError):
                continue
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._log.close()


def load(port, app, seconds):
    """Requests, and the p99 in milliseconds, by wrk."""
    command = ["taskset", "-c", "1", "wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--latency"]
    said = subprocess.run(
        [*command, f"http://127.0.0.1:{port}{ASKED[app][0]}"],
        check=True,
        capture_output=True,
        text=True,
        timeout=seconds + 30,
    ).stdout
    failed = re.search(r"Non-2xx or 3xx responses: (\d+)", said)
    if failed:
        raise SystemExit(f"{failed[1]} requests failed")
    value, unit = re.search(r" 99%\s+([\d.]+)(us|ms|s|m)", said).groups()
    scale = {"us": 1e-3, "ms": 1.0, "s": 1e3, "m": 6e4}[unit]
    return int(re.search(r"(\d+) requests in", said)[1]), float(value) * scale


def measure(command, app, environment, folder, seconds):
    """Requests per CPU-second, requests per second, p99 in ms, MiB."""
    server = Server(command, app, environment, folder)
    try:
        server.ready(app)
        load(server.port, app, 1)  # warm
        began, clock = server.cpu_seconds(), time.monotonic()
        count, p99 = load(server.port, app, seconds)
        took = time.monotonic() - clock
        return count / (server.cpu_seconds() - began), count / took, p99, server.memory_mib()
    finally:
        server.end()


def table(app, names, options, folder):
    found = {name: [] for name in names}
    for _ in range(options.rounds):
        for name, rows in found.items():
            command = TABLES[app][name]
            rows.append(measure(command, app, options.environment, folder, options.seconds))
    print(f"\n| {app} | requests per CPU-second | +- | to rush | per second | p99 | memory |")
    print("|---|---|---|---|---|---|---|", flush=True)
    medians = {
        name: [statistics.median(column) for column in zip(*rows, strict=True)]
        for name, rows in found.items()
    }
    base = medians["rush" if "rush" in medians else names[0]][0]
    for name in sorted(medians, key=lambda name: -medians[name][0]):
        cost, rate, p99, memory = medians[name]
        costs = [row[0] for row in found[name]]
        spread = (max(costs) - min(costs)) / cost
        print(
            f"| {name} | {cost:,.0f} | {spread:.0%} | {cost / base:.2f} | {rate:,.0f} |"
            f" {p99:.1f} ms | {memory:.0f} MiB |",
            flush=True,
        )


def set_up(environment):
    subprocess.run([sys.executable, "-m", "venv", environment], check=True)
    pip = [f"{environment}/bin/python", "-m", "pip", "install", "-q", *PACKAGES]
    subprocess.run(pip, check=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("environment", metavar="FOLDER")
    parser.add_argument("servers", nargs="*", help="which (default: all)")
    parser.add_argument("-a", "--app", action="append", choices=TABLES, help="which tables")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=3, help="of each server in each round")
    parser.add_argument("--set-up", action="store_true")
    options = parser.parse_args()
    if options.set_up:
        set_up(options.environment)
        return
    with tempfile.TemporaryDirectory() as folder:
        pathlib.Path(folder, "apps.py").write_text(APPS)
        for app in options.app or TABLES:
            names = [one for one in TABLES[app] if not options.servers or one in options.servers]
            table(app, names, options, folder)


if __name__ == "__main__":
    main()
