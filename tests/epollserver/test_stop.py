"""stop(grace): who is let in, who may go on, and who ends it."""

import os
import signal
import socket
import threading
import time

import pytest

import clients
from epollserver import CONNECT, DISCONNECT, RECEIVE, Reason

FOREVER = 3600.0


@pytest.fixture
def reasons(server):
    found = []
    server.add_handler(lambda conn, reason: found.append(reason), DISCONNECT)
    return found


def echo(conn):
    conn.write(conn.recv(65536))


def test_connections_end_by_themselves(server, run, reasons):
    server.add_handler(echo, RECEIVE)
    server.add_handler(lambda conn: server.stop(FOREVER), CONNECT)
    address = server.address

    def client():
        with clients.connect(address) as sock:
            sock.sendall(b"hello")
            sock.shutdown(socket.SHUT_WR)
            answers.append(clients.read_to_end(sock))

    answers = []
    thread = threading.Thread(target=client)
    thread.start()
    run(server)
    thread.join()
    assert answers == [b"hello"]
    assert reasons == [Reason.PEER_CLOSED]


def test_who_waits_in_the_queue_is_served(server, run, reasons):
    server.add_handler(echo, RECEIVE)
    with clients.connect(server.address) as one, clients.connect(server.address) as two:
        answers = []

        def client():
            for sock in (one, two):
                sock.sendall(b"hello")
                sock.shutdown(socket.SHUT_WR)
                answers.append(clients.read_to_end(sock))

        server.stop(FOREVER)  # before it has accepted anything
        thread = threading.Thread(target=client)
        thread.start()
        run(server)
        thread.join()
    assert answers == [b"hello"] * 2
    assert reasons == [Reason.PEER_CLOSED] * 2


def test_no_more_than_max_conns_are_taken(make_server, run):
    server = make_server(max_conns=2)
    seen = []
    server.add_handler(seen.append, CONNECT)
    waiting = [clients.connect(server.address) for _ in range(5)]
    server.stop(0.01)
    run(server)
    assert len(seen) == 2
    for sock in waiting:
        sock.close()


def test_nobody_is_accepted_any_more(server, run, pair):
    server.adopt(pair()[0])
    address = server.address
    server.stop(FOREVER)

    def knock():
        assert server.stopping
        with pytest.raises(ConnectionRefusedError):
            clients.connect(address)
        server.stop()

    server.loop.call_later(0.0, lambda: server.loop.call_soon(knock))
    run(server)


def test_the_rest_is_closed_at_the_deadline(server, run, pair, reasons):
    given, peer = pair()
    server.adopt(given)
    began = time.monotonic()
    server.stop(0.2)
    run(server)
    assert 0.2 <= time.monotonic() - began < 5
    assert reasons == [Reason.SERVER_STOP]
    assert peer.recv(1) == b""


@pytest.mark.parametrize("again", [(), (0,), (FOREVER,)])
def test_a_second_call_means_now(server, run, pair, reasons, again):
    given, _peer = pair()
    server.adopt(given)
    server.stop(FOREVER)
    server.loop.call_later(0.01, lambda: server.stop(*again))
    run(server)
    assert reasons == [Reason.SERVER_STOP]


@pytest.mark.parametrize("by", ["handler", "thread", "signal"])
def test_by_whom_it_can_be_called(server, run, pair, reasons, by):
    given, peer = pair()

    @server.handler(on_event=RECEIVE)
    def receive(conn):
        if conn.recv(100) == b"stop":
            if by == "handler":
                server.stop(FOREVER)
            elif by == "thread":
                threading.Thread(target=server.stop, args=(FOREVER,)).start()
            else:
                os.kill(os.getpid(), signal.SIGUSR1)
            peer.close()

    if by == "signal":
        server.loop.on_signal(signal.SIGUSR1, lambda: server.stop(FOREVER))
    server.adopt(given)
    peer.send(b"stop")
    run(server)
    assert reasons == [Reason.PEER_CLOSED]
    assert server.stopping


def test_without_connections_it_is_over_at_once(server, run, reasons):
    server.stop(FOREVER)
    run(server)
    assert reasons == []


def test_a_handler_that_refuses_does_not_matter(server, run, reasons):
    server.add_handler(lambda conn: False, CONNECT)
    with clients.connect(server.address) as client:
        server.stop(FOREVER)
        run(server)
        assert client.recv(1) == b""
    assert reasons == []
