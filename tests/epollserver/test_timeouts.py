"""Time limits: who is closed, who is not, and what the looking costs."""

import contextlib
import threading
import time

import pytest

import clients
from epollserver import DISCONNECT, RECEIVE, EpollServer, Reason

LARGE = 8 << 20

pytestmark = pytest.mark.once  # they wait for seconds


@pytest.fixture
def ended(server):
    """The reasons of DISCONNECT so far; the first one stops the server."""
    reasons = []
    server.add_handler(lambda conn, reason: (reasons.append(reason), server.stop()), DISCONNECT)
    return reasons


def until_closed(run, server):
    began = time.monotonic()
    run(server)
    return time.monotonic() - began


def test_idle(server, run, pair, ended):
    given, _peer = pair()
    server.idle_seconds = 0.5
    conn = server.adopt(given)
    assert (conn.idle_seconds, conn.drain_seconds) == (0.5, None)
    assert 0.5 < until_closed(run, server) < 5
    assert ended == [Reason.TIMEOUT]


@pytest.mark.parametrize("end", ["read", "write", "push"])
def test_who_is_not_idle_stays(make_server, run, pair, end):
    # Three connections with the same limit: the two that only wait go, the busy one stays.
    server = make_server(idle_seconds=1.5)
    reasons = []

    @server.handler(on_event=DISCONNECT)
    def disconnect(conn, reason):
        reasons.append((conn is busy, reason))
        if len(reasons) == 2:
            server.stop()

    pairs = [pair() for _ in range(3)]
    busy, *_ = [server.adopt(given) for given, _ in pairs]
    peer = pairs[0][1]
    if end == "push":
        clients.fill(busy)

    def act():
        if end == "read":
            peer.send(b"x")
        elif end == "write":
            busy.write(b"x")
        else:
            peer.recv(1 << 20)
            busy.write(bytes(1 << 20))
        server.loop.call_later(0.2, act)

    act()
    run(server)
    assert reasons[:2] == [(False, Reason.TIMEOUT)] * 2
    assert reasons[2:] == [(True, Reason.SERVER_STOP)]


def test_what_was_written_must_be_out(server, run, pair, ended):
    given, _peer = pair()
    conn = server.adopt(given)
    conn.drain_seconds = 0.5
    conn.write(bytes(LARGE))
    assert 0.5 < until_closed(run, server) < 5
    assert ended == [Reason.TIMEOUT]


def test_it_does_not_help_to_read_a_byte_now_and_then(server, run, pair, ended):
    given, peer = pair()
    conn = server.adopt(given)
    conn.drain_seconds = 1.0
    conn.idle_seconds = 60.0
    conn.write(bytes(LARGE))

    def sip():
        peer.recv(1)
        server.loop.call_later(0.1, sip)

    sip()
    assert 1 < until_closed(run, server) < 6
    assert ended == [Reason.TIMEOUT]


def test_a_connection_that_is_never_empty_but_moves_is_not_late(server, run, pair):
    given, peer = pair()
    conn = server.adopt(given)
    conn.drain_seconds = 1.0
    clients.fill(conn)

    def read():
        count = len(peer.recv(1 << 20))
        conn.write(bytes(count))
        server.loop.call_later(0.02, read)

    read()
    server.loop.call_later(3.2, server.stop)
    run(server)
    assert conn._reason is Reason.SERVER_STOP


