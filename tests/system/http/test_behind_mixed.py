"""Requests of every kind, of several clients, by the same few connections of a proxy.

What goes wrong with framing shows here as the answer to another request, or to another client.
"""

import contextlib
import http.client
import random
import socket

import pytest

from proxying import Client, haproxy, needs_haproxy, needs_nginx, nginx
from rawclient import PATIENCE, request
from rush_http import BodyReceiver, Forbidden, HttpServer, TrustedProxies

NGINX = """
upstream rush {{ server {server}; keepalive 4; }}
map $http_upgrade $go_on {{ default upgrade; "" ""; }}
server {{
    listen 8001;
    client_max_body_size 0;
    proxy_request_buffering {buffering};
    location / {{
        proxy_pass http://rush;
        proxy_http_version 1.1;
        proxy_next_upstream off;
        proxy_set_header Host $http_host;
        proxy_set_header Upgrade $http_upgrade;
        proxy_set_header Connection $go_on;
        proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
    }}
}}
"""
HAPROXY = """
listen front
    mode http
    http-reuse always
    option forwardfor
    bind :8001
    server rush {server}
"""
PROXIES = [
    pytest.param((nginx, "http", NGINX, "on"), marks=needs_nginx, id="nginx"),
    pytest.param((nginx, "http", NGINX, "off"), marks=needs_nginx, id="nginx, unbuffered"),
    pytest.param((haproxy, "text", HAPROXY, ""), marks=needs_haproxy, id="haproxy"),
]
LARGE = 300_000


class Dropped(BodyReceiver):
    """A body that is answered before it is there, and then read to its end."""

    limit_bytes = 1 << 30

    def __init__(self, server, conn, text):
        server.respond(conn, text, 202)

    def on_piece(self, data):
        pass

    def on_end(self):
        pass

    def on_lost(self, reason):
        pass


@pytest.fixture
def server():
    """A server whose answers name the client and what was asked."""

    def head_complete(conn, head):
        if head.path.startswith("/refused"):
            raise Forbidden("this body is not wanted")
        if head.path.startswith("/early"):
            return Dropped(server, conn, text_of(conn, head.path, head.headers))
        return None

    def text_of(conn, path, headers):
        return f"{server.forwarded(conn, headers).client.host} {path} ".encode()

    def callback(body, conn, protocol, method, path, query, headers):
        text = text_of(conn, path, headers)
        kind = path.split("/")[1]
        if kind == "fails":
            raise RuntimeError("a bug of the application")
        if kind == "forbidden":
            raise Forbidden("no")
        if kind in ("204", "304"):
            server.respond(conn, b"", int(kind), [("X-Said", text.decode().strip())])
        elif kind == "stream":
            server.stream(conn, iter([text, b"", bytes(100_000), text]))
        elif kind == "upgrade":
            server.upgrade(conn, "echo", on_data=conn.write)
        else:
            server.respond(conn, text + body, headers=[("X-Said", text.decode().strip())])

    server = HttpServer(
        ("127.0.0.1", 0),
        100,
        callback,
        on_head_complete=head_complete,
        proxies=TrustedProxies("127.0.0.1"),
    )
    with server:
        server.run(threaded=True)
        yield server


@contextlib.contextmanager
def before(proxy, server, folder):
    run, where, text, buffering = proxy
    address = "{}:{}".format(*server.address)
    made = run(folder, **{where: text.format(server=address, buffering=buffering)})
    with made as [front]:
        yield front


