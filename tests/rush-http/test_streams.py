"""Answers in pieces: pushed by `start_stream`, pulled by `stream`."""

import contextlib
import itertools
import queue
import socket
import threading

import pytest

from rawclient import RawClient, request
from rush_http import HttpServer, Limits, ResponseStream

pytestmark = pytest.mark.over_tls

PATIENCE = 20.0


def chunks(client, *, head=True):
    """The status line and the chunks of a chunked answer, up to its end."""
    if head:
        client.read_head()
    found = []
    while True:
        size = int(client.line(), 16)
        data = client.exactly(size + 2)
        assert data.endswith(b"\r\n")
        if not size:
            return found
        found.append(data[:-2])


class Client(RawClient):
    def line(self):
        while b"\r\n" not in self._buffer:
            self._more()
        line, _, self._buffer = self._buffer.partition(b"\r\n")
        return line.decode()

    def read_head(self):
        """Status and lines of a head."""
        first = self.line()
        lines = {}
        while line := self.line():
            name, _, value = line.partition(": ")
            assert name.lower() not in lines
            lines[name.lower()] = value
        return int(first.split()[1]), lines


@pytest.fixture
def streaming(serve):
    """Start a server whose answers are made by a function: ``answer(server, conn)``."""

    def start(answer, **options):
        def callback(body, conn, protocol, method, path, query, headers):
            if path == "/plain":
                server.respond(conn, b"plain")
            else:
                answer(server, conn)

        server: HttpServer = serve(callback, **options)
        return server

    return start


def read_to_end(sock):
    while sock.recv(1 << 20):
        pass


def hello(server, conn):
    stream = server.start_stream(conn)
    for piece in (b"hello, ", b"", bytearray(b"wor"), memoryview(b"ld")):
        assert stream.write(piece)
    stream.finish()


@pytest.mark.parametrize("count", [1, 3])
def test_chunked(streaming, count):
    with Client(streaming(hello).address) as client:
        for _ in range(2):
            client.send(request("/") * count + request("/plain"))
            for _ in range(count):
                status, lines = client.read_head()
                assert (status, lines["transfer-encoding"]) == (200, "chunked")
                assert "content-length" not in lines
                assert chunks(client, head=False) == [b"hello, ", b"wor", b"ld"]
            assert client.response().body == b"plain"


def test_until_close_for_http_1_0(streaming):
    with Client(streaming(hello).address) as client:
        client.send(request("/", "Connection: keep-alive", protocol="HTTP/1.0"))
        _, lines = client.read_head()
        assert lines["connection"] == "close"
        assert "transfer-encoding" not in lines
        assert client.rest() == b"hello, world"


@pytest.mark.parametrize("protocol", ["HTTP/1.1", "HTTP/1.0"])
def test_with_a_length(streaming, protocol):
    def answer(server, conn):
        stream = server.start_stream(conn, 201, [("X", "y")], content_type="a/b", length=5)
        stream.write(b"he")
        stream.write(b"llo")
        stream.finish()

    with Client(streaming(answer).address) as client:
        for _ in range(2):
            answer = client.get("/", "Connection: keep-alive", protocol=protocol)
            assert (answer.status, answer.body) == (201, b"hello")
            assert answer.headers["content-type"] == "a/b"
            assert answer.headers["x"] == "y"


@pytest.mark.parametrize(
    ("method", "status", "framing"),
    [
        ("HEAD", 200, "Transfer-Encoding: chunked"),
        ("GET", 204, None),
        ("GET", 304, None),
        ("GET", 205, "Content-Length: 0"),
    ],
)
def test_without_a_body(streaming, method, status, framing):
    pulled = []

    def answer(server, conn):
        if conn.data.head.path == "/pull":
            server.stream(conn, map(pulled.append, b"abc"), status)
        else:
            stream = server.start_stream(conn, status)
            stream.write(b"hello")
            stream.finish()

    with Client(streaming(answer).address) as client:
        for path in ("/push", "/pull"):
            client.send(request(path, method=method))
            _, lines = client.read_head()
            said = [f"{name}: {value}" for name, value in lines.items() if "-encod" in name]
            said += [f"{name}: {value}" for name, value in lines.items() if "-leng" in name]
            assert said == ([] if framing is None else [framing.lower()])
            assert client.get("/plain").body == b"plain"
    assert pulled == []


def test_head_of_an_announced_length(streaming):
    def answer(server, conn):
        server.start_stream(conn, length=5).finish()

    with Client(streaming(answer).address) as client:
        assert client.get("/", method="HEAD").headers["content-length"] == "5"
        assert client.get("/plain").body == b"plain"


