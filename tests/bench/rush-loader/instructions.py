"""What a request for a file costs a whole server, in instructions of its own: exact, without noise.

    python tests/bench/rush-loader/instructions.py
    python tests/bench/rush-loader/instructions.py --python /usr/bin/python3

Counted by valgrind (Debian: valgrind), from the wake-up of the loop to the `send`: the difference
of a long run and a short one, so that starting does not count.  The kernel's part is not in it.
Two runs of the same code differ by some ten; how malloc(3) finds room for what recv() returns can
add 200 to one version and not to another, whatever else they do.
"""

import argparse
import itertools
import os
import pathlib
import re
import socket
import subprocess
import sys
import tempfile
import time

CONNECTIONS = 16
SHORT, LONG = 40, 240  # rounds of a request on each connection
PATIENCE = 60.0  # seconds
SAME = b"GET %b HTTP/1.1\r\nHost: 127.0.0.1:9090\r\n%b\r\n"
BROWSER = (
    b"GET %b HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    b"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n"
    b"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n"
    b"Accept-Language: en-US,en;q=0.5\r\nAccept-Encoding: gzip, deflate, br, zstd\r\n"
    b"Connection: keep-alive\r\nCookie: session=%d\r\n%bSec-Fetch-Mode: navigate\r\n\r\n"
)
NUMBERS = itertools.count(1_000_000)


def serve(folder):
    """The server: one process, its port on standard output."""
    from rush_http import HttpServer
    from rush_loader import Loader
    from rush_web import HandlersManager, Route

    def hello(request):
        request.response("Hello, World!")

    with HttpServer(("127.0.0.1", 0)) as server, Loader(folder) as loader:
        server.on_message_complete = HandlersManager(
            [Route("/", hello)], {}, {}, loader, server, files="/static/"
        ).__call__  # as `WebServer` has it
        print(server.address[1], flush=True)
        server.run()


def same(path, line=b""):
    """The same request again and again."""
    return itertools.repeat(SAME % (path, line))


def browsers(path, line=b""):
    """Requests of a browser, no two alike."""
    while True:
        yield BROWSER % (path, next(NUMBERS), line)


PAGE = b"/static/page.html"
SCENARIOS = {
    "no file, the same again": lambda lines: same(b"/"),
    "4 KiB, the same again": lambda lines: same(PAGE),
    "304, the same again": lambda lines: same(PAGE, lines["whole"]),
    "no file, browsers": lambda lines: browsers(b"/"),
    "compressed, browsers": lambda lines: browsers(PAGE),
    "304, browsers": lambda lines: browsers(PAGE, lines["shorter"]),
}


def receive(sock):
    """One response; its head."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += sock.recv(65536)
    head, _, body = data.partition(b"\r\n\r\n")
    length = re.search(rb"Content-Length: (\d+)", head)
    missing = (int(length[1]) if length else 0) - len(body)
    while missing > 0:
        missing -= len(sock.recv(65536))
    return head


def conditions(sock):
    """The lines of who has the file already, as it is and compressed."""
    found = {}
    for name, line in ("whole", b""), ("shorter", b"Accept-Encoding: gzip, deflate, br, zstd\r\n"):
        while name not in found:
            sock.sendall(SAME % (PAGE, line))
            head = receive(sock)
            time.sleep(0.2)  # it is compressed meanwhile; few requests, so that they do not count
            if name == "whole" or b"Content-Encoding" in head:
                assert b"200 OK" in head
                found[name] = b"If-None-Match: %b\r\n" % re.findall(rb"ETag: (.*)\r\n", head)[0]
    return found


def count(python, folder, scenario, rounds):
    """Instructions of the whole life of a server that answers so many rounds."""
    log = pathlib.Path(folder, "log")
    valgrind = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"]
    command = [*valgrind, f"--log-file={log}", python, __file__, "--serve", f"{folder}/root"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        port = int(process.stdout.readline())
        address = "127.0.0.1", port
        socks = [socket.create_connection(address, PATIENCE) for _ in range(CONNECTIONS)]
        requests = SCENARIOS[scenario](conditions(socks[0]))
        for _ in range(rounds):
            for sock in socks:
                sock.sendall(next(requests))
            for sock in socks:
                receive(sock)
        for sock in socks:
            sock.close()
        process.terminate()
    return int(re.search(r"Collected : (\d+)", log.read_text())[1])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    parser.add_argument("scenarios", nargs="*", help="a part of their names")
    options = parser.parse_args()
    if options.serve:
        serve(options.serve)
        return
    with tempfile.TemporaryDirectory() as folder:
        os.mkdir(f"{folder}/root")
        pathlib.Path(folder, "root/page.html").write_bytes(b"<p>All work and no play</p>\n" * 146)
        for name in SCENARIOS:
            if options.scenarios and not any(part in name for part in options.scenarios):
                continue
            short, long = (count(options.python, folder, name, many) for many in (SHORT, LONG))
            cost = (long - short) / (LONG - SHORT) / CONNECTIONS
            print(f"{cost:10,.0f}  {name}", flush=True)


if __name__ == "__main__":
    main()
