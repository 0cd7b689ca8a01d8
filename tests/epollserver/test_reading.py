"""RECEIVE: what it is called for, the end of file, pause() and resume()."""

import socket
import threading

import pytest

import clients
from epollserver import CONNECT, DISCONNECT, READ, RECEIVE, RESPONSE, Reason

# More than the kernel keeps for a socket whose peer does not read.
LARGE = 16 << 20

both = pytest.mark.parametrize("transport", ["plain", "tls"], indirect=True)


@both
def test_what_is_left_unread_comes_again(server, run, attach):
    _, peer = attach(server)
    peer.send(b"abc")
    got = []

    @server.handler(on_event=RECEIVE)
    def receive(conn):
        got.append(conn.recv(1))
        if len(got) == 3:
            server.stop()

    run(server)
    assert got == [b"a", b"b", b"c"]


def read_by_recv(conn):
    return conn.recv(100)


def read_by_recv_into(conn):
    buffer = bytearray(100)
    return bytes(buffer[: conn.recv_into(buffer)])


@pytest.mark.parametrize("read", [read_by_recv, read_by_recv_into])
@both
def test_the_end_comes_once(server, run, read, attach, after_turns):
    _, peer = attach(server)
    peer.send(b"last")
    peer.close()
    got, reasons = [], []

    @server.handler(on_event=RECEIVE)
    def receive(conn):
        got.append(read(conn))

    @server.handler(on_event=DISCONNECT)
    def disconnect(conn, reason):
        assert conn.fileno() == -1
        reasons.append(reason)
        after_turns(server, 3, server.stop)

    run(server)
    assert got == [b"last", b""]
    assert reasons == [Reason.PEER_CLOSED]


@both
def test_reading_nothing_is_not_the_end(server, run, attach, after_turns):
    conn, peer = attach(server)
    peer.send(b"x")

    @server.handler(on_event=RECEIVE)
    def receive(conn):
        assert conn.recv(0) == b""
        assert conn.recv(100) == b"x"
        after_turns(server, 2, server.stop)

    server.add_handler(lambda conn, reason: reasons.append(reason), DISCONNECT)
    reasons = []
    run(server)
    assert reasons == [Reason.SERVER_STOP]
    assert conn.fileno() == -1


@both
def test_recv_raises_when_nothing_is_there(server, attach):
    conn, _ = attach(server)
    with pytest.raises(BlockingIOError):
        conn.recv(100)
    with pytest.raises(BlockingIOError):
        conn.recv_into(bytearray(100))
    assert conn.fileno() >= 0  # nothing is wrong with it


@both
def test_half_closed_peer_gets_its_answer(server, attach):
    @server.handler(on_event=RECEIVE)
    def receive(conn):
        conn.data = (conn.data or b"") + (data := conn.recv(100))
        if not data:
            conn.write(b"answer to " + conn.data)

    _, peer = attach(server)
    server.start(threaded=True)
    peer.sendall(b"a question")
    peer.shutdown(socket.SHUT_WR)
    assert clients.read_to_end(peer) == b"answer to a question"


@both
def test_half_closed_peer_gets_a_long_answer(server, attach):
    reasons, written = [], threading.Event()

    @server.handler(on_event=RECEIVE)
    def receive(conn):
        assert conn.recv(100) == b""  # once: a second answer would be read as well
        conn.write(bytes(LARGE))
        assert conn.queued
        written.set()

    server.add_handler(lambda conn, reason: reasons.append(reason), DISCONNECT)
    _, peer = attach(server)
    server.start(threaded=True)
    peer.shutdown(socket.SHUT_WR)
    assert written.wait(clients.PATIENCE)
    assert len(clients.read_to_end(peer)) == LARGE
    server.close()
    assert reasons == [Reason.PEER_CLOSED]


