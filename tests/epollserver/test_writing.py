"""write(), sendfile(), finish(): what is sent when, in order, and how much is kept."""

import contextlib
import io
import logging
import random
import socket

import pytest

import clients
from epollserver import DISCONNECT, RECEIVE, RESPONSE, Reason

# More than the kernel keeps for a socket whose peer does not read.
LARGE = 8 << 20
DATA = random.Random(0).randbytes(LARGE)

both = pytest.mark.parametrize("transport", ["plain", "tls"], indirect=True)


@pytest.fixture
def ended(server):
    """The reasons of DISCONNECT so far; the first one stops the server."""
    reasons = []
    server.add_handler(lambda conn, reason: (reasons.append(reason), server.stop()), DISCONNECT)
    return reasons


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(DATA)
    with path.open("rb") as file:
        yield file


# write()


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
@both
def test_a_write_goes_out_at_once(server, attach, kind):
    conn, peer = attach(server)
    conn.write(kind(b"hello"))
    assert conn.queued == 0
    assert peer.recv(100) == b"hello"  # no loop has run


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
@both
def test_what_does_not_fit_follows_in_order(server, attach, kind):
    conn, peer = attach(server)
    sent = DATA
    buffer = bytearray(sent)
    data = memoryview(buffer) if kind is memoryview else kind(buffer)
    conn.write(data)
    conn.write(data)
    buffer[:] = bytes(LARGE)  # the caller may use it again
    conn.write(b"end")
    assert conn.queued > LARGE
    server.start(threaded=True)
    assert clients.read_exactly(peer, 2 * LARGE + 3) == sent + sent + b"end"


@both
def test_a_memoryview_of_wide_items(server, attach):
    conn, peer = attach(server)
    sent = DATA
    conn.write(memoryview(sent).cast("I"))
    conn.write(memoryview(sent).cast("I"))
    server.start(threaded=True)
    assert clients.read_exactly(peer, 2 * LARGE) == sent + sent


@both
def test_an_empty_write_does_nothing(server, run, attach, after_turns):
    conn, peer = attach(server)
    responses = []
    server.add_handler(responses.append, RESPONSE)
    conn.write(b"")
    clients.fill(conn)
    before = conn.queued, len(conn._out)
    conn.write(b"")
    assert (conn.queued, len(conn._out)) == before
    after_turns(server, 3, server.stop)
    run(server)
    assert not responses
    assert peer


@both
def test_drained_bytes_grow_while_the_peer_reads(server, attach):
    conn, peer = attach(server)
    assert conn.is_read
    conn.write(DATA)
    assert not conn.is_read  # above the high-water mark
    drained, queued = conn.drained_bytes, conn.queued
    conn.write(b"more")
    server.start(threaded=True)
    clients.read_exactly(peer, LARGE)
    clients.read_exactly(peer, 4)
    server.close()
    assert conn.drained_bytes >= drained + queued + 4


def test_response_only_for_what_had_to_wait(server, run, pair, after_turns):
    given, peer = pair()
    conn = server.adopt(given)
    order = []

    @server.handler(on_event=RESPONSE)
    def response(conn):
        assert conn.queued == 0
        order.append("response")
        after_turns(server, 3, server.stop)

    @server.loop.call_soon
    def writes():
        conn.write(b"at once")
        after_turns(server, 3, wait)

    def wait():
        order.append("wait")
        written = clients.fill(conn)
        clients.read_exactly(peer, written + len(b"at once") - conn.queued)

    run(server)
    assert order == ["wait", "response"]


@both
def test_response_may_write_more(server, attach):
    conn, peer = attach(server)
    conn.data = 3

    @server.handler(on_event=RESPONSE)
    def response(conn):
        while conn.data and not conn.queued:  # the peer may be so quick that nothing waits
            conn.data -= 1
            conn.write(bytes(LARGE))
        if not conn.queued:
            conn.finish()

    conn.write(bytes(LARGE))
    server.start(threaded=True)
    assert len(clients.read_to_end(peer)) == 4 * LARGE


@pytest.mark.parametrize("wrong", ["text", 5, [1, 2], None])
@both
def test_what_cannot_be_written(server, attach, wrong):
    conn, peer = attach(server)
    with pytest.raises(TypeError, match="bytes-like"):
        conn.write(wrong)
    clients.fill(conn)
    queued = conn.queued
    with pytest.raises(TypeError, match="bytes-like"):
        conn.write(wrong)
    assert conn.queued == queued
    assert peer


@both
def test_a_write_to_a_peer_that_is_gone_raises_nothing(server, run, attach, ended):
    conn, peer = attach(server)

    @server.loop.call_soon
    def write():
        peer.close()
        conn.write(b"x")
        conn.write(b"x")
        assert conn.fileno() == -1

    run(server)
    assert ended == [Reason.RESET]


