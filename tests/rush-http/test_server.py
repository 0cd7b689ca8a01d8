"""Requests and answers, over real sockets."""

import itertools
import os
import re
import socket
import threading

import pytest

from rawclient import RawClient, request
from rush_http import TEXT, Headers, HttpServer, Limits, render, render_head

pytestmark = pytest.mark.over_tls


def test_seven_arguments(serve):
    calls = []

    def callback(body, conn, protocol, method, path, query, headers):
        calls.append((body, protocol, method, path, query, headers))
        assert isinstance(conn, socket.socket)
        server.respond(conn, b"")

    server = serve(callback)
    with RawClient(server.address) as client:
        client.send(request("/a%20b?c=%20d", "X: y", method="PUT", body=b"body"))
        client.response()
        client.get("/", protocol="HTTP/1.0")
    assert calls == [
        (
            b"body",
            (1, 1),
            "PUT",
            "/a b",
            "c=%20d",
            Headers((("host", "test"), ("x", "y"), ("content-length", "4"))),
        ),
        (b"", (1, 0), "GET", "/", "", Headers((("host", "test"),))),
    ]


def test_an_answer(site):
    with RawClient(site().address) as client:
        answer = client.get("/hello?x=1")
    assert answer.body == b"GET /hello?x=1 "
    assert re.fullmatch(
        rb"HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\n"
        rb"Date: [ -~]+ GMT\r\nContent-Length: 15",
        answer.head,
    )


ANSWERS = [
    (b"", 200, (), TEXT), (b"hello", 200, (), TEXT), (b"gone", 404, (), TEXT), (b"", 204, (), TEXT),
    (b"", 304, (), TEXT), (b"", 205, (), TEXT), (b"hi", 200, [("X", "y")], TEXT),
    (b"", 204, (), ""), (b"{}", 200, (), "a/b"), (b"?", 200, (), None),
    (bytearray(b"hello"), 200, (), TEXT),
]  # fmt: skip


def test_respond_sends_what_render_gives(serve):
    def callback(body, conn, protocol, method, path, query, headers):
        text, status, lines, kind = ANSWERS[int(query)]
        if path == "/respond":
            server.respond(conn, text, status, lines, content_type=kind)
        else:
            head_only = method == "HEAD"
            server.send(conn, render(status, text, lines, content_type=kind, head_only=head_only))

    server = serve(callback)
    with RawClient(server.address) as client:
        for number, method in itertools.product(range(len(ANSWERS)), ("GET", "HEAD")):
            paths = [f"/{way}?{number}" for way in ("respond", "respond", "render")]
            found = [client.get(path, method=method) for path in paths]
            texts = {re.sub(rb"Date: [^\r]+", b"", each.head) + each.body for each in found}
            assert len(texts) == 1


def test_keep_alive(site):
    with RawClient(site().address) as client:
        for number in range(100):
            # The same, another, the same: with the last head and without it
            path = f"/{number // 3}"
            assert client.get(path).body == f"GET {path}? ".encode()


CONNECTIONS = [
    # protocol, line of the request, line of the answer, whether it goes on
    ("HTTP/1.1", "X: y", None, True),
    ("HTTP/1.1", "Connection: keep-alive", None, True),
    ("HTTP/1.1", "Connection: close", "close", False),
    ("HTTP/1.0", "X: y", "close", False),
    ("HTTP/1.0", "Connection: keep-alive", "keep-alive", True),
]


@pytest.mark.parametrize(("protocol", "line", "answered", "goes_on"), CONNECTIONS)
def test_connection(site, protocol, line, answered, goes_on):
    with RawClient(site().address) as client:
        for _ in range(3 if goes_on else 1):
            answer = client.get("/", line, protocol=protocol)
            assert answer.headers.get("connection") == answered
        if not goes_on:
            assert client.rest() == b""


def test_head_has_no_body(site):
    with RawClient(site().address) as client:
        for _ in range(3):
            answer = client.get("/abc", method="HEAD")
            assert answer.headers["content-length"] == str(len("HEAD /abc? "))
            assert client.get("/abc").body == b"GET /abc? "
    with RawClient(site().address) as client:
        client.send(request("/", "Connection: close", method="HEAD"))
        assert client.rest().endswith(b"\r\n\r\n")


@pytest.mark.parametrize("status", [204, 304])
def test_statuses_without_body(serve, status):
    server = serve(lambda body, conn, *rest: server.respond(conn, b"", status))
    with RawClient(server.address) as client:
        for _ in range(2):
            assert client.get("/").status == status


def test_options_of_the_whole_server(site):
    with RawClient(site().address) as client:
        assert client.get("*", method="OPTIONS").body == b"OPTIONS *? "


# Pipelining


