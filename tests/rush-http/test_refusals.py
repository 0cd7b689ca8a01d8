"""What the server refuses, and clients that leave: they cost nobody else."""

import logging
import socket

import pytest

from rawclient import RawClient, request
from rush_http import Limits

pytestmark = pytest.mark.over_tls

REFUSED = [
    (b"BAD\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400),
    (b"GET / HTTP/2.0\r\n\r\n", 505),
    (b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", 501),
    (b"GET /" + b"a" * 20_000, 414),
    (b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 200, 431),
    (b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999\r\n\r\n", 413),
    (b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2000000\r\n", 413),
    (b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", 400),
    (b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: x, chunked\r\n\r\n", 501),
]


@pytest.mark.parametrize(("wire", "status"), REFUSED, ids=[repr(r[0][:70]) for r in REFUSED])
def test_refused_after_good_requests(site, caplog, wire, status):
    caplog.set_level(logging.INFO, "rush_http")
    with RawClient(site().address) as client:
        client.send(request("/1") + request("/2", body=b"x") + wire)
        client.end()
        assert client.response().body == b"GET /1? "
        assert client.response().body == b"GET /2? x"
        answer = client.response()
        assert (answer.status, answer.headers["connection"]) == (status, "close")
        assert answer.body.startswith(b"%d " % status)
        assert client.rest() == b""
    assert [record.message[:9] for record in caplog.records] == ["refused: "]


@pytest.mark.parametrize(
    "wire",
    [
        b"HEAD / HTTP/1.1\r\n\r\n",
        b"HEAD / HTTP/1.1\n\r\n",
        b"HEAD /%00 HTTP/1.1\r\n\r\n",
        b"HEAD /" + b"a" * 20_000,
        b"HEAD / HTTP/1.1\r\nHost: a\r\nX : y\r\n\r\n",
        b"HEAD / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999\r\n\r\n",
        b"HEAD / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
    ],
)
def test_refused_head_has_no_body(site, wire):
    with RawClient(site().address) as client:
        client.send(wire)
        client.end()
        data = client.rest()
    assert data.startswith(b"HTTP/1.1 4")
    assert data.endswith(b"\r\n\r\n")
    assert data.count(b"\r\n\r\n") == 1


@pytest.mark.parametrize(
    "start",
    [
        b"BAD\r\n\r\n",
        b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" * 2,
    ],
)
def test_client_that_sends_on_gets_to_read_the_answer(site, start):
    with RawClient(site().address) as client:
        client.send(start)
        client.send(bytes(10 << 20))  # not reset while it sends
        answer = client.response()  # nor before it reads
        assert answer.headers["connection"] == "close"
        with pytest.raises(EOFError):
            client.response()


def test_client_that_sends_for_ever_is_cut_off(site):
    limits = Limits(linger_bytes=100_000, linger_seconds=0.2)
    with RawClient(site(limits=limits).address) as client:
        client.send(b"BAD\r\n\r\n")
        assert client.response().status == 400
        with pytest.raises(ConnectionError):
            client.send_for_ever(bytes(1 << 20))


def test_each_client_has_its_own_headers(serve):
    server = serve(
        lambda body, conn, protocol, method, path, query, headers: server.respond(
            conn, repr(headers.lines()).encode()
        )
    )
    clients = [RawClient(server.address) for _ in range(20)]
    for _ in range(3):
        for number, client in enumerate(clients):
            body = client.get("/", f"Cookie: of={number}", f"X-{number}: x", "Accept: */*").body
            assert eval(body) == (
                ("host", "test"),
                ("cookie", f"of={number}"),
                (f"x-{number}", "x"),
                ("accept", "*/*"),
            )
    for client in clients:
        client.sock.close()


LEAVING = [
    b"",
    b"\r\n",
    b"GET",
    b"GET / HTTP/1.1\r\nHo",
    request()[:-1],
    request(),
    request() * 1000,
    request("/", "Connection: close"),
    request("/", "Content-Length: 10", method="PUT"),
    request("/", "Content-Length: 10", method="PUT") + b"hello",
    request("/", "Expect: 100-continue", "Content-Length: 10", method="PUT"),
    request("/", "Transfer-Encoding: chunked", method="PUT") + b"a\r\nhel",
    request("/", "Transfer-Encoding: chunked", method="PUT") + b"5\r\nhello\r\n0\r\nX",
    b"BAD\r\n\r\n",
    b"BAD\r\n\r\n" + bytes(100_000),
    request("/large") * 8,
]


@pytest.mark.parametrize("how", ["close", "reset", "half"])
@pytest.mark.parametrize("wire", LEAVING, ids=[repr(wire[:60]) for wire in LEAVING])
def test_client_that_leaves_costs_only_itself(serve, until, caplog, wire, how):
    def callback(body, conn, protocol, method, path, query, headers):
        server.respond(conn, bytes(1 << 20 if path == "/large" else 5))

    server = serve(callback)
    with RawClient(server.address) as witness:
        assert witness.get("/").status == 200
        leaver = RawClient(server.address)
        leaver.send(wire)
        if how == "half":
            leaver.end()
            leaver.rest()
        elif how == "reset":
            leaver.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        leaver.sock.close()
        until(server, lambda: len(server.epoll.connections) == 1)
        assert witness.get("/").status == 200
    assert server.bodies_bytes == 0
    assert not [record for record in caplog.records if record.levelno > logging.INFO]
