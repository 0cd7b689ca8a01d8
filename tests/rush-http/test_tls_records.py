"""Requests that have arrived as a part of a TLS record."""

import socket
import ssl

import pytest

from rawclient import request
from rush_http import Limits

PATIENCE = 20.0

pytestmark = [
    pytest.mark.once,
    pytest.mark.parametrize("transport", ["tls"], indirect=True),
]


class RecordClient:
    """A client whose records can be sent in parts."""

    def __init__(self, address, context):
        self.sock = socket.create_connection(address, timeout=PATIENCE)
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname="localhost")
        self._step(self._tls.do_handshake)
        self.sock.sendall(self._outgoing.read())

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.sock.close()

    def _step(self, function):
        while True:
            try:
                return function()
            except ssl.SSLWantReadError:
                self.sock.sendall(self._outgoing.read())
                self._incoming.write(self.sock.recv(65536))

    def record(self, data):
        """The record that says `data`."""
        self._tls.write(data)
        return self._outgoing.read()

    def until_closed(self):
        """Wait for the server to close; nothing but its close_notify comes before."""
        while data := self.sock.recv(1000):
            assert len(data) < 100

    def read(self):
        return self._step(lambda: self._tls.read(65536))


@pytest.fixture
def client(contexts):
    return lambda server: RecordClient(server.address, contexts[1])


def test_a_part_is_under_the_limit_of_a_head(site, client):
    server = site(limits=Limits(head_seconds=0.1, idle_seconds=1000))
    with client(server) as peer:
        peer.sock.sendall(peer.record(request())[:-1])
        peer.until_closed()


def test_whole_records_start_no_clock(site, client, until):
    server = site(limits=Limits(head_seconds=0.1, idle_seconds=1000))
    with client(server) as idle, client(server) as late:
        late.sock.sendall(b"\x17")
        late.until_closed()  # the limit has passed
        until(server, lambda: len(server.epoll.connections) == 1)
        idle.sock.sendall(idle.record(request()))
        assert b"200" in idle.read()


def test_a_part_is_not_lost_when_the_server_stops(site, client, until):
    server = site()
    with client(server) as peer, client(server) as idle:
        record = peer.record(request())
        peer.sock.sendall(record[:9])
        until(server, lambda: any(conn.partial_since for conn in server.epoll.connections))
        server.stop(PATIENCE, idle_grace=0.05)
        idle.until_closed()  # the idle grace is over
        until(server, lambda: len(server.epoll.connections) == 1)
        peer.sock.sendall(record[9:])
        assert b"Connection: close" in peer.read()
