"""Answers in pieces by `start_stream`."""

import socket

import pytest

from chunked import Client, chunks
from rawclient import request
from rush_http import HttpServer

pytestmark = pytest.mark.over_tls

PATIENCE = 20.0


def hello(server, conn):
    stream = server.start_stream(conn)
    for piece in (b"hello, ", b"", bytearray(b"wor"), memoryview(b"ld")):
        assert stream.write(piece)
    stream.finish()


@pytest.mark.parametrize("count", [1, 3])
def test_chunked(streaming, count):
    with Client(streaming(hello).address) as client:
        for _ in range(2):
            client.send(request("/") * count + request("/plain"))
            for _ in range(count):
                status, lines = client.read_head()
                assert (status, lines["transfer-encoding"]) == (200, "chunked")
                assert "content-length" not in lines
                assert chunks(client, head=False) == [b"hello, ", b"wor", b"ld"]
            assert client.response().body == b"plain"


def test_until_close_for_http_1_0(streaming):
    with Client(streaming(hello).address) as client:
        client.send(request("/", "Connection: keep-alive", protocol="HTTP/1.0"))
        _, lines = client.read_head()
        assert lines["connection"] == "close"
        assert "transfer-encoding" not in lines
        assert client.rest() == b"hello, world"


@pytest.mark.parametrize("protocol", ["HTTP/1.1", "HTTP/1.0"])
def test_with_a_length(streaming, protocol):
    def answer(server, conn):
        stream = server.start_stream(conn, 201, [("X", "y")], content_type="a/b", length=5)
        stream.write(b"he")
        stream.write(b"llo")
        stream.finish()

    with Client(streaming(answer).address) as client:
        for _ in range(2):
            answer = client.get("/", "Connection: keep-alive", protocol=protocol)
            assert (answer.status, answer.body) == (201, b"hello")
            assert answer.headers["content-type"] == "a/b"
            assert answer.headers["x"] == "y"


@pytest.mark.parametrize(
    ("method", "status", "framing"),
    [
        ("HEAD", 200, "Transfer-Encoding: chunked"),
        ("GET", 204, None),
        ("GET", 304, None),
        ("GET", 205, "Content-Length: 0"),
    ],
)
def test_without_a_body(streaming, method, status, framing):
    pulled = []

    def answer(server, conn):
        if conn.data.head.path == "/pull":
            server.stream(conn, map(pulled.append, b"abc"), status)
        else:
            stream = server.start_stream(conn, status)
            stream.write(b"hello")
            stream.finish()

    with Client(streaming(answer).address) as client:
        for path in ("/push", "/pull"):
            client.send(request(path, method=method))
            _, lines = client.read_head()
            said = [f"{name}: {value}" for name, value in lines.items() if "-encod" in name]
            said += [f"{name}: {value}" for name, value in lines.items() if "-leng" in name]
            assert said == ([] if framing is None else [framing.lower()])
            assert client.get("/plain").body == b"plain"
    assert pulled == []


def test_head_of_an_announced_length(streaming):
    def answer(server, conn):
        server.start_stream(conn, length=5).finish()

    with Client(streaming(answer).address) as client:
        assert client.get("/", method="HEAD").headers["content-length"] == "5"
        assert client.get("/plain").body == b"plain"


def test_small_answer_is_one_write(streaming):
    def pulled(server, conn):
        server.stream(conn, [b"a", b"", b"b"])

    for answer in (hello, pulled):
        server = HttpServer(("127.0.0.1", 0))
        server.on_message_complete = lambda body, conn, *rest: answer(server, conn)  # noqa: B023
        given, peer = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with server, peer:
            server.epoll.adopt(given)
            server.run(threaded=True)
            peer.settimeout(PATIENCE)
            for count in (1, 3):
                peer.send(request() * count)
                data = peer.recv(1 << 20)
                assert data.count(b"HTTP/1.1 200 OK\r\n") == count
                assert data.endswith(b"\r\n0\r\n\r\n")


@pytest.mark.parametrize("write", [[b"hello", b"!"], [b"hell"], []])
def test_not_what_was_announced(streaming, until, caplog, write):
    def answer(server, conn):
        stream = server.start_stream(conn, length=5)
        for piece in write:
            stream.write(piece)
        stream.finish()

    server = streaming(answer)
    with Client(server.address) as client:
        client.send(request("/plain") + request("/") + request("/plain"))
        assert client.response().body == b"plain"
        assert client.rest().count(b"HTTP/1.1") <= 1
    until(server, lambda: "announced" in caplog.text)
    assert "ValueError" in caplog.text


def test_nothing_after_the_end(streaming, until):
    done = []

    def answer(server, conn):
        stream = server.start_stream(conn)
        with pytest.raises(RuntimeError, match="no request awaits"):
            server.respond(conn, b"twice")
        stream.finish()
        with pytest.raises(RuntimeError, match="finished"):
            stream.write(b"more")
        stream.finish()
        stream.abort()
        with pytest.raises(RuntimeError, match="no request awaits"):
            server.start_stream(conn)
        done.append(True)

    server = streaming(answer)
    with Client(server.address) as client:
        client.send(request("/"))
        assert chunks(client) == []
        assert client.get("/plain").body == b"plain"
    until(server, lambda: done)


@pytest.mark.parametrize(
    "arguments",
    [
        {"headers": [("X", "a\r\nb")]},
        {"headers": [("Content-Length", "5")]},
        {"headers": [("Transfer-Encoding", "chunked")]},
        {"content_type": "a\0b"},
        {"length": -1},
        {"status": 101},
    ],
)
def test_what_cannot_be_sent(streaming, caplog, arguments):
    closed = []

    class Pieces(list):
        def close(self):
            closed.append(True)

    def answer(server, conn):
        if conn.data.head.path == "/pull":
            server.stream(conn, Pieces([b"x"]), **arguments)
        server.start_stream(conn, **arguments)

    with Client(streaming(answer).address) as client:
        assert client.get("/push").status == 500
        assert client.get("/pull").status == 500
        assert client.get("/plain").body == b"plain"
    assert closed == [True]
    assert caplog.text.count("ValueError") >= 2
