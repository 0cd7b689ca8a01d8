"""pause(on_peer_closed=...): who does not read learns that the peer has left."""

import socket

import pytest

import clients
from epollserver import CONNECT, DISCONNECT, READ, RECEIVE, Reason

LARGE = 16 << 20


@pytest.fixture(params=["tcp", "unix"])
def server(request, make_server, tmp_path):
    return make_server(str(tmp_path / "socket") if request.param == "unix" else ("127.0.0.1", 0))


@pytest.fixture
def seen(server):
    """What happens on the connections of the server, in order."""
    events = []

    @server.handler(on_event=RECEIVE)
    def receive(conn):
        events.append(conn.recv(65536))

    server.add_handler(lambda conn, reason: (events.append(reason), server.stop()), DISCONNECT)
    return events


@pytest.fixture
def client(server):
    with clients.connect(server.address) as client:
        yield client


def half_close(client):
    client.shutdown(socket.SHUT_WR)


def full_close(client):
    client.close()


def close_with_words_unread(client):
    client.sendall(b"last words")
    client.close()


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("leave", [half_close, full_close, close_with_words_unread])
def test_called_once_and_nothing_else_changes(server, run, client, seen, after_turns, leave, when):
    def closed(conn):
        assert conn in server.connections
        seen.append("closed")
        after_turns(server, 3, conn.resume)

    @server.handler(on_event=CONNECT)
    def connect(conn):
        if when == "before":
            leave(client)
        conn.pause(closed)
        if when == "after":
            after_turns(server, 2, lambda: leave(client))

    run(server)
    words = [b"last words"] if leave is close_with_words_unread else []
    assert seen == ["closed", *words, b"", Reason.PEER_CLOSED]


@pytest.mark.parametrize("size", [6, LARGE])
def test_who_half_closes_gets_what_was_written(server, client, seen, size):
    @server.handler(on_event=CONNECT)
    def connect(conn):
        conn.write(bytes(size // 2))  # of a large one something waits meanwhile
        conn.pause(closed)

    def closed(conn):
        seen.append("closed")
        conn.write(bytes(size // 2))
        conn.finish()

    server.start(threaded=True)
    clients.read_exactly(client, 1)  # it is paused, and has written, before the end comes
    half_close(client)
    assert len(clients.read_to_end(client)) == size - 1
    server.close()
    assert seen == ["closed", Reason.OWN_CLOSE]


def test_of_two_calls_the_last_counts(server, run, client, seen, after_turns):
    @server.handler(on_event=CONNECT)
    def connect(conn):
        conn.pause(lambda conn: seen.append("first"))
        conn.pause(second)
        half_close(client)

    def second(conn):
        seen.append("second")
        conn.pause(third)  # it has closed already

    def third(conn):
        seen.append("third")
        after_turns(server, 3, conn.close)

    run(server)
    assert seen == ["second", "third", Reason.OWN_CLOSE]


@pytest.mark.parametrize("forget", ["pause", "resume", "resume and pause", "close"])
def test_forgotten(server, run, client, seen, after_turns, forget):
    @server.handler(on_event=CONNECT)
    def connect(conn):
        conn.pause(lambda conn: seen.append("closed"))
        half_close(client)
        for method in forget.split(" and "):
            getattr(conn, method)()
        after_turns(server, 4, server.stop)

    run(server)
    expected = {"resume": [b"", Reason.PEER_CLOSED], "close": [Reason.OWN_CLOSE]}
    assert seen == expected.get(forget, [Reason.SERVER_STOP])


def test_resumed_by_another_handler_of_the_same_batch(server, run, pair, seen, after_turns):
    # Both have left; whichever is told first lets the other one, whose event is waiting, read on.
    given, peers = zip(*[pair() for _ in range(2)], strict=True)
    conns = [server.adopt(sock) for sock in given]

    def closed(conn):
        seen.append("closed")
        conns[1 - conns.index(conn)].resume()
        conn.close()

    for conn, peer in zip(conns, peers, strict=True):
        conn.pause(closed)
        peer.close()
    server.add_handler(lambda conn, reason: seen.append(reason), DISCONNECT)
    after_turns(server, 4, server.stop)
    run(server)
    assert seen == ["closed", b"", Reason.OWN_CLOSE, Reason.PEER_CLOSED]


def test_a_reset_is_a_reset(make_server, run, after_turns):
    server = make_server()
    ended = []

    @server.handler(on_event=CONNECT)
    def connect(conn):
        conn.pause(lambda conn: ended.append("closed"))
        clients.reset(client)

    server.add_handler(lambda conn, reason: (ended.append(reason), server.stop()), DISCONNECT)
    client = clients.connect(server.address)
    run(server)
    assert ended == [Reason.RESET]


def test_a_callback_that_raises_costs_its_connection(server, run, client, seen, caplog):
    def closed(conn):
        raise LookupError("a mistake")

    @server.handler(on_event=CONNECT)
    def connect(conn):
        conn.pause(closed)
        half_close(client)

    run(server)
    assert seen == [Reason.ERROR]
    assert "a mistake" in caplog.text
    caplog.clear()
    assert clients.read_to_end(client) == b""


def test_it_does_not_spin(server, run, pair, after_turns):
    given, peer = pair()
    conn = server.adopt(given)
    conn_ready, calls, told = conn._ready, [], []
    server.loop.unwatch(conn.fileno())
    server.loop.watch(conn.fileno(), READ, lambda ready: (calls.append(ready), conn_ready(ready)))
    conn.pause(told.append)
    peer.close()
    after_turns(server, 20, server.stop)
    run(server)
    assert told == [conn]
    assert len(calls) <= 2