@both
def test_reading_is_held_above_high_water(make_server, attach):
    # The peer asks and asks, and never reads: it is not read any more, and then it is again.
    server = make_server(high_water=1 << 20)
    most = []

    @server.handler(on_event=RECEIVE)
    def receive(conn):
        conn.data = (conn.data or 0) + len(conn.recv(1000))
        conn.write(bytes(100_000))
        most.append(conn.queued)

    conn, peer = attach(server)
    server.start(threaded=True)
    peer.settimeout(0.1)
    asked = 0
    with contextlib.suppress(TimeoutError):
        while asked < 2 << 20:  # without the mark, 200 MB would wait then
            asked += peer.send(bytes(1000))
    assert conn.data < asked
    limit = server.high_water + 101_000  # what is encrypted already counts with its overhead
    assert max(most) <= limit
    peer.settimeout(clients.PATIENCE)
    answers = 0
    while conn.data < asked:
        answers += len(peer.recv(1 << 20))
    assert max(most) <= limit


# sendfile()


@both
def test_a_file_takes_its_turn(server, attach, file):
    conn, peer = attach(server)
    data = DATA
    conn.write(b"head" + data)
    assert conn.sendfile(file) == LARGE
    conn.write(b"between")
    with open(file.name, "rb") as again:
        assert conn.sendfile(again, 8, 100) == 100
        conn.write(b"end")
        server.start(threaded=True)
        expected = b"head" + data + data + b"between" + data[8:108] + b"end"
        assert clients.read_exactly(peer, len(expected)) == expected
        server.close()
        assert file.closed
        assert again.closed


@both
def test_a_small_file_goes_out_at_once(server, run, attach, after_turns, tmp_path):
    conn, peer = attach(server)
    server.add_handler(lambda conn: pytest.fail("nothing had to wait"), RESPONSE)
    (tmp_path / "small").write_bytes(b"small file")
    file = (tmp_path / "small").open("rb")
    assert conn.sendfile(file, offset=6) == 4
    assert (conn.queued, file.closed) == (0, True)
    assert peer.recv(100) == b"file"
    after_turns(server, 3, server.stop)
    run(server)


@pytest.mark.parametrize("kind", ["tcp", "unix"])
def test_a_large_file_leaves_in_full_segments(make_server, tmp_path, file, kind):
    server = make_server(str(tmp_path / "socket") if kind == "unix" else ("127.0.0.1", 0))
    corked = []

    def look(conn):
        if kind == "tcp":
            corked.append(conn.getsockopt(socket.IPPROTO_TCP, socket.TCP_CORK))

    def receive(conn):
        if conn.recv(100):
            conn.sendfile(file)
            look(conn)

    def drained(conn):
        look(conn)
        conn.write(b"next")  # at once, though it is less than a segment

    server.add_handler(receive, RECEIVE)
    server.add_handler(drained, RESPONSE)
    server.start(threaded=True)
    with clients.connect(server.address) as peer:
        peer.sendall(b"?")
        assert clients.read_exactly(peer, LARGE + 4) == DATA + b"next"
    server.close()
    assert corked == ([1, 0] if kind == "tcp" else [])


def test_a_connection_that_is_taken_away_is_as_it_was(make_server, run, file):
    server = make_server()
    found = []

    def receive(conn):
        conn.recv(100)
        conn.sendfile(file)
        assert conn.queued
        with socket.socket(fileno=conn.detach()) as sock:
            found.append(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_CORK))
        server.stop()

    server.add_handler(receive, RECEIVE)
    with clients.connect(server.address) as peer:
        peer.sendall(b"?")
        run(server)
    assert found == [0]


@pytest.mark.parametrize(("offset", "count"), [(0, 0), (LARGE, None), (LARGE + 5, None)])
@both
def test_nothing_of_a_file(server, attach, file, offset, count):
    conn, peer = attach(server)
    assert conn.sendfile(file, offset, count) == 0
    assert (conn.queued, file.closed) == (0, True)
    conn.write(b"next")
    assert peer.recv(100) == b"next"


@pytest.mark.parametrize("end", ["close", "reset", "stop", "finish first", "close first"])
@both
def test_the_file_is_closed_whatever_happens(server, run, attach, ended, file, end):
    conn, peer = attach(server)
    if end.endswith("first"):
        conn.write(bytes(LARGE))
        conn.finish() if end.startswith("finish") else conn.close()
        assert conn.sendfile(file) == 0
    else:
        clients.fill(conn)
        conn.sendfile(file)
        assert not file.closed
        act = {"close": conn.close, "reset": peer.close, "stop": server.stop}[end]
        server.loop.call_soon(act)
        run(server)
    assert file.closed


