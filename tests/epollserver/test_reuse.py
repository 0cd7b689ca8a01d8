"""A descriptor that is closed and reused within one batch of events (see `epollserver.loop`)."""

import os
import socket

import pytest

from epollserver import CONNECT, READ, RECEIVE


def put_at(fd, source):
    """Close `source` and give what it was the number `fd`."""
    assert os.dup2(source, fd) == fd
    os.close(source)


@pytest.fixture
def race(server, pair):
    """Two connections that are both ready before the loop polls.

    The first that is called closes the other one and calls `reuse` with its number.
    """
    given, peers = zip(*[pair() for _ in range(2)], strict=True)
    conns = [server.adopt(sock) for sock in given]
    for peer in peers:
        peer.send(b"old")
    called = []

    def prepare(reuse):
        @server.handler(on_event=RECEIVE)
        def receive(conn):
            called.append(conn)
            assert conn.recv(100) == b"old"
            other = conns[1 - conns.index(conn)]
            fd = other.fileno()
            other.close()
            reuse(fd)

        return called

    return prepare


def test_by_an_adopted_socket(server, run, race, pair):
    fresh, peer = pair()
    adopted = []

    def reuse(fd):
        put_at(fd, fresh.detach())
        conn = server.adopt(socket.socket(fileno=fd))
        assert conn.fileno() == fd
        adopted.append(conn)
        server.loop.call_soon(next_turn)

    def next_turn():
        assert len(called) == 1  # the old event was for nobody
        server.add_handler(new_data, RECEIVE)
        peer.send(b"new")

    def new_data(conn):
        assert conn is adopted[0]
        assert conn.recv(100) == b"new"
        server.stop()

    called = race(reuse)
    run(server)
    assert called


def test_by_a_watched_pipe(server, run, race):
    reader, writer = os.pipe()
    seen = []

    def reuse(fd):
        put_at(fd, reader)
        server.loop.watch(fd, READ, lambda ready: readable(fd))
        server.loop.call_soon(next_turn)

    def next_turn():
        assert not seen
        os.write(writer, b"new")

    def readable(fd):
        seen.append(os.read(fd, 100))  # would block for ever on the old one's event
        server.loop.unwatch(fd)
        os.close(fd)
        server.stop()

    race(reuse)
    run(server)
    os.close(writer)
    assert seen == [b"new"]


def test_by_an_accepted_connection(make_server, run, tmp_path, pair):
    # In the order of the batch: one connection, the listener, the connection that is closed.
    # A UNIX socket: connect(2) is finished when it returns.
    server = make_server(str(tmp_path / "socket"))
    pairs = [pair() for _ in range(2)]
    gaps = fill_gaps()
    first, victim = [server.adopt(given) for given, _ in pairs]
    (_, first_peer), (_, victim_peer) = pairs
    number = victim.fileno()
    client = socket.socket(socket.AF_UNIX)
    order = []

    @server.loop.call_soon
    def events():
        first_peer.send(b"x")
        client.connect(server.address)
        victim_peer.send(b"x")
        server.loop.call_soon(lambda: server.loop.call_soon(server.stop))

    @server.handler(on_event=CONNECT)
    def connect(conn):
        order.append(("accepted", conn.fileno()))

    @server.handler(on_event=RECEIVE)
    def receive(conn):
        order.append(("receive", conn))
        conn.recv(100)
        victim.close()

    run(server)
    for sock in (first_peer, victim_peer, client):
        sock.close()
    for fd in gaps:
        os.close(fd)
    assert order == [("receive", first), ("accepted", number)]


def test_of_a_connection_that_lives_on_elsewhere(server, run, pair, after_turns):
    # epoll(7) forgets a closed descriptor by itself only if nobody has the socket open any more:
    # not while there is a duplicate, or a child that was forked.  Its events must find nobody.
    (given, peer), (fresh, fresh_peer) = pair(), pair()
    conn = server.adopt(given)
    received = []
    server.add_handler(lambda conn: received.append(conn.recv(100)), RECEIVE)
    with conn.dup():
        fd = conn.fileno()
        conn.close()
        put_at(fd, fresh.detach())
        server.adopt(socket.socket(fileno=fd))
        peer.send(b"old")
        after_turns(server, 3, server.stop)
        run(server)
    assert received == []
    assert fresh_peer.recv(100) == b""  # at the server's end


def fill_gaps():
    """Take every free number below the highest one in use: the next are in a row."""
    filled = [os.open("/dev/null", os.O_RDONLY)]
    highest = max(map(int, os.listdir("/proc/self/fd")))
    while filled[-1] < highest:
        filled.append(os.open("/dev/null", os.O_RDONLY))
    return filled