def test_small_answer_is_one_write(streaming):
    def pulled(server, conn):
        server.stream(conn, [b"a", b"", b"b"])

    for answer in (hello, pulled):
        server = HttpServer(("127.0.0.1", 0))
        server.on_message_complete = lambda body, conn, *rest: answer(server, conn)  # noqa: B023
        given, peer = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with server, peer:
            server.epoll.adopt(given)
            server.run(threaded=True)
            peer.settimeout(PATIENCE)
            for count in (1, 3):
                peer.send(request() * count)
                data = peer.recv(1 << 20)
                assert data.count(b"HTTP/1.1 200 OK\r\n") == count
                assert data.endswith(b"\r\n0\r\n\r\n")


@pytest.mark.parametrize("write", [[b"hello", b"!"], [b"hell"], []])
def test_not_what_was_announced(streaming, until, caplog, write):
    def answer(server, conn):
        stream = server.start_stream(conn, length=5)
        for piece in write:
            stream.write(piece)
        stream.finish()

    server = streaming(answer)
    with Client(server.address) as client:
        client.send(request("/plain") + request("/") + request("/plain"))
        assert client.response().body == b"plain"
        assert client.rest().count(b"HTTP/1.1") <= 1
    until(server, lambda: "announced" in caplog.text)
    assert "ValueError" in caplog.text


def test_nothing_after_the_end(streaming, until):
    done = []

    def answer(server, conn):
        stream = server.start_stream(conn)
        with pytest.raises(RuntimeError, match="no request awaits"):
            server.respond(conn, b"twice")
        stream.finish()
        with pytest.raises(RuntimeError, match="finished"):
            stream.write(b"more")
        stream.finish()
        stream.abort()
        with pytest.raises(RuntimeError, match="no request awaits"):
            server.start_stream(conn)
        done.append(True)

    server = streaming(answer)
    with Client(server.address) as client:
        client.send(request("/"))
        assert chunks(client) == []
        assert client.get("/plain").body == b"plain"
    until(server, lambda: done)


@pytest.mark.parametrize(
    "arguments",
    [
        {"headers": [("X", "a\r\nb")]},
        {"headers": [("Content-Length", "5")]},
        {"headers": [("Transfer-Encoding", "chunked")]},
        {"content_type": "a\0b"},
        {"length": -1},
        {"status": 101},
    ],
)
def test_what_cannot_be_sent(streaming, caplog, arguments):
    closed = []

    class Pieces(list):
        def close(self):
            closed.append(True)

    def answer(server, conn):
        if conn.data.head.path == "/pull":
            server.stream(conn, Pieces([b"x"]), **arguments)
        server.start_stream(conn, **arguments)

    with Client(streaming(answer).address) as client:
        assert client.get("/push").status == 500
        assert client.get("/pull").status == 500
        assert client.get("/plain").body == b"plain"
    assert closed == [True]
    assert caplog.text.count("ValueError") >= 2


# Later


@pytest.fixture
def started(streaming):
    """A server, and a queue of the streams that it has begun."""
    streams: queue.Queue[ResponseStream] = queue.Queue()
    server = streaming(lambda server, conn: streams.put(server.start_stream(conn)))
    return server, streams


def test_written_later(started, in_loop):
    server, streams = started
    with Client(server.address) as client, Client(server.address) as other:
        client.send(request("/") + request("/plain"))
        stream = streams.get(timeout=PATIENCE)
        assert client.read_head()[0] == 200  # before there is anything of a body
        for number in range(3):
            in_loop(server, lambda number=number: stream.write(b"event %d" % number))
            assert (client.line(), client.line()) == ("7", f"event {number}")
            assert other.get("/plain").body == b"plain"
        in_loop(server, stream.finish)
        assert chunks(client, head=False) == []
        assert client.response().body == b"plain"
        assert client.get("/plain").body == b"plain"


def test_written_by_a_thread_as_fast_as_the_client_reads(started):
    server, streams = started
    piece = bytes(50_000)
    most = []

    def work(stream):
        for _ in range(150):
            if not stream.write(piece):
                assert stream.wait(PATIENCE)
            most.append(sum(conn.queued for conn in list(server.epoll.connections)))
        stream.finish()

    with Client(server.address, receive_buffer=4096) as client:
        for _ in range(2):
            client.send(request("/"))
            thread = threading.Thread(target=work, args=[streams.get(timeout=PATIENCE)])
            thread.start()
            assert sum(map(len, chunks(client))) == 150 * len(piece)
            thread.join()
    assert max(most) < 600_000


