"""What a request costs a server, in instructions of its own: exact where time is noise.

    python tests/bench/instructions.py [LAYER] [plaintext|hostile|pipelined]

LAYER is ``http``, ``wsgi``, ``web``, ``box`` (with the black box as well), ``metrics`` or
``access`` (also with counters of answers, or a log of the combined format), ``application`` (the
application of ``wsgi`` behind all that a worker of ``rush wsgi`` has).  Counted by valgrind
(Debian: valgrind) while 16 keep-alive connections ask for "Hello, World!"; starting and ending do
not count, nor does the kernel's part.  ``hostile``: a browser's nine header lines, of which three,
and the query, are new each time.  Two runs differ by 200: how malloc(3) finds room for what recv(2)
returns changes with whatever else was allocated.
"""

import os
import pathlib
import re
import socket
import subprocess
import sys
import tempfile

HTTP = """
from rush_http import HttpServer
def hello(body, conn, protocol, method, path, query, headers):
    server.respond(conn, b"Hello, World!")
server = HttpServer(("127.0.0.1", 0), 100, hello)
print(server.address[1], flush=True)
server.run()
"""
WEB = """
from rush_http import HttpServer
from rush_loader import Loader
from rush_web import HandlersManager, Route
def hello(request):
    request.response("Hello, World!")
server = HttpServer(("127.0.0.1", 0))
manager = HandlersManager([Route("/", hello)], {}, {}, Loader("."), server)
server.on_message_complete = manager
print(server.address[1], flush=True)
server.run()
"""
WSGI = """
from rush_http import HttpServer
from rush_http.wsgi import WsgiApp
def hello(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "13")])
    return [b"Hello, World!"]
server = HttpServer(("127.0.0.1", 0))
WsgiApp(hello, server)
print(server.address[1], flush=True)
server.run()
"""
# What each worker of a `WebServer` has beside that.
BOX = """
from rush_http import HttpServer, ObservedServer
from rush_loader import Loader
from rush_web import HandlersManager, Route
from rush_web.access_log import AccessLog
from rush_web.blackbox import BlackBox
from rush_web.metrics import counting_statuses
from rush_web.slots import Slots
def hello(request):
    request.response("Hello, World!")
kind = "{kind}"
address = "127.0.0.1", 0
server = HttpServer(address) if kind == "box" else ObservedServer(address, on_answers=print)
slot = Slots(1).take(0)
if kind == "metrics":
    server.on_answers = counting_statuses(slot)
elif kind == "access":
    server.on_answers = AccessLog("/dev/null").start(server.epoll.loop, print)
box = BlackBox(slot, 0)
server.on_sweep = lambda: box.tick(len(server.epoll.connections))
manager = HandlersManager([Route("/", hello)], {{}}, {{}}, Loader("."), server)
server.on_message_complete = manager.watched_by(box, server.epoll.loop)
print(server.address[1], flush=True)
server.run()
"""
# `rush wsgi`: the same application behind all that a worker has.
APPLICATION = """
from functools import partial
from rush_http import HttpServer
from rush_loader import Loader
from rush_web import HandlersManager, WebServer
from rush_web.application import Application
from rush_web.blackbox import BlackBox
from rush_web.slots import Slots
def hello(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "13")])
    return [b"Hello, World!"]
server = HttpServer(("127.0.0.1", 0))
box = BlackBox(Slots(1).take(0), 0)
server.on_sweep = lambda: box.tick(len(server.epoll.connections))
made = partial(Application, WebServer(wsgi=hello), server)
manager = HandlersManager([], {}, {}, Loader("."), server, application=made)
server.on_message_complete = manager.__call__
server.on_message_complete = manager.watched_by(box, server.epoll.loop)
print(server.address[1], flush=True)
server.run()
"""
PROGRAMS = {
    "http": HTTP,
    "application": APPLICATION,
    "web": WEB,
    "wsgi": WSGI,
    **{kind: BOX.format(kind=kind) for kind in ("box", "metrics", "access")},
}
PLAIN = b"GET / HTTP/1.1\r\nHost: 127.0.0.1:9090\r\n\r\n"
BROWSER = (
    b"GET /?id=%d HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    b"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n"
    b"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n"
    b"Accept-Language: en-US,en;q=0.5\r\nAccept-Encoding: gzip, deflate, br, zstd\r\n"
    b"Connection: keep-alive\r\nCookie: session=%d; theme=dark\r\n"
    b"traceparent: 00-%d-01\r\nSec-Fetch-Mode: navigate\r\n\r\n"
)
CONNECTIONS, DEPTH = 16, 16
WARM, COUNTED = 20, 100  # writes of each connection


def write(scenario, number):
    """What a connection writes at a time."""
    if scenario == "hostile":
        return BROWSER % (number, number, number)
    return PLAIN * (DEPTH if scenario == "pipelined" else 1)


def ask(socks, scenario, numbers):
    for number in numbers:
        for place, sock in enumerate(socks):
            sock.sendall(write(scenario, 1_000_000 + number * len(socks) + place))
        for sock in socks:
            missing = DEPTH if scenario == "pipelined" else 1
            while missing:
                missing -= sock.recv(65536).count(b"Hello, World!")


def count(program, scenario, log):
    valgrind = ["valgrind", "--tool=callgrind", "--instr-atstart=no"]
    options = ["--callgrind-out-file=/dev/null", f"--log-file={log}"]
    command = [*valgrind, *options, sys.executable, "-c", program]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        port = int(process.stdout.readline())
        socks = [socket.create_connection(("127.0.0.1", port)) for _ in range(CONNECTIONS)]
        ask(socks, scenario, range(WARM))
        switch(process, "on")
        ask(socks, scenario, range(WARM, WARM + COUNTED))
        switch(process, "off")
        for sock in socks:
            sock.close()
        process.terminate()
    requests = COUNTED * CONNECTIONS * (DEPTH if scenario == "pipelined" else 1)
    return int(re.search(r"Collected : (\d+)", log.read_text())[1]) / requests


def switch(process, word):
    command = ["callgrind_control", "-i", word, str(process.pid)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def main():
    layer = sys.argv[1] if sys.argv[1:] else "http"
    scenario = sys.argv[2] if sys.argv[2:] else "plaintext"
    os.environ["PYTHONHASHSEED"] = "0"
    with tempfile.TemporaryDirectory() as folder:
        found = count(PROGRAMS[layer], scenario, pathlib.Path(folder) / "log")
    print(f"{found:,.0f} instructions for a request ({layer}, {scenario})")


if __name__ == "__main__":
    main()
