"""The ends of streamed answers: whoever makes one hears of each, and waits for none in vain."""

import gc
import queue
import socket
import struct
import threading

import pytest

from rawclient import RawClient, request
from rush_http import BadRequest, BodyReceiver, Deferred, ResponseStream

pytestmark = pytest.mark.over_tls

PATIENCE = 20.0
CHUNKED = request("/", "Transfer-Encoding: chunked", method="POST") + b"5\r\nhello\r\n"


class Pieces:
    """Pieces for ever, until they are closed."""

    def __init__(self):
        self.closed = queue.Queue()

    def __iter__(self):
        return self

    def __next__(self):
        return bytes(65536)

    def close(self):
        self.closed.put(True)


@pytest.fixture
def deferring(serve):
    """A server, and the queue of its deferred answers."""
    waiting: queue.Queue[Deferred] = queue.Queue()
    server = serve(lambda body, conn, *rest: waiting.put(server.defer(conn)))
    return server, waiting


def write_until_gone(stream):
    """Write as fast as the client reads; return whether it was noticed that it has gone."""
    while stream.write(bytes(100_000)) or stream.wait(PATIENCE):
        pass
    return stream.gone


def test_thread_that_answers_head(deferring):
    server, waiting = deferring
    with RawClient(server.address) as client:
        client.send(request("/", "Connection: close", method="HEAD"))
        deferred = waiting.get(timeout=PATIENCE)
        stream = deferred.start_stream()
        for _ in range(8):
            assert stream.write(bytes(100_000)) or stream.wait(PATIENCE)
        stream.finish()
        assert client.rest().endswith(b"Transfer-Encoding: chunked\r\n\r\n")


def test_thread_that_answers_head_with_a_length(serve, caplog):
    """Whether the stream has begun makes no difference."""

    def callback(body, conn, *rest):
        deferred = server.defer(conn)

        def work():
            deferred.start_stream(length=10).finish()

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()

    server = serve(callback)
    with RawClient(server.address) as client:
        for _ in range(2):
            assert client.get("/", method="HEAD").headers["content-length"] == "10"


def test_close_while_threads_write(deferring):
    server, waiting = deferring
    results = queue.Queue()

    def work():
        while (deferred := waiting.get(timeout=PATIENCE)) is not None:
            results.put(write_until_gone(deferred.start_stream()))

    threads = [threading.Thread(target=work) for _ in range(4)]
    clients = [RawClient(server.address) for _ in range(4)]
    for thread, client in zip(threads, clients, strict=True):
        thread.start()
        client.send(request())
    clients[0].begun()
    server.close()
    for _ in threads:
        waiting.put(None)
    for thread, client in zip(threads, clients, strict=True):
        thread.join(PATIENCE)
        client.sock.close()
    while not results.empty():
        assert results.get()
    assert not any(thread.is_alive() for thread in threads)


def test_answers_after_close(deferring, tmp_path):
    server, waiting = deferring
    clients = [RawClient(server.address) for _ in range(3)]
    for client in clients:
        client.send(request())
    first, second, third = (waiting.get(timeout=PATIENCE) for _ in clients)
    server.close()
    for client in clients:
        client.sock.close()

    told = []
    stream = first.start_stream()
    stream.on_gone(lambda: told.append("gone"))
    assert not stream.write(bytes(300_000))
    assert not stream.wait(PATIENCE)
    stream.finish()
    assert (stream.gone, told) == (True, ["gone"])
    (tmp_path / "file").write_bytes(b"0123456789")
    with (tmp_path / "file").open("rb") as file:
        second.send_file(b"", file, 0, 1)
        assert file.closed
    pieces = Pieces()
    third.stream(pieces)
    assert pieces.closed.get_nowait()
    assert pieces.closed.empty()


@pytest.mark.parametrize("how", ["shuts down", "resets"])
def test_stream_begun_for_a_client_that_has_gone(deferring, how):
    server, waiting = deferring
    with RawClient(server.address) as client:
        client.send(request())
        deferred = waiting.get(timeout=PATIENCE)
        gone, told = threading.Event(), threading.Event()
        deferred.on_gone(gone.set)
        if how == "resets":
            client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.sock.close()
        else:
            client.end()
        assert gone.wait(PATIENCE)
        stream = deferred.start_stream()
        stream.on_gone(told.set)
        assert told.wait(PATIENCE)
        assert stream.gone
        assert stream.write(b"x") == (how == "shuts down")  # who may still read gets it
        stream.finish()


def test_refused_body_of_a_pulled_answer(serve, until):
    pieces = Pieces()

    def on_head_complete(conn, head):
        server.stream(conn, pieces)
        return BodyReceiver()

    server = serve(None, on_head_complete=on_head_complete)
    with RawClient(server.address, receive_buffer=4096) as client:
        client.send(CHUNKED)
        until(server, lambda: any(conn.queued for conn in server.epoll.connections))
        client.send(b"no size\r\n")
        assert pieces.closed.get(timeout=PATIENCE)
        server.close()
    assert pieces.closed.empty()


def test_refused_body_of_a_written_answer(serve):
    streams, told = queue.Queue(), threading.Event()

    def on_head_complete(conn, head):
        stream = server.start_stream(conn)
        stream.on_gone(told.set)
        stream.write(b"x")
        streams.put(stream)
        return BodyReceiver()

    server = serve(None, on_head_complete=on_head_complete)
    with RawClient(server.address) as client:
        client.send(CHUNKED)
        client.begun()
        client.send(b"no size\r\n")
        assert told.wait(PATIENCE)
        stream = streams.get()
        assert stream.gone
        assert not stream.write(b"more")


def test_body_refused_just_after_finish(serve):
    """The end of the answer was on its way to the server's thread."""

    class Receiver(BodyReceiver):
        def __init__(self, stream):
            self.stream = stream

        def on_piece(self, data):
            thread = threading.Thread(target=self.stream.finish)
            thread.start()
            thread.join()
            raise BadRequest("no")

    server = serve(None, on_head_complete=lambda conn, head: Receiver(server.start_stream(conn)))
    with RawClient(server.address) as client:
        client.send(CHUNKED)
        client.rest()


def test_streams_leave_no_cycles(serve, in_loop):
    """Their memory comes back at once, not when the collector is due."""
    server = serve(lambda body, conn, *rest: server.stream(conn, [b"a", b"b"], length=2))

    def streams():
        return sum(isinstance(each, ResponseStream) for each in gc.get_objects())

    gc.collect()
    gc.disable()
    try:
        with RawClient(server.address) as client:
            for _ in range(10):
                assert client.get("/").body == b"ab"
            assert in_loop(server, streams) <= 1
    finally:
        gc.enable()
