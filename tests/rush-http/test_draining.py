"""`HttpServer.stop`: what is on its way is answered, then `run` returns."""

import contextlib
import queue
import socket
import threading

import pytest

from rawclient import RawClient, request
from rush_http import BodyReceiver, HttpServer, Limits, TrustedProxies

pytestmark = pytest.mark.over_tls

PATIENCE = 20.0


class Running:
    """A server whose `run` returns in a thread; ``/later`` is answered when the test says so."""

    def __init__(self, make_server, **options):
        self.waiting = queue.Queue()
        self.server = make_server(self.callback, **options)
        self.address = self.server.address
        self.thread = threading.Thread(target=self.server.run)
        self.thread.start()

    def callback(self, body, conn, protocol, method, path, query, headers):
        if path == "/later":
            self.waiting.put(conn)
        else:
            self.server.respond(conn, path.encode() + body)

    def stop(self, *arguments, **options):
        """Stop, and return when the server has heard of it."""
        self.server.stop(*arguments, **options)
        heard = threading.Event()
        self.server.epoll.loop.call_soon_threadsafe(heard.set)
        return heard.wait(PATIENCE)

    def phases(self):
        """Those of all connections."""
        answers = queue.Queue()
        loop, connections = self.server.epoll.loop, self.server.epoll.connections
        loop.call_soon_threadsafe(lambda: answers.put([c.data.phase for c in connections]))
        return answers.get(timeout=PATIENCE)

    def has_returned(self):
        self.thread.join(PATIENCE)
        return not self.thread.is_alive()


@pytest.fixture
def running(make_server):
    with contextlib.ExitStack() as stack:

        def start(**options):
            running = Running(make_server, **options)
            stack.callback(running.server.close)
            stack.callback(running.thread.join)
            stack.callback(running.server.stop, 0)
            return running

        yield start


def test_stop_without_connections(running):
    running = running()
    running.server.stop()
    assert running.has_returned()


def test_idle_connections_are_closed_after_their_grace(running):
    running = running()
    with RawClient(running.address) as fresh, RawClient(running.address) as used:
        used.get("/")
        running.stop(idle_grace=0.05)
        assert (fresh.rest(), used.rest()) == (b"", b"")
        assert running.has_returned()


def test_request_within_the_grace_is_answered(running):
    running = running()
    with RawClient(running.address) as client, RawClient(running.address) as again:
        again.get("/")
        running.stop(idle_grace=PATIENCE)
        for one in (client, again):
            answer = one.get("/")
            assert (answer.status, answer.headers["connection"]) == (200, "close")
            assert one.rest() == b""
            # He has not asked for the end, so more may be on its way, and is waited for.
            assert "linger" in running.phases()
            one.sock.close()
        assert running.has_returned()


def test_connection_that_the_client_ends_is_not_waited_for(running):
    running = running()
    with RawClient(running.address) as client:
        running.stop(idle_grace=PATIENCE)
        assert client.get("/", "Connection: close").status == 200
        assert client.rest() == b""
        assert running.has_returned()


def test_request_that_has_just_come_is_answered(running, in_loop):
    """It is there, and not yet read, when the idle ones are closed."""
    running = running()
    with RawClient(running.address) as client:
        client.get("/")
        [conn] = running.server.epoll.connections

        def close_idle():
            client.send(request("/late"))
            conn.data.finish_idle(conn)

        in_loop(running.server, close_idle)
        assert client.response().body == b"/late"


@pytest.mark.over_tls(False)
def test_who_has_not_begun_is_closed_after_the_grace(running, until):
    """Here he owes the line of the PROXY protocol; it is the same in a TLS handshake."""
    proxies = TrustedProxies("127.0.0.1", proxy_protocol="required")
    running = running(proxies=proxies, limits=Limits(head_seconds=1000))
    with RawClient(running.address) as client:
        until(running.server, lambda: running.server.epoll.entering)
        running.stop(3 * PATIENCE, idle_grace=0.01)
        assert client.rest() == b""
        assert running.has_returned()


def test_requests_pipelined_behind_the_last_answer_do_not_take_it_away(running):
    running = running()
    with RawClient(running.address) as client:
        client.get("/")
        running.stop(idle_grace=PATIENCE)
        client.send(request("/last"))
        for _ in range(100):  # it has not read yet that this was the last one
            client.send(request("/more", "Pad: " + "p" * 10_000))
        assert client.response().body == b"/last"
        assert client.rest() == b""


def test_nobody_new_is_accepted(running):
    running = running()
    with RawClient(running.address):
        running.stop(idle_grace=PATIENCE)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(running.address)


