"""Listeners: addresses, max_conns, and what happens when accept(2) fails."""

import contextlib
import errno
import os
import pathlib
import queue
import resource
import signal
import socket
import time

import pytest

import clients
from epollserver import CONNECT, READ, RECEIVE, EpollServer


def echo(conn):
    conn.write(conn.recv(65536))


# Addresses


@pytest.mark.parametrize(
    ("address", "host"),
    [
        (("127.0.0.1", 0), "127.0.0.1"),
        (["127.0.0.1", 0], "127.0.0.1"),
        (("localhost", 0), None),
        (("", 0), "0.0.0.0"),
        (("::1", 0), "::1"),
        (("::", 0), "::"),
    ],
)
def test_tcp(make_server, address, host):
    if ":" in address[0]:
        try:
            socket.create_server(("::1", 0), family=socket.AF_INET6).close()
        except OSError as error:
            pytest.skip(f"no IPv6 here: {error}")
    server = make_server(address)
    server.add_handler(echo, RECEIVE)
    assert host is None or server.address[0] == host
    assert server.address[1] > 0
    server.start(threaded=True)
    assert clients.echoed(server.address) == b"hello"
    if host == "::":
        assert clients.echoed(("127.0.0.1", server.address[1])) == b"hello"  # IPv4 as well


@pytest.mark.parametrize("abstract", [False, True])
def test_unix(make_server, tmp_path, abstract):
    path = f"\0{tmp_path}" if abstract else str(tmp_path / "socket")
    server = make_server(path)
    server.add_handler(echo, RECEIVE)
    assert server.address == path
    server.start(threaded=True)
    assert clients.echoed(path) == b"hello"
    assert os.listdir(tmp_path) == ([] if abstract else ["socket"])
    server.close()
    assert os.listdir(tmp_path) == []


def test_a_socket_that_is_given_stays_the_callers(make_server):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = make_server(listener)
        server.add_handler(echo, RECEIVE)
        assert server.address == listener.getsockname()
        server.start(threaded=True)
        assert clients.echoed(server.address) == b"hello"
        server.close()
        assert listener.fileno() >= 0


def test_a_given_socket_that_its_owner_closes_early(server, run, after_turns):
    listener = socket.create_server(("127.0.0.1", 0))
    server.listen(listener)
    server.loop.call_soon(listener.close)
    after_turns(server, 3, server.stop)
    run(server)
    with pytest.raises(RuntimeError, match="listens nowhere"):
        _ = server.address


def test_a_given_socket_that_its_owner_closes_while_the_server_is_full(make_server, run, pair):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = make_server(listener, max_conns=1)
        other = server.listen(("127.0.0.1", 0)).getsockname()
        conn = server.adopt(pair()[0])
    server.add_handler(lambda conn: server.stop(), CONNECT)
    with clients.connect(other):
        server.loop.call_soon(conn.close)
        run(server)
    assert conn.fileno() == -1


def test_accepted_connections_do_not_wait_for_more(make_server):
    server = make_server()
    options = queue.Queue()
    nodelay = socket.IPPROTO_TCP, socket.TCP_NODELAY
    server.add_handler(lambda conn: options.put(conn.getsockopt(*nodelay)), CONNECT)
    server.start(threaded=True)
    with clients.connect(server.address):
        assert options.get(timeout=clients.PATIENCE)


def test_several_listeners(server, tmp_path):
    server.add_handler(echo, RECEIVE)
    addresses = [server.address, str(tmp_path / "socket")]
    server.listen(addresses[1])
    addresses.append(server.listen(("127.0.0.1", 0)).getsockname())
    assert server.address == addresses[0]
    server.start(threaded=True)
    assert [clients.echoed(address) for address in addresses] == [b"hello"] * 3


def test_listen_and_unlisten_while_serving(server, run):
    order = []
    first, second = server.address, None

    @server.handler(on_event=RECEIVE)
    def receive(conn):
        nonlocal second
        data = conn.recv(100)
        conn.write(data)
        order.append(data)
        if data == b"1":
            server.unlisten()
            with pytest.raises(ConnectionRefusedError):
                clients.connect(first)
            with pytest.raises(RuntimeError, match="listens nowhere: listen"):
                _ = server.address
            second = clients.connect(server.listen(("127.0.0.1", 0)).getsockname())
            second.sendall(b"2")
        else:
            server.stop()

    with clients.connect(first) as client:
        client.sendall(b"1")
        run(server)
    second.close()
    assert order == [b"1", b"2"]