@pytest.mark.parametrize(("offset", "count"), [(-1, None), (0, -1), (-1, 10)])
@both
def test_a_negative_part_of_a_file(server, attach, file, offset, count):
    conn, _ = attach(server)
    with pytest.raises(ValueError, match="neither may be negative"):
        conn.sendfile(file, offset, count)
    assert file.closed


@both
def test_a_file_without_a_descriptor(server, attach):
    conn, _ = attach(server)
    file = io.BytesIO(b"x")
    with pytest.raises(io.UnsupportedOperation, match="fileno"):
        conn.sendfile(file)
    assert file.closed


@both
def test_a_file_that_is_shorter_than_promised(server, run, attach, ended, file, caplog):
    conn, peer = attach(server)
    server.loop.call_soon(lambda: conn.sendfile(file, LARGE - 10, 11))
    run(server)
    assert len(clients.read_to_end(peer)) == 10
    assert ended == [Reason.ERROR]
    assert file.closed
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "file ended 1 bytes before what was promised" in record.getMessage()
    caplog.clear()


@both
def test_a_file_that_somebody_else_has_closed(server, run, attach, ended, file, caplog):
    conn, peer = attach(server)
    written = clients.fill(conn)
    conn.sendfile(file)
    file.close()
    server.loop.call_soon(lambda: clients.read_exactly(peer, written - 65536))
    run(server)
    assert ended == [Reason.ERROR]
    (record,) = caplog.records
    assert "closed file" in record.getMessage()
    caplog.clear()


@both
def test_a_file_whose_close_fails(server, run, attach, ended, file, caplog):
    class Stubborn:
        def fileno(self):
            return file.fileno()

        def close(self):
            raise OSError("not now")

    conn, peer = attach(server)
    assert conn.sendfile(Stubborn(), 0, 10) == 10
    assert len(peer.recv(100)) == 10  # sent, and the connection goes on
    clients.fill(conn)
    conn.sendfile(Stubborn())
    server.loop.call_soon(conn.close)
    run(server)
    assert ended == [Reason.OWN_CLOSE]
    assert [record.getMessage().split(":")[0] for record in caplog.records] == [
        "cannot close a file that was sent"
    ] * 2
    caplog.clear()


# finish()


@both
def test_finish_closes_when_everything_is_out(server, attach, ended):
    conn, peer = attach(server)
    conn.write(bytes(LARGE))
    conn.finish()
    conn.write(b"too late")
    conn.finish()
    assert conn.fileno() >= 0
    server.start(threaded=True)
    assert clients.read_to_end(peer) == bytes(LARGE)
    server.close()
    assert ended == [Reason.OWN_CLOSE]


@both
def test_finish_with_nothing_to_send_closes_at_once(server, run, attach, ended):
    conn, _ = attach(server)
    conn.finish()
    assert conn.fileno() == -1
    run(server)
    assert ended == [Reason.OWN_CLOSE]


@both
def test_finish_reads_no_more(server, attach):
    @server.handler(on_event=RECEIVE)
    def receive(conn):
        conn.data = (conn.data or 0) + 1
        assert conn.data == 1
        conn.recv(1)
        conn.write(bytes(LARGE))
        conn.finish()

    _, peer = attach(server)
    peer.send(b"more than one byte")
    server.start(threaded=True)
    # A UNIX socket that is closed with something unread resets; the data comes before that.
    assert clients.read_exactly(peer, LARGE) == bytes(LARGE)


@pytest.mark.parametrize("transport", ["tls"], indirect=True)
def test_a_goodbye_that_has_to_wait(server, attach):
    # As much as the kernel takes from the first connection fills the second one to the brim.
    first, _ = attach(server)
    count = 0
    while first.write(bytes(1000)) and not first.queued:
        count += 1
    conn, peer = attach(server)
    for _ in range(count):
        conn.write(bytes(1000))
    assert conn.queued == 0
    conn.finish()
    assert conn.queued  # close_notify, and nothing else
    server.start(threaded=True)
    peer.suppress_ragged_eofs = False
    assert clients.read_to_end(peer) == bytes(1000 * count)


def test_everything_of_a_socket_is_there(server):
    @server.handler(on_event=RECEIVE)
    def receive(conn):
        assert isinstance(conn, socket.socket)
        conn.recv(100)
        conn.write(repr((conn.getsockname(), conn.getpeername())).encode())
        conn.finish()

    server.start(threaded=True)
    with clients.connect(server.address) as client:
        client.sendall(b"?")
        assert eval(clients.read_to_end(client)) == (server.address, client.getsockname())
