"""TLS: the same connection, encrypted; what goes wrong costs one connection and a debug line."""

import contextlib
import hashlib
import logging
import random
import socket
import ssl

import pytest

import clients
from epollserver import CONNECT, DISCONNECT, RECEIVE, EpollServer, Reason, TlsConnection

LARGE = 8 << 20
DATA = random.Random(0).randbytes(LARGE)


@pytest.fixture(params=["TLSv1_2", "TLSv1_3"])
def version(request, client_context):
    client_context.minimum_version = client_context.maximum_version = ssl.TLSVersion[request.param]
    return request.param


@pytest.fixture
def server(make_server, context):
    server = make_server(ssl_context=context)
    server.add_handler(lambda conn: conn.write(conn.recv(65536)), RECEIVE)
    return server


@pytest.fixture
def ended(server):
    reasons = []
    server.add_handler(lambda conn, reason: (reasons.append(reason), server.stop()), DISCONNECT)
    return reasons


@pytest.fixture
def connect(client_context):
    made = []

    def connect(server):
        raw = clients.connect(server.address)
        made.append(raw)
        sock = client_context.wrap_socket(
            raw, server_hostname="localhost", suppress_ragged_eofs=False
        )
        made.append(sock)
        return sock

    yield connect
    for sock in made:
        sock.close()


def test_echo(server, version, connect, ended):
    connected = []
    server.add_handler(connected.append, CONNECT)
    server.start(threaded=True)
    client = connect(server)
    client.sendall(b"hello")
    assert clients.read_exactly(client, 5) == b"hello"
    (conn,) = connected
    assert isinstance(conn, TlsConnection)
    assert conn.tls_version == version.replace("_", ".")
    assert client.unwrap() is not None  # close_notify both ways
    server.close()
    assert ended == [Reason.PEER_CLOSED]


@pytest.mark.parametrize("end", ["finish", "close", "stop"])
def test_close_notify(server, version, connect, end):
    @server.handler(on_event=RECEIVE)
    def receive(conn):
        conn.recv(100)
        conn.write(b"bye")
        (server.stop if end == "stop" else getattr(conn, end))()

    server.start(threaded=True)
    client = connect(server)
    client.sendall(b"x")
    assert clients.read_to_end(client) == b"bye"  # ragged ends would raise SSLEOFError


def test_a_bare_fin_is_an_end_and_gets_its_answer(server, run, version, connect, ended):
    pieces = []

    @server.handler(on_event=RECEIVE)
    def receive(conn):
        pieces.append(conn.recv(100))
        if not pieces[-1]:
            conn.write(DATA)

    server.start(threaded=True)
    client = connect(server)
    client.sendall(b"x")
    socket.socket.shutdown(client, socket.SHUT_WR)
    assert clients.read_to_end(client) == DATA
    server.close()
    assert pieces == [b"x", b""]
    assert ended == [Reason.PEER_CLOSED]


@pytest.mark.parametrize("count", [1, 1000, 65536])
def test_receive_again_while_bytes_are_decrypted(server, version, connect, ended, count):
    got = bytearray()

    @server.handler(on_event=RECEIVE)
    def receive(conn):
        data = conn.recv(count)
        got.extend(data)
        if len(got) == 50_000:
            conn.write(b"all")

    server.start(threaded=True)
    client = connect(server)
    client.sendall(DATA[:50_000])
    assert clients.read_exactly(client, 3) == b"all"
    assert got == DATA[:50_000]


def test_after_pause_and_resume_too(server, version, connect):
    got = bytearray()

    @server.handler(on_event=RECEIVE)
    def receive(conn):
        got.extend(conn.recv(100))
        conn.pause()
        server.loop.call_soon(conn.resume)
        if len(got) == 1000:
            conn.write(b"all")

    server.start(threaded=True)
    client = connect(server)
    client.sendall(bytes(1000))
    assert clients.read_exactly(client, 3) == b"all"


