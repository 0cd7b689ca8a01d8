"""Answers that are given later: the callback returns, keeps `conn`, and somebody answers."""

import queue
import threading

import pytest

from rawclient import RawClient, request
from rush_http import HttpServer, Limits, render

pytestmark = pytest.mark.over_tls

PATIENCE = 20.0


class Later:
    """A server that answers ``/later...`` when the test tells it to, and all else at once."""

    def __init__(self, serve, **options):
        self.waiting = queue.Queue()  # connections that await their answer
        self.server: HttpServer = serve(self.callback, **options)
        self.address = self.server.address

    def callback(self, body, conn, protocol, method, path, query, headers):
        if path.startswith("/later"):
            self.waiting.put(conn)
        else:
            self.server.respond(conn, path.encode() + body)

    def next(self):
        return self.waiting.get(timeout=PATIENCE)

    def answer(self, conn, body=b"late"):
        self.server.epoll.loop.call_soon_threadsafe(lambda: self.server.respond(conn, body))


@pytest.fixture
def later(serve):
    return Later(serve)


def test_answered_from_another_thread(later):
    def worker():
        for _ in range(3):
            later.answer(later.next())

    thread = threading.Thread(target=worker)
    thread.start()
    with RawClient(later.address) as client:
        for _ in range(3):
            assert client.get("/later").body == b"late"
            assert client.get("/now").body == b"/now"
    thread.join()


def test_others_are_served_meanwhile(later):
    with RawClient(later.address) as client, RawClient(later.address) as other:
        client.send(request("/later"))
        conn = later.next()
        for _ in range(3):
            assert other.get("/now").body == b"/now"
        later.answer(conn)
        assert client.response().body == b"late"


def test_order_is_kept(later):
    with RawClient(later.address) as client:
        client.send(
            request("/1")
            + request("/later")
            + request("/2", method="POST", body=b"+")
            + request("/later")
            + request("/later")
            + request("/3")
        )
        assert client.response().body == b"/1"
        for number in range(3):
            conn = later.next()
            assert later.waiting.empty()  # the next one waits for this one's answer
            later.answer(conn, b"late %d" % number)
            assert client.response().body == b"late %d" % number
            if number == 0:
                assert client.response().body == b"/2+"
        assert client.response().body == b"/3"


def test_requests_that_come_meanwhile_wait(later):
    with RawClient(later.address) as client:
        client.send(request("/later"))
        conn = later.next()
        client.send(request("/1") + request("/2"))
        later.answer(conn)
        assert [client.response().body for _ in range(3)] == [b"late", b"/1", b"/2"]


def test_many_deferred_in_one_buffer(later):
    """Each answer makes the next call: not one inside the other."""
    count = 2000
    with RawClient(later.address) as client:
        client.send(request("/later") * count)
        for _ in range(count):
            later.answer(later.next())
            assert client.response().body == b"late"


def test_answered_while_the_callback_of_another_runs(serve, until):
    waiting = []

    def callback(body, conn, protocol, method, path, query, headers):
        if path == "/wait":
            waiting.append(conn)
        else:
            server.respond(waiting.pop(), b"for you")
            server.respond(conn, b"for me")

    server = serve(callback)
    with RawClient(server.address) as client, RawClient(server.address) as other:
        for _ in range(2):
            client.send(request("/wait") + request("/wait"))
            for _ in range(2):
                until(server, lambda: waiting)
                assert other.get("/release").body == b"for me"
                assert client.response().body == b"for you"


def test_large_late_answers_wait_for_the_client(later, until):
    """What it has not read bounds what is answered next."""
    count, size = 20, 1 << 20
    queued = []

    def answer(conn):
        queued.append(conn.queued)
        later.server.respond(conn, bytes(size))

    def worker():
        for _ in range(count):
            conn = later.next()
            later.server.epoll.loop.call_soon_threadsafe(lambda conn=conn: answer(conn))

    thread = threading.Thread(target=worker)
    thread.start()
    with RawClient(later.address, receive_buffer=4096) as client:
        client.send(request("/later") * count)
        until(later.server, lambda: any(conn.queued for conn in later.server.epoll.connections))
        for _ in range(count):
            assert client.response().body == bytes(size)
    thread.join()
    assert max(queued) <= Limits().write_buffer_bytes


@pytest.mark.parametrize(
    ("lines", "protocol", "connection"),
    [
        (["Connection: close"], "HTTP/1.1", "close"),
        ([], "HTTP/1.0", "close"),
        (["Connection: keep-alive"], "HTTP/1.0", "keep-alive"),
    ],
)
def test_connection_line(later, lines, protocol, connection):
    with RawClient(later.address) as client:
        client.send(request("/later", *lines, protocol=protocol))
        later.answer(later.next())
        assert client.response().headers["connection"] == connection
        if connection == "close":
            assert client.rest() == b""


def test_head(later):
    with RawClient(later.address) as client:
        client.send(request("/later", method="HEAD"))
        later.answer(later.next())
        assert client.response(without_body=True).headers["content-length"] == "4"
        assert client.get("/now").body == b"/now"


