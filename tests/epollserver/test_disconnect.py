"""DISCONNECT: exactly once for every connection that was not refused, with the reason."""

import logging
import os
import socket

import pytest

import clients
from epollserver import CONNECT, DISCONNECT, RECEIVE, RESPONSE, Reason

LARGE = 16 << 20


@pytest.fixture
def ended(server, after_turns):
    """What DISCONNECT was called with; the server stops some turns after the first time."""
    calls = []

    @server.handler(on_event=DISCONNECT)
    def disconnect(conn, reason):
        assert conn.fileno() == -1
        assert conn not in server.connections
        calls.append((conn.data, reason))
        after_turns(server, 3, server.stop)

    return calls


def mark(conn):
    conn.data = "mine"


def test_peer_closed(server, run, ended, pair):
    given, peer = pair()
    server.add_handler(mark, CONNECT)
    server.adopt(given)
    peer.close()
    run(server)
    assert ended == [("mine", Reason.PEER_CLOSED)]


def test_peer_closed_and_then_closed_by_the_handler(server, run, ended, pair):
    @server.handler(on_event=RECEIVE)
    def receive(conn):
        assert conn.recv(100) == b""
        conn.close()
        conn.close()

    given, peer = pair()
    server.adopt(given)
    peer.close()
    run(server)
    assert ended == [(None, Reason.OWN_CLOSE)]


@pytest.mark.parametrize("state", ["reading", "paused", "writing"])
def test_reset(server, run, ended, state):
    @server.handler(on_event=CONNECT)
    def connect(conn):
        if state == "paused":
            conn.pause()
        elif state == "writing":
            conn.write(bytes(LARGE))
        server.loop.call_soon(lambda: clients.reset(client))

    client = clients.connect(server.address)
    run(server)  # recv() raises in the handler, which does not catch it: nothing is logged
    assert ended == [(None, Reason.RESET)]


def test_reset_that_the_handler_catches(server, run, ended):
    caught = []

    @server.handler(on_event=RECEIVE)
    def receive(conn):
        try:
            conn.recv(100)
        except OSError as error:
            caught.append(error)
        conn.write(b"nobody is there")

    server.add_handler(lambda conn: clients.reset(client), CONNECT)
    client = clients.connect(server.address)
    run(server)
    assert [type(error) for error in caught] == [ConnectionResetError]
    assert ended == [(None, Reason.RESET)]


def test_timeout_of_tcp(server, run, ended):
    @server.handler(on_event=CONNECT)
    def connect(conn):
        conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 20)
        conn.write(bytes(LARGE))

    with clients.connect(server.address):
        run(server)
    assert ended == [(None, Reason.TIMEOUT)]


@pytest.mark.parametrize("event", [CONNECT, RECEIVE, RESPONSE])
def test_a_handler_that_raises_costs_its_connection_only(server, run, ended, pair, caplog, event):
    def fail(conn):
        if conn.fileno() == number:
            raise LookupError("a mistake")

    def echo(conn):
        conn.write(conn.recv(100))

    given, peer = pair()
    number = given.fileno()
    other_given, other_peer = pair()
    server.add_handler(echo, RECEIVE)
    server.add_handler(fail, event)
    conn = server.adopt(given)
    server.adopt(other_given)
    if event is RESPONSE:
        written = clients.fill(conn)
        clients.read_exactly(peer, written - conn.queued)
    elif event is RECEIVE:
        peer.send(b"x")
        server.add_handler(lambda conn: fail(conn) or echo(conn), RECEIVE)
    other_peer.send(b"echo")
    run(server)
    assert ended == [(None, Reason.ERROR), (None, Reason.SERVER_STOP)]
    assert clients.read_to_end(other_peer) == b"echo"
    (record,) = caplog.records
    assert (record.name, record.levelno) == ("epollserver", logging.ERROR)
    assert "a handler failed" in record.getMessage()
    assert "a mistake" in caplog.text
    assert "Traceback" in caplog.text
    caplog.clear()


def test_an_oserror_of_the_handlers_own_is_logged_after_close(server, run, ended, pair, caplog):
    # Not to be taken for the broken connection that recv() raises for.
    @server.handler(on_event=RECEIVE)
    def receive(conn):
        conn.close()
        os.stat("/nowhere/to/be/found")

    given, peer = pair()
    server.adopt(given)
    peer.send(b"x")
    run(server)
    assert ended == [(None, Reason.OWN_CLOSE)]
    assert "/nowhere/to/be/found" in caplog.text
    caplog.clear()


def test_a_disconnect_handler_that_raises(server, run, pair, caplog):
    @server.handler(on_event=DISCONNECT)
    def disconnect(conn, reason):
        raise LookupError("a mistake")

    for _ in range(2):
        given, _peer = pair()
        server.adopt(given)
    server.loop.call_soon(server.stop)
    run(server)
    assert [record.getMessage() for record in caplog.records] == [
        "the handler for DISCONNECT failed"
    ] * 2
    caplog.clear()


def test_server_stop(server, run, ended, pair):
    for _ in range(3):
        given, _peer = pair()
        server.adopt(given)
    server.loop.call_soon(server.stop)
    run(server)
    assert ended == [(None, Reason.SERVER_STOP)] * 3
    assert not server.connections


@pytest.mark.parametrize("end", ["close", "finish", "detach"])
@pytest.mark.parametrize("event", [CONNECT, RECEIVE])
def test_own_close(server, run, ended, pair, end, event):
    detached = []

    def act(conn):
        if end == "detach":
            detached.append(conn.detach())
        else:
            getattr(conn, end)()
        assert conn.fileno() == -1

    server.add_handler(act, event)
    given, peer = pair()
    peer.send(b"x")
    server.adopt(given)
    run(server)
    assert ended == [(None, Reason.OWN_CLOSE)]
    for fd in detached:
        with socket.socket(fileno=fd) as sock:  # still connected, and the caller's
            assert sock.recv(100) == b"x"


def test_close_of_another_connection(server, run, ended, pair):
    (given, peer), (other_given, _) = pair(), pair()
    server.adopt(given)
    other = server.adopt(other_given)

    @server.handler(on_event=RECEIVE)
    def receive(conn):
        conn.recv(100)
        other.close()
        assert not ended  # not in the middle of a handler

    other.data = "other"
    peer.send(b"x")
    run(server)
    assert ended == [("other", Reason.OWN_CLOSE), (None, Reason.SERVER_STOP)]


def leave(conn):
    return False


def say_why_and_leave(conn):
    conn.write(b"no room")
    conn.finish()
    return False


def close_and_leave(conn):
    conn.close()
    return False


@pytest.mark.parametrize("refuse", [leave, say_why_and_leave, close_and_leave])
def test_not_for_refused_ones(server, run, ended, pair, after_turns, refuse):
    server.add_handler(refuse, CONNECT)
    given, peer = pair()
    conn = server.adopt(given)
    assert conn.fileno() == -1
    assert not server.connections
    after_turns(server, 3, server.stop)
    run(server)
    assert not ended
    assert clients.read_to_end(peer) == (b"no room" if refuse is say_why_and_leave else b"")
