"""What is special over TLS; the tests with the mark `over_tls` are run over it too."""

import contextlib
import shutil
import socket
import ssl
import subprocess
import threading

import pytest

from rawclient import RawClient, request
from rush_http import HttpServer, Limits

PATIENCE = 20.0

over_tls = pytest.mark.parametrize("transport", ["tls"], indirect=True)


def connect(address):
    return socket.create_connection(address, timeout=PATIENCE)


@over_tls
@pytest.mark.parametrize("started", [b"", b"\x16\x03\x01"])
def test_handshake_that_is_late(site, started):
    with connect(site(limits=Limits(handshake_seconds=0.1)).address) as sock:
        sock.sendall(started)
        assert sock.recv(1000) == b""


@over_tls
def test_client_that_does_not_speak_tls(site, until):
    server = site()
    with connect(server.address) as sock, contextlib.suppress(ConnectionResetError):
        sock.sendall(request())
        while data := sock.recv(1000):
            assert not data.startswith(b"HTTP/")
    with RawClient(server.address) as client:
        assert client.get("/").status == 200


@over_tls
@pytest.mark.parametrize("wire", [b"", request(), request("/", "Content-Length: 9") + b"some"])
def test_client_that_leaves_without_close_notify(site, until, wire):
    server = site()
    with RawClient(server.address) as client:
        client.send(wire)
        client.sock.shutdown(socket.SHUT_WR)
        assert client.rest().count(b"HTTP/1.1 200") == (wire == request())
    until(server, lambda: not server.epoll.connections)
    assert server.bodies_bytes == 0


@over_tls
def test_client_that_says_close_notify(site, until):
    server = site()
    with RawClient(server.address) as client:
        assert client.get("/").status == 200
        with client.sock.unwrap():  # waits for that of the server
            until(server, lambda: not server.epoll.connections)


@over_tls
def test_curl(site, contexts):
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    host, port = site().address
    done = subprocess.run(
        ["curl", "-sSk", "-d", "some body", f"https://{host}:{port}/path?query"],
        capture_output=True, timeout=PATIENCE, check=True,
    )  # fmt: skip
    assert done.stdout == b"POST /path?query some body"


def until_shaking(server, until, count):
    until(server, lambda: len(server.epoll.entering) == count)


@over_tls
def test_stop_waits_for_handshakes(site, until, contexts):
    server = site()
    with connect(server.address) as sock:
        until_shaking(server, until, 1)
        server.stop(PATIENCE, idle_grace=PATIENCE)
        until(server, lambda: server.draining)
        with contexts[1].wrap_socket(sock, server_hostname="localhost") as client:
            client.sendall(request())
            assert b"Connection: close" in client.recv(1000)


@over_tls
def test_stop_does_not_wait_long_for_handshakes(make_server):
    server = make_server(lambda body, conn, *rest: server.respond(conn, b""))
    thread = threading.Thread(target=server.run)
    thread.start()
    with connect(server.address) as sock:
        server.stop(1000, idle_grace=0.05)
        assert sock.recv(1000) == b""
        thread.join(PATIENCE)
        assert not thread.is_alive()


def test_context_that_cannot_serve(contexts):
    with pytest.raises(TypeError, match="ssl_context"):
        HttpServer(("127.0.0.1", 0), ssl_context="cert.pem")
    with pytest.raises(ssl.SSLError):
        HttpServer(("127.0.0.1", 0), ssl_context=contexts[1])
