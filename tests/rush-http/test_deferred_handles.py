"""`Deferred`: an answer that belongs to one request, from any thread."""

import contextlib
import queue
import socket
import threading

import pytest

from rawclient import RawClient, request
from rush_http import Deferred, Limits, render, render_head

pytestmark = pytest.mark.over_tls

PATIENCE = 20.0


class Deferring:
    """A server that puts a `Deferred` for ``/later``, and answers all else at once."""

    def __init__(self, serve, **options):
        self.waiting: queue.Queue[Deferred] = queue.Queue()
        self.server = serve(self.callback, **options)
        self.address = self.server.address

    def callback(self, body, conn, protocol, method, path, query, headers):
        if path == "/later":
            deferred = self.server.defer(conn)
            assert self.server.defer(conn) is deferred
            self.waiting.put(deferred)
        else:
            self.server.respond(conn, path.encode())

    def next(self):
        return self.waiting.get(timeout=PATIENCE)


@pytest.fixture
def deferring(serve):
    return Deferring(serve)


@pytest.fixture(params=["thread", "loop"])
def run(request, deferring, in_loop):
    """Do something in a thread of its own (this one), or in the server's."""
    if request.param == "thread":
        return lambda function: function()
    return lambda function: in_loop(deferring.server, function)


@pytest.fixture
def file(tmp_path):
    (tmp_path / "file").write_bytes(b"0123456789")
    with (tmp_path / "file").open("rb") as opened:
        yield opened


def stream_slowly(deferred):
    stream = deferred.start_stream(length=6)
    stream.write(b"str")
    stream.write(b"eam")
    stream.finish()


HEAD4 = render_head(200) + b"Content-Length: 4\r\n\r\n"

ANSWERS = [
    (lambda deferred, file: deferred.send(render(200, b"sent")), b"sent"),
    (lambda deferred, file: deferred.respond(b"responded"), b"responded"),
    (lambda deferred, file: deferred.send_file(HEAD4, file, 3, 4), b"3456"),
    (lambda deferred, file: deferred.send_parts(HEAD4, file, [b"<", (8, 2), b">"]), b"<89>"),
    (lambda deferred, file: stream_slowly(deferred), b"stream"),
    (lambda deferred, file: deferred.stream([b"pul", b"led"], length=6), b"pulled"),
]


@pytest.mark.parametrize(("answer", "body"), ANSWERS, ids=[body.decode() for _, body in ANSWERS])
def test_answers(deferring, run, file, answer, body):
    with RawClient(deferring.address) as client:
        client.send(request("/1") + request("/later") + request("/2") + request("/3"))
        assert client.response().body == b"/1"
        deferred = deferring.next()
        assert (deferred.head.path, deferred.gone) == ("/later", False)
        run(lambda: answer(deferred, file))
        assert client.response().body == body
        assert client.response().body == b"/2"
        assert client.response().body == b"/3"


@pytest.mark.parametrize(("answer", "body"), ANSWERS, ids=[body.decode() for _, body in ANSWERS])
def test_second_answer_reaches_nobody(deferring, run, file, caplog, answer, body):
    with RawClient(deferring.address) as client:
        client.send(request("/later") * 2)
        first = deferring.next()
        first.respond(b"first")
        assert client.response().body == b"first"
        second = deferring.next()  # of the same head, on the same connection

        def again():
            with pytest.raises(RuntimeError, match="answered already"):
                answer(first, file)
            return True

        assert run(again)
        second.respond(b"second")
        assert client.response().body == b"second"


@pytest.mark.parametrize(("answer", "body"), ANSWERS, ids=[body.decode() for _, body in ANSWERS])
def test_answered_by_somebody_else(deferring, in_loop, until, file, caplog, answer, body):
    """The first one answers by `conn`; the handle must not answer the next request."""
    with RawClient(deferring.address) as client:
        client.send(request("/later") * 2)
        first = deferring.next()
        [conn] = deferring.server.epoll.connections
        in_loop(deferring.server, lambda: deferring.server.respond(conn, b"by conn"))
        assert client.response().body == b"by conn"
        second = deferring.next()
        answer(first, file)
        until(deferring.server, lambda: "answered already" in caplog.text)
        second.respond(b"second")
        assert client.response().body == b"second"
        assert client.get("/1").body == b"/1"


@pytest.mark.parametrize(("answer", "body"), ANSWERS, ids=[body.decode() for _, body in ANSWERS])
@pytest.mark.parametrize("how", ["close", "reset"])
def test_client_that_has_gone(deferring, run, until, file, caplog, answer, body, how):
    gone = queue.Queue()
    client = RawClient(deferring.address)
    client.send(request("/later") + request("/1"))
    deferred = deferring.next()
    deferred.on_gone(lambda: gone.put(threading.current_thread().name))
    if how == "reset":
        client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    client.sock.close()
    assert gone.get(timeout=PATIENCE) == "epollserver"  # it is told while it waits
    assert deferred.gone
    deferred.on_gone(lambda: gone.put("late"))
    assert gone.get(timeout=PATIENCE) == "late"
    with contextlib.suppress(RuntimeError):  # its stream is lost
        run(lambda: answer(deferred, file))
    until(deferring.server, lambda: not deferring.server.epoll.connections)
    if body in (b"3456", b"<89>"):
        until(deferring.server, lambda: file.closed)
    assert gone.empty()
    assert caplog.text == ""


