"""What tests of WSGI have in common: answers that are watched, clients that leave, a server."""

import contextlib
import http.client
import socket
import struct
import threading

from rush_http import HttpServer
from rush_http.wsgi import WsgiApp

PLAIN = [("Content-Type", "text/plain")]


class Pieces:
    """An iterator of pieces that counts how often it is closed."""

    def __init__(self, pieces):
        self._pieces = iter(pieces)
        self.closings = 0
        self.asked = threading.Event()
        self.closed = threading.Event()

    def __iter__(self):
        return self

    def __next__(self):
        self.asked.set()
        return next(self._pieces)

    def close(self):
        self.closings += 1
        self.closed.set()


@contextlib.contextmanager
def serving(threads):
    """A function that serves an application, and returns the address."""
    with contextlib.ExitStack() as stack:

        def serve(app, *, address=("127.0.0.1", 0), limits=None, **options):
            server = stack.enter_context(HttpServer(address, limits=limits))
            stack.enter_context(WsgiApp(app, server, threads, **options))
            server.run(threaded=True)
            return server.address

        yield serve


def ask(address, method="GET", path="/", body=None, headers=None, **more):
    """Status, headers and body of an answer."""
    connection = http.client.HTTPConnection(*address, timeout=20)
    try:
        connection.request(method, path, body, headers or {}, **more)
        response = connection.getresponse()
        return response.status, dict(response.getheaders()), response.read()
    finally:
        connection.close()


def reset(client):
    """Leave, so that the other side is told at once."""
    client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.sock.close()
