"""Requests for a file per second of the server's CPU time: Rush, nginx, and the limit.

    python tests/bench/rush-loader/whole_server.py
    python tests/bench/rush-loader/whole_server.py --rounds 40 --python /usr/bin/python3

A file of 4 KiB, and the 304 of who has it already; one worker each, on one CPU, and wrk on another
(Debian: wrk, nginx, gcc).  The limit is `limit.c`, which sends the same bytes whatever it is asked.
Interleaved rounds; the median, and (in brackets) the best of each: other work on the machine
empties the caches, so on a busy one the best is nearer to the truth.  For a file of 100 MiB see
tests/bench/epollserver/large_file.py.
"""

import argparse
import contextlib
import os
import pathlib
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time

CPUS = sorted(os.sched_getaffinity(0))[:2]
PATIENCE = 20.0  # seconds
HERE = pathlib.Path(__file__).parent

RUSH = """
import sys
from rush_web import WebServer

WebServer(port=int(sys.argv[1]), workers=1, root=sys.argv[2], files="/static/").run()
"""

NGINX = """
daemon off; master_process off; pid {folder}/pid; error_log stderr crit;
events {{ use epoll; multi_accept on; }}
http {{
    access_log off; sendfile on; tcp_nopush on; open_file_cache max=100 inactive=60s;
    keepalive_requests 1000000000; types {{ text/html html; }}
    client_body_temp_path {folder}/1; proxy_temp_path {folder}/2; fastcgi_temp_path {folder}/3;
    uwsgi_temp_path {folder}/4; scgi_temp_path {folder}/5;
    server {{ listen 127.0.0.1:{port}; location /static/ {{ alias {folder}/root/; }} }}
}}
"""


class Server:
    """A running one; `line` is what who has the file sends."""

    def __init__(self, port, command):
        self.port = port
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        pin = ["taskset", "-c", str(CPUS[0])]
        self.process = subprocess.Popen([*pin, *map(str, command)], start_new_session=True, **quiet)
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                with socket.create_connection(("127.0.0.1", port), PATIENCE) as sock:
                    sock.sendall(b"GET /static/page.html HTTP/1.1\r\nHost: a\r\n\r\n")
                    head = sock.recv(65536).decode("latin-1")
                break
            except ConnectionRefusedError:
                if time.monotonic() > deadline or self.process.poll() is not None:
                    sys.exit(f"{command} does not serve")
                time.sleep(0.05)
        if " 200 OK\r\n" not in head:
            sys.exit(f"{command} answers {head[:100]!r}")
        etag = re.search("ETag: (.*)\r\n", head)
        self.line = f"If-None-Match: {etag[1]}" if etag else "X-Nothing: 0"

    def cpu_seconds(self):
        """Of all its processes and threads, in nanoseconds' precision."""
        spent, waiting = 0, [self.process.pid]
        for pid in waiting:
            for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
                spent += int((task / "schedstat").read_text().split()[0])
                waiting += map(int, (task / "children").read_text().split())
        return spent / 1e9

    def rate(self, seconds, *options):
        """Requests per second of CPU time under load."""
        before = self.cpu_seconds()
        url = f"http://127.0.0.1:{self.port}/static/page.html"
        wrk = ["taskset", "-c", str(CPUS[-1]), "wrk", "-t1", "-c64", f"-d{seconds}s", *options, url]
        said = subprocess.run(wrk, stdout=subprocess.PIPE, text=True, check=True).stdout
        return int(re.search(r"(\d+) requests in", said)[1]) / (self.cpu_seconds() - before)

    def stop(self):
        self.process.terminate()
        self.process.wait()


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


def servers(folder, python):
    """Name: server."""
    subprocess.run(["cc", "-O2", "-o", folder / "limit", HERE / "limit.c"], check=True)
    (folder / "rush.py").write_text(RUSH)
    ports = {name: free_port() for name in ("rush", "nginx", "limit", "limit 4k")}
    (folder / "nginx.conf").write_text(NGINX.format(folder=folder, port=ports["nginx"]))
    nginx = shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin") or "nginx"
    commands = {
        "rush": [python, folder / "rush.py", ports["rush"], folder / "root"],
        "nginx": [nginx, "-p", folder, "-c", folder / "nginx.conf"],
        "limit": [folder / "limit", ports["limit"]],
        "limit 4k": [folder / "limit", ports["limit 4k"], 4096],
    }
    for name, command in commands.items():
        yield name, Server(ports[name], command)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--seconds", type=int, default=1, help="of each in each round")
    parser.add_argument("--python", default=sys.executable, help="that runs Rush")
    options = parser.parse_args()
    rates = {"4 KiB": {}, "304": {}}
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder = pathlib.Path(name)
        folder.chmod(0o755)  # nginx reads as somebody else
        (folder / "root").mkdir()
        (folder / "root/page.html").write_bytes(b"x" * 4096)
        running = {}
        for contender, server in servers(folder, options.python):
            stack.callback(server.stop)
            running[contender] = server
        for _ in range(options.rounds):
            for contender, server in running.items():
                if contender != "limit":
                    rate = server.rate(options.seconds)
                    rates["4 KiB"].setdefault(contender, []).append(rate)
                if contender != "limit 4k":
                    rate = server.rate(options.seconds, "-H", server.line)
                    rates["304"].setdefault(contender, []).append(rate)
    for scenario, found in rates.items():
        for contender, rounds in found.items():
            median, best = statistics.median(rounds), max(rounds)
            by = "  ".join(
                f"{statistics.median(found['rush']) / statistics.median(other):.2f} "
                f"({max(found['rush']) / max(other):.2f}) of {name}"
                for name, other in found.items()
                if contender == "rush" != name
            )
            print(f"{scenario:6} {contender:9} {median:9,.0f} median {best:9,.0f} best  {by}")


if __name__ == "__main__":
    main()
