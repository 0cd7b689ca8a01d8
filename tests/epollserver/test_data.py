"""DATA: the handler that is given what has arrived."""

import socket
import threading

import pytest

import clients
from epollserver import DATA, DISCONNECT, RECEIVE, Reason

both = pytest.mark.parametrize("transport", ["plain", "tls"], indirect=True)


@both
def test_it_gets_what_has_arrived_and_the_end_once(server, run, attach):
    _, peer = attach(server)
    got, reasons = [], []
    peer.send(b"hello")

    @server.handler(on_event=DATA)
    def data(conn, data):
        got.append(data)
        if data:
            peer.close()

    @server.handler(on_event=DISCONNECT)
    def disconnect(conn, reason):
        reasons.append(reason)
        server.stop()

    run(server)
    assert got == [b"hello", b""]
    assert reasons == [Reason.PEER_CLOSED]


@both
def test_a_peer_that_ended_its_side_is_answered(server, run, attach):
    _, peer = attach(server)
    peer.send(b"question")
    peer.shutdown(socket.SHUT_WR)

    @server.handler(on_event=DATA)
    def data(conn, data):
        if not data:
            conn.write(b"answer")

    server.add_handler(lambda conn, reason: server.stop(), DISCONNECT)
    run(server)
    assert peer.recv(100) == b"answer"


def test_more_than_fits_comes_in_pieces(server, run, attach):
    _, peer = attach(server)
    sent = b"x" * 200_000
    got = []

    @server.handler(on_event=DATA)
    def data(conn, data):
        got.append(data)
        if sum(map(len, got)) == len(sent):
            server.stop()

    writer = threading.Thread(target=peer.sendall, args=(sent,))
    writer.start()
    run(server)
    writer.join()
    assert b"".join(got) == sent
    assert max(map(len, got)) <= 65536


@pytest.mark.parametrize("last", [DATA, RECEIVE])
def test_of_data_and_receive_the_last_counts(server, run, attach, last):
    _, peer = attach(server)
    peer.send(b"x")
    calls = []

    def data(conn, data):
        calls.append(DATA)
        server.stop()

    def receive(conn):
        calls.append(RECEIVE)
        conn.recv(10)
        server.stop()

    for event in (RECEIVE, DATA) if last is DATA else (DATA, RECEIVE):
        server.add_handler(data if event is DATA else receive, event)
    run(server)
    assert calls == [last]


def test_a_reset_is_no_failure_of_the_handler(server, run):
    peer = clients.connect(server.address)
    reasons, got = [], []

    @server.handler(on_event=DATA)
    def data(conn, data):
        got.append(data)
        clients.reset(peer)

    @server.handler(on_event=DISCONNECT)
    def disconnect(conn, reason):
        reasons.append(reason)
        server.stop()

    peer.send(b"x")
    run(server)
    assert (got, reasons) == ([b"x"], [Reason.RESET])


@both
def test_a_handler_that_raises_costs_its_connection(server, run, attach, caplog):
    _, peer = attach(server)
    peer.send(b"x")
    reasons = []

    @server.handler(on_event=DATA)
    def data(conn, data):
        raise RuntimeError("oops")

    @server.handler(on_event=DISCONNECT)
    def disconnect(conn, reason):
        reasons.append(reason)
        server.stop()

    run(server)
    assert reasons == [Reason.ERROR]
    assert "oops" in caplog.text
    caplog.clear()