def test_who_is_paused_learns_that_the_peer_has_left(server, version, connect):
    events = []

    @server.handler(on_event=RECEIVE)
    def receive(conn):
        events.append(conn.recv(100))
        if events == [b"x"]:
            conn.pause(closed)
            conn.write(b"paused")
        elif not events[-1]:
            conn.write(b"answer")

    def closed(conn):
        events.append("closed")
        conn.resume()

    server.add_handler(lambda conn, reason: events.append(reason), DISCONNECT)
    server.start(threaded=True)
    client = connect(server)
    client.sendall(b"x")
    clients.read_exactly(client, 6)
    client.sendall(b"more")
    socket.socket.shutdown(client, socket.SHUT_WR)
    assert clients.read_to_end(client) == b"answer"
    server.close()
    assert events == [b"x", "closed", b"more", b"", Reason.PEER_CLOSED]


def test_recv_into_and_what_has_not_arrived(server, version, connect, ended):
    buffer = bytearray(100)

    @server.handler(on_event=RECEIVE)
    def receive(conn):
        count = conn.recv_into(buffer)
        if count:
            with pytest.raises(BlockingIOError):
                conn.recv(10)
            with pytest.raises(ValueError, match="flags"):
                conn.recv(10, socket.MSG_PEEK)
            with pytest.raises(OSError, match="past TLS"):
                conn.send(b"plain")
            with pytest.raises(OSError, match="past TLS"):
                conn.dup()
            with pytest.raises(TypeError, match="bytes-like"):
                conn.write("text")
            conn.write(buffer[:count])

    server.start(threaded=True)
    client = connect(server)
    client.sendall(b"hello")
    assert clients.read_exactly(client, 5) == b"hello"
    client.unwrap()
    server.close()
    assert ended == [Reason.PEER_CLOSED]


