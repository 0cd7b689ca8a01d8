"""Time limits: who is late is found by a sweep."""

import contextlib
import select
import socket

import pytest

from rawclient import RawClient, request
from rush_http import Limits
from rush_http.phases import TOGETHER_BYTES

pytestmark = pytest.mark.over_tls

SOON = Limits(
    head_seconds=0.2, body_seconds=0.2, idle_seconds=0.2, write_seconds=0.2, linger_seconds=0.2
)

LATE = [
    # what was sent, status (None: closed without a word)
    (b"", None),
    (b"\r\n", None),
    (b"G", 408),
    (b"GET / HTTP/1.1\r\nHost: a\r\n", 408),
    (b"\r\n\r", 408),
    (request("/", "Content-Length: 5", method="PUT"), 408),
    (request("/", "Content-Length: 5", method="PUT") + b"hell", 408),
    (request("/", "Transfer-Encoding: chunked", method="PUT") + b"5\r\nhello", 408),
    (request("/", "Transfer-Encoding: chunked", method="PUT") + b"5\r\nhello\r\n0\r\n", 408),
]


def test_late_requests(site):
    server = site(limits=SOON)
    with contextlib.ExitStack() as stack:
        fresh = [stack.enter_context(RawClient(server.address)) for _ in LATE]
        used = [stack.enter_context(RawClient(server.address)) for _ in LATE]
        for clients in (fresh, used):
            for client, (wire, _) in zip(clients, LATE, strict=True):
                client.send(wire if clients is fresh else request("/before") + wire)
        for clients in (fresh, used):
            for client, (wire, status) in zip(clients, LATE, strict=True):
                if clients is used:
                    assert client.response().body == b"GET /before? "
                if status is not None:
                    answer = client.response()
                    assert (answer.status, answer.headers["connection"]) == (status, "close"), wire
                assert client.rest() == b"", wire
    assert server.bodies_bytes == 0


@pytest.mark.over_tls(False)
def test_answers_that_the_kernel_keeps_are_to_be_read(site, tmp_path, until):
    server = site(address=str(tmp_path / "socket"), limits=Limits(write_seconds=0.2))
    with RawClient(server.address) as reads, RawClient(server.address) as silent:
        assert reads.get("/").status == 200
        silent.send(request())
        until(server, lambda: len(server.epoll.connections) == 2)
        until(server, lambda: len(server.epoll.connections) == 1)
        assert reads.get("/").status == 200


def test_a_head_that_drips(site):
    with RawClient(site(limits=Limits(head_seconds=0.3)).address) as client:
        client.sock.settimeout(0.02)
        client.send(b"GET / HTTP/1.1\r\nX: ")
        while True:
            with contextlib.suppress(TimeoutError):
                assert client.response().status == 408
                break
            client.send(b"x")


def test_a_body_that_drips_is_not_silent(site):
    """`body_seconds` is silence: each byte counts anew."""
    with RawClient(site(limits=Limits(body_seconds=5)).address) as client:
        client.send(request("/", "Content-Length: 4", method="PUT"))
        for piece in (b"a", b"b", b"c", b"d"):
            client.send(piece)
        assert client.response().body == b"PUT /? abcd"


@pytest.mark.parametrize("path", ["/large", "/bad"])
def test_client_that_never_reads(serve, tmp_path, path):
    def callback(body, conn, protocol, method, path, query, headers):
        server.respond(conn, bytes(1 << 20))

    server = serve(callback, address=str(tmp_path / "socket"), limits=SOON)
    with RawClient(server.address) as client:
        client.send(request("/large") * 5 + (b"BAD\r\n\r\n" if path == "/bad" else b""))
        poller = select.poll()
        poller.register(client.sock, 0)  # a hang-up of a UNIX socket is seen at once
        assert poller.poll(20_000) == [(client.sock.fileno(), select.POLLHUP)]


def test_client_that_reads_slowly_is_not_late(serve, until, in_loop):
    """What counts is that it reads at all."""
    server = serve(
        lambda body, conn, *rest: server.respond(conn, bytes(32 << 20)),
        limits=Limits(write_seconds=1000),
    )
    with RawClient(server.address, receive_buffer=4096) as client:
        client.send(request())
        until(server, lambda: any(conn.queued for conn in server.epoll.connections))
        [conn] = server.epoll.connections
        now = server.epoll.loop.now

        def is_served(*times):
            for seconds in times:
                conn.data.check(conn, now + seconds)
            return conn.fileno() >= 0

        for turn in range(5):
            before = in_loop(server, lambda: conn.queued)
            while in_loop(server, lambda: conn.queued) == before:
                client.exactly(100_000)
            assert in_loop(server, lambda turn=turn: is_served(turn * 900))
        assert not in_loop(server, lambda: is_served(10_000, 20_000))