def test_send(later):
    with RawClient(later.address) as client:
        client.send(request("/later"))
        conn, data = later.next(), render(200, b"rendered")
        later.server.epoll.loop.call_soon_threadsafe(lambda: later.server.send(conn, data))
        assert client.response().body == b"rendered"


def test_send_file(later, tmp_path):
    (tmp_path / "file").write_bytes(b"0123456789")
    file = (tmp_path / "file").open("rb")
    with RawClient(later.address) as client:
        client.send(request("/later") + request("/now"))
        conn = later.next()
        head = render(200, b"0123", head_only=True)
        later.server.epoll.loop.call_soon_threadsafe(
            lambda: later.server.send_file(conn, head, file, 3, 4)
        )
        assert client.response().body == b"3456"
        assert client.response().body == b"/now"
    assert file.closed


def test_answering_twice(later, in_loop):
    with RawClient(later.address) as client:
        client.send(request("/later"))
        conn = later.next()
        later.answer(conn)
        assert client.response().body == b"late"

        def again():
            with pytest.raises(RuntimeError, match="no request awaits"):
                later.server.respond(conn, b"again")
            return True

        assert in_loop(later.server, again)
        assert client.get("/now").body == b"/now"


@pytest.mark.parametrize("reset", [False, True])
def test_client_that_has_gone(later, until, caplog, reset):
    client = RawClient(later.address)
    client.send(request("/later") + request("/now"))
    conn = later.next()
    if reset:
        client.sock.setsockopt(1, 13, b"\1\0\0\0\0\0\0\0")  # SOL_SOCKET, SO_LINGER
    client.sock.close()
    later.answer(conn)
    until(later.server, lambda: not later.server.epoll.connections)
    assert caplog.text == ""


def test_half_closed_client_gets_its_answer(later):
    with RawClient(later.address) as client:
        client.send(request("/later") + request("/later"))
        client.end()
        for _ in range(2):
            later.answer(later.next())
            assert client.response().body == b"late"
        assert client.rest() == b""


def test_bad_request_behind_a_deferred_answer(later):
    with RawClient(later.address) as client:
        client.send(request("/later") + b"BAD\r\n\r\n" + bytes(100_000))
        later.answer(later.next())
        assert client.response().body == b"late"
        assert client.response().status == 400
        assert client.rest() == b""


def test_last_request_of_a_connection(serve):
    later = Later(serve, limits=Limits(requests=2))
    with RawClient(later.address) as client:
        client.send(request("/1") + request("/later") + request("/3"))
        assert client.response().body == b"/1"
        later.answer(later.next())
        assert client.response().headers["connection"] == "close"
        assert client.rest() == b""


def test_waiting_for_an_answer_has_no_time_limit(serve, in_loop):
    limits = Limits(head_seconds=0.01, body_seconds=0.01, idle_seconds=0.01, write_seconds=0.01)
    later = Later(serve, limits=limits)
    with RawClient(later.address) as client:
        client.send(request("/later"))
        conn = later.next()
        in_loop(later.server, lambda: conn.data.check(conn, later.server.epoll.loop.now + 1000))
        later.answer(conn)
        assert client.response().body == b"late"


# Draining


def test_answer_that_comes_while_the_server_stops(later, in_loop):
    with RawClient(later.address) as client:
        client.send(request("/later") + request("/lost"))
        conn = later.next()
        later.server.stop(grace=PATIENCE, idle_grace=0.01)
        in_loop(later.server, lambda: None)  # it has heard of it
        later.answer(conn)
        answer = client.response()
        assert (answer.body, answer.headers["connection"]) == (b"late", "close")
        assert client.rest() == b""


def test_answer_rendered_before_the_server_stops_ends_the_connection(later, in_loop):
    data = render(200, b"early")
    with RawClient(later.address) as client:
        client.send(request("/later"))
        conn = later.next()
        later.server.stop(grace=PATIENCE, idle_grace=0.01)
        in_loop(later.server, lambda: None)
        later.server.epoll.loop.call_soon_threadsafe(lambda: later.server.send(conn, data))
        assert client.response().body == b"early"
        assert client.rest() == b""


# Bytes that nobody will read


@pytest.mark.parametrize("size", [5, 8 << 20])
def test_bytes_behind_the_last_request_do_not_take_its_answer_away(later, until, size):
    """Closing a socket with unread bytes would reset the connection."""
    with RawClient(later.address) as client:
        client.send(request("/later", "Connection: close"))
        conn = later.next()
        client.send(request("/more") * 1000)  # they stay in the socket: nobody reads now
        later.answer(conn, bytes(size))
        until(later.server, lambda: conn.data.head is None)
        client.send(request("/more") * 10)
        assert client.response().body == bytes(size)
        assert client.rest() == b""


def test_bytes_that_come_while_the_last_answer_waits(later, until):
    with RawClient(later.address) as client:
        client.send(request("/later", "Connection: close"))
        conn = later.next()
        later.answer(conn, bytes(16 << 20))
        until(later.server, lambda: conn.queued)
        client.send(request("/more") * 1000)
        assert client.response().body == bytes(16 << 20)
        assert client.rest() == b""