def test_pipelined_answers_come_in_order(site):
    wire = b"".join(
        request(f"/{number}", body=b"x" * (number % 3), method="POST") for number in range(500)
    )
    with RawClient(site().address) as client:
        client.send(wire)
        for number in range(500):
            expected = f"POST /{number}? ".encode() + b"x" * (number % 3)
            assert client.response().body == expected


def test_answers_of_one_wake_up_are_written_together():
    server = HttpServer(None)
    server.on_message_complete = lambda body, conn, *rest: server.respond(conn, b"hello")
    # A record per send(2)
    given, peer = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with server, peer:
        server.epoll.adopt(given)
        server.run(threaded=True)
        peer.settimeout(20)
        for count in (1, 1, 16, 1, 300):
            peer.send(request() * count)
            assert peer.recv(1 << 20).count(b"HTTP/1.1 200 OK\r\n") == count
        peer.send(request() * 3 + b"BAD\r\n\r\n")
        data = peer.recv(1 << 20)
        assert data.count(b"HTTP/1.1 ") == 4
        assert b"HTTP/1.1 400 Bad Request\r\n" in data


@pytest.mark.once
@pytest.mark.over_tls(False)
def test_2000_pipelined_requests_that_are_not_read_at_first(serve, until):
    most = {"queued": 0, "buffered": 0}

    def callback(body, conn, protocol, method, path, query, headers):
        most["queued"] = max(most["queued"], conn.queued)
        most["buffered"] = max(most["buffered"], conn.data.parser.buffered)
        server.respond(conn, path.encode() + b"." * 20_000)

    server = serve(callback)
    pad = "Pad: " + "p" * 2000
    wire = b"".join(request(f"/{number}", pad) for number in range(2000))
    with RawClient(server.address, receive_buffer=4096) as client:
        sender = threading.Thread(target=client.send, args=[wire])
        sender.start()
        until(server, lambda: any(conn.queued > 65536 for conn in server.epoll.connections))
        for number in range(2000):
            assert client.response().body == f"/{number}".encode() + b"." * 20_000
        sender.join()
    assert most["queued"] < 256 * 1024 + 65536 + 2 * 20_000
    assert most["buffered"] < 140_000


def test_what_follows_connection_close_is_not_answered(site):
    with RawClient(site().address) as client:
        client.send(request("/1") + request("/2", "Connection: close") + request("/3") * 5)
        assert client.response().body == b"GET /1? "
        assert client.response().headers["connection"] == "close"
        client.end()
        assert client.rest() == b""


def test_half_closed_client_gets_its_answers(site):
    with RawClient(site().address) as client:
        client.send(request("/1") + request("/2"))
        client.end()
        assert [client.response().body, client.response().body] == [b"GET /1? ", b"GET /2? "]
        assert client.rest() == b""


# Bodies


@pytest.mark.parametrize(
    ("framing", "body"),
    [
        ("Content-Length: 5", [b"h", b"e", b"l", b"lo"]),
        ("Content-Length: 5", [b"", b"hello"]),
        ("Transfer-Encoding: chunked", [b"2\r\nhe\r", b"\n3;x=y\r\nllo\r\n", b"0\r\n", b"\r\n"]),
        ("Transfer-Encoding: chunked", [b"5\r\nhello\r\n0\r\nX: ", b"y\r\n\r\n"]),
    ],
)
def test_body_arrives_in_pieces(site, until, framing, body):
    server = site()
    head = request("/", framing, method="POST")
    with RawClient(server.address) as client:
        client.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for start in (head[:10], head[:-1]):
            client.send(start)
            client.send(head[len(start) :])
            for piece in body:
                client.send(piece)
                until(server, lambda: True)  # a turn of the loop between two pieces
            assert client.response().body == b"POST /? hello"
    assert server.bodies_bytes == 0


def test_large_body(site):
    data = os.urandom(1 << 20) * 8
    with RawClient(site().address) as client:
        client.send(request("/", method="PUT", body=data))
        assert client.response().body == b"PUT /? " + data


def test_continue_when_the_body_is_wanted(site):
    with RawClient(site().address) as client:
        client.send(request("/", "Expect: 100-continue", "Content-Length: 5", method="PUT"))
        assert client.response().status == 100
        client.send(b"hello")
        assert client.response().body == b"PUT /? hello"


@pytest.mark.parametrize(
    ("protocol", "framing", "body"),
    [
        ("HTTP/1.1", "Content-Length: 5", b"hello"),  # it has not waited
        ("HTTP/1.1", "Content-Length: 0", b""),
        ("HTTP/1.1", "X: y", b""),
        ("HTTP/1.0", "Content-Length: 5", b"hello"),
    ],
)
def test_no_continue(site, protocol, framing, body):
    with RawClient(site().address) as client:
        client.send(
            request("/", "Expect: 100-continue", framing, method="PUT", protocol=protocol) + body
        )
        assert client.response().body == b"PUT /? " + body


