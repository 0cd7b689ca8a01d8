"""Bodies in pieces: `on_head_complete` and `BodyReceiver`."""

import logging
import queue
import socket
import threading

import pytest

from epollserver import Reason
from rawclient import RawClient, request
from rush_http import BodyReceiver, ContentTooLarge, Forbidden, HttpError, Limits

pytestmark = pytest.mark.over_tls

PATIENCE = 20.0
CHUNKED = "Transfer-Encoding: chunked"


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


@pytest.fixture
def uploads(serve):
    return Uploads(serve)


def put(path, *lines, body=b""):
    return request(path, *lines, method="PUT", body=body)


def test_in_pieces(uploads):
    data = bytes(range(256)) * 4096
    with RawClient(uploads.address) as client:
        for _ in range(2):
            client.send(put("/a", body=data) + request("/plain") + put("/b", CHUNKED))
            client.send(
                b"3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nX: y\r\n\r\n" + put("/whole", body=b"xyz")
            )
            assert client.response().body == b"%d" % len(data)
            assert client.response().body == b"/plain "
            assert client.response().body == b"5"
            assert client.response().body == b"/whole xyz"
            receiver = uploads.next()
            assert b"".join(receiver.pieces) == data
            assert max(map(len, receiver.pieces)) <= 65536
            assert uploads.next().pieces in ([b"abcde"], [b"abc", b"de"])
    assert uploads.asked == ["/a", "/b", "/whole"] * 2
    assert uploads.server.bodies_bytes == 0


def test_pieces_come_as_they_arrive(uploads):
    with RawClient(uploads.address) as client:
        client.send(put("/", "Content-Length: 6"))
        receiver = uploads.next()
        for piece in (b"ab", b"cd", b"ef"):
            client.send(piece)
            assert receiver.news.get(timeout=PATIENCE) == piece
        assert receiver.news.get(timeout=PATIENCE) == "end"
        assert client.response().body == b"6"


def test_streamed_bodies_do_not_count_as_memory(serve):
    limits = Limits(bodies_bytes=1000, body_bytes=1 << 20)
    with RawClient(Uploads(serve, limits=limits).address) as client:
        client.send(put("/", body=bytes(1 << 20)))
        assert client.response().body == b"%d" % (1 << 20)


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
def test_never_asked_without_a_body(uploads, method):
    with RawClient(uploads.address) as client:
        for _ in range(3):
            assert client.get("/", "Content-Length: 0", method=method).status == 200
    assert uploads.asked == []


# Limits


@pytest.mark.parametrize(
    ("path", "lines", "limits", "status"),
    [
        ("/", ["X-Limit: 10", "Content-Length: 11"], {}, 413),
        ("/", ["X-Limit: 10", "Content-Length: 10"], {"body_bytes": 5}, 100),
        ("/", ["Content-Length: 6"], {"body_bytes": 5}, 413),
        ("/whole", ["Content-Length: 6"], {"body_bytes": 5}, 413),
        ("/whole", ["Content-Length: 5"], {"body_bytes": 5}, 100),
        ("/whole", ["X-Limit: 10", "Content-Length: 11"], {}, 413),
        ("/whole", ["X-Limit: 10", "Content-Length: 10"], {"body_bytes": 5}, 100),
        ("/", [CHUNKED], {}, 100),
        ("/answer", ["Content-Length: 6"], {}, 401),
        ("/answer", [CHUNKED], {}, 401),
        ("/forbidden", ["Content-Length: 6"], {}, 403),
        ("/fail", ["Content-Length: 6"], {}, 500),
    ],
)
def test_continue_or_the_answer(serve, path, lines, limits, status):
    uploads = Uploads(serve, limits=Limits(**limits))
    with RawClient(uploads.address) as client:
        client.send(put(path, "Expect: 100-continue", *lines))
        answer = client.response()
        assert answer.status == status
        if status != 100:
            assert answer.headers["connection"] == "close"
            client.sock.settimeout(PATIENCE)
            assert client.rest() == b""


def test_a_whole_body_with_a_limit_of_its_own(serve):
    uploads = Uploads(serve, limits=Limits(body_bytes=5))
    with RawClient(uploads.address) as client:
        client.send(put("/whole", "X-Limit: 10", body=b"0123456789"))
        assert client.response().body == b"/whole 0123456789"
        client.send(put("/whole", CHUNKED, "X-Limit: 10") + b"6\r\nabcdef\r\n6\r\nabcdef\r\n")
        assert client.response().status == 413
        assert client.rest() == b""
    assert uploads.server.bodies_bytes == 0


def test_too_large_while_it_comes(uploads):
    with RawClient(uploads.address) as client:
        client.send(put("/", CHUNKED, "X-Limit: 10") + b"6\r\nabcdef\r\n")
        receiver = uploads.next()
        assert receiver.news.get(timeout=PATIENCE) == b"abcdef"
        client.send(b"6\r\nabcdef\r\n")
        assert client.response().status == 413
        reason = receiver.news.get(timeout=PATIENCE)
        assert isinstance(reason, ContentTooLarge)
        assert client.rest() == b""
    assert receiver.news.empty()