def test_on_drain(started, in_loop):
    server, streams = started
    drained = queue.Queue()
    with Client(server.address, receive_buffer=4096) as client:
        client.send(request("/"))
        stream = streams.get(timeout=PATIENCE)
        stream.on_drain(lambda: drained.put(True))
        for _ in range(3):
            written = 20_000
            while in_loop(server, lambda: stream.write(bytes(20_000))):
                written += 20_000
            assert drained.empty()
            client.exactly(written)
            assert drained.get(timeout=PATIENCE) is True
        in_loop(server, stream.finish)


@pytest.mark.parametrize("how", ["close", "reset", "abort"])
def test_client_that_goes(started, until, caplog, how):
    server, streams = started
    gone = queue.Queue()
    client = Client(server.address)
    client.send(request("/"))
    stream = streams.get(timeout=PATIENCE)
    stream.on_gone(lambda: gone.put(threading.current_thread().name))
    assert not stream.gone
    if how == "abort":
        stream.abort()
        client.rest()
    elif how == "reset":
        client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    client.sock.close()
    if how != "abort":
        assert gone.get(timeout=PATIENCE) == "epollserver"
        assert stream.gone
        with contextlib.suppress(RuntimeError):
            for _ in range(20):
                stream.write(bytes(100_000))
            stream.finish()
    until(server, lambda: not server.epoll.connections)
    assert gone.empty()
    late = queue.Queue()
    if how != "abort":
        stream.on_gone(lambda: late.put(True))
        assert late.get(timeout=PATIENCE)
        assert not stream.wait(0.01)
    assert caplog.text == ""


def test_half_closed_client_gets_all(started, in_loop):
    server, streams = started
    gone = queue.Queue()
    with Client(server.address) as client:
        client.send(request("/") + request("/plain"))
        client.end()
        stream = streams.get(timeout=PATIENCE)
        stream.on_gone(lambda: gone.put(True))
        assert gone.get(timeout=PATIENCE)
        assert in_loop(server, lambda: stream.write(b"still"))
        in_loop(server, stream.finish)
        assert chunks(client) == [b"still"]
        assert client.response().body == b"plain"
        assert client.rest() == b""


def test_request_that_comes_when_a_stream_behind_a_late_answer_begins_waits(serve):
    waiting = queue.Queue()

    def callback(body, conn, protocol, method, path, query, headers):
        if path == "/late":
            waiting.put(server.defer(conn))
        elif path == "/stream":
            client.send(request("/next"))  # it is there before this turn is over
            waiting.put(server.start_stream(conn))
        else:
            server.respond(conn, path.encode())

    server = serve(callback)
    with Client(server.address) as client:
        client.send(request("/late") + request("/stream"))
        waiting.get(timeout=PATIENCE).respond(b"late")
        stream = waiting.get(timeout=PATIENCE)
        assert client.response().body == b"late"
        stream.write(b"some")
        assert client.read_head()[0] == 200
        assert client.line() == "4"
        stream.finish()
        assert client.exactly(6) == b"some\r\n"
        assert chunks(client, head=False) == []
        assert client.response().body == b"/next"


@pytest.mark.parametrize("protocol", ["HTTP/1.1", "HTTP/1.0"])
def test_aborted_answer_is_noticed(started, in_loop, protocol):
    server, streams = started
    with Client(server.address) as client:
        client.send(request("/", protocol=protocol))
        stream = streams.get(timeout=PATIENCE)
        in_loop(server, lambda: stream.write(b"some"))
        client.read_head()
        client.exactly(4)
        stream.abort()
        if protocol == "HTTP/1.0":
            with pytest.raises(ConnectionResetError):
                client.sock.recv(1000)
        else:
            assert b"0\r\n\r\n" not in client.rest()


def test_client_that_never_reads(serve, tmp_path):
    limits = Limits(write_seconds=0.3)
    gone = queue.Queue()

    def callback(body, conn, *rest):
        stream = server.start_stream(conn)
        stream.on_gone(lambda: gone.put(True))

        def more():  # somebody who always has news, whoever reads it
            if not stream.gone:
                stream.write(bytes(10_000))
                server.epoll.loop.call_later(0.02, more)

        more()

    server = serve(callback, address=str(tmp_path / "socket"), limits=limits)
    with Client(server.address) as client:
        client.send(request("/"))
        assert gone.get(timeout=PATIENCE)


# Pulled


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
