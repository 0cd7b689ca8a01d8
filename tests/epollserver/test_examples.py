"""Each example as a process of its own, with a real client."""

import contextlib
import pathlib
import select
import socket
import subprocess

import pytest

import clients

EXAMPLES = pathlib.Path(__file__).parents[2] / "packages/epollserver/examples"


@pytest.fixture
def start():
    """A running example; returns a function that connects to it."""
    with contextlib.ExitStack() as stack:

        def start(name, *arguments):
            process = stack.enter_context(clients.running(EXAMPLES / name, *arguments, "0"))
            host, _, port = process.stdout.readline().split()[-1].partition(":")
            return lambda: stack.enter_context(clients.connect((host, int(port))))

        yield start


def test_every_example_is_tested():
    tested = {name[5:] for name in globals() if name.startswith("test_")}
    tested |= {path.stem[5:] for path in pathlib.Path(__file__).parent.glob("test_*.py")}
    assert {path.stem for path in EXAMPLES.glob("*.py")} <= tested


def test_echo(start):
    client = start("echo.py")()
    client.sendall(b"hello\n")
    client.shutdown(socket.SHUT_WR)
    assert clients.read_to_end(client) == b"hello\n"


def test_echo_tls(start, certificate, client_context):
    connect = start("echo_tls.py", *certificate)
    with client_context.wrap_socket(connect(), server_hostname="localhost") as client:
        client.sendall(b"hello\n")
        assert clients.read_exactly(client, 6) == b"hello\n"
        assert client.unwrap() is not None  # it says goodbye as well

    host, port = connect().getpeername()
    s_client = subprocess.Popen(
        [
            *("openssl", "s_client", "-quiet", "-no_ign_eof", "-connect", f"{host}:{port}"),
            *("-CAfile", certificate[0], "-verify_return_error", "-verify_hostname", "localhost"),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    with s_client:
        s_client.stdin.write(b"hello\n")
        s_client.stdin.flush()
        assert s_client.stdout.readline() == b"hello\n"
        s_client.communicate(timeout=clients.PATIENCE)
        assert s_client.returncode == 0


def line(client):
    data = b""
    while not data.endswith(b"\n"):
        data += clients.read_exactly(client, 1)
    return data.decode().rstrip("\n")


def test_chat(start):
    connect = start("chat.py")
    ann, ben, eve = connect(), connect(), connect()
    for guest in (ann, ben, eve):
        assert line(guest) == "your name?"
    ann.sendall(b"Ann\n")
    assert line(ann) == "* Ann is here"
    for byte in b"Ben\r\n":  # cut anywhere
        ben.sendall(bytes([byte]))
    assert line(ann) == line(ben) == "* Ben is here"
    ben.sendall(b"one\ntwo\nthr")
    assert [line(ann), line(ann)] == ["Ben: one", "Ben: two"]
    ben.sendall(b"ee\n")
    assert line(ann) == "Ben: three"
    ann.sendall("Grüße\n".encode())
    assert line(ben) == "Ann: Grüße"

    eve.sendall(b"x" * 1001)  # a line that does not end
    assert line(eve) == "* this line is too long"
    assert clients.read_to_end(eve) == b""
    ann.sendall(b"y" * 1001 + b"\nmore\n")
    assert clients.read_to_end(ann) == b"* this line is too long\n"
    assert line(ben) == "* Ann has left (own close)"


def test_chat_does_without_those_who_do_not_read(start):
    connect = start("chat.py")
    talker, sleeper = connect(), connect()
    for guest, name in ((sleeper, "sleeper"), (talker, "talker")):
        assert line(guest) == "your name?"
        guest.sendall(f"{name}\n".encode())
        assert line(guest) == f"* {name} is here"
    while not select.select([talker], [], [], 0)[0]:
        talker.sendall((b"x" * 999 + b"\n") * 10)
    assert line(talker) == "* sleeper has left (own close)"
