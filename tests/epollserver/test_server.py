"""EpollServer: handlers, start and stop in every way, bad input."""

import os
import signal
import socket
import threading

import pytest

import clients
from epollserver import (
    CONNECT,
    DISCONNECT,
    RECEIVE,
    RESPONSE,
    Connection,
    EpollServer,
    Reason,
)


def echo(conn):
    conn.write(conn.recv(65536))


# Handlers


def test_the_decorator_returns_the_handler(server):
    assert server.handler(on_event=RECEIVE)(echo) is echo


def test_a_second_handler_replaces_the_first(server, run, pair):
    called = []
    for number in range(2):
        server.add_handler(lambda conn, number=number: called.append(number), CONNECT)
    given, _ = pair()
    server.adopt(given)
    assert called == [1]


def test_handlers_can_be_replaced_while_serving(server, pair):
    def upper(conn):
        conn.write(conn.recv(100).upper())
        server.add_handler(echo, RECEIVE)

    server.add_handler(upper, RECEIVE)
    given, peer = pair()
    server.adopt(given)
    server.start(threaded=True)
    for expected in (b"ABC", b"abc"):
        peer.sendall(b"abc")
        assert peer.recv(100) == expected


@pytest.mark.parametrize("event", ["receive", None, 1, "RECEIVE"])
def test_no_such_event(server, event):
    words = "no such event: .*; use CONNECT, RECEIVE, RESPONSE or DISCONNECT"
    with pytest.raises(ValueError, match=words):
        server.add_handler(echo, event)
    with pytest.raises(ValueError, match=words):
        server.handler(on_event=event)


@pytest.mark.parametrize("event", [CONNECT, RECEIVE, RESPONSE, DISCONNECT])
def test_a_handler_must_be_callable(server, event):
    with pytest.raises(TypeError, match="a handler must be callable, not 'echo'"):
        server.add_handler("echo", event)


@pytest.mark.parametrize("name", ["max_conns", "high_water", "backlog"])
@pytest.mark.parametrize(
    ("value", "error", "words"),
    [
        (0, ValueError, " is 0: it must be 1 or more"),
        (-5, ValueError, " is -5: it must be 1 or more"),
        (1e4, TypeError, r" is 10000\.0: it must be a whole number"),
        ("10", TypeError, " is '10': it must be a whole number"),
        (None, TypeError, " is None: it must be a whole number"),
    ],
)
def test_numbers_that_make_no_sense(name, value, error, words):
    before = set(os.listdir("/proc/self/fd"))
    with pytest.raises(error, match=name + words):
        EpollServer(("127.0.0.1", 0), **{name: value})
    assert set(os.listdir("/proc/self/fd")) == before


# Connections


def test_connections_are_those_that_are_served(server, run, pair):
    given, peer = pair()

    @server.handler(on_event=CONNECT)
    def connect(conn):
        assert conn in server.connections
        assert (type(conn), conn.data) == (Connection, None)

    conn = server.adopt(given)
    assert given.fileno() == -1
    assert server.connections == {conn}
    assert conn.getblocking() is False
    conn.close()
    assert server.connections == set()
    assert peer.recv(1) == b""


def test_a_connection_is_small(server, pair):
    conn = server.adopt(pair()[0])
    assert not hasattr(conn, "__dict__")
    with pytest.raises(AttributeError):
        conn.other = 1


def test_a_duplicate_is_a_plain_socket(server, pair):
    given, peer = pair()
    conn = server.adopt(given)
    with conn.dup() as twin:
        assert type(twin) is socket.socket
        assert twin.fileno() != conn.fileno()
        with pytest.raises(BlockingIOError):
            twin.recv(1)
        conn.close()
        twin.sendall(b"still connected")
        assert peer.recv(100) == b"still connected"
    assert peer.recv(100) == b""


def test_adopt_of_a_closed_socket(server):
    sock = socket.socket()
    sock.close()
    with pytest.raises(ValueError, match="negative"):
        server.adopt(sock)
    assert not server.connections


# Start and stop


def test_stop_before_start(server):
    server.stop()
    server.start()


def test_start_without_a_handler_for_receive():
    with EpollServer(("127.0.0.1", 0)) as server:
        with pytest.raises(RuntimeError, match="add a handler for RECEIVE or DATA before start"):
            server.start()
        server.add_handler(echo, RECEIVE)
        server.start(threaded=True)  # nothing was half-started


@pytest.mark.parametrize("threaded", [False, True])
def test_start_again(server, run, threaded):
    server.loop.call_soon(server.stop)
    run(server)
    with pytest.raises(RuntimeError, match="started or closed already: make another"):
        server.start(threaded=threaded)


def test_start_after_close(server):
    before = signal.getsignal(signal.SIGTERM)
    server.close()
    with pytest.raises(RuntimeError, match="started or closed already: make another"):
        server.start()
    assert signal.getsignal(signal.SIGTERM) is before


def test_stop_from_a_handler(server, run, pair):
    given, peer = pair()
    server.adopt(given)
    peer.shutdown(socket.SHUT_WR)
    server.add_handler(lambda conn: server.stop(), RECEIVE)
    run(server)
    assert peer.recv(1) == b""