def test_unlisten_in_the_handler_for_connect(server, run, caplog):
    # Three are waiting, the first says that it was the last one.
    served = []

    @server.handler(on_event=CONNECT)
    def connect(conn):
        served.append(conn)
        server.unlisten(listener)
        server.loop.call_soon(lambda: server.loop.call_soon(server.stop))

    with socket.create_server(("127.0.0.1", 0)) as listener:
        server.listen(listener)
        waiting = [clients.connect(listener.getsockname()) for _ in range(3)]
        run(server)
        assert len(served) == 1
        for client in waiting:
            client.close()
    assert not caplog.records


def test_a_listener_that_is_closed_by_hand(server, run, after_turns, tmp_path):
    listener = server.listen(str(tmp_path / "socket"))
    server.loop.call_soon(listener.close)
    after_turns(server, 3, server.stop)
    run(server)


def test_unlisten_a_stranger(server):
    with socket.socket() as stranger, pytest.raises(ValueError, match="does not listen to"):
        server.unlisten(stranger)


def test_two_servers_share_a_port(make_server):
    first = make_server(reuse_port=True)
    second = make_server(first.address, reuse_port=True)
    assert second.address == first.address


def test_exclusive_waits_on_a_shared_socket(make_server):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        servers = [make_server(listener, exclusive=True, max_conns=2) for _ in range(2)]
        for server in servers:
            server.add_handler(echo, RECEIVE)
            server.start(threaded=True)
        waiting = [clients.connect(listener.getsockname()) for _ in range(10)]
        for client in waiting:
            with client:
                client.sendall(b"x")
                assert client.recv(1) == b"x"


# Errors


def test_an_address_in_use(server, make_server):
    with pytest.raises(OSError, match=r"cannot listen at .* in use; .*port 0") as caught:
        EpollServer(server.address)
    assert caught.value.errno == errno.EADDRINUSE


def test_a_path_in_use(make_server, tmp_path):
    server = make_server(str(tmp_path / "socket"))
    with pytest.raises(OSError, match=r"cannot listen at .* in use; remove the file") as caught:
        EpollServer(server.address)
    assert caught.value.errno == errno.EADDRINUSE
    server.start(threaded=True)
    clients.connect(server.address).close()


@pytest.mark.parametrize(
    ("address", "error", "words"),
    [
        (8000, TypeError, r"an address is \(host, port\), a path \(str\) or a socket, not 8000"),
        (("127.0.0.1", 1, 2), TypeError, "an address is .*, not"),
        (pathlib.Path("socket"), TypeError, r"a path \(str\)"),
        (("127.0.0.1", "80"), ValueError, "port is '80': it must be a number from 0 to 65535"),
        (("127.0.0.1", 65536), ValueError, "port is 65536"),
        (("127.0.0.1", -1), ValueError, "port is -1"),
        (("no.such.host.invalid", 0), socket.gaierror, "cannot listen at host 'no.such.host"),
        (
            ("192.0.2.1", 0),
            OSError,
            r"cannot listen at 192.0.2.1:0: Cannot assign .*; this machine has",
        ),
        ("/nowhere/socket", FileNotFoundError, "cannot listen at '/nowhere/socket': No such file"),
        ("/" + 200 * "x", OSError, "path too long"),
    ],
)
def test_an_address_that_makes_no_sense(server, address, error, words):
    before = set(os.listdir("/proc/self/fd"))
    with pytest.raises(error, match=words):
        EpollServer(address)
    with pytest.raises(error, match=words):
        server.listen(address)
    assert set(os.listdir("/proc/self/fd")) == before
    server.add_handler(echo, RECEIVE)
    server.start(threaded=True)
    assert clients.echoed(server.address) == b"hello"  # what was listened to goes on


# max_conns


def test_max_conns_pauses_accepting(make_server):
    # A thousand knock, a hundred are let in; the others wait and are served when one leaves.
    server = make_server(max_conns=100)
    seen = []

    @server.handler(on_event=RECEIVE)
    def receive(conn):
        seen.append(len(server.connections))
        conn.write(conn.recv(100))

    server.start(threaded=True)
    with contextlib.ExitStack() as stack:
        stack.callback(resource.setrlimit, resource.RLIMIT_NOFILE, enough_descriptors(1200))
        knocking = [stack.enter_context(clients.connect(server.address)) for _ in range(1000)]
        for number, client in enumerate(knocking):
            client.sendall(b"%d" % number)
        for number, client in enumerate(knocking):  # accepted in this order: the queue is one
            assert client.recv(100) == b"%d" % number
            client.close()
    server.close()
    assert len(seen) >= 1000
    assert max(seen) == 100


def enough_descriptors(count):
    """Allow the process `count` more descriptors; returns the limits to go back to."""
    soft, hard = before = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = max(map(int, os.listdir("/proc/self/fd"))) + count
    if soft != resource.RLIM_INFINITY and soft < needed:
        if hard != resource.RLIM_INFINITY and hard < needed:
            pytest.skip(f"at most {hard} descriptors are allowed here, {needed} are needed")
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
    return before


