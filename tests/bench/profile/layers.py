"""A server of so many layers: ``layers.py LAYER PORT [PAIRS]``; it ends with SIGTERM.

Each answers "Hello, World!".  With PAIRS, a file, it counts which function has called which one,
and writes that there as JSON.
"""

import json
import sys
from collections import Counter

HELLO = b"Hello, World!"
# What `epollserver` alone sends: as many bytes as the others.
READY = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\n"
    b"Date: Mon, 23 Nov 2026 00:00:00 GMT\r\nContent-Length: 13\r\n\r\n" + HELLO
)


def loop(port):
    """epollserver: what arrives is counted, not read, and ready-made bytes are sent."""
    from epollserver import DATA, EpollServer

    server = EpollServer(("127.0.0.1", port))

    @server.handler(on_event=DATA)
    def answer(conn, data):
        conn.write(READY * data.count(b"\r\n\r\n"))

    return server, server.start


def http(port):
    """rush-http: parsed, and rendered."""
    from rush_http import HttpServer

    def hello(body, conn, protocol, method, path, query, headers):
        server.respond(conn, HELLO)

    server = HttpServer(("127.0.0.1", port), 10_000, hello)
    return server, server.run


def web(port, kind=None):
    """rush-web: routed, by a handler that gets a request."""
    from rush_http import CountedServer, HttpServer, ObservedServer
    from rush_loader import Loader
    from rush_web import HandlersManager, Route

    address = ("127.0.0.1", port)
    if kind == "access":
        server = ObservedServer(address, on_answers=print)
    else:
        server = (CountedServer if kind == "metrics" else HttpServer)(address)
    route = Route("/", lambda request: request.response("Hello, World!"))
    manager = HandlersManager([route], {}, {}, Loader("."), server)
    server.on_message_complete = manager.__call__
    if kind is not None:
        watch(server, manager, kind)
    return server, server.run


def watch(server, manager, kind):
    """What each worker of a `WebServer` has beside that."""
    from rush_web import blackbox
    from rush_web.access_log import AccessLog
    from rush_web.slots import Slots

    blackbox.QUICK_SECONDS = 0.1  # what is quick, in valgrind too
    slot = Slots(1).take(0)
    if kind == "access":
        server.on_answers = AccessLog("/dev/null").start(server.epoll.loop, print)
    box = blackbox.BlackBox(slot, 0)
    server.on_sweep = lambda: box.tick(len(server.epoll.connections))
    server.on_message_complete = manager.watched_by(box, server.epoll.loop)


def hello(environ, start_response):
    """The application of the next two."""
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "13")])
    return [HELLO]


def wsgi(port):
    """rush-http: a WSGI application."""
    from rush_http import HttpServer
    from rush_http.wsgi import WsgiApp

    server = HttpServer(("127.0.0.1", port))
    WsgiApp(hello, server)
    return server, server.run


def application(port):
    """rush-web: the same behind all that a worker of ``rush wsgi`` has."""
    from functools import partial

    from rush_http import HttpServer
    from rush_loader import Loader
    from rush_web import HandlersManager, WebServer
    from rush_web.application import Application

    server = HttpServer(("127.0.0.1", port))
    made = partial(Application, WebServer(wsgi=hello), server)
    manager = HandlersManager([], {}, {}, Loader("."), server, application=made)
    watch(server, manager, "box")
    return server, server.run


LAYERS = {
    "loop": loop,
    "http": http,
    "web": web,
    "box": lambda port: web(port, "box"),
    "metrics": lambda port: web(port, "metrics"),
    "access": lambda port: web(port, "access"),
    "wsgi": wsgi,
    "application": application,
}


def name_of(code):
    """As perf's map has it."""
    return f"{getattr(code, 'co_qualname', code.co_name)}:{code.co_filename}"


def main():
    server, run = LAYERS[sys.argv[1]](int(sys.argv[2]))
    pairs = Counter()

    def count(frame, event, argument):
        if event == "call" and frame.f_back is not None:
            pairs[f"{name_of(frame.f_back.f_code)} {name_of(frame.f_code)}"] += 1

    with server:
        if sys.argv[3:]:
            sys.setprofile(count)
        run()
        sys.setprofile(None)
    if sys.argv[3:]:
        with open(sys.argv[3], "w") as file:
            json.dump(pairs, file)


if __name__ == "__main__":
    main()