def test_stop_from_another_thread(server, run):
    thread = threading.Thread(target=server.stop)
    server.loop.call_soon(thread.start)
    run(server)
    thread.join()


def test_start_in_a_thread_of_the_users(server):
    server.add_handler(echo, RECEIVE)
    thread = threading.Thread(target=server.start)
    thread.start()
    with clients.connect(server.address) as client:
        client.sendall(b"hello")
        assert client.recv(100) == b"hello"
        server.stop()
        assert client.recv(100) == b""
    thread.join()


def test_everything_is_closed_at_the_end(pair):
    before = set(os.listdir("/proc/self/fd"))
    with EpollServer(("127.0.0.1", 0)) as server:
        server.add_handler(echo, RECEIVE)
        server.start(threaded=True)
        with clients.connect(server.address) as client:
            client.sendall(b"hello")
            assert client.recv(100) == b"hello"
    server.close()
    server.stop()
    assert set(os.listdir("/proc/self/fd")) == before


def test_threaded_touches_no_signals(server, run):
    before = [signal.getsignal(number) for number in signal.valid_signals()]
    server.start(threaded=True)
    with clients.connect(server.address):
        assert [signal.getsignal(number) for number in signal.valid_signals()] == before
        assert signal.set_wakeup_fd(-1) == -1
    server.close()
    assert [signal.getsignal(number) for number in signal.valid_signals()] == before


def test_threaded_and_on_signal_exclude_each_other(server):
    server.loop.on_signal(signal.SIGUSR1, print)
    with pytest.raises(RuntimeError, match=r"threaded=True and on_signal\(\) exclude each other"):
        server.start(threaded=True)
    server.loop.call_soon(server.stop)
    server.start()
    assert signal.getsignal(signal.SIGUSR1) == signal.SIG_DFL


def test_the_programs_own_signal_handlers_stay(server, run):
    def mine(signum, frame):
        server.stop()

    seen = []
    before = signal.signal(signal.SIGTERM, mine)
    try:
        server.loop.call_soon(lambda: seen.append(signal.getsignal(signal.SIGTERM)))
        server.loop.call_soon(lambda: os.kill(os.getpid(), signal.SIGTERM))
        run(server)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert seen == [mine]


def test_close_waits_for_the_thread(server, pair):
    reasons = []
    server.add_handler(lambda conn, reason: reasons.append(reason), DISCONNECT)
    server.adopt(pair()[0])
    server.start(threaded=True)
    server.close()
    assert reasons == [Reason.SERVER_STOP]
    assert not server._thread.is_alive()


@pytest.mark.parametrize("threaded", [False, True])
def test_close_in_a_handler_is_a_stop(server, run, pair, threaded):
    given, peer = pair()
    server.adopt(given)
    peer.shutdown(socket.SHUT_WR)
    server.add_handler(lambda conn: server.close(), RECEIVE)
    if threaded:
        server.start(threaded=True)
    else:
        run(server)
    assert peer.recv(1) == b""


def test_close_of_a_server_that_was_never_started(make_server, pair):
    server = make_server()
    reasons = []
    server.add_handler(lambda conn, reason: reasons.append(reason), DISCONNECT)
    server.adopt(pair()[0])
    with clients.connect(server.address):
        server.close()
    server.close()
    assert reasons == [Reason.SERVER_STOP]


def test_system_exit_in_a_handler_closes_everything(make_server, pair):
    given, peer = pair()
    server = make_server()
    reasons = []
    server.add_handler(lambda conn, reason: reasons.append(reason), DISCONNECT)

    @server.handler(on_event=RECEIVE)
    def receive(conn):
        raise SystemExit(3)

    server.adopt(given)
    peer.send(b"x")
    with pytest.raises(SystemExit):
        server.start()
    assert reasons == [Reason.SERVER_STOP]
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


PROGRAM = """
from epollserver import DISCONNECT, RECEIVE, EpollServer

server = EpollServer(("127.0.0.1", 0))
server.add_handler(lambda conn: conn.write(conn.recv(100)), RECEIVE)
server.add_handler(lambda conn, reason: print(reason.value, flush=True), DISCONNECT)
print(server.address[1], flush=True)
server.start()
print("the end")
"""


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_a_program_quietly(tmp_path, stop):
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    with clients.running(program, stop=stop) as process:
        client = clients.connect(("127.0.0.1", int(process.stdout.readline())))
        client.sendall(b"hello")
        assert client.recv(100) == b"hello"
    assert process.output == "server stop\nthe end\n"
    with client:
        assert client.recv(1) == b""


@pytest.mark.once
def test_an_idle_server_makes_no_system_calls(tmp_path, strace):
    program = tmp_path / "program.py"
    program.write_text(PROGRAM.replace('"127.0.0.1", 0)', '"127.0.0.1", 0), max_conns=1'))
    with clients.running(program) as process:
        address = "127.0.0.1", int(process.stdout.readline())
        with clients.connect(address) as client:  # it has had work before
            client.sendall(b"hello")
            assert client.recv(100) == b"hello"
            with clients.connect(address):  # has to wait
                full = strace(process.pid)
        assert process.stdout.readline() == "peer closed\n"
        assert process.stdout.readline() == "peer closed\n"
        without = strace(process.pid)
    assert (full, without) == ([], [])
