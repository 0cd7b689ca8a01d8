"""A slow WSGI application: how near to the ideal its threads come, and /health meanwhile.

    python tests/bench/rush-web/slow_wsgi.py [SECONDS]

Each request waits 50 ms; 4 threads, 200 connections: 80 requests per second are ideal.  On a
machine that has other things to do they decide what /health takes: put ``chrt -f 1`` before it.
"""

import http.client
import pathlib
import re
import select
import socket
import statistics
import subprocess
import sys
import tempfile
import time

APP = """
import time
def app(environ, start_response):
    time.sleep(0.05)
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "1")])
    return [b"x"]
"""
THREADS, CONNECTIONS, WAIT = 4, 200, 0.05
REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


def health(address):
    """How many milliseconds it takes, on a new connection."""
    began = time.perf_counter()
    connection = http.client.HTTPConnection(*address, timeout=20)
    connection.request("GET", "/health")
    assert connection.getresponse().read() == b"ready\n"
    connection.close()
    return (time.perf_counter() - began) * 1000


def measure(address, seconds):
    """Requests per second, and what /health took."""
    poll, socks, tooks, count = select.poll(), {}, [], 0
    for _ in range(CONNECTIONS):
        sock = socket.create_connection(address)
        socks[sock.fileno()] = sock
        poll.register(sock, select.POLLIN)
        sock.sendall(REQUEST)
    began = asked = time.perf_counter()
    while (now := time.perf_counter()) - began < seconds:
        if now - asked > 0.1:
            asked = now
            tooks.append(health(address))
        for fd, _ in poll.poll(10):
            assert socks[fd].recv(65536).endswith(b"\r\n\r\nx")
            count += 1
            socks[fd].sendall(REQUEST)
    for sock in socks.values():
        sock.close()
    return count / seconds, tooks


def main():
    seconds = float(sys.argv[1]) if sys.argv[1:] else 10.0
    with tempfile.TemporaryDirectory() as folder:
        pathlib.Path(folder, "slow.py").write_text(APP)
        command = [sys.executable, "-m", "rush_web", "wsgi", "slow:app", "--port", "0"]
        options = ["--workers", "1", "--threads", str(THREADS), "--health", "/health"]
        with subprocess.Popen(
            [*command, *options], stdout=subprocess.PIPE, text=True, cwd=folder
        ) as process:
            try:
                host, port = re.search(r"//([^:]+):(\d+)/", process.stdout.readline()).groups()
                rate, tooks = measure((host, int(port)), seconds)
            finally:
                process.terminate()
    ideal = THREADS / WAIT
    p50, p99 = statistics.median(tooks), sorted(tooks)[int(len(tooks) * 0.99)]
    print(f"{rate:.1f} requests per second: {rate / ideal:.1%} of the ideal {ideal:.0f}")
    print(f"/health, of {len(tooks)}: p50 {p50:.2f} ms, p99 {p99:.2f} ms, most {max(tooks):.2f} ms")


if __name__ == "__main__":
    main()