def test_max_conns_counts_neither_refused_nor_closed_ones(make_server):
    server = make_server(max_conns=1)
    server.add_handler(lambda conn: False, CONNECT)
    server.start(threaded=True)
    for _ in range(5):
        with clients.connect(server.address) as client:
            assert clients.read_to_end(client) == b""


def test_adopt_is_served_above_max_conns(make_server, pair):
    server = make_server(max_conns=1)
    server.add_handler(echo, RECEIVE)
    peers = []
    for _ in range(3):
        given, peer = pair()
        server.adopt(given)
        peers.append(peer)
    server.start(threaded=True)
    waiting = clients.connect(server.address)
    waiting.sendall(b"hello")
    for peer in peers:
        peer.sendall(b"x")
        assert peer.recv(100) == b"x"
        peer.close()
    with waiting:
        assert waiting.recv(100) == b"hello"


def test_a_server_that_listens_nowhere(make_server, pair, run):
    """Its loop may be driven by whoever has the other end of what it serves."""
    server = make_server(None)
    server.add_handler(echo, RECEIVE)
    with pytest.raises(RuntimeError, match="listens nowhere"):
        _ = server.address
    given, peer = pair()
    server.adopt(given)
    peer.sendall(b"x")
    server.loop.watch(peer.fileno(), READ, lambda ready: server.loop.stop())
    run(server.loop)
    assert peer.recv(100) == b"x"
    server.loop.unwatch(peer.fileno())


def test_more_waiting_than_one_batch(server):
    server.add_handler(echo, RECEIVE)
    waiting = [clients.connect(server.address) for _ in range(200)]
    server.start(threaded=True)
    for client in waiting:
        with client:
            client.sendall(b"x")
            assert client.recv(1) == b"x"


# Out of descriptors

OUT_OF_DESCRIPTORS = """
import logging, os, resource, signal
from epollserver import RECEIVE, EpollServer

server = EpollServer(("127.0.0.1", 0))
server.add_handler(lambda conn: conn.write(conn.recv(100)), RECEIVE)
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
warnings = []

class Note(logging.Handler):
    def emit(self, record):
        if not warnings:
            print("warned", flush=True)
        warnings.append(record.getMessage())

logging.getLogger("epollserver").addHandler(Note())

def limit(number):
    resource.setrlimit(resource.RLIMIT_NOFILE, (number, hard))

server.loop.on_signal(signal.SIGUSR1, lambda: limit(soft))

@server.loop.call_soon
def ready():
    limit(max(map(int, os.listdir("/proc/self/fd"))) + 4)
    print(server.address[1], flush=True)

server.start()
print(len(warnings), warnings[0])
"""


@pytest.mark.parametrize("release", ["others close", "limit is raised"])
def test_out_of_descriptors(release, tmp_path):
    program = tmp_path / "program.py"
    program.write_text(OUT_OF_DESCRIPTORS)
    with clients.running(program) as process:
        address = "127.0.0.1", int(process.stdout.readline())
        knocking = [clients.connect(address) for _ in range(20)]
        assert process.stdout.readline() == "warned\n"
        begin = time.monotonic(), cpu_seconds(process.pid)
        if release == "limit is raised":
            process.send_signal(signal.SIGUSR1)
        for client in knocking:
            client.sendall(b"x")
            assert client.recv(1) == b"x"
            if release == "others close":
                client.close()
        for client in knocking:
            client.close()
        seconds, cpu = time.monotonic() - begin[0], cpu_seconds(process.pid) - begin[1]
    count, _, words = process.output.partition(" ")
    # At most once a second and once for each that has closed: a spin has thousands.
    assert int(count) <= 20 + seconds + 1
    assert cpu < 0.5
    assert words == "accepting pauses for up to 1 s: [Errno 24] Too many open files\n"


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_listening_anew_while_accepting_pauses(server, run, caplog):
    # Paused for want of descriptors, with nobody connected: the retry must serve new listeners.
    waiting = clients.connect(server.address)
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    later = []

    @server.loop.call_soon
    def starve():
        server.loop.call_soon(anew)

    def anew():
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        server.unlisten()
        later.append(clients.connect(server.listen(("127.0.0.1", 0)).getsockname()))

    server.add_handler(lambda conn: server.stop(), CONNECT)
    highest = max(map(int, os.listdir("/proc/self/fd")))
    fillers = []
    # `start` needs two descriptors for its signals; then nothing is left.
    server.loop.on_signal(signal.SIGUSR1, print)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 3, limits[1]))
        while True:
            try:
                fillers.append(os.open("/dev/null", os.O_RDONLY))
            except OSError:
                break
        run(server)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        for fd in fillers:
            os.close(fd)
    waiting.close()
    later[0].close()
    assert "accepting pauses" in caplog.text
    caplog.clear()
