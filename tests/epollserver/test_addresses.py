"""Addresses: socket files that are stale or somebody else's, dual stack, sockets of systemd."""

import socket
import subprocess
import sys

import pytest

import clients
from epollserver import RECEIVE, EpollServer


def echo(conn):
    conn.write(conn.recv(65536))


def test_a_stale_socket_file_is_replaced(make_server, tmp_path):
    path = str(tmp_path / "socket")
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(path)
    server = make_server(path)
    server.add_handler(echo, RECEIVE)
    server.start(threaded=True)
    assert clients.echoed(path) == b"hello"


def test_what_is_no_socket_is_not_replaced(tmp_path):
    path = tmp_path / "file"
    path.write_text("precious")
    with pytest.raises(OSError, match="in use"):
        EpollServer(str(path))
    assert path.read_text() == "precious"


def test_a_socket_file_that_somebody_has_put_there_since_is_left_alone(make_server, tmp_path):
    path = tmp_path / "socket"
    first = make_server(str(path))
    path.unlink()
    second = make_server(str(path))
    second.add_handler(echo, RECEIVE)
    second.start(threaded=True)
    first.close()
    assert clients.echoed(str(path)) == b"hello"


def test_one_family_only(make_server):
    """An IPv6 address that is not "::" does not stand for IPv4, whatever the system's default."""
    try:
        server = make_server(("::1", 0))
    except OSError as error:
        pytest.skip(f"no IPv6 here: {error}")
    (listener,) = server._listeners._sockets.values()
    assert listener.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY) == 1


INHERITED = """
import os, socket, sys
from epollserver import RECEIVE, EpollServer, bind, inherited_sockets

here = bind(("127.0.0.1", 0))
here.listen()
if sys.argv[1] == "child":
    if here.fileno() != 3:
        os.dup2(here.fileno(), 3)
    os.set_inheritable(3, True)
    program = [sys.executable, sys.argv[0], sys.argv[2]]
    os.environ.update(LISTEN_FDS="1", LISTEN_PID=sys.argv[3] or str(os.getpid()))
    os.execv(sys.executable, program)
sockets = inherited_sockets()
print(len(sockets), [name for name in os.environ if name.startswith("LISTEN_")], flush=True)
assert not any(sock.get_inheritable() for sock in sockets)
assert inherited_sockets() == []
if sockets:
    server = EpollServer(sockets[0])
    server.add_handler(lambda conn: (conn.write(conn.recv(100)), server.stop()), RECEIVE)
    print(*server.address, flush=True)
    server.start()
    sockets[0].close()
here.close()
"""


@pytest.mark.parametrize(("pid", "expected"), [("", "1 []\n"), ("1", "0 []\n")])
def test_sockets_handed_over_by_systemd(tmp_path, pid, expected):
    program = tmp_path / "inherited.py"
    program.write_text(INHERITED)
    process = subprocess.Popen(
        [sys.executable, program, "child", "served", pid], stdout=subprocess.PIPE, text=True
    )
    with process:
        try:
            assert process.stdout.readline() == expected
            if not pid:
                host, port = process.stdout.readline().split()
                with clients.connect((host, int(port))) as client:
                    client.sendall(b"hello")
                    assert clients.read_to_end(client) == b"hello"
            assert process.wait(clients.PATIENCE) == 0
        finally:
            process.kill()
