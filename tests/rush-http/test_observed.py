"""ObservedServer tells of every answer, once, when it has ended; CountedServer counts them."""

import os
import threading

import pytest

from programs import eventually
from rawclient import RawClient, request
from rush_http import BadRequest, CountedServer, Limits, ObservedServer

CASES = [
    # path and method          status   bytes of the body
    ("/whole", "GET", b"200", 5),
    ("/whole", "HEAD", b"200", 0),
    ("/raise", "GET", b"400", 16),
    ("/bug", "GET", b"500", 26),
    ("/stream", "GET", b"200", 7),
    ("/stream", "HEAD", b"200", 0),
    ("/pieces", "GET", b"203", 3000),
    ("/file", "GET", b"206", 100_003),
    ("/file", "HEAD", b"206", 0),
    ("/later", "GET", b"202", 5),
    ("/thread", "GET", b"202", 6),
    ("/streamed-later", "GET", b"200", 4),
]


class Observed:
    def __init__(self, tmp_path, **options):
        self.told = []
        self.large = tmp_path / "large"
        self.large.write_bytes(bytes(20_000_000))
        self.server = self.make(on_message_complete=self.answer, **options)

    def make(self, **options):
        return ObservedServer(("127.0.0.1", 0), on_answers=self.tell, **options)

    def tell(self, answers):
        for conn, head, status, size, began, ended in answers:
            assert 0 <= ended - began < 20
            assert conn.data.client == "127.0.0.1"
            self.told.append((head and head.path, head and head.method, status, size))

    def __enter__(self):
        self.server.run(threaded=True)
        return self

    def __exit__(self, *error):
        self.server.close()

    def client(self, **options):
        return RawClient(self.server.address, **options)

    def answer(self, body, conn, protocol, method, path, query, headers):
        server = self.server
        if path == "/whole":
            server.respond(conn, b"whole")
        elif path == "/raise":
            raise BadRequest("no")
        elif path == "/bug":
            raise ValueError
        elif path == "/stream":
            stream = server.start_stream(conn)
            for piece in (b"str", b"eam!"):
                stream.write(piece)
            stream.finish()
        elif path == "/pieces":
            server.stream(conn, [b"x" * 1000] * 3, 203, length=3000)
        elif path in ("/file", "/large"):
            count = 100_000 if path == "/file" else 20_000_000
            head = b"HTTP/1.1 206 Partial Content\r\nContent-Length: %d\r\n\r\n" % (count + 3)
            file = self.large.open("rb")
            server.send_parts(conn, head, file, [b"abc", (5, count)])
        elif path == "/later":
            later = server.defer(conn)
            server.epoll.loop.call_later(0.01, lambda: later.respond(b"later", 202))
        elif path == "/thread":
            later = server.defer(conn)
            threading.Thread(target=lambda: later.respond(b"thread", 202)).start()
        elif path == "/streamed-later":
            stream = server.defer(conn).start_stream()
            stream.write(b"late")
            server.epoll.loop.call_later(0.01, stream.finish)
        elif path == "/broken":
            stream = server.start_stream(conn)
            stream.write(b"half")
            server.epoll.loop.call_later(0.01, stream.abort)
        elif path == "/never":
            self.never = server.defer(conn)
            self.never.on_gone(lambda: self.never.respond(b"never"))
        elif path == "/closed":
            later = server.defer(conn)
            conn.close()
            server.epoll.loop.call_soon(lambda: later.respond(b"closed"))
        elif path == "/closed-stream":
            later = server.defer(conn)
            conn.close()
            server.epoll.loop.call_soon(lambda: later.stream([b"closed"]))
        elif path == "/closed-file":
            later, file = server.defer(conn), self.large.open("rb")
            conn.close()
            server.epoll.loop.call_soon(lambda: later.respond_file(file, 0, 5))
        elif path == "/switch":
            server.upgrade(conn, "echo", on_data=conn.write)


@pytest.mark.parametrize(("path", "method", "status", "size"), CASES)
def test_answers(tmp_path, path, method, status, size):
    with Observed(tmp_path) as observed, observed.client() as client:
        client.send(request(path, method=method))
        client.begun()
        eventually(lambda: observed.told)
        client.send(request("/whole", "Connection: close"))
        client.rest()
        eventually(lambda: len(observed.told) == 2)
    assert observed.told == [(path, method, status, size), ("/whole", "GET", b"200", 5)]


def test_pipelined(tmp_path):
    with Observed(tmp_path) as observed, observed.client() as client:
        client.send(request("/whole") + request("/later") + request("/whole", method="HEAD"))
        eventually(lambda: len(observed.told) == 3)
    assert [told[1:] for told in observed.told] == [
        ("GET", b"200", 5),
        ("GET", b"202", 5),
        ("HEAD", b"200", 0),
    ]


def test_broken_off(tmp_path):
    with Observed(tmp_path) as observed, observed.client() as client:
        client.send(request("/broken"))
        client.rest()
        eventually(lambda: observed.told)
    assert observed.told == [("/broken", "GET", b"200", 4)]


