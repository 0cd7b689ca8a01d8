"""Bodies in pieces that are answered before their end, or that never get there."""

import queue
import socket

import pytest

from epollserver import Reason
from rawclient import RawClient, request
from receivers import Uploads, everything_of, put
from rush_http import BadRequest, BodyReceiver, ContentTooLarge, Forbidden, HttpError, Limits

pytestmark = pytest.mark.over_tls

PATIENCE = 20.0
CHUNKED = "Transfer-Encoding: chunked"


# Answers before the end


def test_answer_before_the_end(uploads):
    with RawClient(uploads.address) as client:
        client.send(put("/", "Content-Length: 10") + b"ANSWER")
        assert client.response().body == b"early"
        client.send(b"more" + request("/plain"))
        assert client.response().body == b"/plain "
        assert everything_of(uploads.next().news)[-1] == "end"


@pytest.mark.parametrize("body", [bytes(10), bytes(60_000)])
def test_answered_without_a_receiver(uploads, body):
    """A short rest is read, and the connection goes on."""
    with RawClient(uploads.address) as client:
        for _ in range(3):
            client.send(put("/answer", body=body) + request("/plain"))
            answer = client.response()
            assert (answer.status, answer.headers.get("connection")) == (401, None)
            assert client.response().body == b"/plain "


def test_answered_without_a_receiver_long_body(uploads):
    with RawClient(uploads.address) as client:
        client.send(put("/answer", "Content-Length: 3000000") + bytes(2_000_000))
        answer = client.response()
        assert (answer.status, answer.headers.get("connection")) == (401, "close")
        client.send(bytes(900_000))
        assert client.rest() == b""


def test_echo_while_it_comes(serve):
    """An answer in pieces, begun before the body's end."""

    class Echo(BodyReceiver):
        def __init__(self, conn):
            self.conn = conn
            self.stream = None

        def on_piece(self, data):
            if self.stream is None:
                self.stream = server.start_stream(self.conn, length=30)
            self.stream.write(data)

        def on_end(self):
            self.stream.finish()

    server = serve(None, on_head_complete=lambda conn, head: Echo(conn))
    with RawClient(server.address) as client:
        for _ in range(3):
            client.send(put("/", "Content-Length: 30") + b"a" * 10)
            client.begun()
            client.send(b"b" * 10)
            client.send(b"c" * 10)
            client.send(put("/", body=b"d" * 30))
            assert client.response().body == b"a" * 10 + b"b" * 10 + b"c" * 10
            assert client.response().body == b"d" * 30


def test_stream_that_outlives_the_body(serve):
    streams = queue.Queue()

    class First(BodyReceiver):
        def __init__(self, conn):
            self.conn = conn

        def on_piece(self, data):
            streams.put(server.start_stream(self.conn, length=5))

    def plain(body, conn, *rest):
        server.respond(conn, b"plain")

    server = serve(plain, on_head_complete=lambda conn, head: First(conn))
    with RawClient(server.address) as client:
        client.send(put("/", body=b"x") + request("/"))
        stream = streams.get(timeout=PATIENCE)
        stream.write(b"hel")
        stream.write(b"lo")
        stream.finish()
        assert client.response().body == b"hello"
        assert client.response().body == b"plain"


def test_answer_after_the_end(uploads):
    with RawClient(uploads.address) as client:
        for _ in range(2):
            client.send(put("/", "X-Later: y", body=b"abc") + request("/plain"))
            uploads.deferred.get(timeout=PATIENCE).respond(b"late")
            assert client.response().body == b"late"
            assert client.response().body == b"/plain "


@pytest.mark.parametrize("line", ["X: y", "Connection: close"])
def test_on_end_that_raises(serve, caplog, line):
    class Bad(BodyReceiver):
        def on_end(self):
            raise ZeroDivisionError("in on_end")

    server = serve(None, on_head_complete=lambda conn, head: Bad())
    with RawClient(server.address) as client:
        client.send(put("/", line, body=b"x"))
        assert client.response().status == 500
    assert "in on_end" in caplog.text


# Clients that go


@pytest.mark.parametrize("paused", [False, True])
@pytest.mark.parametrize("how", ["close", "reset", "half"])
def test_client_that_goes(uploads, until, how, paused, caplog):
    client = RawClient(uploads.address)
    client.send(put("/", "Content-Length: 10", *(["X-Pause-Each: y"] if paused else [])) + b"abc")
    receiver = uploads.next()
    assert receiver.news.get(timeout=PATIENCE) == b"abc"
    if how == "half":
        client.end()
    elif how == "reset":
        client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    if how != "half":
        client.sock.close()
    if paused and how != "reset":
        until(uploads.server, lambda: True)
        assert receiver.news.empty()
        receiver.resume()
    reason = receiver.news.get(timeout=PATIENCE)
    assert reason is (Reason.RESET if how == "reset" else Reason.PEER_CLOSED)
    until(uploads.server, lambda: not uploads.server.epoll.connections)
    assert receiver.news.empty()
    receiver.resume()  # too late, and harmless
    client.sock.close()
    assert caplog.text == ""


