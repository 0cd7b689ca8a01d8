"""Descriptors that somebody else has closed: the server ends, rather than serving the wrong one."""

import os
import socket

import pytest

from clients import connect
from epollserver import RECEIVE, DescriptorLost, EpollServer


@pytest.fixture
def lost():
    """Start a server whose handler does what it should not; its `DescriptorLost`, or None."""

    def lost(spoil, clients=1, ask=b"x"):
        seen = []

        def receive(conn):
            data = conn.recv(100)
            if data and not seen:
                seen.append(conn)
                spoil(server, conn)
                conn.write(b"answer")

        with EpollServer(("127.0.0.1", 0)) as server:
            server.add_handler(receive, RECEIVE)
            server.loop.call_later(0.2, server.check_descriptors)
            server.loop.call_later(0.3, server.stop)
            peers = [connect(server.address) for _ in range(clients)]
            try:
                peers[0].sendall(ask)
                try:
                    server.start()
                except DescriptorLost as error:
                    return error
                finally:
                    for conn in [*server.connections, *seen]:
                        socket.socket.detach(conn)
            finally:
                for peer in peers:
                    peer.close()
        return None

    return lost


def test_nothing_is_lost(lost):
    assert lost(lambda server, conn: None) is None
    assert lost(lambda server, conn: conn.close()) is None
    assert lost(lambda server, conn: os.close(conn.detach())) is None


SPOILERS = {
    "its own": lambda server, conn: os.close(conn.fileno()),
    "its own, which is another's now": lambda server, conn: replace(conn.fileno()),
}


def replace(descriptor):
    """Let this number be a file, as if it was closed and something was opened."""
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, descriptor)
    os.close(null)


@pytest.mark.parametrize("spoiler", SPOILERS)
def test_a_connection(lost, spoiler):
    error = lost(SPOILERS[spoiler])
    assert "was closed by somebody else" in str(error)


def test_a_number_that_comes_again(lost):
    """An accepted connection has the number of one that the server believes to be open."""

    def spoil(server, conn):
        (other,) = server.connections - {conn}
        os.close(other.fileno())
        late.connect(server.address)  # it has a number of its own already

    with socket.socket() as late:
        error = lost(spoil, clients=2)
    assert "a connection, was closed by somebody else" in str(error)


def test_a_wake_up_descriptor(lost):
    error = lost(lambda server, conn: replace(server.loop._wake_fd))
    assert "which the loop watches, was closed by somebody else" in str(error)


def test_a_handler_cannot_hold_it_off(lost):
    def spoil(server, conn):
        os.close(conn.fileno())
        try:
            conn.write(b"x")
        except Exception:
            pytest.fail("an exception that a handler can catch")

    assert lost(spoil) is not None