def test_large_transfers_both_ways_with_back_pressure(server, version, connect):
    most = []

    @server.handler(on_event=RECEIVE)
    def echo(conn):
        conn.write(conn.recv(65536))
        most.append(conn.queued)

    server.start(threaded=True)
    client = connect(server)
    client.settimeout(0.2)
    sent = 0
    while sent < LARGE:  # and does not read: so the server must stop reading
        try:
            sent += client.send(DATA[sent : sent + 16384])
        except (TimeoutError, ssl.SSLWantWriteError):
            break
    assert max(most) < server.high_water + 4 * 65536
    client.settimeout(clients.PATIENCE)
    if sent < LARGE:
        assert clients.read_exactly(client, sent // 2) == DATA[: sent // 2]


@pytest.mark.once
def test_a_large_echo_under_back_pressure(make_server, context, pair, client_context):
    # The client sends and reads by turns, from memory to memory.
    server = make_server(ssl_context=context, high_water=65536)
    server.add_handler(lambda conn: conn.write(conn.recv(5000)), RECEIVE)
    given, peer = pair()
    server.adopt(given)
    server.start(threaded=True)
    with client_context.wrap_socket(peer, server_hostname="localhost") as client:
        client.settimeout(0.01)
        got, sent = bytearray(), 0
        while len(got) < LARGE // 4:
            with contextlib.suppress(TimeoutError):
                if sent < LARGE // 4:
                    sent += client.send(DATA[sent : min(sent + 60_000, LARGE // 4)])
            with contextlib.suppress(TimeoutError):
                got += client.recv(30_000)
        assert got == DATA[: LARGE // 4]


def test_a_large_answer_and_a_file_in_order(server, version, connect, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(DATA)

    @server.handler(on_event=RECEIVE)
    def receive(conn):
        conn.recv(100)
        conn.write(b"head")
        conn.write(bytearray(DATA))
        conn.sendfile(path.open("rb"), 1, 1_000_000)
        conn.write(memoryview(b"end"))
        conn.finish()

    server.start(threaded=True)
    client = connect(server)
    client.sendall(b"?")
    expected = b"head" + DATA + DATA[1:1_000_001] + b"end"
    assert hashlib.sha256(clients.read_to_end(client)).digest() == (
        hashlib.sha256(expected).digest()
    )


def test_alpn_and_peer_certificate(make_server, context, client_context, certificate, connect):
    context.load_verify_locations(certificate[0])
    context.verify_mode = ssl.CERT_REQUIRED
    server = make_server(ssl_context=context)

    @server.handler(on_event=CONNECT)
    def greet(conn):
        subject = conn.peer_certificate()["subject"]
        conn.write(repr((conn.alpn, subject, len(conn.peer_certificate(True)) > 100)).encode())
        conn.finish()

    client_context.load_cert_chain(*certificate)
    client_context.set_alpn_protocols(["echo"])
    server.start(threaded=True)
    expected = repr(("echo", ((("commonName", "localhost"),),), True)).encode()
    assert clients.read_to_end(connect(server)) == expected


@pytest.mark.parametrize("sent", [b"GET / HTTP/1.1\r\n\r\n", b"\0" * 100, b""])
def test_who_speaks_no_tls_costs_one_connection(server, connect, caplog, sent):
    caplog.set_level(logging.DEBUG, "epollserver")
    server.add_handler(lambda conn, reason: pytest.fail("CONNECT was never called"), DISCONNECT)
    server.start(threaded=True)
    with clients.connect(server.address) as plain:
        plain.sendall(sent)
        plain.shutdown(socket.SHUT_WR)
        clients.read_to_end(plain)
    client = connect(server)
    client.sendall(b"hello")
    assert clients.read_exactly(client, 5) == b"hello"
    assert not server.entering
    server.add_handler(lambda conn, reason: None, DISCONNECT)
    server.close()
    (record,) = caplog.records
    assert record.levelno == logging.DEBUG
    assert "TLS" in record.getMessage()
    caplog.clear()


def test_a_handshake_has_its_time(make_server, context, run):
    server = make_server(ssl_context=context, handshake_seconds=0.2)
    with clients.connect(server.address) as client:
        server.start(threaded=True)
        assert clients.read_to_end(client) == b""
    assert not server.connections


def test_byte_by_byte(server, version, client_context):
    server.start(threaded=True)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = client_context.wrap_bio(incoming, outgoing, server_hostname="localhost")

    def exchange(step):
        while True:
            try:
                return step()
            except ssl.SSLWantReadError:
                flush()
                incoming.write(raw.recv(65536))

    def flush():
        for byte in outgoing.read():
            raw.send(bytes([byte]))

    with clients.connect(server.address) as raw:
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        exchange(tls.do_handshake)
        tls.write(b"hello")
        flush()
        assert exchange(lambda: tls.read(100)) == b"hello"


def test_garbage_after_the_handshake(server, version, connect, ended):
    server.start(threaded=True)
    client = connect(server)
    client.sendall(b"x")
    assert client.recv(1) == b"x"
    socket.socket.send(client, b"garbage" * 10)
    with pytest.raises(OSError):  # noqa: PT011
        client.recv(1)
    server.close()
    assert ended == [Reason.ERROR]


def test_handshakes_count_for_max_conns_and_end_with_the_server(make_server, context, pair):
    server = make_server(ssl_context=context, max_conns=1)
    given, peer = pair()
    conn = server.adopt(given)
    assert not server.connections
    assert server._room() == 0
    conn.write(b"before the handshake")
    server.close()
    assert peer.recv(1) == b""


def test_what_is_written_before_the_handshake_follows_it(server, version, pair, client_context):
    given, peer = pair()
    conn = server.adopt(given)
    conn.write(DATA)
    conn.finish()
    server.start(threaded=True)
    client = client_context.wrap_socket(
        peer, server_hostname="localhost", suppress_ragged_eofs=False
    )
    with client:
        assert clients.read_to_end(client) == DATA


def test_who_is_refused(server, version, connect):
    server.add_handler(lambda conn: False, CONNECT)
    server.start(threaded=True)
    client = connect(server)
    assert clients.read_to_end(client) == b""


@pytest.mark.parametrize("wrong", ["cert.pem", 5, True])
def test_a_wrong_context(wrong):
    with pytest.raises(TypeError, match="ssl_context"):
        EpollServer(("127.0.0.1", 0), ssl_context=wrong)


def test_a_context_for_clients(client_context):
    with pytest.raises(ssl.SSLError):
        EpollServer(("127.0.0.1", 0), ssl_context=client_context)