@pytest.mark.parametrize(
    ("start", "rest", "body"),
    [
        (b"GET /a HT", b"TP/1.1\r\nHost: a\r\n\r\n", b"/a"),
        (request("/b", "Content-Length: 3", method="PUT") + b"x", b"yz", b"/bxyz"),
    ],
)
def test_request_that_has_begun_is_answered(running, start, rest, body):
    running = running()
    with RawClient(running.address) as client, RawClient(running.address) as idle:
        client.get("/")
        client.send(start)
        idle.get("/")  # a turn of the loop later
        running.stop(idle_grace=0.01)
        assert idle.rest() == b""
        client.send(rest)
        answer = client.response()
        assert (answer.body, answer.headers["connection"]) == (body, "close")
        assert client.rest() == b""
        client.sock.close()
        assert running.has_returned()


def test_deferred_answer_is_awaited(running):
    running = running()
    with RawClient(running.address) as client, RawClient(running.address) as idle:
        client.send(request("/later"))
        conn = running.waiting.get(timeout=PATIENCE)
        running.stop(idle_grace=0.01)
        assert idle.rest() == b""
        running.server.epoll.loop.call_soon_threadsafe(
            lambda: running.server.respond(conn, b"late")
        )
        answer = client.response()
        assert (answer.body, answer.headers["connection"]) == (b"late", "close")
        assert client.rest() == b""
        client.sock.close()
        assert running.has_returned()


def test_large_answer_is_sent_to_its_end(running):
    running = running(limits=Limits(body_bytes=32 << 20))
    data = bytes(16 << 20)
    with RawClient(running.address) as client:
        client.send(request("/", method="PUT", body=data))
        assert client.begun().startswith(b"HTTP/1.1 200 OK")
        running.stop(idle_grace=0.01)
        assert client.response().body == b"/" + data
        assert client.rest() == b""
        assert running.has_returned()


def test_what_is_left_at_the_deadline_is_closed(running):
    running = running()
    with RawClient(running.address) as client:
        client.send(request("/later"))
        running.waiting.get(timeout=PATIENCE)
        running.stop(grace=0.05)
        assert client.rest() == b""
        assert running.has_returned()


@pytest.mark.parametrize("grace", [0, -1])
def test_stop_at_once(running, grace):
    running = running()
    with RawClient(running.address) as client:
        client.get("/")
        running.server.stop(grace)
        assert client.rest() == b""
        assert running.has_returned()


def test_second_stop_is_at_once(running):
    running = running()
    with RawClient(running.address) as client:
        client.get("/")
        running.stop(grace=PATIENCE, idle_grace=PATIENCE)
        running.server.stop()
        assert client.rest() == b""
        assert running.has_returned()


def test_stop_from_a_callback():
    def callback(body, conn, *rest):
        server.respond(conn, b"last")
        server.stop()

    with HttpServer(("127.0.0.1", 0), on_message_complete=callback) as server:
        server.run(threaded=True)
        with RawClient(server.address) as client:
            assert client.get("/", "Connection: close").body == b"last"
            assert client.rest() == b""


def test_leaving_the_context_stops_at_once():
    with HttpServer(("127.0.0.1", 0), on_message_complete=None) as server:
        server.run(threaded=True)
        client = RawClient(server.address)
    with client:
        assert client.rest() == b""
    server.close()


def test_server_that_never_ran():
    HttpServer(("127.0.0.1", 0)).close()
    with HttpServer(("127.0.0.1", 0)):
        pass


def test_client_that_is_behind_gets_all_it_asked_for_before_the_stop(running):
    running = running(limits=Limits(body_bytes=32 << 20))
    with RawClient(running.address) as client:
        data = bytes(4 << 20)
        client.send(request("/1", method="PUT", body=data) + request("/2"))
        assert client.begun().startswith(b"HTTP/1.1 200 OK")
        running.stop(idle_grace=0.01)
        assert client.response().body == b"/1" + data
        assert client.response().body == b"/2"
        assert client.rest() == b""


# Answers in pieces, bodies in pieces, upgrades


class Pieces(BodyReceiver):
    def __init__(self, running, conn):
        self.running, self.conn = running, conn
        self.size = 0
        running.waiting.put(self)

    def on_piece(self, data):
        self.size += len(data)

    def on_end(self):
        self.running.server.respond(self.conn, b"%d" % self.size)