def test_too_late(serve):
    uploads = Uploads(serve, limits=Limits(body_seconds=0.1))
    with RawClient(uploads.address) as client:
        client.send(put("/", "Content-Length: 10") + b"abc")
        assert client.response().status == 408
        assert client.rest() == b""
    receiver = uploads.next()
    assert receiver.news.get() == b"abc"
    reason = receiver.news.get(timeout=PATIENCE)
    assert isinstance(reason, HttpError)
    assert reason.status == 408


def test_too_late_after_an_early_answer_is_closed_without_another(serve):
    uploads = Uploads(serve, limits=Limits(body_seconds=0.1))
    with RawClient(uploads.address) as client:
        client.send(put("/", "Content-Length: 10") + b"ANSWER")
        assert client.response().body == b"early"
        assert client.rest() == b""


def test_on_lost_may_answer_in_its_own_words(serve):
    class Mine(BodyReceiver):
        limit_bytes = 3

        def __init__(self, conn):
            self.conn = conn

        def on_lost(self, reason):
            server.respond(self.conn, b"my words", reason.status)

    server = serve(None, on_head_complete=lambda conn, head: Mine(conn))
    with RawClient(server.address) as client:
        client.send(put("/", CHUNKED) + b"5\r\nabcde\r\n")
        answer = client.response()
        assert (answer.status, answer.body) == (413, b"my words")
        assert answer.headers["connection"] == "close"
        assert client.rest() == b""


def test_on_lost_gets_the_refusal_that_on_piece_has_raised(serve):
    """Not its cause: that is the application's own affair."""
    heard = queue.Queue()

    class Mine(BodyReceiver):
        def on_piece(self, data):
            try:
                int(data)
            except ValueError as error:
                raise BadRequest("no number") from error

        def on_lost(self, reason):
            heard.put(reason)

    server = serve(None, on_head_complete=lambda conn, head: Mine())
    with RawClient(server.address) as client:
        client.send(put("/", CHUNKED) + b"5\r\nabcde\r\n")
        assert client.response().status == 400
        assert isinstance(heard.get(timeout=PATIENCE), BadRequest)


def test_server_that_stops(uploads):
    with RawClient(uploads.address) as client:
        client.send(put("/", "Content-Length: 10") + b"abc")
        receiver = uploads.next()
        assert receiver.news.get(timeout=PATIENCE) == b"abc"
        uploads.server.close()
        assert receiver.news.get(timeout=PATIENCE) is Reason.SERVER_STOP


def test_requests_are_counted_once(serve):
    uploads = Uploads(serve, limits=Limits(requests=4))
    with RawClient(uploads.address) as client:
        for path in ("/", "/whole", "/whole"):
            client.send(put(path, body=b"x"))
            assert "connection" not in client.response().headers
        client.send(put("/whole", body=b"x"))
        assert client.response().headers["connection"] == "close"


def test_receiver_of_a_body_that_is_too_large_is_told(uploads):
    """It is refused before its first piece, and the receiver may have opened something."""
    with RawClient(uploads.address) as client:
        client.send(put("/", "X-Limit: 10", "Content-Length: 11"))
        assert client.response().status == 413
        assert isinstance(uploads.next().news.get(timeout=PATIENCE), ContentTooLarge)
        assert client.rest() == b""


def test_raises_after_its_answer(serve):
    def ask(conn, head):
        server.respond(conn, b"answer")
        raise Forbidden("too late")

    server = serve(None, on_head_complete=ask)
    with RawClient(server.address) as client:
        client.send(put("/", body=b"x"))
        assert client.response().body == b"answer"
        assert client.rest() == b""


def test_deferred_before_the_body(serve):
    held = queue.Queue()

    def ask(conn, head):
        held.put(server.defer(conn))

    server = serve(lambda body, conn, *rest: held.put(body), on_head_complete=ask)
    with RawClient(server.address) as client:
        for _ in range(2):
            client.send(put("/", body=b"x" * 100_000))
            deferred = held.get(timeout=PATIENCE)
            assert held.get(timeout=PATIENCE) == b"x" * 100_000
            deferred.respond(b"late")
            assert client.response().body == b"late"


def test_callback_that_closes(serve, until):
    class Closer(BodyReceiver):
        def __init__(self, conn):
            self.conn = conn
            self.news = queue.Queue()

        def on_piece(self, data):
            self.news.put(data)
            self.conn.close()

        def on_lost(self, reason):
            self.news.put(reason)

    receivers = []

    def ask(conn, head):
        receivers.append(Closer(conn))
        return receivers[-1]

    server = serve(None, on_head_complete=ask)
    with RawClient(server.address) as client:
        client.send(put("/", CHUNKED) + b"1\r\na\r\n1\r\nb\r\n")
        assert client.rest() == b""
    until(server, lambda: not server.epoll.connections)
    assert receivers[0].news.get() in (b"a", b"ab")
    assert receivers[0].news.get(timeout=PATIENCE) is Reason.OWN_CLOSE
    assert receivers[0].news.empty()
