import contextlib
import re
import shutil
import signal
import socket
import ssl
import subprocess
import threading

import pytest

import certificates
import clients
from epollserver import RECEIVE, EpollServer


@pytest.fixture
def transport(request):
    """What `make_server` makes and `attach` connects to: "plain", or what a test asks for."""
    return getattr(request, "param", "plain")


@pytest.fixture
def make_server(request, transport):
    """Servers on a free port that are closed at the end; reads and forgets unless told."""
    servers = []

    def make(address=("127.0.0.1", 0), **options):
        if transport == "tls":
            options["ssl_context"] = context = request.getfixturevalue("context")
            context.num_tickets = 0  # unread, they would make a reset of a peer's close
        server = EpollServer(address, **options)
        servers.append(server)
        server.add_handler(lambda conn: conn.recv(65536), RECEIVE)
        return server

    yield make
    for server in servers:
        server.close()


@pytest.fixture
def server(make_server):
    return make_server()


@pytest.fixture
def run():
    """Run a server or a loop in this thread until something stops it."""

    def run(what):
        late = []

        def give_up():
            late.append(True)
            what.stop()

        loop = getattr(what, "loop", what)
        watchdog = loop.call_later(clients.PATIENCE, give_up)
        (what.start if what is not loop else what.run)()
        watchdog.cancel()
        assert not late, "nothing has stopped the loop"

    return run


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    return certificates.certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def context(certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    context.set_alpn_protocols(["http/1.1", "echo"])
    return context


@pytest.fixture
def client_context(certificate):
    return ssl.create_default_context(cafile=certificate[0])


@pytest.fixture
def pair():
    """Pairs of connected sockets: one to give away, one to talk to it; closed at the end."""
    made = []

    def pair():
        given, peer = socket.socketpair()
        peer.settimeout(clients.PATIENCE)
        made.extend((given, peer))
        return given, peer

    yield pair
    for sock in made:
        sock.close()


@pytest.fixture
def attach(request, pair, transport):
    """Let a server that is not started serve one end of a pair; returns connection and peer."""
    with contextlib.ExitStack() as stack:

        def attach(server):
            given, peer = pair()
            conn = server.adopt(given)
            if transport == "tls":
                context = request.getfixturevalue("client_context")
                peer = stack.enter_context(shake_hands(server.loop, context, peer))
            return conn, peer

        yield attach


def shake_hands(loop, context, peer):
    """The TLS end of a connection of this loop, after the handshake."""
    context.sslsocket_class = certificates.TlsPeer
    done = []

    def shake():
        try:
            done.append(context.wrap_socket(peer, server_hostname="localhost"))
        finally:
            loop.call_soon_threadsafe(loop.stop)

    thread = threading.Thread(target=shake)
    thread.start()
    loop.run()
    thread.join()
    return done[0]


@pytest.fixture
def after_turns():
    """Call a function when the loop of a server has had some more turns."""

    def after_turns(server, count, function):
        if count:
            server.loop.call_soon(lambda: after_turns(server, count - 1, function))
        else:
            function()

    return after_turns


@pytest.fixture(autouse=True)
def nothing_failed(caplog):
    """Fail a test whose handlers failed: the server only logs that.  Who expects it clears it."""
    yield
    assert not [record.exc_text or record.getMessage() for record in caplog.get_records("call")]


@pytest.fixture
def strace(tmp_path):
    """The system calls that a process makes in some seconds, as strace(1) writes them."""
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")

    def strace(pid, seconds=1):
        log = tmp_path / "strace"
        tracer = subprocess.Popen(
            ["strace", "-f", "-o", log, "-p", str(pid)], stderr=subprocess.PIPE, text=True
        )
        with tracer:
            attached = tracer.stderr.readline()
            if "attached" not in attached:
                pytest.skip(f"strace may not trace: {attached.strip()}")
            with contextlib.suppress(subprocess.TimeoutExpired):
                tracer.wait(timeout=seconds)
            tracer.send_signal(signal.SIGINT)
            tracer.communicate(timeout=clients.PATIENCE)
        # Attaching interrupts the wait that is going on, and detaching the next one.
        return [
            line
            for line in log.read_text().splitlines()
            if not re.search(r"epoll_p?wait\(.*(EINTR|detached)|resuming interrupted", line)
        ]

    return strace