@pytest.mark.parametrize(
    ("body", "status"),
    [(b"5\r\nabcdef\r\n", 400), (b"x\r\n", 400), (b"5\r\nabRAISE\r\n", 400)],
)
def test_malformed(uploads, body, status):
    with RawClient(uploads.address) as client:
        client.send(put("/", CHUNKED) + body)
        assert client.response().status == status
        reasons = [r for r in _all(uploads.next().news) if not isinstance(r, bytes)]
        assert [reason.status for reason in reasons] == [status]


def _all(news):
    found = []
    while not news.empty():
        found.append(news.get())
    return found


@pytest.mark.parametrize(
    ("word", "status", "error"), [(b"RAISE", 500, ZeroDivisionError), (b"REFUSE", 403, Forbidden)]
)
def test_receiver_that_raises(uploads, caplog, word, status, error):
    caplog.set_level(logging.INFO, "rush_http")
    with RawClient(uploads.address) as client:
        client.send(put("/", "Content-Length: 1000000") + word + bytes(100_000))
        answer = client.response()
        assert (answer.status, answer.headers["connection"]) == (status, "close")
        client.send(bytes(500_000))  # not reset meanwhile
        assert client.rest() == b""
    receiver = uploads.next()
    receiver.news.get(timeout=PATIENCE)
    assert isinstance(receiver.news.get(timeout=PATIENCE), error)
    assert receiver.news.empty()
    assert ("Traceback" in caplog.text) is (status == 500)


def test_body_that_is_too_slow(serve, until, in_loop):
    limits = Limits(body_bytes_per_second=100, body_grace_seconds=10, body_seconds=1000)
    uploads = Uploads(serve, limits=limits)
    server = uploads.server

    def check(seconds):
        [conn] = server.epoll.connections
        conn.data.check(conn, server.epoll.loop.now + seconds)

    def received():
        [conn] = server.epoll.connections
        return conn.data.upload.received_bytes

    for path in ("/", "/whole"):
        with RawClient(uploads.address) as client:
            client.send(put(path, "Expect: 100-continue", "Content-Length: 10000"))
            assert client.response().status == 100
            in_loop(server, lambda: check(9))
            client.send(bytes(2000))
            until(server, lambda: received() == 2000)
            in_loop(server, lambda: check(29))
            in_loop(server, lambda: check(31))
            assert client.response().status == 408
            assert client.rest() == b""


# Answers before the end


def test_answer_before_the_end(uploads):
    with RawClient(uploads.address) as client:
        client.send(put("/", "Content-Length: 10") + b"ANSWER")
        assert client.response().body == b"early"
        client.send(b"more" + request("/plain"))
        assert client.response().body == b"/plain "
        assert _all(uploads.next().news)[-1] == "end"


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


# Back pressure


def test_pause_and_resume(uploads):
    size = 3 << 20
    with RawClient(uploads.address) as client:
        sender = threading.Thread(
            target=client.send, args=[put("/", "X-Pause-Each: y", body=bytes(size))]
        )
        sender.start()
        receiver = uploads.next()
        got = 0
        while got < size:
            got += len(receiver.news.get(timeout=PATIENCE))
            assert receiver.news.empty()  # nothing comes until it is asked for
            receiver.resume()
        sender.join()
        assert client.response().body == b"%d" % size
        client.send(request("/plain"))
        assert client.response().body == b"/plain "


def test_chunks_that_are_buffered_wait_as_well(uploads, until):
    with RawClient(uploads.address) as client:
        head = put("/", CHUNKED, "X-Pause-Each: y")
        client.send(head + b"3\r\nabc\r\n")
        receiver = uploads.next()
        receiver.news.get(timeout=PATIENCE)
        client.send(b"2\r\nde\r\n0\r\n\r\n" + request("/plain"))
        until(uploads.server, lambda: True)
        assert receiver.news.empty()
        receiver.resume()
        assert receiver.news.get(timeout=PATIENCE) == b"de"
        until(uploads.server, lambda: True)
        assert receiver.news.empty()
        receiver.resume()
        assert receiver.news.get(timeout=PATIENCE) == "end"
        assert client.response().body == b"5"
        assert client.response().body == b"/plain "


def test_continue_when_it_is_wanted(uploads, in_loop):
    with RawClient(uploads.address) as client:
        client.send(put("/", "Expect: 100-continue", "X-Pause: y", "Content-Length: 3"))
        receiver = uploads.next()
        client.sock.settimeout(0.05)
        with pytest.raises(TimeoutError):
            client.response()
        client.sock.settimeout(PATIENCE)
        receiver.resume()
        assert client.response().status == 100
        client.send(b"abc")
        assert client.response().body == b"3"


def test_a_pause_does_not_count_as_time(serve, in_loop):
    limits = Limits(body_seconds=0.001, body_grace_seconds=0.001)
    uploads = Uploads(serve, limits=limits)
    with RawClient(uploads.address) as client:
        client.send(put("/", "X-Pause: y", "Content-Length: 3"))
        receiver = uploads.next()

        def late():
            for conn in uploads.server.epoll.connections:
                conn.data.check(conn, uploads.server.epoll.loop.now + 1000)

        in_loop(uploads.server, late)
        client.send(b"abc")
        receiver.resume()
        assert client.response().body == b"3"


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