def test_small_requests_of_a_client_that_never_reads(serve, in_loop, until):
    """What it is answered meanwhile is no sign that it reads."""
    server = serve(
        lambda body, conn, p, m, path, *rest: server.respond(conn, bytes(int(path[1:]))),
        limits=Limits(write_seconds=1000, write_buffer_bytes=32 << 20),
    )
    with RawClient(server.address, receive_buffer=4096) as client:
        client.send(request(f"/{8 << 20}"))
        until(server, lambda: any(conn.queued for conn in server.epoll.connections))
        [conn] = server.epoll.connections
        now = in_loop(server, lambda: server.epoll.loop.now)

        def is_served(seconds):
            conn.data.check(conn, now + seconds)
            return conn.fileno() >= 0

        for seconds in (1, 400, 800):
            assert in_loop(server, lambda seconds=seconds: is_served(seconds))
            before = in_loop(server, lambda: conn.queued)
            client.send(request("/10"))
            until(server, lambda before=before: conn.queued > before)
        assert not in_loop(server, lambda: is_served(1200))


LATE_BEHIND_AN_ANSWER = [
    # what follows a request whose answer is not read, its phase
    (b"GET / HTTP/1.1\r\nHost: a\r\n", "head"),
    (request("/", "Content-Length: 5", method="PUT") + b"hell", "body"),
]


@pytest.mark.parametrize(("wire", "phase"), LATE_BEHIND_AN_ANSWER)
def test_late_while_an_answer_waits(serve, in_loop, until, wire, phase):
    server = serve(
        lambda body, conn, *rest: server.respond(conn, bytes(8 << 20)),
        limits=Limits(write_buffer_bytes=32 << 20, head_seconds=10, body_seconds=10),
    )
    with RawClient(server.address, receive_buffer=4096) as client:
        client.send(request("/") + wire)
        until(server, lambda: any(c.data.phase == phase for c in server.epoll.connections))
        [conn] = server.epoll.connections
        assert in_loop(server, lambda: conn.queued) > 0
        now = in_loop(server, lambda: server.epoll.loop.now)
        in_loop(server, lambda: conn.data.check(conn, now + 9))
        assert in_loop(server, lambda: conn.data.phase) == phase
        in_loop(server, lambda: conn.data.check(conn, now + 11))
        assert in_loop(server, lambda: conn.data.phase) == "linger"


@pytest.mark.parametrize("size", [60_000, 8 << 20])
@pytest.mark.parametrize(("wire", "phase"), LATE_BEHIND_AN_ANSWER)
def test_not_late_while_nobody_looks(serve, in_loop, until, wire, phase, size):
    """Above the high-water mark the client is not read: it cannot be late."""

    def callback(body, conn, *rest):
        conn.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        server.respond(conn, bytes(size))

    server = serve(
        callback,
        limits=Limits(
            write_buffer_bytes=1000, write_seconds=1000, head_seconds=10, body_seconds=10
        ),
    )
    with RawClient(server.address, receive_buffer=4096) as client:
        client.send(request("/") + wire)
        until(server, lambda: any(c.queued for c in server.epoll.connections))
        [conn] = server.epoll.connections
        # What is written at the end of a turn stops the reading, but no longer its requests.
        waiting = "behind" if size > TOGETHER_BYTES else phase
        assert in_loop(server, lambda: (conn.data.phase, conn.is_read)) == (waiting, False)
        now = in_loop(server, lambda: server.epoll.loop.now)
        for seconds in (1, 50, 100):
            in_loop(server, lambda seconds=seconds: conn.data.check(conn, now + seconds))
        assert client.response().body == bytes(size)
        until(server, lambda: conn.is_read and conn.data.phase == phase)
        if waiting == phase:  # its time goes on where it was
            in_loop(server, lambda: conn.data.check(conn, now + 109))
            assert in_loop(server, lambda: conn.data.phase) == phase


def test_refused_client_that_never_closes(site):
    with RawClient(site(limits=SOON).address) as client:
        client.send(b"BAD\r\n\r\n")
        assert client.response().status == 400
        with pytest.raises(ConnectionError):
            client.send_for_ever(b"x")


def test_refused_client_that_sends_too_much_is_read_no_more(site, until):
    server = site(limits=Limits(linger_seconds=1000, linger_bytes=100_000))
    with RawClient(server.address) as client:
        client.send(b"BAD\r\n\r\n")
        assert client.response().status == 400
        [conn] = server.epoll.connections
        client.send(bytes(90_000))
        assert conn.is_read
        client.send(bytes(20_000))
        until(server, lambda: not conn.is_read)


def test_nobody_is_late_in_time(site):
    with RawClient(site().address) as client:
        client.send(request("/1")[:-1])
        client.send(b"\n" + request("/2", "Content-Length: 1", method="PUT"))
        client.send(b"x")
        assert [client.response().status for _ in range(2)] == [200, 200]
