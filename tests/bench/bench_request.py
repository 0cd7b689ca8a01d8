"""Nanoseconds that one request costs in Python, without the system calls.

    python tests/bench/bench_request.py

A connection whose `write` is replaced stands where the kernel would be; everything
else is the real thing: HttpServer, parser, exchange, handlers, responses.  The best of several
rounds counts, since every disturbance makes it slower.
"""

import itertools
import socket
import time
from collections.abc import Callable

from epollserver import Connection
from rush_http import Exchange, HttpServer
from rush_loader import Loader
from rush_web import HandlersManager, Request, Route

PLAIN = b"GET / HTTP/1.1\r\nHost: 127.0.0.1:9090\r\n\r\n"
QUERY = b"GET /hello?name=bill&x=%d HTTP/1.1\r\nHost: 127.0.0.1:9090\r\n\r\n"
PARAM = b"GET /user/%d HTTP/1.1\r\nHost: 127.0.0.1:9090\r\n\r\n"
ECHO = (
    b"POST /echo HTTP/1.1\r\nHost: 127.0.0.1:9090\r\nContent-Type: application/octet-stream\r\n"
    b"Content-Length: %d\r\n\r\n"
)
BROWSER = (
    b"GET /?id=%d HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    b"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n"
    b"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n"
    b"Accept-Language: en-US,en;q=0.5\r\nAccept-Encoding: gzip, deflate, br, zstd\r\n"
    b"Connection: keep-alive\r\nCookie: session=%d; theme=dark\r\n"
    b"traceparent: 00-%d-01\r\nSec-Fetch-Mode: navigate\r\n\r\n"
)


class Wire(Connection):
    """A connection that sends nowhere."""

    __slots__ = ()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Drop it."""


def hello(request: Request) -> None:
    request.response("Hello, World!")


def query(request: Request) -> None:
    request.response("Hello, " + request.parse_args()["name"])


def user(request: Request) -> None:
    request.response(request.params["id"])


def echo(request: Request) -> None:
    request.response(request.body)


ROUTES = [
    Route("/", hello),
    Route("/hello", query),
    Route("/user/<id>", user),
    Route("/echo", echo, frozenset({"POST"})),
]


def cost(receive: Callable[[Connection, bytes], None], wire: Wire, requests: list[bytes]) -> float:
    """Best time in ns for one item of `requests`."""
    best = float("inf")
    for _ in range(15):
        began = time.process_time()
        for data in requests:
            receive(wire, data)
        best = min(best, (time.process_time() - began) / len(requests))
    return best * 1e9


def main() -> None:
    numbers = itertools.count()
    scenarios = {
        "plaintext, the same again": [PLAIN] * 2000,
        "query, all different": [QUERY % next(numbers) for _ in range(2000)],
        "path parameter, all different": [PARAM % next(numbers) for _ in range(2000)],
        "browser, three lines new each time": [
            BROWSER % ((next(numbers),) * 3) for _ in range(2000)
        ],
        "POST of 1 KiB": [ECHO % 1024 + b"x" * 1024] * 2000,
        "POST, 1,000 different lengths": [
            ECHO % size + b"x" * size for size in range(100, 2100, 2)
        ],
        "16 pipelined (per request)": [PLAIN * 16] * 200,
        "16 pipelined, all different (per request)": [
            b"".join(QUERY % next(numbers) for _ in range(16)) for _ in range(200)
        ],
    }
    here, there = socket.socketpair()
    with HttpServer(("127.0.0.1", 0)) as server, Loader(".") as loader, there:
        server.on_message_complete = HandlersManager(ROUTES, {}, {}, loader, server)
        wire = Wire(server.epoll, here.detach(), (here.family, here.type, here.proto))
        server._connected(wire)
        for name, requests in scenarios.items():
            nanoseconds = cost(Exchange.receive, wire, requests)
            if "per request" in name:
                nanoseconds /= 16
            print(f"{nanoseconds:8.0f} ns  {name}")
        socket.socket.close(wire)


if __name__ == "__main__":
    main()