class Asking:
    """A client that keeps its connection, and makes another when the proxy closes it."""

    def __init__(self, front, host):
        self._front, self.host = front, host
        self._connection = None

    def connection(self):
        if self._connection is None:
            self._connection = http.client.HTTPConnection(*self._front, timeout=PATIENCE)
            self._connection.sock = socket.create_connection(
                self._front, PATIENCE, source_address=(self.host, 0)
            )
        return self._connection

    def ask(self, method, path, body=None, headers=None, chunked=False):
        connection = self.connection()
        # A client's own word on who it is, at the beginning of each list of proxies.
        spoofed = {"X-Forwarded-For": "127.0.0.1, 6.6.6.6"}
        connection.request(method, path, body, (headers or {}) | spoofed, encode_chunked=chunked)
        answer = connection.getresponse()
        found = answer.status, answer.read(), answer.headers
        if answer.will_close:
            self.close()
        return found

    def close(self):
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def check(client, number, rng):
    """Ask for one thing or the other, and expect just that."""
    kind = rng.choice(
        ["get", "head", "204", "304", "stream", "head of a stream", "post", "chunked",
         "expect", "fails", "forbidden", "refused", "early", "get", "bad"]
    )  # fmt: skip
    text = f"{client.host} /{{}}/{number} "
    size = rng.choice([0, 1, 1000, 70_000, LARGE])
    body = bytes([65 + number % 26]) * size
    if kind in ("get", "head"):
        status, found, headers = client.ask(kind.upper(), f"/x/{number}")
        said = text.format("x")
        assert (status, headers["x-said"]) == (200, said.strip())
        assert found == (said.encode() if kind == "get" else b"")
        assert headers["content-length"] == str(len(said))
    elif kind in ("204", "304"):
        status, found, headers = client.ask("GET", f"/{kind}/{number}")
        said = text.format(kind).strip()
        assert (status, found, headers["x-said"]) == (int(kind), b"", said)
    elif kind == "stream":
        status, found, _ = client.ask("GET", f"/stream/{number}")
        said = text.format("stream").encode()
        assert (status, found) == (200, said + bytes(100_000) + said)
    elif kind == "head of a stream":
        assert client.ask("HEAD", f"/stream/{number}")[:2] == (200, b"")
    elif kind in ("post", "expect"):
        # HAProxy 2.6 now and then resets its connection to us after 16 KiB of a long answer to a
        # client that has not waited for 100 Continue, and calls that a normal end.
        body = body[:1000] if kind == "expect" else body
        expect = {"Expect": "100-continue"} if kind == "expect" else {}
        status, found, _ = client.ask("POST", f"/x/{number}", body, expect)
        assert (status, found) == (200, text.format("x").encode() + body)
    elif kind == "chunked":
        pieces = iter([body[: size // 2] or b"x", body[size // 2 :] or b"y"])
        lines = {"Transfer-Encoding": "chunked"}
        status, found, _ = client.ask("PUT", f"/x/{number}", pieces, lines, chunked=True)
        whole = (body[: size // 2] or b"x") + (body[size // 2 :] or b"y")
        assert (status, found) == (200, text.format("x").encode() + whole)
    elif kind in ("fails", "forbidden"):
        status, _, _ = client.ask("POST", f"/{kind}/{number}", body[:70_000])
        assert status == (500 if kind == "fails" else 403)
    elif kind in ("refused", "early"):
        check_early(client, kind, number, body or b"x", text)
    else:  # what the proxy lets through and we do not, or the other way round
        status, _, _ = client.ask("GET", f"/x/{number}%00")
        assert status == 400
        client.close()


def check_early(client, kind, number, body, text):
    """An answer that comes before the body; who still sends may find the connection closed."""
    try:
        status, found, _ = client.ask("PUT", f"/{kind}/{number}", body)
    except (ConnectionError, http.client.BadStatusLine):
        client.close()
        return
    if status in (502, 503):
        # The proxy was still sending when we had closed: it says so, to this client only.
        assert kind == "refused"
        client.close()
        return
    client.close()  # nginx closes it if it was still reading, and has not said so
    assert status == (403 if kind == "refused" else 202)
    if kind == "early":
        assert found == text.format("early").encode()


@pytest.mark.parametrize("proxy", PROXIES)
@pytest.mark.parametrize("seed", range(2))
def test_requests_of_every_kind(proxy, server, tmp_path, seed, caplog):
    rng = random.Random(seed)
    with before(proxy, server, tmp_path) as front, contextlib.ExitStack() as stack:
        clients = [Asking(front, f"127.0.0.{number}") for number in (9, 10, 11, 12)]
        for client in clients:
            stack.callback(client.close)
        for number in range(150):
            check(rng.choice(clients), number, rng)
    unexpected = {record.getMessage() for record in caplog.records if record.levelname == "ERROR"}
    assert unexpected <= {"on_message_complete failed"}


@pytest.mark.parametrize("proxy", PROXIES)
def test_upgrade(proxy, server, tmp_path):
    """What follows it is no request, for the proxy and for us; the others go on."""
    with before(proxy, server, tmp_path) as front, Client(front, "127.0.0.9") as client:
        assert client.get("/x/1").body == b"127.0.0.9 /x/1 "
        client.send(request("/upgrade", "Connection: upgrade", "Upgrade: echo"))
        assert client.response().status == 101
        smuggled = request("/x/2", "X-Forwarded-For: 6.6.6.6")
        client.send(smuggled)
        assert client.exactly(len(smuggled)) == smuggled
        with Client(front, "127.0.0.10") as other:
            assert other.get("/x/3").body == b"127.0.0.10 /x/3 "
        client.send(b"more")
        assert client.exactly(4) == b"more"


@pytest.mark.parametrize("proxy", PROXIES)
def test_upgrade_that_is_refused(proxy, server, tmp_path):
    """A proxy that takes the connection for a tunnel by now would pass on what follows."""
    with before(proxy, server, tmp_path) as front, Client(front, "127.0.0.9") as client:
        for number in range(3):
            lines = ("Connection: upgrade", "Upgrade: h2c", "X-Forwarded-For: 6.6.6.6")
            assert client.get(f"/x/{number}", *lines).body == f"127.0.0.9 /x/{number} ".encode()


# Two requests for who reads these so, one for who reads them otherwise; the second one names
# another client.
INNER = "GET /inner HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 6.6.6.6\r\n\r\n"
SMUGGLED = {
    "CL and TE": "Content-Length: {size}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{inner}",
    "TE and CL":
        "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n{hex}\r\n{inner}\r\n0\r\n\r\n",
    "two lengths": "Content-Length: 0\r\nContent-Length: {size}\r\n\r\n{inner}",
    "a list of lengths": "Content-Length: {size}, 0\r\n\r\n{inner}",
    "a signed length": "Content-Length: +{size}\r\n\r\n{inner}",
    "a length in hex": "Content-Length: 0x{hex}\r\n\r\n{inner}",
    "TE behind a blank": "Transfer-Encoding : chunked\r\nContent-Length: {size}\r\n\r\n{inner}",
    "TE with a tab": "Transfer-Encoding:\tchunked\r\nContent-Length: {size}\r\n\r\n{inner}",
    "TE folded": "Transfer-Encoding:\r\n chunked\r\nContent-Length: {size}\r\n\r\n{inner}",
    "another TE": "Transfer-Encoding: xchunked\r\nContent-Length: {size}\r\n\r\n{inner}",
    "TE in quotes": 'Transfer-Encoding: "chunked"\r\nContent-Length: {size}\r\n\r\n{inner}',
    "TE twice": "Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n0\r\n\r\n{inner}",
    "TE of two": "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n{inner}",
    "TE with a vertical tab":
        "Transfer-Encoding: \x0bchunked\r\nContent-Length: {size}\r\n\r\n{inner}",
    "LF alone":
        "X: y\nTransfer-Encoding: chunked\r\nContent-Length: {size}\r\n\r\n0\r\n\r\n{inner}",
    "CR alone": "X: y\rTransfer-Encoding: chunked\r\nContent-Length: {size}\r\n\r\n{inner}",
    "a length that Connection names":
        "Connection: content-length\r\nContent-Length: {size}\r\n\r\n{inner}",
    "a header that Connection names": "Connection: x-forwarded-for\r\n\r\n",
    "a chunk's size with a sign": "Transfer-Encoding: chunked\r\n\r\n+0\r\n\r\n{inner}",
    "a chunk's size too large": "Transfer-Encoding: chunked\r\n\r\n{hex16}\r\n{inner}\r\n0\r\n\r\n",
    "a chunk's end by LF": "Transfer-Encoding: chunked\r\n\r\n0\n\n{inner}",
    "an extension with LF": "Transfer-Encoding: chunked\r\n\r\n1;a\nx\r\n0\r\n\r\n{inner}",
    "a trailer": "Transfer-Encoding: chunked\r\n\r\n0\r\nX-Forwarded-For: 6.6.6.6\r\n\r\n{inner}",
    "GET with a body": "Content-Length: {size}\r\n\r\n{inner}",
    "an upgrade with a body":
        "Connection: upgrade\r\nUpgrade: x\r\nContent-Length: {size}\r\n\r\n{inner}",
    "expecting": "Expect: 100-continue\r\nContent-Length: {size}\r\n\r\n{inner}",
}  # fmt: skip


@pytest.mark.parametrize("proxy", PROXIES)
def test_nobody_speaks_for_another(proxy, server, tmp_path):
    """However the first is read by both: whatever is answered is to this client, by its address.

    And the next client, who gets the connection to us that it went by, gets its own answer.
    """
    size = len(INNER)
    values = {"size": size, "hex": f"{size:x}", "hex16": f"{2**64 + size:x}", "inner": INNER}
    with before(proxy, server, tmp_path) as front:
        for name, text in SMUGGLED.items():
            for method in ("POST", "GET"):
                wire = f"{method} /outer HTTP/1.1\r\nHost: a\r\n" + text.format(**values)
                with Client(front, "127.0.0.9") as client:
                    client.send(wire.encode("latin-1"))
                    with contextlib.suppress(OSError):
                        client.end()
                    answered = client.rest()
                for _ in range(2):
                    with Client(front, "127.0.0.10") as other:
                        assert other.get("/next").body == b"127.0.0.10 /next ", name
                assert b"6.6.6.6 /" not in answered, (name, method, answered)
                assert b"127.0.0.10" not in answered, (name, method, answered)
                assert b"127.0.0.1 " not in answered, (name, method, answered)