def test_a_file_that_nobody_fetches(server, run, pair, ended, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(bytes(LARGE))
    file = path.open("rb")
    given, _peer = pair()
    conn = server.adopt(given)
    conn.sendfile(file)
    conn.finish()
    conn.drain_seconds = 0.5
    run(server)
    assert ended == [Reason.TIMEOUT]
    assert file.closed


def test_limits_can_be_taken_away(make_server, run, pair):
    server = make_server(idle_seconds=0.1, drain_seconds=0.1)
    given, _peer = pair()
    conn = server.adopt(given)
    conn.write(bytes(LARGE))
    conn.idle_seconds = conn.drain_seconds = None
    assert conn._limits is None
    server.loop.call_later(2.5, server.stop)
    run(server)
    assert conn._reason is Reason.SERVER_STOP


def test_time_before_the_start_does_not_count(make_server, run, pair):
    server = make_server(idle_seconds=2.0)
    given, _peer = pair()
    conn = server.adopt(given)
    server.loop.now -= 3600  # as if it had been made long ago
    server._sweeper._sweep()
    server.loop.call_later(0.5, server.stop)
    run(server)
    assert conn._reason is Reason.SERVER_STOP


def turns(server, seconds):
    """How many times the loop wakes within some seconds, the end included."""
    count = 0
    poll = server.loop._epoll

    class Counted:
        def poll(self, timeout):
            nonlocal count
            count += 1
            return poll.poll(timeout)

        def __getattr__(self, name):
            return getattr(poll, name)

    server.loop._epoll = Counted()
    server.loop.call_later(seconds, server.stop)
    server.start()
    return count


@pytest.mark.parametrize("limits", [{}, {"idle_seconds": 60, "drain_seconds": 60}])
def test_without_connections_nothing_wakes(make_server, limits):
    server = make_server(**limits)
    assert turns(server, 2.2) <= 2


def test_idle_connections_wake_once_a_second(make_server, pair):
    server = make_server(idle_seconds=60)
    for _ in range(5):
        server.adopt(pair()[0])
    assert turns(server, 2.2) <= 4


IDLE = """
from epollserver import RECEIVE, EpollServer

server = EpollServer(("127.0.0.1", 0), idle_seconds=60, drain_seconds=60)
server.add_handler(lambda conn: conn.write(conn.recv(100)), RECEIVE)
print(server.address[1], flush=True)
server.start()
"""


def test_idle_connections_cost_one_system_call_a_second(tmp_path, strace):
    program = tmp_path / "program.py"
    program.write_text(IDLE)
    with clients.running(program) as process, contextlib.ExitStack() as stack:
        address = "127.0.0.1", int(process.stdout.readline())
        for _ in range(20):
            client = stack.enter_context(clients.connect(address))
            client.sendall(b"x")
            assert client.recv(1) == b"x"
        calls = strace(process.pid, seconds=2)
    assert 1 <= len(calls) <= 3
    assert not [call for call in calls if "epoll_" not in call]


def test_the_sweep_ends_with_the_last_connection(make_server, run, pair):
    server = make_server(idle_seconds=60)
    given, peer = pair()
    conn = server.adopt(given)
    swept = threading.Event()
    server.add_handler(lambda conn, reason: server.loop.call_later(1.5, swept.set), DISCONNECT)
    peer.close()
    server.start(threaded=True)
    assert swept.wait(clients.PATIENCE)
    assert conn.fileno() == -1
    assert server._sweeper._timer is None


@pytest.mark.parametrize("name", ["idle_seconds", "drain_seconds"])
@pytest.mark.parametrize(
    ("value", "error"),
    [(0, ValueError), (-1, ValueError), (float("nan"), ValueError), ("1", TypeError)],
)
def test_what_cannot_be_a_time_limit(server, pair, name, value, error):
    with pytest.raises(error, match=name):
        EpollServer(("127.0.0.1", 0), **{name: value})
    conn = server.adopt(pair()[0])
    with pytest.raises(error, match=name):
        setattr(conn, name, value)
    assert getattr(conn, name) is None


def test_a_slow_request_is_not_idle(server, run, pair, ended):
    # Byte by byte: each byte begins anew.
    given, peer = pair()
    conn = server.adopt(given)
    conn.idle_seconds = 1.2
    got = bytearray()
    server.add_handler(lambda conn: got.extend(conn.recv(100)), RECEIVE)

    def send(left):
        if left:
            peer.send(b"x")
            server.loop.call_later(0.5, lambda: send(left - 1))

    send(4)
    assert until_closed(run, server) > 1.5 + 1.2
    assert got == b"x" * 4
    assert ended == [Reason.TIMEOUT]
