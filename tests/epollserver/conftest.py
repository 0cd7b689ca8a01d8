import contextlib
import re
import shutil
import signal
import socket
import subprocess

import pytest

import clients
from epollserver import RECEIVE, EpollServer


@pytest.fixture
def make_server():
    """Servers on a free port that are closed at the end; reads and forgets unless told."""
    servers = []

    def make(address=("127.0.0.1", 0), **options):
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
    """The system calls that a process makes in one second, as strace(1) writes them."""
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")

    def strace(pid):
        log = tmp_path / "strace"
        tracer = subprocess.Popen(
            ["strace", "-f", "-o", log, "-p", str(pid)], stderr=subprocess.PIPE, text=True
        )
        with tracer:
            attached = tracer.stderr.readline()
            if "attached" not in attached:
                pytest.skip(f"strace may not trace: {attached.strip()}")
            with contextlib.suppress(subprocess.TimeoutExpired):
                tracer.wait(timeout=1)
            tracer.send_signal(signal.SIGINT)
            tracer.communicate(timeout=clients.PATIENCE)
        # Attaching interrupts the wait that is going on, and detaching the next one.
        return [
            line
            for line in log.read_text().splitlines()
            if not re.search(r"epoll_p?wait\(.*(EINTR|detached)|resuming interrupted", line)
        ]

    return strace
