"""Crowds, clients that do not read, and clients that take their time."""

import threading
import time

import pytest

from crowd import GET, Crowd, many_descriptors, serving
from programs import eventually
from rawclient import RawClient, request


@pytest.fixture(scope="module", autouse=True)
def descriptors():
    with many_descriptors():
        yield


@pytest.fixture(scope="module")
def server():
    with serving() as server:
        yield server


def answer_to(server, wire):
    with RawClient(server.address) as client:
        client.send(wire)
        response = client.response()
    return response.head + b"\r\n\r\n" + response.body


def undated(answer):
    return [line for line in answer.split(b"\r\n") if not line.startswith(b"Date: ")]


def test_500_connections_at_once_and_three_times_500_kept(server):
    expected = answer_to(server, GET)
    with Crowd(server.address, 500) as crowd:
        for _ in range(4):
            crowd.ask(GET)
            answers = crowd.answers(len(expected))
            assert sum(undated(answer) == undated(expected) for answer in answers) == 500


def test_500_silent_and_half_sent_ones_do_not_matter(server):
    halves = [b"", b"G", GET[:-2], GET[:-1], request("/", body=b"hello")[:-1]]
    with Crowd(server.address, 500) as crowd:
        for number, sock in enumerate(crowd.sockets):
            sock.sendall(halves[number % len(halves)])
        for _ in range(20):
            assert answer_to(server, GET).endswith(b"GET /hi? ")


def test_2000_pipelined_requests_that_the_client_does_not_read():
    """32 MB of answers: none is lost, and they are not made before there is room for them."""
    with serving() as server, RawClient(server.address, receive_buffer=8192) as client:
        asked = threading.Thread(target=client.send, args=(request("/size/16384") * 2000,))
        asked.start()
        with RawClient(server.address) as other:
            before = server.rss_bytes()
            for _ in range(50):  # all the while others are answered
                assert other.get("/hi").status == 200
            assert server.rss_bytes() - before < 8 << 20
            for _ in range(2000):
                response = client.response()
                assert (response.status, len(response.body)) == (200, 16384)
            assert server.rss_bytes() - before < 8 << 20
        asked.join()


def test_1000_slow_ones_are_gone_after_their_limits():
    """Heads that drip, bodies that stop, answers that nobody reads; a good one is answered."""
    limits = {"head_seconds": 1, "body_seconds": 1, "write_seconds": 1, "linger_seconds": 0.5}
    with (
        serving(send_buffer=16384, **limits) as server,
        Crowd(server.address, 334) as heads,
        Crowd(server.address, 333) as bodies,
        Crowd(server.address, 333, receive_buffer=4096) as readers,
        RawClient(server.address) as good,
    ):
        heads.ask(b"GET / HTTP/1.1\r\nX: ")
        bodies.ask(request("/", body=b"hello")[:-1])
        readers.ask(request("/size/500000"))
        assert int(good.get("/connections").body) == 1001
        dripping = list(heads.sockets)

        def gone():
            for sock in list(dripping):
                try:
                    sock.send(b"x")
                except OSError:
                    dripping.remove(sock)
            return good.get("/connections").body == b"1"

        eventually(gone, "the end of the slow ones")


def test_good_requests_before_a_bad_one(server):
    """All are answered, in order, then the bad one, then the end."""
    wire = b"".join(
        request(f"/{number}", method="POST", body=b"x" * number) if number % 3 else
        request(f"/{number}")
        for number in range(100)
    )  # fmt: skip
    with RawClient(server.address) as client:
        client.send(wire + b"GET / HTTP/1.1\r\nHost : h\r\n\r\n" + GET)
        for number in range(100):
            method, body = (b"POST", b"x" * number) if number % 3 else (b"GET", b"")
            assert client.response().body == b"%s /%d? %s" % (method, number, body)
        response = client.response()
        assert (response.status, response.headers["connection"]) == (400, "close")
        assert client.rest() == b""


@pytest.mark.parametrize(
    ("start", "status"),
    [
        (b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999\r\n\r\n", 413),
        (b"POST / HTTP/1.1\r\nHost : h\r\nContent-Length: 10485760\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", 400),
        (b"BREW / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501),
    ],
)
def test_answer_reaches_a_client_that_still_sends_10_mb(server, start, status):
    with RawClient(server.address) as client:
        client.send(start)
        client.send(bytes(10 << 20))  # it reads nothing before all of it is sent
        assert client.response().status == status
        assert client.rest() == b""


def test_nothing_is_left_of_the_crowds(server):
    began = time.monotonic()
    with RawClient(server.address) as client:
        eventually(lambda: client.get("/connections").body == b"1", "the end of the crowds")
    assert time.monotonic() - began < 20