def test_too_large_instead_of_continue(site):
    with RawClient(site(limits=Limits(body_bytes=4)).address) as client:
        client.send(request("/", "Expect: 100-continue", "Content-Length: 5", method="PUT"))
        answer = client.response()
        assert (answer.status, answer.headers["connection"]) == (413, "close")
        assert client.rest() == b""


def test_continue_comes_after_the_answers_before_it(site):
    with RawClient(site().address) as client:
        client.send(
            request("/1") + request("/2", "Expect: 100-continue", "Content-Length: 1", method="PUT")
        )
        assert [client.response().status for _ in range(2)] == [200, 100]
        client.send(b"x")
        assert client.response().body == b"PUT /2? x"


def test_bodies_of_all_connections_have_a_limit(site, until):
    server = site(limits=Limits(bodies_bytes=1000))
    with RawClient(server.address) as first, RawClient(server.address) as second:
        head = request("/", "Content-Length: 600", method="PUT")
        first.send(head + b"x" * 500)
        until(server, lambda: server.bodies_bytes == 500)
        second.send(head + b"y" * 600)
        answer = second.response()
        assert (answer.status, answer.headers["connection"]) == (503, "close")
        first.send(b"x" * 100)
        assert first.response().body == b"PUT /? " + b"x" * 600
        first.send(request("/", method="PUT", body=b"z" * 1000))
        assert first.response().status == 200
    assert server.bodies_bytes == 0


# Other answers


def test_send_is_what_render_made(serve):
    data = render(200, b"hello", [("X", "y")])
    server = serve(lambda body, conn, *rest: server.send(conn, data))
    with RawClient(server.address) as client:
        for _ in range(3):
            assert client.get("/").headers["x"] == "y"


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(os.urandom(3 << 20))
    return path


def test_send_file(serve, until, file):
    files = []

    def callback(body, conn, protocol, method, path, query, headers):
        if path == "/file":
            files.append(file.open("rb"))
            head = render_head(200) + b"Content-Length: %d\r\n\r\n" % ((3 << 20) - 10)
            server.send_file(conn, head, files[-1], 10, (3 << 20) - 10)
        else:
            server.respond(conn, b"small")

    server = serve(callback)
    with RawClient(server.address) as client:
        for _ in range(2):
            client.send(request("/a") + request("/file") + request("/b") + request("/file"))
            assert client.response().body == b"small"
            assert client.response().body == file.read_bytes()[10:]
            assert client.response().body == b"small"
            assert client.response().body == file.read_bytes()[10:]
    until(server, lambda: all(opened.closed for opened in files))


@pytest.mark.parametrize(("offset", "count"), [(-1, 5), (0, -1)])
def test_send_file_of_nonsense_sends_nothing(serve, file, offset, count):
    files = []

    def callback(body, conn, *rest):
        files.append(file.open("rb"))
        server.send_file(conn, render_head(200) + b"\r\n", files[-1], offset, count)

    server = serve(callback)
    with RawClient(server.address) as client:
        assert client.get("/").status == 500
        assert client.get("/").status == 500
    assert all(opened.closed for opened in files)


def test_file_that_is_shorter_than_promised_costs_the_connection(serve, tmp_path):
    (tmp_path / "short").write_bytes(b"12345")

    def callback(body, conn, *rest):
        head = render_head(200) + b"Content-Length: 10\r\n\r\n"
        server.send_file(conn, head, (tmp_path / "short").open("rb"), 0, 10)

    server = serve(callback)
    with RawClient(server.address) as client:
        client.send(request() * 2)
        data = client.rest()
        assert data.endswith(b"\r\n\r\n12345")
        assert data.count(b"HTTP/1.1") == 1


def test_unix_socket(site, tmp_path):
    server = site(address=str(tmp_path / "socket"))
    with RawClient(server.address) as client:
        assert client.get("/").body == b"GET /? "


def test_requests_per_connection(site):
    with RawClient(site(limits=Limits(requests=3)).address) as client:
        client.send(request() * 5)
        assert [client.response().headers.get("connection") for _ in range(3)] == [
            None, None, "close",
        ]  # fmt: skip
        assert client.rest() == b""
    with RawClient(site(limits=Limits(requests=2)).address) as client:
        assert "connection" not in client.get("/").headers
        assert client.get("/").headers["connection"] == "close"
        assert client.rest() == b""


def test_what_is_pipelined_behind_a_request_that_closed_the_connection(serve):
    paths = []

    def callback(body, conn, protocol, method, path, query, headers):
        paths.append(path)
        if path == "/closer":
            conn.close()
        server.respond(conn, b"")

    server = serve(callback)
    with RawClient(server.address) as client:
        client.send(request("/first") + request("/closer") + request("/never") * 3)
        client.rest()
    assert paths == ["/first", "/closer"]