@both
def test_pause_and_resume(server, run, attach, after_turns):
    conn, peer = attach(server)
    peer.send(b"x")
    order = []

    @server.handler(on_event=RECEIVE)
    def receive(conn):
        order.append(conn.recv(100))
        server.stop()

    def resume():
        order.append("resume")
        conn.resume()

    conn.pause()
    after_turns(server, 3, resume)
    run(server)
    assert order == ["resume", b"x"]


@both
def test_paused_by_another_handler_of_the_same_batch(server, run, attach, after_turns):
    # Both are ready; whichever is called first pauses the other one, whose event is waiting.
    conns, peers = zip(*[attach(server) for _ in range(2)], strict=True)
    for peer in peers:
        peer.send(b"x")
    called = []

    @server.handler(on_event=RECEIVE)
    def receive(conn):
        called.append(conn)
        conn.recv(100)
        conns[1 - conns.index(conn)].pause()
        after_turns(server, 2, server.stop)

    run(server)
    assert len(called) == 1


@both
def test_the_end_met_by_another_handler_of_the_same_batch(server, run, attach, after_turns):
    conns, peers = zip(*[attach(server) for _ in range(2)], strict=True)
    for peer in peers:
        peer.shutdown(socket.SHUT_WR)
    called = []

    @server.handler(on_event=RECEIVE)
    def receive(conn):
        called.append(conn)
        for each in conns:
            assert each.recv(100) == b""
        after_turns(server, 3, server.stop)

    run(server)
    assert len(called) == 1


@pytest.mark.parametrize("how", ["pause", "hold"])
def test_reading_ends_in_the_handler_for_response(server, run, how, pair, after_turns):
    # Readable and writable in one event: RESPONSE comes first, and ends reading.
    given, peer = pair()
    conn = server.adopt(given)
    reasons = []

    @server.handler(on_event=RESPONSE)
    def response(conn):
        if how == "pause":
            conn.pause()
        else:
            conn.write(bytes(LARGE))
        after_turns(server, 2, server.stop)

    @server.handler(on_event=RECEIVE)
    def receive(conn):
        raise AssertionError("not read now")

    server.add_handler(lambda conn, reason: reasons.append(reason), DISCONNECT)
    server.high_water = 1 << 20
    written = clients.fill(conn)
    clients.read_exactly(peer, written - conn.queued)
    peer.sendall(b"x")
    run(server)
    assert reasons == [Reason.SERVER_STOP]


@pytest.mark.parametrize("kind", ["unix", "tcp"])
def test_what_came_before_the_end_is_still_there_after_a_pause(
    make_server, run, tmp_path, kind, after_turns
):
    server = make_server(str(tmp_path / "socket") if kind == "unix" else ("127.0.0.1", 0))
    got = []

    def connect(conn):
        conn.pause()
        client.sendall(b"last words")
        client.close()  # of a UNIX socket, epoll(7) reports a hang-up from now on
        after_turns(server, 3, conn.resume)

    @server.handler(on_event=RECEIVE)
    def receive(conn):
        got.append(conn.recv(100))

    server.add_handler(connect, CONNECT)
    server.add_handler(lambda conn, reason: (got.append(reason), server.stop()), DISCONNECT)
    client = clients.connect(server.address)
    run(server)
    assert got == [b"last words", b"", Reason.PEER_CLOSED]


@both
def test_a_hang_up_does_not_spin_a_paused_connection(server, run, attach, after_turns):
    conn, peer = attach(server)
    conn.pause()
    peer.close()
    conn_ready, calls = conn._ready, []
    server.loop.unwatch(conn.fileno())
    server.loop.watch(conn.fileno(), READ, lambda ready: (calls.append(ready), conn_ready(ready)))
    conn.resume()
    conn.pause()
    after_turns(server, 20, server.stop)
    run(server)
    assert len(calls) <= 1


@both
def test_pause_of_a_closed_connection(server, attach):
    conn, _ = attach(server)
    conn.close()
    conn.pause()
    conn.resume()
    conn.finish()