def test_a_client_that_leaves(tmp_path):
    with Observed(tmp_path) as observed:
        with observed.client() as client:
            client.send(request("/never"))
        eventually(lambda: observed.told)
    (told,) = observed.told
    assert told[:2] == ("/never", "GET")


GONE = ["/closed", "/closed-stream", "/closed-file"]


@pytest.mark.parametrize("path", GONE)
def test_a_client_that_has_left_before(tmp_path, path):
    with Observed(tmp_path) as observed, observed.client() as client:
        client.send(request(path))
        eventually(lambda: observed.told)
    assert observed.told == [(path, "GET", b"499", 0)]


def test_a_client_that_leaves_in_a_file(tmp_path):
    with Observed(tmp_path) as observed:
        with observed.client(receive_buffer=4096) as client:
            client.send(request("/large"))
            client.exactly(100_000)
        eventually(lambda: observed.told)
    ((*_, status, size),) = observed.told
    assert status == b"206"
    assert 0 < size < 20_000_003


def test_upgrades(tmp_path):
    with Observed(tmp_path) as observed, observed.client() as client:
        client.send(request("/switch", "Connection: upgrade", "Upgrade: echo"))
        client.begun()
        eventually(lambda: observed.told)
    assert observed.told == [("/switch", "GET", b"101", 0)]


REFUSED = [
    (b"GET / HTTP/1.1\r\n\r\n", None, b"400"),
    (b"nonsense\r\n\r\n", None, b"400"),
    (b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"x" * 5000 + b"\r\n\r\n", None, b"431"),
    (b"POST /up HTTP/1.1\r\nHost: x\r\nContent-Length: 9999\r\n\r\n", "/up", b"413"),
]


@pytest.mark.parametrize(("data", "path", "status"), REFUSED)
def test_refusals(tmp_path, data, path, status):
    limits = Limits(body_bytes=100, fields_bytes=1000)
    with Observed(tmp_path, limits=limits) as observed, observed.client() as client:
        client.send(data)
        body = client.rest().partition(b"\r\n\r\n")[2]
        eventually(lambda: observed.told)
    method = "POST" if path else None
    assert observed.told == [(path, method, status, len(body))]


def test_a_unix_socket_has_no_address(tmp_path):
    told = []
    address = os.fspath(tmp_path / "sock")

    def tell(answers):
        told.extend(conn.data.client for conn, *_ in answers)

    with ObservedServer(address, on_answers=tell) as server:
        server.on_message_complete = lambda body, conn, *rest: server.respond(conn, b"")
        server.run(threaded=True)
        with RawClient(address) as client:
            assert client.get().status == 200
        eventually(lambda: told == [""])


class Counted(Observed):
    def make(self, **options):
        return CountedServer(("127.0.0.1", 0), **options)

    def count(self, status):
        """Wait until one answer is counted, and compare its class."""
        eventually(lambda: any(self.server.answers))
        assert self.server.answers == [number == int(status[:1]) for number in range(1, 6)]


@pytest.mark.parametrize(("path", "method", "status"), [case[:3] for case in CASES])
def test_each_answer_counts(tmp_path, path, method, status):
    with Counted(tmp_path) as counted, counted.client() as client:
        client.send(request(path, method=method))
        client.begun()
        counted.count(status)


@pytest.mark.parametrize(("data", "path", "status"), REFUSED)
def test_refusals_count(tmp_path, data, path, status):
    limits = Limits(body_bytes=100, fields_bytes=1000)
    with Counted(tmp_path, limits=limits) as counted, counted.client() as client:
        client.send(data)
        client.rest()
        counted.count(status)


def test_other_ends_count(tmp_path):
    with Counted(tmp_path) as counted, counted.client() as client:
        client.send(request("/switch", "Connection: upgrade", "Upgrade: echo"))
        client.begun()
        counted.count(b"101")
    for path in GONE:
        with Counted(tmp_path) as counted, counted.client() as client:
            client.send(request(path))
            counted.count(b"499")


def test_pipelined_answers_count(tmp_path):
    with Counted(tmp_path) as counted, counted.client() as client:
        client.send(request("/whole") + request("/later") + request("/bug", method="HEAD"))
        eventually(lambda: counted.server.answers == [0, 2, 0, 0, 1])


class Opened:
    """A file, and whether it was closed."""

    closed = False

    def fileno(self):
        raise AssertionError("nothing is sent of it")

    def close(self):
        self.closed = True


def broken():
    yield b"abc"
    raise LookupError("in the parts")


@pytest.mark.parametrize("kind", ["observed", "counted"])
def test_parts_that_raise_leave_no_file_open(kind):
    file = Opened()

    def answer(body, conn, *message):
        server.send_parts(conn, b"HTTP/1.1 200 OK\r\n\r\n", file, broken())

    address = ("127.0.0.1", 0)
    if kind == "observed":
        server = ObservedServer(address, on_answers=len, on_message_complete=answer)
    else:
        server = CountedServer(address, on_message_complete=answer)
    with server:
        server.run(threaded=True)
        with RawClient(server.address) as client:
            assert client.get().status == 500
    assert file.closed
