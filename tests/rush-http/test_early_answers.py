"""Answers that are given before a request's body is there."""

import queue
import threading

import pytest

from rawclient import RawClient, request
from rush_http import BadRequest, BodyReceiver, ContentTooLarge, Forbidden, Limits

pytestmark = pytest.mark.over_tls

PATIENCE = 20.0
EXPECTING = ("Expect: 100-continue", "Content-Length: 3")


class Paused(BodyReceiver):
    """Wants nothing until it is told to; answers with what came."""

    def __init__(self, server, conn):
        self.server = server
        self.conn = conn
        self.news = queue.Queue()
        self.deferred = server.defer(conn)
        self.pause()

    def on_piece(self, data):
        self.news.put(data)

    def on_end(self):
        self.news.put("end")
        if self.conn.data.head is not None:
            self.deferred.respond(b"taken")

    def on_lost(self, reason):
        self.news.put(reason)


@pytest.fixture
def paused(serve):
    """A server whose receivers pause at once; they are in its queue."""
    receivers = queue.Queue()

    def ask(conn, head):
        receiver = Paused(server, conn)
        receivers.put(receiver)
        return receiver

    def plain(body, conn, protocol, method, path, query, headers):
        server.respond(conn, path.encode())

    server = serve(plain, on_head_complete=ask)
    return server, receivers


def respond(deferred):
    deferred.respond(b"no", 403)


def stream(deferred):
    answer = deferred.start_stream(403, length=2)
    answer.write(b"no")
    answer.finish()


@pytest.mark.parametrize("resumed", [False, True])
@pytest.mark.parametrize("answer", [respond, stream])
def test_answer_instead_of_a_continue_that_was_held(paused, in_loop, answer, resumed):
    """Whether the body still comes cannot be known: the connection ends (RFC 9110, 10.1.1)."""
    server, receivers = paused

    def both():
        answer(receiver.deferred)
        if resumed:
            receiver.resume()

    with RawClient(server.address) as client:
        client.send(request("/", *EXPECTING, method="PUT"))
        receiver = receivers.get(timeout=PATIENCE)
        in_loop(server, both)
        said = client.response()
        assert (said.status, said.body, said.headers["connection"]) == (403, b"no", "close")
        client.send(request("/next"))
        assert client.rest() == b""
    assert receiver.news.get(timeout=PATIENCE) not in ("end", request("/next")[:3])
    assert receiver.news.empty()


def test_continue_that_was_held_and_sent(paused):
    """The connection goes on after it."""
    server, receivers = paused
    with RawClient(server.address) as client:
        for _ in range(2):
            client.send(request("/", *EXPECTING, method="PUT"))
            receivers.get(timeout=PATIENCE).resume()
            assert client.response().status == 100
            client.send(b"abc" + request("/next"))
            said = client.response()
            assert (said.body, "connection" in said.headers) == (b"taken", False)
            assert client.response().body == b"/next"


def test_server_that_stops_while_a_continue_is_held(paused, in_loop):
    server, receivers = paused
    with RawClient(server.address) as client:
        client.send(request("/", *EXPECTING, method="PUT"))
        receiver = receivers.get(timeout=PATIENCE)
        server.stop(PATIENCE, idle_grace=0.01)
        in_loop(server, receiver.resume)
        assert client.response().status == 100
        client.send(b"abc")
        said = client.response()
        assert (said.body, said.headers["connection"]) == (b"taken", "close")
        assert client.rest() == b""


def test_no_upgrade_while_a_continue_is_held(paused, in_loop):
    server, receivers = paused
    with RawClient(server.address) as client:
        lines = (*EXPECTING, "Connection: upgrade", "Upgrade: x")
        client.send(request("/", *lines, method="PUT"))
        conn = receivers.get(timeout=PATIENCE).conn

        def upgrade():
            with pytest.raises(RuntimeError, match="end of the request's body"):
                server.upgrade(conn, "x", on_data=print)

        in_loop(server, upgrade)


@pytest.mark.parametrize("expecting", [False, True])
def test_paused_receiver_hears_that_the_client_has_left(paused, expecting):
    server, receivers = paused
    gone = threading.Event()
    with RawClient(server.address) as client:
        client.send(request("/", *EXPECTING[not expecting :], method="PUT"))
        receivers.get(timeout=PATIENCE).deferred.on_gone(gone.set)
    assert gone.wait(PATIENCE)


@pytest.mark.parametrize("size", [3, 100_000, 100_000_000])
def test_stream_instead_of_the_body(serve, size):
    """Begun when the head was there, and longer than that callback."""
    streams = queue.Queue()
    server = serve(None, on_head_complete=lambda conn, head: begin(conn))

    def begin(conn):
        streams.put(server.start_stream(conn, 403, length=6))

    with RawClient(server.address) as client:
        line = f"Content-Length: {size}"
        client.send(request("/", line, method="PUT") + bytes(min(size, 5000)))
        answer = streams.get(timeout=PATIENCE)
        answer.write(b"no, ")
        answer.write(b"no")
        answer.finish()
        said = client.response()
        assert (said.status, said.body) == (403, b"no, no")
        if size > 5000:
            assert said.headers["connection"] == "close"
            client.send(bytes(5000))  # not reset
            assert client.rest() == b""


