"""101: a callback takes over a connection; and 103 before an answer."""

import queue
import socket
import struct
import threading

import pytest

from epollserver import Reason
from rawclient import RawClient, request
from rush_http import BodyReceiver, Limits

pytestmark = pytest.mark.over_tls

PATIENCE = 20.0
WANTED = ("Connection: keep-alive, Upgrade", "Upgrade: other, Shout")


class Shouting:
    """A server that speaks "shout" after an upgrade: what it gets, in capitals."""

    def __init__(self, serve, **options):
        self.news = queue.Queue()
        self.options = {}
        self.conn = None
        self.later = False
        self.server = serve(self.callback, **options)
        self.address = self.server.address

    def callback(self, body, conn, protocol, method, path, query, headers):
        if path == "/plain":
            self.server.respond(conn, b"plain")
        elif path == "/later":
            self.news.put(lambda: self.upgrade(conn))
        else:
            self.upgrade(conn)
            conn.write(b"hi ")

    def upgrade(self, conn):
        self.conn = conn
        self.server.upgrade(
            conn,
            "shout",
            [("X", "y")],
            on_data=lambda data: conn.write(data.upper()),
            on_gone=self.news.put,
            **self.options,
        )


@pytest.fixture
def shouting(serve):
    return Shouting(serve)


def test_upgrade(shouting):
    with RawClient(shouting.address) as client:
        client.send(request("/plain"))
        client.send(request("/", *WANTED))
        assert client.response().body == b"plain"
        answer = client.response()
        assert answer.status == 101
        assert answer.headers["connection"] == "upgrade"
        assert answer.headers["upgrade"] == "shout"
        assert answer.headers["x"] == "y"
        assert client.exactly(3) == b"hi "
        for _ in range(3):
            client.send(b"GET / HTTP/1.1\r\n\r\n")
            assert client.exactly(18) == b"GET / HTTP/1.1\r\n\r\n"
        client.end()
        assert client.rest() == b""
    assert shouting.news.get(timeout=PATIENCE) is Reason.PEER_CLOSED
    assert shouting.news.empty()


def test_bytes_already_read_come_first(shouting, until):
    with RawClient(shouting.address) as client:
        client.send(request("/plain") + request("/", *WANTED) + b"early bytes")
        assert client.response().body == b"plain"
        assert client.response().status == 101
        assert client.exactly(14) == b"hi EARLY BYTES"
        client.send(b", more")
        assert client.exactly(6) == b", MORE"


def test_upgraded_later(shouting, in_loop):
    with RawClient(shouting.address) as client:
        client.send(request("/later", *WANTED) + b"early")
        in_loop(shouting.server, shouting.news.get(timeout=PATIENCE))
        assert client.response().status == 101
        assert client.exactly(5) == b"EARLY"
        client.send(b"more")
        assert client.exactly(4) == b"MORE"


REFUSED = [
    ("HTTP/1.1", []),
    ("HTTP/1.1", ["Upgrade: shout"]),
    ("HTTP/1.1", ["Connection: upgrade"]),
    ("HTTP/1.1", ["Connection: upgrade", "Upgrade: whisper"]),
    ("HTTP/1.0", ["Connection: keep-alive, upgrade", "Upgrade: shout"]),
    ("HTTP/1.1", ["Connection: upgrade\xa0", "Upgrade: shout"]),
    ("HTTP/1.1", ["Connection: upgrade", "Upgrade: shout\x85"]),
]


@pytest.mark.parametrize(("protocol", "lines"), REFUSED)
def test_not_asked_for(shouting, protocol, lines):
    with RawClient(shouting.address) as client:
        assert client.get("/", *lines, protocol=protocol).status == 400
        if protocol == "HTTP/1.1":
            assert client.get("/plain").body == b"plain"


def test_not_while_a_body_arrives(serve, caplog):
    class Receiver(BodyReceiver):
        def __init__(self, conn):
            server.upgrade(conn, "shout", on_data=print)

    server = serve(None, on_head_complete=lambda conn, head: Receiver(conn))
    with RawClient(server.address) as client:
        client.send(request("/", *WANTED, body=b"x"))
        assert client.response().status == 500
    assert "end of the request's body" in caplog.text


