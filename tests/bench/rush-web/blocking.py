"""Milliseconds for ``/`` while nobody, and while 50 blocking handlers wait; and what one costs.

    python tests/bench/rush-web/blocking.py

One worker in a process of its own, one keep-alive connection that asks again and again.
"""

import os
import socket
import statistics
import time

from rush_http import HttpServer
from rush_loader import Loader
from rush_web import Answering, HandlersManager, Request, Route

WAITING = 50
ROUNDS = 2000
SECONDS = 10.0  # that the handlers wait: longer than it takes


def now(request: Answering) -> None:
    request.response("Hello, World!")


def in_thread(request: Answering) -> None:
    request.response("Hello, World!")


def wait(request: Answering) -> None:
    time.sleep(SECONDS)
    request.response("waited")


def later(request: Request) -> None:
    request.detach().response("Hello, World!")


def serve(sock: socket.socket) -> None:
    routes = [Route(f"/{one.__name__}", one) for one in (now, in_thread, wait, later)]
    with HttpServer(sock) as server, Loader(".") as loader:
        server.on_message_complete = HandlersManager(
            routes, {}, {}, loader, server, blocking={wait, in_thread}
        )
        server.run()


def ask(client: socket.socket, path: str) -> float:
    """Seconds until the answer."""
    began = time.perf_counter()
    client.sendall(b"GET /%b HTTP/1.1\r\nHost: x\r\n\r\n" % path.encode())
    client.recv(65536)
    return time.perf_counter() - began


def report(client: socket.socket, path: str, what: str) -> None:
    times = sorted(ask(client, path) * 1e3 for _ in range(ROUNDS))
    median, late, latest = statistics.median(times), times[ROUNDS * 99 // 100], times[-1]
    print(f"{what:36} median {median:6.3f} ms   99 % {late:6.3f} ms   most {latest:6.3f} ms")


def main() -> None:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        address = sock.getsockname()
        pid = os.fork()
        if not pid:
            serve(sock)
            os._exit(0)
    try:
        with socket.create_connection(address) as client:
            report(client, "now", "/")
            report(client, "later", "/, answered by a Detached")
            report(client, "in_thread", "/, blocking")
            waiting = [socket.create_connection(address) for _ in range(WAITING)]
            for one in waiting:
                one.sendall(b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n")
            report(client, "now", f"/ while {WAITING} blocking handlers wait")
            for one in waiting:
                one.close()
    finally:
        os.kill(pid, 9)
        os.waitpid(pid, 0)


if __name__ == "__main__":
    main()
