"""A server that takes bodies in pieces, and keeps what it was told."""

import queue

from rawclient import request
from rush_http import BodyReceiver, Forbidden

PATIENCE = 20.0


class Receiver(BodyReceiver):
    """Keeps what it is told; answers at the end with the size."""

    def __init__(self, uploads, conn, head):
        self.uploads = uploads
        self.conn = conn
        self.head = head
        self.pieces = []
        self.news = queue.Queue()
        for line, value in (("x-limit", "limit_bytes"),):
            if line in head.headers:
                setattr(self, value, int(head.headers[line]))
        if "x-pause" in head.headers:
            self.pause()

    def on_piece(self, data):
        assert type(data) is bytes
        assert data
        self.pieces.append(data)
        self.news.put(data)
        if "x-pause-each" in self.head.headers:
            self.pause()
        if b"RAISE" in data:
            raise ZeroDivisionError("by me")
        if b"REFUSE" in data:
            raise Forbidden("not this")
        if b"ANSWER" in data:
            self.uploads.server.respond(self.conn, b"early")

    def on_end(self):
        self.news.put("end")
        if "x-later" in self.head.headers:
            self.uploads.deferred.put(self.uploads.server.defer(self.conn))
        elif self.conn.data.head is not None:
            self.uploads.server.respond(self.conn, b"%d" % sum(map(len, self.pieces)))

    def on_lost(self, reason):
        self.news.put(reason)


class Uploads:
    """A server that takes bodies in pieces, except for some paths."""

    def __init__(self, serve, **options):
        self.receivers = queue.Queue()
        self.deferred = queue.Queue()
        self.asked = []
        self.server = serve(self.whole, on_head_complete=self.ask, **options)
        self.address = self.server.address

    def whole(self, body, conn, protocol, method, path, query, headers):
        self.server.respond(conn, path.encode() + b" " + body)

    def ask(self, conn, head):
        self.asked.append(head.path)
        if head.path == "/whole":
            limit = head.headers.get("x-limit")
            return None if limit is None else int(limit)
        if head.path == "/answer":
            self.server.respond(conn, b"no need", 401)
            return None
        if head.path == "/forbidden":
            raise Forbidden("no")
        if head.path == "/fail":
            raise ZeroDivisionError("in ask")
        receiver = Receiver(self, conn, head)
        self.receivers.put(receiver)
        return receiver

    def next(self):
        return self.receivers.get(timeout=PATIENCE)


def put(path, *lines, body=b""):
    return request(path, *lines, method="PUT", body=body)


def everything_of(news):
    """What a queue holds now."""
    found = []
    while not news.empty():
        found.append(news.get())
    return found
