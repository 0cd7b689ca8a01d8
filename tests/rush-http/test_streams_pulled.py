"""Answers in pieces that are pulled by `stream`."""

import itertools
import queue
import threading

import pytest

from chunked import Client, chunks, read_to_end
from rawclient import request

pytestmark = pytest.mark.over_tls

PATIENCE = 20.0


class Pieces:
    """An iterable that knows how far it was pulled, and how often it was closed."""

    def __init__(self, pieces):
        self._pieces = iter(pieces)
        self.pulled = 0
        self.closed = queue.Queue()

    def __iter__(self):
        return self

    def __next__(self):
        piece = next(self._pieces)
        self.pulled += 1
        return piece

    def close(self):
        self.closed.put(True)

    def closed_once(self):
        assert self.closed.get(timeout=PATIENCE)
        return self.closed.empty()


def test_pulled(streaming):
    pieces = []

    def answer(server, conn):
        pieces.append(Pieces([b"one", b"", b"two", b""]))
        server.stream(conn, pieces[-1])

    with Client(streaming(answer).address) as client:
        client.send(request("/") * 2 + request("/plain"))
        assert [chunks(client) for _ in range(2)] == [[b"one", b"two"]] * 2
        assert client.response().body == b"plain"
    assert all(one.closed_once() for one in pieces)


def test_generator_is_closed(streaming):
    closed = queue.Queue()

    def generate():
        try:
            for _ in itertools.count():
                yield bytes(10_000)
        finally:
            closed.put(True)

    class Iterable:
        def __iter__(self):
            return generate()

        def close(self):
            closed.put(True)

    server = streaming(lambda server, conn: server.stream(conn, Iterable()))
    with Client(server.address) as client:
        client.send(request("/"))
        client.exactly(100_000)
    assert closed.get(timeout=PATIENCE)
    assert closed.get(timeout=PATIENCE)


def test_pulled_as_the_client_reads(streaming, until, in_loop):
    pieces = Pieces(bytes(65536) for _ in range(200))
    server = streaming(lambda server, conn: server.stream(conn, pieces))
    with Client(server.address, receive_buffer=4096) as client, Client(server.address) as other:
        client.send(request("/"))
        until(server, lambda: any(conn.queued for conn in server.epoll.connections))
        assert other.get("/plain").body == b"plain"
        assert pieces.pulled < 120
        assert in_loop(server, lambda: max(c.queued for c in server.epoll.connections)) < 200_000
        assert sum(map(len, chunks(client))) == 200 * 65536
        assert client.get("/plain").body == b"plain"
    assert pieces.closed_once()


def test_others_are_served_while_a_fast_client_reads(streaming):
    stop = threading.Event()
    pieces = Pieces(bytes(65536) for _ in iter(stop.is_set, True))
    server = streaming(lambda server, conn: server.stream(conn, pieces))
    with Client(server.address) as client, Client(server.address) as other:
        client.send(request("/"))
        reader = threading.Thread(target=read_to_end, args=[client.sock])
        reader.start()
        for _ in range(20):
            assert other.get("/plain").body == b"plain"
        stop.set()
        assert pieces.closed_once()
        client.end()
        reader.join()


@pytest.mark.parametrize("before", [[], [b"some"], [bytes(1 << 20)]])
def test_iterator_that_raises(streaming, caplog, before):
    def generate():
        yield from before
        raise ZeroDivisionError("by me")

    pieces = Pieces(generate())
    server = streaming(lambda server, conn: server.stream(conn, pieces))
    with Client(server.address) as client, Client(server.address) as other:
        client.send(request("/plain") + request("/") + request("/plain"))
        data = client.rest()
        assert data.count(b"HTTP/1.1") <= 2
        assert not data.endswith(b"0\r\n\r\n")
        assert other.get("/plain").body == b"plain"
    assert pieces.closed_once()
    assert "by me" in caplog.text


@pytest.mark.parametrize(
    ("pieces", "length"), [([b"abc"], 2), ([b"abc"], 4), ([], 1), (["text"], None), (5, None)]
)
def test_pulled_what_was_not_announced(streaming, until, caplog, pieces, length):
    server = streaming(lambda server, conn: server.stream(conn, pieces, length=length))
    with Client(server.address) as client:
        client.send(request("/") + request("/plain"))
        assert client.rest().count(b"HTTP/1.1") <= 1
    until(server, lambda: "Error" in caplog.text)


def test_close_that_raises(streaming, caplog):
    class Bad(Pieces):
        def close(self):
            raise ZeroDivisionError("in close")

    server = streaming(lambda server, conn: server.stream(conn, Bad([b"fine"])))
    with Client(server.address) as client:
        client.send(request("/") + request("/plain"))
        assert chunks(client) == [b"fine"]
        assert client.response().body == b"plain"
    assert "in close" in caplog.text


@pytest.mark.parametrize("reads", [False, True])
def test_client_that_goes_closes_the_iterator(streaming, reads):
    pieces = Pieces(itertools.repeat(b"x" * 30_000))
    server = streaming(lambda server, conn: server.stream(conn, pieces))
    with Client(server.address) as client:
        client.send(request("/"))
        if reads:
            client.exactly(1 << 20)
    assert pieces.closed_once()


def test_server_that_stops_closes_the_iterator(streaming):
    pieces = Pieces(itertools.repeat(b"x" * 30_000))
    server = streaming(lambda server, conn: server.stream(conn, pieces))
    with Client(server.address) as client:
        client.send(request("/"))
        client.exactly(100_000)
        server.close()
        assert pieces.closed_once()


def test_empty_pieces_for_ever_hold_up_nobody(streaming):
    stop = threading.Event()
    pieces = Pieces(b"" for _ in iter(stop.is_set, True))
    server = streaming(lambda server, conn: server.stream(conn, pieces))
    with Client(server.address) as client, Client(server.address) as other:
        client.send(request("/") + request("/plain"))
        for _ in range(5):
            assert other.get("/plain").body == b"plain"
        stop.set()
        assert chunks(client) == []
        assert client.response().body == b"plain"
    assert pieces.closed_once()
