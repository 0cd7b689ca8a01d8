"""The hard limit on what waits in memory: whatever a peer does, and whoever writes to it."""

import tracemalloc

import pytest

import clients
from epollserver import DISCONNECT, RECEIVE, RESPONSE, EpollServer, Reason

MIB = 1 << 20
GIB = 1 << 30


@pytest.fixture
def memory():
    """The most bytes that were allocated at a time since the test began."""
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    yield lambda: tracemalloc.get_traced_memory()[1] - before
    tracemalloc.stop()


@pytest.fixture
def reasons(server):
    found = []
    server.add_handler(lambda conn, reason: (found.append(reason), server.stop()), DISCONNECT)
    return found


@pytest.mark.parametrize("transport", ["plain", "tls"], indirect=True)
def test_a_gibibyte_to_a_peer_that_never_reads(server, run, attach, reasons, memory, caplog):
    conn, _ = attach(server)
    data = bytes(MIB)

    @server.loop.call_soon
    def write():
        answers = [conn.write(bytearray(data)) for _ in range(GIB // MIB)]
        assert answers[0] is False  # 1 MiB is above the mark already
        assert not any(answers)
        assert conn.fileno() == -1

    run(server)
    assert reasons == [Reason.ERROR]
    assert 60 * MIB < memory() < 67 * MIB
    (record,) = caplog.records
    assert f"max_queued={64 * MIB}" in record.getMessage()
    caplog.clear()


def test_who_heeds_the_mark_needs_little_memory(server, run, pair, memory, after_turns):
    given, _peer = pair()
    conn = server.adopt(given)
    data = bytes(65536)

    @server.loop.call_soon
    def write():
        while conn.write(data):
            pass
        assert server.high_water < conn.queued <= server.high_water + len(data)
        after_turns(server, 3, server.stop)

    run(server)
    assert memory() < MIB


def test_a_writer_that_goes_on_at_response(server, pair):
    # Much more than the limit in all, through little memory.
    server.max_queued = MIB
    most = []

    @server.handler(on_event=RECEIVE)
    @server.handler(on_event=RESPONSE)
    def write(conn):
        if conn.data is None:
            conn.recv(10)
            conn.data = 64 * MIB
        while conn.data:
            conn.data -= 65536
            if not conn.write(bytes(65536)):
                break
        else:
            conn.finish()
        most.append(conn.queued)

    given, peer = pair()
    server.adopt(given)
    server.start(threaded=True)
    peer.send(b"?")
    assert len(clients.read_to_end(peer)) == 64 * MIB
    assert max(most) <= server.high_water + 65536


def test_one_write_is_taken_whole(make_server, pair):
    server = make_server(max_queued=MIB)
    given, peer = pair()
    conn = server.adopt(given)
    assert conn.write(bytes(8 * MIB)) is False
    conn.finish()
    assert conn.write(b"late") is False
    server.start(threaded=True)
    assert clients.read_to_end(peer) == bytes(8 * MIB)


def test_files_do_not_count(make_server, pair, tmp_path):
    server = make_server(max_queued=MIB)
    given, peer = pair()
    conn = server.adopt(given)
    path = tmp_path / "file"
    path.write_bytes(bytes(8 * MIB))
    conn.sendfile(path.open("rb"))
    assert conn.queued > MIB
    assert conn.write(b"end") is False
    conn.finish()
    server.start(threaded=True)
    assert clients.read_to_end(peer) == bytes(8 * MIB) + b"end"


def test_a_write_that_is_out_says_go_on(server, pair):
    given, peer = pair()
    conn = server.adopt(given)
    assert conn.write(b"x") is True
    assert conn.write(b"") is True
    assert peer.recv(10) == b"x"
    conn.close()
    assert conn.write(b"x") is False


def test_below_the_mark_writes_may_wait(server, pair):
    given, _peer = pair()
    conn = server.adopt(given)
    while not conn.queued:
        assert conn.write(bytes(1000)) is True
    assert conn.write(bytes(1000)) is True


@pytest.mark.parametrize(
    ("value", "error"), [(0, ValueError), (-1, ValueError), ("1", TypeError), (1.5, TypeError)]
)
def test_what_cannot_be_a_limit(value, error):
    with pytest.raises(error, match="max_queued"):
        EpollServer(("127.0.0.1", 0), max_queued=value)
