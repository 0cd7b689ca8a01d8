"""What comes first on a connection, and what follows it as if nothing had been in front."""

import contextlib
import socket
import ssl

import pytest

import clients
from epollserver import CONNECT, DATA, DISCONNECT, EpollServer
from splits import SPLITS

pytestmark = pytest.mark.ends


class Greeting:
    """A preamble: ``hi`` and a digit, and so many bytes as that says."""

    def __init__(self, conn=None):
        self.conn = conn
        self.seen = b""
        self.wanted = 3

    def feed(self, data):
        had, self.seen = len(self.seen), self.seen + data
        if not b"hi".startswith(self.seen[:2]):
            raise ConnectionRefusedError("no greeting")
        whole = 3 + int(self.seen[2:3] or 9)
        if self.seen[2:3] == b"7":
            raise RuntimeError("this is a bug")
        self.wanted = max(0, (whole if len(self.seen) > 2 else 3) - len(self.seen))
        self.seen = self.seen[:whole]
        return len(self.seen) - had


def until_closed(sock, *, end=False):
    """What comes until the other side closes; what it has not read makes that a reset."""
    if end:
        with contextlib.suppress(OSError):  # it has closed already
            sock.shutdown(socket.SHUT_WR)
    with contextlib.suppress(ConnectionError):
        return clients.read_to_end(sock)
    return b""


@pytest.fixture(params=["plain", "tls"])
def transport(request):
    return request.param


def greeted(conn):
    conn.data = Greeting(conn)
    return conn.data


@pytest.fixture
def told():
    """What the handlers of `server` were told."""
    return []


@pytest.fixture
def server(make_server, told):
    server = make_server(preamble=greeted)
    server.add_handler(lambda conn: told.append(conn.data.seen), CONNECT)
    server.add_handler(lambda conn, data: conn.write(data), DATA)
    server.add_handler(lambda conn, reason: told.append(reason), DISCONNECT)
    return server


@pytest.fixture
def speak(request, transport):
    """Speak TLS on a socket, if the server does."""

    def speak(sock):
        if transport == "plain":
            return sock
        context = request.getfixturevalue("client_context")
        return context.wrap_socket(sock, server_hostname="localhost", suppress_ragged_eofs=False)

    return speak


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("greeting", [b"hi0", b"hi5abcde"])
def test_what_follows_is_read_as_if_nothing_had_been_in_front(server, told, speak, split, greeting):
    server.start(threaded=True)
    with clients.connect(server.address) as raw:
        for piece in split(greeting):
            raw.sendall(piece)
        with speak(raw) as sock:
            sock.sendall(b"hello")
            assert clients.read_exactly(sock, 5) == b"hello"
    assert told[0] == greeting


@pytest.mark.parametrize("transport", ["plain"], indirect=True)
def test_in_one_piece_with_what_follows(server, told):
    server.start(threaded=True)
    with clients.connect(server.address) as sock:
        sock.sendall(b"hi3xyzhello")
        assert clients.read_exactly(sock, 5) == b"hello"
    assert told[0] == b"hi3xyz"


def test_tls_in_one_piece_with_it(make_server, told, context, client_context):
    """The first record of TLS comes with the end of the preamble."""
    server = make_server(preamble=greeted, ssl_context=context)
    server.add_handler(lambda conn, data: conn.write(data), DATA)
    server.start(threaded=True)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = client_context.wrap_bio(incoming, outgoing, server_hostname="localhost")
    with clients.connect(server.address) as sock:
        with pytest.raises(ssl.SSLWantReadError):
            tls.do_handshake()
        sock.sendall(b"hi1x" + outgoing.read())
        while True:
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                incoming.write(sock.recv(65536))
        tls.write(b"hello")
        sock.sendall(outgoing.read())
        while True:
            try:
                assert tls.read(5) == b"hello"
                break
            except ssl.SSLWantReadError:
                incoming.write(sock.recv(65536))


@pytest.mark.parametrize("wire", [b"ho", b"GET / HTTP/1.1\r\n\r\n", b"hi9abc"])
def test_refused(server, told, wire):
    """Nothing is answered, and no handler hears of it."""
    server.start(threaded=True)
    with clients.connect(server.address) as sock:
        sock.sendall(wire)
        assert until_closed(sock, end=True) == b""
    server.close()
    assert not told
    assert not server.entering


def test_too_slow(make_server, told):
    server = make_server(preamble=greeted, preamble_seconds=0.05)
    server.add_handler(told.append, CONNECT)
    server.start(threaded=True)
    with clients.connect(server.address) as sock:
        sock.sendall(b"h")
        assert until_closed(sock) == b""
    assert not told


def test_one_that_fails_costs_its_connection(server, told, caplog):
    server.start(threaded=True)
    with clients.connect(server.address) as sock:
        sock.sendall(b"hi7")
        assert until_closed(sock) == b""
    server.close()
    assert "this is a bug" in caplog.text
    caplog.clear()
    assert not told


@pytest.mark.parametrize(
    ("made", "answer"), [(None, b"hi0"), (False, b""), (RuntimeError("a bug"), b"")]
)
@pytest.mark.parametrize("transport", ["plain"], indirect=True)
def test_who_has_none(make_server, caplog, made, answer):
    def make(conn):
        if isinstance(made, Exception):
            raise made
        return made

    server = make_server(preamble=make)
    server.add_handler(lambda conn, data: conn.write(data), DATA)
    server.start(threaded=True)
    with clients.connect(server.address) as sock:
        sock.sendall(b"hi0")
        assert until_closed(sock, end=True) == answer
    assert ("a bug" in caplog.text) is isinstance(made, Exception)
    caplog.clear()


def test_counts_for_max_conns_and_ends_with_the_server(make_server, run, pair):
    server = make_server(preamble=greeted, max_conns=1)
    given, peer = pair()
    conn = server.adopt(given)
    assert server.entering == {conn}
    assert server._room() == 0
    server.loop.call_soon(server.stop)
    run(server)
    assert until_closed(peer) == b""
    assert not server.entering


def test_a_limit_of_none_or_less():
    with pytest.raises(ValueError, match="preamble_seconds is 0"):
        EpollServer(("127.0.0.1", 0), preamble=greeted, preamble_seconds=0)