def test_no_time_limit_of_http_counts(serve, in_loop):
    shouting = Shouting(serve, limits=Limits(idle_seconds=0.01, write_seconds=0.01))
    with RawClient(shouting.address) as client:
        client.send(request("/", *WANTED))
        assert client.response().status == 101
        conn, loop = shouting.conn, shouting.server.epoll.loop
        in_loop(shouting.server, lambda: conn.data.check(conn, loop.now + 1000))
        client.send(b"still there")
        assert client.exactly(14) == b"hi STILL THERE"


def test_on_drain(shouting, in_loop):
    drained = queue.Queue()
    shouting.options["on_drain"] = lambda: drained.put(True)
    # A small window: without one the kernel may take all of it at once, and nothing has to wait.
    with RawClient(shouting.address, receive_buffer=65536) as client:
        client.send(request("/", *WANTED))
        client.response()
        in_loop(shouting.server, lambda: shouting.conn.write(bytes(8 << 20)))
        client.exactly(8 << 20)
        assert drained.get(timeout=PATIENCE)


def test_on_data_that_raises(serve, caplog):
    def callback(body, conn, *rest):
        server.upgrade(conn, "shout", on_data=lambda data: 1 // 0)

    server = serve(callback)
    with RawClient(server.address) as client:
        client.send(request("/", *WANTED))
        assert client.response().status == 101
        client.send(b"x")
        assert client.rest() == b""
    assert "ZeroDivisionError" in caplog.text


@pytest.mark.parametrize("says_goodbye", [False, True])
def test_server_that_stops(shouting, says_goodbye):
    def goodbye():
        shouting.conn.write(b"goodbye")
        shouting.conn.finish()

    if says_goodbye:
        shouting.options["on_stop"] = goodbye
    with RawClient(shouting.address) as client:
        client.send(request("/", *WANTED))
        assert client.response().status == 101
        shouting.server.stop(PATIENCE, idle_grace=0.01)
        assert client.rest() == (b"hi goodbye" if says_goodbye else b"hi ")
    assert shouting.news.get(timeout=PATIENCE) is Reason.OWN_CLOSE


@pytest.mark.parametrize("later", [False, True])
def test_bytes_keep_their_order(serve, in_loop, later):
    """More than the server takes at a time has come when the connection is handed over."""
    waiting, got = queue.Queue(), queue.Queue()

    def upgrade(conn):
        server.upgrade(conn, "shout", on_data=got.put)

    def callback(body, conn, *rest):
        if later:
            waiting.put(conn)
        else:
            upgrade(conn)

    server = serve(callback)
    head = request("/", *WANTED)
    data = b"".join(b"%07d\n" % number for number in range(20_000))
    for _ in range(5):
        with RawClient(server.address) as client:
            client.send(head + data)
            if later:
                conn = waiting.get(timeout=PATIENCE)
                in_loop(server, lambda conn=conn: upgrade(conn))
            assert client.response().status == 101
            found = b""
            while len(found) < len(data):
                found += got.get(timeout=PATIENCE)
            assert found == data


def test_pause_in_on_data(serve, until):
    """What came with the head is one piece of data; after `pause` there is no other."""
    conns, got = [], []

    def on_data(data):
        got.append(data)
        conns[0].pause()

    def callback(body, conn, *rest):
        conns.append(conn)
        server.upgrade(conn, "shout", on_data=on_data)

    server = serve(callback)
    with RawClient(server.address) as client:
        client.send(request("/", *WANTED) + b"x" * 200_000)
        assert client.response().status == 101
        until(server, lambda: got)
        for _ in range(3):
            until(server, lambda: len(got) == 1)


def reset(client):
    client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.sock.close()


@pytest.mark.over_tls(False)
def test_client_that_resets_before_its_upgrade(serve, until):
    """What it has sent after that is no HTTP: nobody may be called back with it."""
    paths, gone, go = [], [], threading.Event()

    def callback(body, conn, protocol, method, path, query, headers):
        paths.append(path)
        arrived.set()
        assert go.wait(PATIENCE)
        server.upgrade(conn, "shout", on_data=paths.append, on_gone=gone.append)

    server = serve(callback)
    for _ in range(5):
        arrived = threading.Event()
        go.clear()
        client = RawClient(server.address)
        client.send(request("/up", *WANTED) + request("/smuggled"))
        assert arrived.wait(PATIENCE)
        reset(client)
        go.set()
        until(server, lambda: not server.epoll.connections)
    assert paths == ["/up"] * 5
    assert gone == [Reason.RESET] * 5


@pytest.mark.parametrize("early", [b"", b"early"])
def test_upgrade_of_a_client_that_has_gone(shouting, until, early):
    with RawClient(shouting.address) as client:
        client.send(request("/later", *WANTED) + early)
        upgrade = shouting.news.get(timeout=PATIENCE)
        reset(client)
    until(shouting.server, lambda: not shouting.server.epoll.connections)
    shouting.server.epoll.loop.call_soon_threadsafe(upgrade)
    assert isinstance(shouting.news.get(timeout=PATIENCE), Reason)
    until(shouting.server, lambda: True)
    assert shouting.news.empty()


def test_on_data_that_raises_for_what_came_with_the_head(serve, caplog):
    gone = queue.Queue()

    def callback(body, conn, *rest):
        server.upgrade(conn, "shout", on_data=lambda data: 1 // 0, on_gone=gone.put)

    server = serve(callback)
    with RawClient(server.address) as client:
        client.send(request("/", *WANTED) + b"x")
        assert client.response().status == 101
        assert client.rest() == b""
    assert gone.get(timeout=PATIENCE)
    assert "ZeroDivisionError" in caplog.text


def test_parser_keeps_nothing_of_what_came_with_the_head(shouting, in_loop):
    with RawClient(shouting.address) as client:
        client.send(request("/", *WANTED) + b"x" * 10_000)
        assert client.response().status == 101
        client.exactly(10_003)
        assert in_loop(shouting.server, lambda: shouting.conn.data.parser.buffered) == 0


# Informational responses

LINK = [("Link", "</style.css>; rel=preload")]


@pytest.mark.parametrize("count", [1, 3])
def test_early_hints(serve, count):
    def callback(body, conn, *rest):
        server.inform(conn, 103, LINK)
        server.inform(conn, 102)
        server.respond(conn, b"final")

    server = serve(callback)
    with RawClient(server.address) as client:
        client.send(request("/") * count)
        for _ in range(count):
            hints = client.response()
            assert hints.head == b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload"
            assert client.response().status == 102
            assert client.response().body == b"final"
    with RawClient(server.address) as client:
        assert client.get("/", protocol="HTTP/1.0").body == b"final"


def test_early_hints_of_a_late_answer(serve, in_loop):
    waiting = queue.Queue()
    server = serve(lambda body, conn, *rest: waiting.put(conn))
    with RawClient(server.address) as client:
        client.send(request("/"))
        conn = waiting.get(timeout=PATIENCE)
        in_loop(server, lambda: server.inform(conn, 103, LINK))
        assert client.response().status == 103
        in_loop(server, lambda: server.respond(conn, b"final"))
        assert client.response().body == b"final"


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        *[(status, ()) for status in (99, 100, 101, 200, 404)],
        *[(103, [header]) for header in [("X", "a\nb"), ("Content-Length", "1"), ("a b", "c")]],
    ],
)
def test_what_cannot_be_sent_before_an_answer(serve, status, headers):
    def callback(body, conn, *rest):
        with pytest.raises(ValueError, match=r"102 to 199|header"):
            server.inform(conn, status, headers)
        server.respond(conn, b"final")
        with pytest.raises(RuntimeError, match="no request awaits"):
            server.inform(conn, 103)

    server = serve(callback)
    with RawClient(server.address) as client:
        assert client.get("/").body == b"final"