def test_half_closed_client_gets_its_answer(deferring):
    gone = queue.Queue()
    with RawClient(deferring.address) as client:
        client.send(request("/later") * 2)
        client.end()
        for number in range(2):
            deferred = deferring.next()
            deferred.on_gone(lambda: gone.put(True))
            assert gone.get(timeout=PATIENCE)
            deferred.respond(b"%d" % number)
            assert client.response().body == b"%d" % number
        assert client.rest() == b""


def test_nobody_is_told_after_the_answer(deferring, until):
    gone = queue.Queue()
    with RawClient(deferring.address) as client:
        client.send(request("/later"))
        deferred = deferring.next()
        deferred.on_gone(lambda: gone.put(True))
        deferred.respond(b"")
        client.response()
    until(deferring.server, lambda: not deferring.server.epoll.connections)
    assert gone.empty()


NONSENSE = [
    lambda deferred, file: deferred.respond(b"", headers=[("X", "a\r\nb")]),
    lambda deferred, file: deferred.respond(b"body", 204),
    lambda deferred, file: deferred.send_file(HEAD4, file, -1, 4),
    lambda deferred, file: deferred.start_stream(headers=[("X", "\0")]),
    lambda deferred, file: deferred.stream([b""], length=-1),
]


@pytest.mark.parametrize("answer", NONSENSE)
def test_what_cannot_be_sent(deferring, run, file, answer):
    with RawClient(deferring.address) as client:
        client.send(request("/later"))
        deferred = deferring.next()

        def refused():
            with pytest.raises(ValueError, match=r"characters|no body|negative"):
                answer(deferred, file)
            deferred.respond(b"something else")
            return True

        assert run(refused)
        assert client.response().body == b"something else"


def broken_parts():
    yield b"part"
    raise LookupError("a mistake")


UNSENDABLE = [
    # what is sent with the file, what that raises in the caller
    (lambda deferred, file: deferred.send_parts(HEAD4, file, [(0, -1)]), ValueError),
    (lambda deferred, file: deferred.send_parts(HEAD4, file, broken_parts()), LookupError),
    (lambda deferred, file: deferred.send_parts(HEAD4, file, None), TypeError),
    (lambda deferred, file: deferred.send_file(HEAD4, file, None, 1), TypeError),
    (lambda deferred, file: deferred.send_file(HEAD4, file, 0, None), TypeError),
    (lambda deferred, file: deferred.send_file(None, file, 0, 4), TypeError),
    (lambda deferred, file: deferred.send_file("head", file, 0, 4), TypeError),
]


@pytest.mark.parametrize(("answer", "error"), UNSENDABLE)
def test_file_that_cannot_be_sent_is_closed(deferring, run, file, answer, error):
    """The request still awaits its answer."""
    with RawClient(deferring.address) as client:
        client.send(request("/later"))
        deferred = deferring.next()

        def send():
            with pytest.raises(error):
                answer(deferred, file)
            return True

        assert run(send)
        assert file.closed
        deferred.respond(b"something else")
        assert client.response().body == b"something else"


def test_many_threads(deferring):
    """Each answer reaches its own request."""

    def work():
        while (deferred := deferring.next()) is not None:
            deferred.respond(deferred.head.query.encode())

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    clients = [RawClient(deferring.address) for _ in range(10)]
    for turn in range(20):
        for number, client in enumerate(clients):
            client.send(request(f"/later?{turn}-{number}") + request(f"/later?again-{number}"))
        for number, client in enumerate(clients):
            assert client.response().body == f"{turn}-{number}".encode()
            assert client.response().body == f"again-{number}".encode()
    for client in clients:
        client.sock.close()
    for _ in threads:
        deferring.waiting.put(None)
    for thread in threads:
        thread.join()


def test_callback_that_raises_after_it_deferred(serve, until):
    waiting = queue.Queue()

    def callback(body, conn, *rest):
        waiting.put(server.defer(conn))
        raise ZeroDivisionError

    server = serve(callback)
    with RawClient(server.address) as client:
        assert client.get("/").status == 500
        waiting.get().respond(b"too late")
        assert client.get("/").status == 500


def test_defer_without_a_request(deferring, in_loop):
    with RawClient(deferring.address) as client:
        client.get("/1")
        [conn] = deferring.server.epoll.connections

        def defer():
            with pytest.raises(RuntimeError, match="no request awaits"):
                deferring.server.defer(conn)
            return True

        assert in_loop(deferring.server, defer)


@pytest.mark.parametrize("limits", [Limits(requests=1), None])
def test_stops_meanwhile(serve, in_loop, limits):
    deferring = Deferring(serve, limits=limits)
    with RawClient(deferring.address) as client:
        client.send(request("/later"))
        deferred = deferring.next()
        deferring.server.stop(PATIENCE, idle_grace=0.01)
        in_loop(deferring.server, lambda: None)
        deferred.respond(b"last")
        answer = client.response()
        assert (answer.body, answer.headers["connection"]) == (b"last", "close")
        assert client.rest() == b""


def test_server_that_stops_at_once(deferring):
    gone = queue.Queue()
    with RawClient(deferring.address) as client:
        client.send(request("/later"))
        deferred = deferring.next()
        deferred.on_gone(lambda: gone.put(True))
        deferring.server.close()
        assert gone.get(timeout=PATIENCE)
        deferred.respond(b"nobody")
        assert client.rest() == b""
