"""Nanoseconds that one request for a file costs in Python, without the system calls.

    python tests/bench/rush-loader/bench_static.py

A stand-in for a connection is where the kernel would be; everything else is the real thing:
HttpServer, parser, HandlersManager, Loader and its cache.  The best of several rounds counts, since
every disturbance makes it slower.  The first line has no file: what is above it, the file costs.
"""

import itertools
import pathlib
import re
import tempfile
import time

from rush_http import Headers, HttpServer
from rush_loader import Loader
from rush_web import HandlersManager, Request, Route

WRK = b"GET %b HTTP/1.1\r\nHost: 127.0.0.1:9090\r\n%b\r\n"
BROWSER = (
    b"GET %b HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    b"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n"
    b"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n"
    b"Accept-Language: en-US,en;q=0.5\r\nAccept-Encoding: gzip, deflate, br, zstd\r\n"
    b"Connection: keep-alive\r\nCookie: session=%d\r\n%bSec-Fetch-Mode: navigate\r\n\r\n"
)
NUMBERS = itertools.count()


class Wire:
    """As much of a `Connection` as a request needs that is there whole."""

    def __init__(self) -> None:
        self.data: object = None

    def write(self, data: bytes) -> None:
        """Drop it."""

    def fileno(self) -> int:
        """Say that it is open."""
        return 1


def hello(request: Request) -> None:
    request.response("Hello, World!")


def cost(server: HttpServer, wire: Wire, requests: list[bytes]) -> float:
    """Best time in ns for one item of `requests`."""
    best = float("inf")
    for _ in range(15):
        began = time.process_time()
        for data in requests:
            server._receive(wire, data)
        best = min(best, (time.process_time() - began) / len(requests))
    return best * 1e9


def browsers(path: bytes, line: bytes = b"") -> list[bytes]:
    """Requests of a browser, no two alike."""
    return [BROWSER % (path, next(NUMBERS), line) for _ in range(2000)]


def etag(loader: Loader, accepted: str) -> bytes:
    """The validator of what this client gets, in the line of who has it."""
    reply = loader.answer("/page.html", "GET", Headers((("accept-encoding", accepted),)))
    return b"If-None-Match: %b\r\n" % re.findall(rb"ETag: (.*)\r\n", reply.head)[0]


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        pathlib.Path(folder, "page.html").write_bytes(b"<p>All work and no play</p>\n" * 146)
        with HttpServer(("127.0.0.1", 0)) as server, Loader(folder) as loader:
            server.on_message_complete = HandlersManager(
                [Route("/", hello)], {}, {}, loader, server, files="/static/"
            ).__call__  # as `WebServer` has it
            loader.load("/page.html")
            while not loader.load("/page.html").encodings:
                time.sleep(0.01)
            page = b"/static/page.html"
            scenarios = {
                "no file, the same again": [WRK % (b"/", b"")] * 2000,
                "4 KiB, the same again": [WRK % (page, b"")] * 2000,
                "304, the same again": [WRK % (page, etag(loader, ""))] * 2000,
                "no file, browsers": browsers(b"/"),
                "gzip, browsers": browsers(page),
                "304, browsers": browsers(page, etag(loader, "gzip, deflate, br, zstd")),
                "no such file": [WRK % (b"/static/%d" % next(NUMBERS), b"") for _ in range(500)],
            }
            wire = Wire()
            server._connected(wire)
            for name, requests in scenarios.items():
                print(f"{cost(server, wire, requests):8.0f} ns  {name}")


if __name__ == "__main__":
    main()
