"""What a request costs a server, in instructions of its own: exact where time is noise.

    python tests/bench/instructions.py [LAYER] [SCENARIO ...]

LAYER is ``http``, ``wsgi``, ``web``, ``box`` (with the black box as well, as each worker of a
`WebServer` has it), ``metrics`` or ``access`` (also with counters of answers, or a log of the
combined format), ``application`` (the application of ``wsgi`` behind all that a worker of ``rush
wsgi`` has).  SCENARIO is one of `SCENARIOS`, or ``all``; ``plaintext`` if none is named.

Counted by valgrind (Debian: valgrind) while 16 keep-alive connections ask; ``close`` and
``late`` take a new connection for each request: what is asked is there when it is accepted, or
comes later.  Starting and ending do not count, nor does the kernel's part.  Two runs differ by 200:
how malloc(3) finds room for what recv(2) returns changes with whatever else was allocated.
"""

import itertools
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from functools import partial

HTTP = """
from rush_http import HttpServer, NotFound
def hello(body, conn, protocol, method, path, query, headers):
    if path.startswith("/missing"):
        raise NotFound
    server.respond(conn, body or b"Hello, World!")
server = HttpServer(("127.0.0.1", 0), 100, hello)
"""
APPLICATION = """
from rush_http import HttpServer
server = HttpServer(("127.0.0.1", 0))
TEXT = "Content-Type", "text/plain"
def hello(environ, start_response):
    if environ["REQUEST_METHOD"] == "POST":
        body = environ["wsgi.input"].read()
        start_response("200 OK", [TEXT, ("Content-Length", str(len(body)))])
        return [body]
    if environ["PATH_INFO"].startswith("/missing"):
        start_response("404 Not Found", [TEXT, ("Content-Length", "14")])
        return [b"404 Not Found\\n"]
    start_response("200 OK", [TEXT, ("Content-Length", "13")])
    return [b"Hello, World!"]
"""
WSGI = f"""
{APPLICATION}
from rush_http.wsgi import WsgiApp
WsgiApp(hello, server)
"""
WEB = """
import sys
from rush_http import CountedServer, HttpServer, ObservedServer
from rush_loader import Loader
from rush_web import HandlersManager, Route
kind = "{kind}"
address = "127.0.0.1", 0
if kind == "access":
    server = ObservedServer(address, on_answers=print)
else:
    server = (CountedServer if kind == "metrics" else HttpServer)(address)
def hello(request):
    request.response("Hello, World!")
def query(request):
    request.response("Hello, " + request.parse_args()["name"])
def user(request):
    request.response(request.params["id"])
def ten(request):
    fields = dict(id=7, name="Ada", mail="ada@example.org", active=True, score=9.75, city="London")
    request.response_json(fields | dict(tags=["a", "b"], age=36, boss=None, since="1842-10-18"))
def echo(request):
    request.response(request.body, content_type="application/octet-stream")
routes = [Route("/", hello), Route("/hello", query), Route("/user/<id>", user), Route("/json", ten)]
routes += [Route("/echo", echo, {{"POST"}})]
redirects = {{"/easter": ("/", 301)}}
loader = Loader(sys.argv[1])
manager = HandlersManager(routes, {{}}, redirects, loader, server, files="/static/")
server.on_message_complete = manager.__call__
"""
# What each worker of a `WebServer` has beside that.
BOX = f"""
{WEB}
from rush_web import blackbox
from rush_web.access_log import AccessLog
from rush_web.blackbox import BlackBox
from rush_web.slots import Slots
blackbox.QUICK_SECONDS = 0.1  # what is quick without valgrind
slot = Slots(1).take(0)
if kind == "access":
    server.on_answers = AccessLog("/dev/null").start(server.epoll.loop, print)
box = BlackBox(slot, 0)
server.on_sweep = lambda: box.tick(len(server.epoll.connections))
server.on_message_complete = manager.watched_by(box, server.epoll.loop)
"""
# `rush wsgi`: the same application behind all that a worker has.
BEHIND = f"""
{APPLICATION}
from functools import partial
from rush_loader import Loader
from rush_web import HandlersManager, WebServer
from rush_web.application import Application
from rush_web.blackbox import BlackBox
from rush_web.slots import Slots
box = BlackBox(Slots(1).take(0), 0)
server.on_sweep = lambda: box.tick(len(server.epoll.connections))
made = partial(Application, WebServer(wsgi=hello), server)
manager = HandlersManager([], {{}}, {{}}, Loader("."), server, application=made)
server.on_message_complete = manager.__call__
server.on_message_complete = manager.watched_by(box, server.epoll.loop)
"""
RUN = """
print(server.address[1], flush=True)
server.run()
"""
PROGRAMS = {
    "http": HTTP,
    "wsgi": WSGI,
    "application": BEHIND,
    "web": WEB.format(kind="web"),
    **{kind: BOX.format(kind=kind) for kind in ("box", "metrics", "access")},
}

