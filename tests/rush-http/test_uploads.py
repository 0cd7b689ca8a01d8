"""Bodies in pieces: `on_head_complete` and `BodyReceiver`."""

import logging
import threading

import pytest

from rawclient import RawClient, request
from receivers import Uploads, everything_of, put
from rush_http import ContentTooLarge, Forbidden, Limits

pytestmark = pytest.mark.over_tls

PATIENCE = 20.0
CHUNKED = "Transfer-Encoding: chunked"


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


@pytest.mark.parametrize("cut", [0, 5, -1], ids=["at once", "in its head", "in its body"])
def test_not_asked_about_what_is_small(uploads, cut):
    uploads.server.unasked_bytes = 3
    with RawClient(uploads.address) as client:
        for number, body in enumerate([b"ab", b"abc", b"abcd", b"x", b"ab"]):
            wire = put(f"/{number}", body=body)
            client.send(wire[:cut])
            client.send(wire[cut:])
            said = b"4" if len(body) > 3 else b"/%d %b" % (number, body)
            assert client.response().body == said
        client.send(put("/", CHUNKED) + b"1\r\nx\r\n0\r\n\r\n")
        assert client.response().body == b"1"
    assert uploads.asked == ["/2", "/"]
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
        reasons = [r for r in everything_of(uploads.next().news) if not isinstance(r, bytes)]
        assert [reason.status for reason in reasons] == [status]


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
    uploads = Uploads(serve, limits=Limits(body_bytes_per_second=1000))
    with RawClient(uploads.address) as client:
        client.send(put("/", "X-Pause: y", "Content-Length: 3"))
        receiver = uploads.next()

        def check(seconds):
            [conn] = uploads.server.epoll.connections
            conn.data.check(conn, uploads.server.epoll.loop.now + seconds)

        def began_long_ago():
            [conn] = uploads.server.epoll.connections
            conn.data.upload.began -= 1000
            conn.data.upload._held_since -= 1000

        in_loop(uploads.server, lambda: check(1000))
        in_loop(uploads.server, began_long_ago)
        receiver.resume()
        in_loop(uploads.server, lambda: check(1))
        client.send(b"abc")
        assert client.response().body == b"3"
