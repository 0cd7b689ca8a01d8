"""A large file by sendfile beside nginx: bytes per second of CPU time.

    python tests/bench/epollserver/large_file.py
    python tests/bench/epollserver/large_file.py --rounds 50 --mib 100 --keep

A raw server that sends the file to whoever asks, and nginx with `sendfile on`, each on one CPU;
the client on another.  It drops what arrives without a copy (MSG_TRUNC), so that it waits for the
server; with --keep it copies, and the server waits for it.  Many short interleaved rounds, each
server first by turns; for an A/B test of two versions set PYTHONPATH.
"""

import argparse
import contextlib
import os
import pathlib
import shutil
import socket
import statistics
import sys
import tempfile

import harness

SERVER = """
import sys
from epollserver import RECEIVE, EpollServer

server = EpollServer(("127.0.0.1", 0))

@server.handler(on_event=RECEIVE)
def receive(conn):
    if conn.recv(65536):
        conn.sendfile(open(sys.argv[1], "rb"))

print("files at {}:{}".format(*server.address), flush=True)
server.start()
"""

NGINX = """
daemon off; master_process off; pid {folder}/pid; error_log stderr crit;
events {{ use epoll; }}
http {{
    access_log off; sendfile on; tcp_nopush on; open_file_cache max=100 inactive=60s;
    client_body_temp_path {folder}/1; proxy_temp_path {folder}/2; fastcgi_temp_path {folder}/3;
    uwsgi_temp_path {folder}/4; scgi_temp_path {folder}/5;
    server {{ listen 127.0.0.1:{port}; root {folder}; }}
}}
"""


def nginx(folder):
    """The command of an nginx, told like those of `harness` where it listens."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    (folder / "nginx.conf").write_text(NGINX.format(folder=folder, port=port))
    program = shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin")
    if program is None:
        sys.exit("there is no nginx to compare with")
    start = f"echo at 127.0.0.1:{port}; exec {program} -p {folder} -c {folder}/nginx.conf"
    return ["sh", "-c", start]


def fetch(process, size, flags):
    """Read the file once; gigabytes per second of the server's CPU time."""
    with contextlib.closing(connect(process.address)) as sock:
        before = cpu_seconds(process.pid)
        sock.sendall(b"GET /file HTTP/1.0\r\n\r\n")
        buffer = bytearray(1 << 20)
        head = sock.recv_into(buffer)
        start = buffer.find(b"\r\n\r\n", 0, head) + 4 if buffer.startswith(b"HTTP/") else 0
        left = size + start - head
        while left:
            count = sock.recv_into(buffer, 0, flags)
            if not count:
                sys.exit(f"{left} bytes are missing")
            left -= count
        return size / (cpu_seconds(process.pid) - before) / 1e9


def connect(address):
    """A connection to a server that may be just starting."""
    while True:
        with contextlib.suppress(ConnectionRefusedError):
            return socket.create_connection(address, harness.PATIENCE)


def cpu_seconds(pid):
    """User and system time in nanoseconds' precision (the first field of schedstat)."""
    return int(pathlib.Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--mib", type=int, default=100, help="size of the file")
    parser.add_argument("--keep", action="store_true", help="the client copies what it reads")
    options = parser.parse_args()

    os.sched_setaffinity(0, harness.CPUS[-1:])
    size = options.mib << 20
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder = pathlib.Path(name)
        folder.chmod(0o755)  # nginx reads as somebody else
        (folder / "file").write_bytes(os.urandom(1 << 20) * options.mib)
        (folder / "server.py").write_text(SERVER)
        ours = [sys.executable, folder / "server.py", folder / "file"]
        servers = [stack.enter_context(harness.server(c)) for c in (nginx(folder), ours)]
        found = [[], []]
        for number in range(options.rounds):
            for which in (0, 1) if number % 2 else (1, 0):
                speed = fetch(servers[which], size, 0 if options.keep else socket.MSG_TRUNC)
                found[which].append(speed)
    for name, speeds in zip(("nginx", "epollserver"), found, strict=True):
        print(f"{name:12} {statistics.median(speeds):6.2f} GB per CPU-second")
    pooled = statistics.harmonic_mean(found[1]) / statistics.harmonic_mean(found[0])
    print(f"epollserver by nginx: {pooled:.2f} pooled")


if __name__ == "__main__":
    main()