def test_stream_goes_on_within_the_grace(running):
    running = running()
    running.server.on_message_complete = lambda body, conn, *rest: running.waiting.put(
        running.server.start_stream(conn, length=6)
    )
    with RawClient(running.address) as client, RawClient(running.address) as idle:
        client.send(request("/"))
        stream = running.waiting.get(timeout=PATIENCE)
        stream.write(b"abc")
        running.stop(3 * PATIENCE, idle_grace=0.01)
        assert idle.rest() == b""
        stream.write(b"def")
        stream.finish()
        assert client.response().body == b"abcdef"
        assert client.rest() == b""  # its connection ends as an idle one
        assert running.has_returned()


@pytest.mark.parametrize("begins", ["before", "while it stops"])
def test_stream_that_would_never_end_is_told(running, begins):
    running = running()

    def callback(body, conn, protocol, method, path, *rest):
        if path == "/plain":
            running.server.respond(conn, b"plain")
            return
        stream = running.server.start_stream(conn, length=3)
        stream.on_stop(lambda: (stream.write(b"bye"), stream.finish()))
        running.waiting.put(stream)

    running.server.on_message_complete = callback
    with RawClient(running.address) as client:
        client.send(request("/") if begins == "before" else request("/")[:-1])
        if begins == "before":
            running.waiting.get(timeout=PATIENCE)
        else:
            with RawClient(running.address) as other:  # so the half request has been read
                other.get("/plain")
        running.stop(PATIENCE, idle_grace=0.01)
        if begins != "before":
            client.send(b"\n")
        assert client.response().body == b"bye"
        assert client.rest() == b""
        client.sock.close()
        assert running.has_returned()


def test_request_behind_a_stream_is_answered(running):
    """The client could not know that the server is stopping."""
    running = running()

    def callback(body, conn, protocol, method, path, query, headers):
        if path == "/stream":
            running.waiting.put(running.server.start_stream(conn, length=3))
        else:
            running.server.respond(conn, b"plain")

    running.server.on_message_complete = callback
    with RawClient(running.address) as client:
        client.send(request("/stream") + request("/"))
        stream = running.waiting.get(timeout=PATIENCE)
        running.stop(PATIENCE, idle_grace=0.01)
        stream.write(b"abc")
        stream.finish()
        assert client.response().body == b"abc"
        answer = client.response()
        assert (answer.body, answer.headers["connection"]) == (b"plain", "close")
        assert client.rest() == b""
        client.sock.close()
        assert running.has_returned()


def test_body_in_pieces_goes_on_within_the_grace(running):
    running = running()
    running.server.on_head_complete = lambda conn, head: Pieces(running, conn)
    with RawClient(running.address) as client, RawClient(running.address) as idle:
        client.send(request("/", "Content-Length: 6", method="PUT") + b"abc")
        running.waiting.get(timeout=PATIENCE)
        running.stop(PATIENCE, idle_grace=0.01)
        assert idle.rest() == b""
        client.send(b"def")
        answer = client.response()
        assert (answer.body, answer.headers["connection"]) == (b"6", "close")
        assert client.rest() == b""
        client.sock.close()
        assert running.has_returned()


def test_streams_and_bodies_are_closed_at_the_deadline(running):
    running = running()
    running.server.on_head_complete = lambda conn, head: Pieces(running, conn)
    running.server.on_message_complete = lambda body, conn, *rest: running.waiting.put(
        running.server.start_stream(conn, length=6)
    )
    with RawClient(running.address) as one, RawClient(running.address) as other:
        one.send(request("/"))
        running.waiting.get(timeout=PATIENCE)
        other.send(request("/", "Content-Length: 6", method="PUT"))
        running.waiting.get(timeout=PATIENCE)
        running.stop(0.05)
        assert b"HTTP/1.1 200 OK" in one.rest()
        assert other.rest() == b""
        assert running.has_returned()


@pytest.mark.parametrize("says_goodbye", [False, True])
def test_upgraded_connection(running, says_goodbye):
    running = running()

    def callback(body, conn, *rest):
        on_stop = (lambda: running.waiting.put(conn)) if says_goodbye else None
        running.server.upgrade(conn, "x", on_data=conn.write, on_stop=on_stop)

    running.server.on_message_complete = callback
    with RawClient(running.address) as client, RawClient(running.address) as idle:
        client.send(request("/", "Connection: upgrade", "Upgrade: x"))
        assert client.response().status == 101
        running.stop(PATIENCE, idle_grace=0.01)
        assert idle.rest() == b""
        if says_goodbye:
            conn = running.waiting.get(timeout=PATIENCE)
            client.send(b"still")
            assert client.exactly(5) == b"still"
            running.server.epoll.loop.call_soon_threadsafe(conn.finish)
        assert client.rest() == b""
        assert running.has_returned()