def test_answered_without_a_receiver_below_a_small_limit(serve):
    """A body that would be refused is not read: its answer is all that the client gets."""
    server = serve(
        None,
        on_head_complete=lambda conn, head: server.respond(conn, b"no", 403),
        limits=Limits(body_bytes=10),
    )
    with RawClient(server.address) as client:
        client.send(request("/", method="PUT", body=bytes(1000)))
        said = client.response()
        assert (said.status, said.headers["connection"]) == (403, "close")
        assert client.rest() == b""


class Held:
    """A server that takes a `Deferred` when the head is there, and leaves the body alone."""

    def __init__(self, serve, **options):
        self.deferred = queue.Queue()
        self.asked = []
        self.server = serve(self.callback, on_head_complete=self.ask, **options)
        self.address = self.server.address

    def ask(self, conn, head):
        self.deferred.put(self.server.defer(conn))

    def callback(self, body, conn, protocol, method, path, query, headers):
        self.asked.append(path)
        if not body:
            self.server.respond(conn, path.encode())

    def next(self):
        return self.deferred.get(timeout=PATIENCE)


@pytest.mark.parametrize("answer", [respond, stream])
def test_deferred_that_answers_before_the_body(serve, in_loop, answer):
    held = Held(serve)
    with RawClient(held.address) as client:
        for _ in range(2):
            client.send(request("/", "Content-Length: 5", method="PUT"))
            answer(held.next())
            said = client.response()
            assert (said.status, said.body) == (403, b"no")
            client.send(b"12345" + request("/next"))
            assert client.response().body == b"/next"
    assert held.asked == ["/next"] * 2
    assert held.server.bodies_bytes == 0


def test_deferred_that_answers_before_a_long_body(serve):
    held = Held(serve)
    with RawClient(held.address) as client:
        client.send(request("/", "Content-Length: 100000", method="PUT") + bytes(5000))
        respond(held.next())
        said = client.response()
        assert (said.status, said.headers["connection"]) == (403, "close")
        client.send(bytes(95_000))
        assert client.rest() == b""
    assert held.asked == []
    assert held.server.bodies_bytes == 0


def test_deferred_that_answers_before_a_body_that_is_refused(serve):
    """One answer, not two."""
    held = Held(serve)
    with RawClient(held.address) as client:
        client.send(request("/", "Transfer-Encoding: chunked", method="PUT"))
        respond(held.next())
        assert client.response().status == 403
        client.send(b"no size\r\n")
        assert client.rest() == b""


def test_body_that_is_refused_before_the_deferred_answers(serve):
    held = Held(serve)
    with RawClient(held.address) as client:
        client.send(request("/", "Transfer-Encoding: chunked", method="PUT"))
        deferred = held.next()
        client.send(b"no size\r\n")
        assert client.response().status == 400
        deferred.respond(b"late")
        assert client.rest() == b""


def test_deferred_hears_of_a_client_that_goes_before_the_body(serve):
    held = Held(serve)
    gone = threading.Event()
    with RawClient(held.address) as client:
        client.send(request("/", "Content-Length: 5", method="PUT"))
        held.next().on_gone(gone.set)
    assert gone.wait(PATIENCE)


def test_stream_that_is_finished_while_its_body_is_refused(serve, until):
    """The end of the stream is on its way from another thread; the connection ends all the same."""

    class Refusing(BodyReceiver):
        def __init__(self, conn):
            self.stream = server.start_stream(conn)
            self.stream.write(b"x")

        def on_piece(self, data):
            thread = threading.Thread(target=self.stream.finish)
            thread.start()
            thread.join()
            raise BadRequest("not this")

    server = serve(None, on_head_complete=lambda conn, head: Refusing(conn))
    with RawClient(server.address) as client:
        client.send(request("/", "Content-Length: 100000", method="PUT") + b"hello")
        client.rest()
    until(server, lambda: not server.epoll.connections)


@pytest.mark.parametrize("error", [Forbidden("no"), ZeroDivisionError("oops")])
def test_on_end_that_raises_after_its_stream_began(serve, error):
    class Failing(BodyReceiver):
        def __init__(self, conn):
            self.conn = conn

        def on_end(self):
            server.start_stream(self.conn).write(b"a part")
            raise error

    server = serve(None, on_head_complete=lambda conn, head: Failing(conn))
    with RawClient(server.address) as client:
        client.send(request("/", method="PUT", body=b"x") + request("/never"))
        assert not client.rest().endswith(b"0\r\n\r\n")


def test_what_on_lost_begins_is_overruled(serve):
    class Late(BodyReceiver):
        limit_bytes = 3

        def __init__(self, conn):
            self.conn = conn

        def on_lost(self, reason):
            assert isinstance(reason, ContentTooLarge)
            server.defer(self.conn)

    server = serve(None, on_head_complete=lambda conn, head: Late(conn))
    with RawClient(server.address) as client:
        client.send(request("/", "Transfer-Encoding: chunked", method="PUT") + b"5\r\nabcde\r\n")
        assert client.response().status == 413
        assert client.rest() == b""
