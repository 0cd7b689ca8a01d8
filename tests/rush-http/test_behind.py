"""A client that reads late, and answers that are given late, at once."""

import queue
import socket
import threading

from epollserver import CONNECT
from rawclient import RawClient, request

PATIENCE = 20.0
SIZE = 250_000


def test_last_answer_is_whole(serve):
    """A late answer is given in the very turn in which the answers before it went out.

    Two reasons to go on with the connection then; the refusal at its end must wait for both.
    """
    entered, leave, held = threading.Event(), threading.Event(), queue.Queue()

    def callback(body, conn, protocol, method, path, query, headers):
        if path == "/block":
            entered.set()
            assert leave.wait(PATIENCE)
            server.respond(conn, b"")
        elif path == "/defer":
            held.put(server.defer(conn))
        else:
            server.respond(conn, bytes(int(query)))

    server = serve(callback)

    def connected(conn):
        conn.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        server._connected(conn)

    server.epoll.add_handler(connected, CONNECT)
    with (
        RawClient(server.address, receive_buffer=4096) as client,
        RawClient(server.address) as blocker,
    ):
        paths = ("/first?9000", "/defer", f"/second?{SIZE}")
        client.send(b"".join(map(request, paths)) + b"BAD\r\n\r\n")
        deferred = held.get(timeout=PATIENCE)
        blocker.send(request("/block"))
        assert entered.wait(PATIENCE)
        deferred.respond(b"deferred")
        client.begun()
        client.sock.settimeout(0.2)
        try:  # to the bottom of the kernel's buffers: the server's own queue can go out then
            while True:
                client._more()
        except TimeoutError:
            client.sock.settimeout(PATIENCE)
        leave.set()
        assert len(client.response().body) == 9000
        assert client.response().body == b"deferred"
        assert len(client.response().body) == SIZE
        assert client.response().status == 400
        assert client.rest() == b""
