"""Answers in pieces that are written after the callback has returned."""

import contextlib
import queue
import socket
import threading

import pytest

from chunked import Client, chunks
from rawclient import request
from rush_http import Limits, ResponseStream

pytestmark = pytest.mark.over_tls

PATIENCE = 20.0


@pytest.fixture
def started(streaming):
    """A server, and a queue of the streams that it has begun."""
    streams: queue.Queue[ResponseStream] = queue.Queue()
    server = streaming(lambda server, conn: streams.put(server.start_stream(conn)))
    return server, streams


def test_written_later(started, in_loop):
    server, streams = started
    with Client(server.address) as client, Client(server.address) as other:
        client.send(request("/") + request("/plain"))
        stream = streams.get(timeout=PATIENCE)
        assert client.read_head()[0] == 200  # before there is anything of a body
        for number in range(3):
            in_loop(server, lambda number=number: stream.write(b"event %d" % number))
            assert (client.line(), client.line()) == ("7", f"event {number}")
            assert other.get("/plain").body == b"plain"
        in_loop(server, stream.finish)
        assert chunks(client, head=False) == []
        assert client.response().body == b"plain"
        assert client.get("/plain").body == b"plain"


def test_written_by_a_thread_as_fast_as_the_client_reads(started):
    server, streams = started
    piece = bytes(50_000)
    most = []

    def work(stream):
        for _ in range(150):
            if not stream.write(piece):
                assert stream.wait(PATIENCE)
            most.append(sum(conn.queued for conn in list(server.epoll.connections)))
        stream.finish()

    with Client(server.address, receive_buffer=4096) as client:
        for _ in range(2):
            client.send(request("/"))
            thread = threading.Thread(target=work, args=[streams.get(timeout=PATIENCE)])
            thread.start()
            assert sum(map(len, chunks(client))) == 150 * len(piece)
            thread.join()
    assert max(most) < 600_000


def test_on_drain(started, in_loop):
    server, streams = started
    drained = queue.Queue()
    with Client(server.address, receive_buffer=4096) as client:
        client.send(request("/"))
        stream = streams.get(timeout=PATIENCE)
        stream.on_drain(lambda: drained.put(True))
        for _ in range(3):
            written = 20_000
            while in_loop(server, lambda: stream.write(bytes(20_000))):
                written += 20_000
            assert drained.empty()
            client.exactly(written)
            assert drained.get(timeout=PATIENCE) is True
        in_loop(server, stream.finish)


@pytest.mark.parametrize("how", ["close", "reset", "abort"])
def test_client_that_goes(started, until, caplog, how):
    server, streams = started
    gone = queue.Queue()
    client = Client(server.address)
    client.send(request("/"))
    stream = streams.get(timeout=PATIENCE)
    stream.on_gone(lambda: gone.put(threading.current_thread().name))
    assert not stream.gone
    if how == "abort":
        stream.abort()
        client.rest()
    elif how == "reset":
        client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    client.sock.close()
    if how != "abort":
        assert gone.get(timeout=PATIENCE) == "epollserver"
        assert stream.gone
        with contextlib.suppress(RuntimeError):
            for _ in range(20):
                stream.write(bytes(100_000))
            stream.finish()
    until(server, lambda: not server.epoll.connections)
    assert gone.empty()
    late = queue.Queue()
    if how != "abort":
        stream.on_gone(lambda: late.put(True))
        assert late.get(timeout=PATIENCE)
        assert not stream.wait(0.01)
    assert caplog.text == ""


def test_half_closed_client_gets_all(started, in_loop):
    server, streams = started
    gone = queue.Queue()
    with Client(server.address) as client:
        client.send(request("/") + request("/plain"))
        client.end()
        stream = streams.get(timeout=PATIENCE)
        stream.on_gone(lambda: gone.put(True))
        assert gone.get(timeout=PATIENCE)
        assert in_loop(server, lambda: stream.write(b"still"))
        in_loop(server, stream.finish)
        assert chunks(client) == [b"still"]
        assert client.response().body == b"plain"
        assert client.rest() == b""


def test_request_that_comes_when_a_stream_behind_a_late_answer_begins_waits(serve):
    waiting = queue.Queue()

    def callback(body, conn, protocol, method, path, query, headers):
        if path == "/late":
            waiting.put(server.defer(conn))
        elif path == "/stream":
            client.send(request("/next"))  # it is there before this turn is over
            waiting.put(server.start_stream(conn))
        else:
            server.respond(conn, path.encode())

    server = serve(callback)
    with Client(server.address) as client:
        client.send(request("/late") + request("/stream"))
        waiting.get(timeout=PATIENCE).respond(b"late")
        stream = waiting.get(timeout=PATIENCE)
        assert client.response().body == b"late"
        stream.write(b"some")
        assert client.read_head()[0] == 200
        assert client.line() == "4"
        stream.finish()
        assert client.exactly(6) == b"some\r\n"
        assert chunks(client, head=False) == []
        assert client.response().body == b"/next"


@pytest.mark.parametrize("protocol", ["HTTP/1.1", "HTTP/1.0"])
def test_aborted_answer_is_noticed(started, in_loop, protocol):
    server, streams = started
    with Client(server.address) as client:
        client.send(request("/", protocol=protocol))
        stream = streams.get(timeout=PATIENCE)
        in_loop(server, lambda: stream.write(b"some"))
        client.read_head()
        client.exactly(4)
        stream.abort()
        if protocol == "HTTP/1.0":
            with pytest.raises(ConnectionResetError):
                client.sock.recv(1000)
        else:
            assert b"0\r\n\r\n" not in client.rest()


def test_client_that_never_reads(serve, tmp_path):
    limits = Limits(write_seconds=0.3)
    gone = queue.Queue()

    def callback(body, conn, *rest):
        stream = server.start_stream(conn)
        stream.on_gone(lambda: gone.put(True))

        def more():  # somebody who always has news, whoever reads it
            if not stream.gone:
                stream.write(bytes(10_000))
                server.epoll.loop.call_later(0.02, more)

        more()

    server = serve(callback, address=str(tmp_path / "socket"), limits=limits)
    with Client(server.address) as client:
        client.send(request("/"))
        assert gone.get(timeout=PATIENCE)
