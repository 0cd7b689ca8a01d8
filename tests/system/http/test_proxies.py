"""nginx and HAProxy before a server, which keep their connections to it."""

import collections
import contextlib
import random
import select
import time

import pytest

from crowd import Crowd, serving
from proxying import haproxy, needs_haproxy, needs_nginx, nginx
from rawclient import PATIENCE, RawClient, request

NGINX_HTTP = """
upstream rush {{
    server {host}:{port};
    keepalive 32;
    keepalive_timeout {keep_seconds}s;
}}
server {{
    listen 8001;
    keepalive_requests 1000000;
    location / {{
        proxy_pass http://rush;
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        proxy_set_header X-Forwarded-For $remote_addr;
    }}
}}
"""

HAPROXY_TEXT = """
frontend front
    bind :8001
    default_backend rush
backend rush
    http-reuse always
    option forwardfor
    server rush {host}:{port} pool-purge-delay {keep_seconds}s
"""

PROXIES = [
    pytest.param(
        lambda folder, **values: nginx(folder, http=NGINX_HTTP.format(**values)),
        marks=needs_nginx,
        id="nginx",
    ),
    pytest.param(
        lambda folder, **values: haproxy(folder, HAPROXY_TEXT.format(**values)),
        marks=needs_haproxy,
        id="haproxy",
    ),
]


@contextlib.contextmanager
def before(proxy, server, folder, keep_seconds):
    """Run a proxy; gives its address."""
    host, port = server.address
    with proxy(folder, host=host, port=port, keep_seconds=keep_seconds) as [front]:
        yield front


class Client:
    """One of a crowd: what it waits for, and when it asks next."""

    def __init__(self, sock):
        self.sock = sock
        self.got = b""
        self.asked = b""
        self.next = 0.0

    def ask(self, number, methods):
        self.asked, wire = methods[number % len(methods)]
        self.got = b""
        self.sock.sendall(wire)

    def receive(self):
        """The status, once the answer is complete."""
        piece = self.sock.recv(1 << 16)
        if not piece:
            return "closed"
        self.got += piece
        head, end, body = self.got.partition(b"\r\n\r\n")
        if not end:
            return None
        status = int(head.split(b" ")[1])
        lower = head.lower()
        if self.asked == b"HEAD":
            return status
        _, _, length = lower.partition(b"content-length: ")
        return status if len(body) == int(length.partition(b"\r\n")[0]) else None


METHODS = [
    (b"GET", request("/hi")),
    (b"POST", request("/post", method="POST", body=b"x" * 10_000)),
    (b"HEAD", request("/head", method="HEAD")),
    (b"GET", request("/size/20000")),
    (b"PUT", b"PUT /chunks HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
             b"5\r\nhello\r\n6;a=b\r\n world\r\n0\r\n\r\n"),
]  # fmt: skip


def load(front, seconds, *, pause=lambda: 0.0, methods=METHODS, count=32):
    """How often each status came to `count` clients that ask for so long, with pauses between."""
    statuses = collections.Counter()
    number = 0
    with Crowd(front, count) as crowd, contextlib.closing(select.epoll()) as poll:
        clients = {sock.fileno(): Client(sock) for sock in crowd.sockets}
        waiting = set(clients.values())  # to ask; the others are to be answered
        for fd in clients:
            poll.register(fd, select.EPOLLIN)
        ends = time.monotonic() + seconds
        while (now := time.monotonic()) < ends or len(waiting) < count:
            assert now < ends + PATIENCE, statuses
            for client in [client for client in waiting if client.next <= now < ends]:
                waiting.remove(client)
                client.ask(number, methods)
                number += 1
            for fd, _ in poll.poll(0.005 if waiting else 0.5):
                status = clients[fd].receive()
                if status is not None:
                    statuses[status] += 1
                    if status == "closed":
                        poll.unregister(fd)
                    clients[fd].next = now + pause() if status != "closed" else ends
                    waiting.add(clients[fd])
    return statuses


@pytest.mark.parametrize("proxy", PROXIES)
def test_under_load(proxy, tmp_path):
    with serving() as server, before(proxy, server, tmp_path, keep_seconds=5) as front:
        statuses = load(front, 1.5)
        with RawClient(server.address) as client:
            kept = int(client.get("/connections").body)
    assert set(statuses) == {200}, statuses
    assert statuses[200] > 100
    assert kept > 1  # the proxy has kept some of its connections
    print(statuses, kept)


@pytest.mark.parametrize("proxy", PROXIES)
def test_proxy_that_lets_go_before_the_server_does(proxy, tmp_path):
    """The rule for keep-alive behind a proxy: its time must be shorter than `idle_seconds`.

    Requests come when a proxy's connections have been idle for about as long as it keeps them.
    """
    pauses = random.Random(1)
    with (
        serving(idle_seconds=3) as server,
        before(proxy, server, tmp_path, keep_seconds=1) as front,
    ):
        statuses = load(front, 2.5, pause=lambda: pauses.uniform(0.8, 1.2))
    assert set(statuses) == {200}, statuses


@pytest.mark.parametrize("proxy", PROXIES)
def test_server_that_lets_go_before_the_proxy_does(proxy, tmp_path):
    """What may be asked again is; nothing that may not be is done twice or lost in silence."""
    pauses = random.Random(1)
    gets = [pair for pair in METHODS if pair[0] in (b"GET", b"HEAD")]
    with (
        serving(idle_seconds=0.5) as server,
        before(proxy, server, tmp_path, keep_seconds=60) as front,
    ):
        statuses = load(front, 3, pause=lambda: pauses.uniform(0.2, 1.6), methods=gets)
    assert set(statuses) == {200}, statuses