ASK = b"GET %b HTTP/1.1\r\nHost: 127.0.0.1:9090\r\n%b\r\n"
# Nine header lines, of which three, and the query, are new each time.
BROWSER = (
    b"GET /?id=%d HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    b"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n"
    b"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n"
    b"Accept-Language: en-US,en;q=0.5\r\nAccept-Encoding: gzip, deflate, br, zstd\r\n"
    b"Connection: keep-alive\r\nCookie: session=%d; theme=dark\r\n"
    b"traceparent: 00-%d-01\r\nSec-Fetch-Mode: navigate\r\n\r\n"
)
# Neither is a body like the one before, nor as long.
POST = b"POST /echo HTTP/1.1\r\nHost: 127.0.0.1:9090\r\nContent-Length: %d\r\n\r\n%b"
PAGE = b"/static/page.jpg"  # a page is compressed first, in a thread that would be counted
NUMBERS = itertools.count(1_000_000)
CLOSE = b"Connection: close\r\n"
DEPTH = 16
# By name: makes what a connection writes at a time, of the lines that say what it has already.
SCENARIOS = {
    "plaintext": lambda has: ASK % (b"/", b""),
    "hostile": lambda has: BROWSER % ((next(NUMBERS),) * 3),
    "pipelined": lambda has: ASK % (b"/", b"") * DEPTH,
    "query": lambda has: ASK % (b"/hello?name=bill&x=%d" % next(NUMBERS), b""),
    "param": lambda has: ASK % (b"/user/%d" % next(NUMBERS), b""),
    "redirect": lambda has: ASK % (b"/easter", b""),
    "static": lambda has: ASK % (PAGE, b""),
    "304": lambda has: ASK % (PAGE, has),
    "json": lambda has: ASK % (b"/json", b""),
    "missing": lambda has: ASK % (b"/missing/%d" % next(NUMBERS), b""),
    "post": lambda has: post(next(NUMBERS)),
    "close": lambda has: ASK % (b"/", CLOSE),
    "late": lambda has: ASK % (b"/", CLOSE),
}
CONNECTIONS = 16
WARM, COUNTED = 20, 100  # writes of each connection
ACCEPTED_SECONDS = 0.1  # after which a server that valgrind runs has accepted those that wait


def post(number):
    """A request with a body of 1 KiB or a little more."""
    body = b"%d" % number * 146 + b"." * (2 + number % 100)
    return POST % (len(body), body)


def answer(sock, data):
    """What is answered to one request."""
    sock.sendall(data)
    found = b""
    while b"\r\n\r\n" not in found:
        found += sock.recv(65536)
    head, _, body = found.partition(b"\r\n\r\n")
    length = re.search(rb"Content-Length: (\d+)", head)
    missing = int(length[1]) - len(body) if length else 0
    while missing:
        found += sock.recv(missing)
        missing = len(head) + 4 + int(length[1]) - len(found)
    return found


def ask(socks, times, write, extra_bytes):
    """Write on every connection so many times, and read the answers.

    Each has `extra_bytes` more than what was written.
    """
    for _ in range(times):
        writes = [write() for _ in socks]
        for sock, data in zip(socks, writes, strict=True):
            sock.sendall(data)
        for sock, data in zip(socks, writes, strict=True):
            missing = len(data) + extra_bytes
            while missing:
                missing -= len(sock.recv(missing))


def ask_anew(times, port, pid, write, late):
    """As `ask`, but each write has a connection of its own, which the server closes."""
    for _ in range(times):
        if not late:
            os.kill(pid, signal.SIGSTOP)
        socks = [socket.create_connection(("127.0.0.1", port)) for _ in range(CONNECTIONS)]
        if late:
            time.sleep(ACCEPTED_SECONDS)
        for sock in socks:
            sock.sendall(write())
        os.kill(pid, signal.SIGCONT)
        for sock in socks:
            with sock:
                while sock.recv(65536):
                    pass


def count(layer, scenario, folder):
    """Instructions for one request."""
    log = folder / "log"
    valgrind = ["valgrind", "--tool=callgrind", "--instr-atstart=no"]
    options = ["--callgrind-out-file=/dev/null", f"--log-file={log}"]
    command = [*valgrind, *options, sys.executable, "-c", PROGRAMS[layer] + RUN, folder]
    depth = DEPTH if scenario == "pipelined" else 1
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        port = int(process.stdout.readline())
        socks = [socket.create_connection(("127.0.0.1", port)) for _ in range(CONNECTIONS)]
        etag = re.search(rb"ETag: (.*)\r\n", answer(socks[0], ASK % (PAGE, b"")))
        write = partial(SCENARIOS[scenario], b"If-None-Match: %b\r\n" % etag[1] if etag else b"")
        one = write()
        answer_bytes = len(answer(socks[0], one[: len(one) // depth])) * depth
        if scenario in ("close", "late"):
            late = scenario == "late"
            asks = partial(ask_anew, port=port, pid=process.pid, write=write, late=late)
        else:
            asks = partial(ask, socks, write=write, extra_bytes=answer_bytes - len(one))
        asks(WARM)
        switch(process, "on")
        asks(COUNTED)
        switch(process, "off")
        for sock in socks:
            sock.close()
        process.terminate()
    collected = re.search(r"Collected : (\d+)", log.read_text())
    return int(collected[1]) / (COUNTED * CONNECTIONS * depth)


def switch(process, word):
    command = ["callgrind_control", "-i", word, str(process.pid)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def main():
    layer, *scenarios = sys.argv[1:] or ["http"]
    if scenarios == ["all"]:
        scenarios = [*SCENARIOS]
    os.environ["PYTHONHASHSEED"] = "0"
    with tempfile.TemporaryDirectory() as folder:
        pathlib.Path(folder, "page.jpg").write_bytes(bytes(4096))
        for scenario in scenarios or ["plaintext"]:
            found = count(layer, scenario, pathlib.Path(folder))
            print(f"{found:8,.0f} instructions for a request ({layer}, {scenario})", flush=True)


if __name__ == "__main__":
    main()
