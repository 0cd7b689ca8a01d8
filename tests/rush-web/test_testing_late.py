"""The client for tests: streams, late answers, failures, starts and ends."""

import asyncio
import logging
import queue
import threading
import time

import pytest

from rush_http import Limits, ServiceUnavailable
from rush_loader import Loader
from rush_web import StaleRequest, WebServer


@pytest.fixture
def server():
    return WebServer()


# Streams, late answers, threads


def test_streams(server):
    """Those that a `HttpServer` has: pulled, written, without an end."""
    writers = queue.Queue()

    @server.get("/pulled")
    def pulled(request):
        request._http_server.stream(request.conn, iter([b"a" * 100_000, b"b"]))

    @server.get("/written")
    def written(request):
        writers.put(request._http_server.start_stream(request.conn))

    @server.get("/say")
    def say(request):
        writers.queue[0].write(request.query.encode() + b"\n\n")
        request.response("said")

    with server.test_client() as client:
        assert client.get("/pulled").body == b"a" * 100_000 + b"b"
        assert client.get("/pulled", stream=True).body == b"a" * 100_000 + b"b"
        pieces = list(client.get("/pulled", stream=True).pieces())
        assert len(pieces) > 1
        assert b"".join(pieces) == b"a" * 100_000 + b"b"
        with client.get("/written", stream=True) as events:
            assert (events.status, events.done) == (200, False)
            assert client.get("/say?1").text == "said"
            assert events.read_until(b"\n\n") == b"1\n\n"
            client.another().get("/say?2&3")
            assert next(events.pieces()) == b"2&3\n\n"
            assert repr(events).endswith("8 bytes so far>")
            client.get("/say?4")
            writers.queue[0].finish()
            assert events.read_until(b"?") == b"4\n\n"
            assert events.read_until(b"?") == b""
            assert list(events.pieces()) == []
            assert events.body == b"1\n\n2&3\n\n4\n\n"


def test_who_leaves_is_noticed(server):
    gone = []

    @server.get("/")
    def index(request):
        stream = request._http_server.start_stream(request.conn)
        stream.on_gone(lambda: gone.append(request.query))

    with server.test_client() as client:
        with client.get("/", stream=True):
            assert gone == []
        assert len(gone) == 1
        client.get("/", stream=True)
        client.disconnect()
        assert len(gone) == 2


def test_answers_from_a_thread(server):
    @server.get("/late")
    def late(request):
        stream = request._http_server.start_stream(request.conn)

        def answer():
            stream.write(b"late")
            stream.finish()

        threading.Timer(0.01, answer).start()

    with server.test_client() as client:
        assert client.get("/late").text == "late"


def test_late_answers(server):
    """By detach(): from a thread, from another request, or never."""
    waiting = queue.SimpleQueue()

    @server.get("/thread")
    def thread(request):
        detached = request.detach()
        threading.Timer(0.01, lambda: detached.response(detached.query)).start()

    @server.get("/wait")
    def wait(request):
        waiting.put(request.detach())

    @server.get("/let-go")
    def let_go(request):
        waiting.get().response(request.query)
        request.response("done")

    with server.test_client(timeout=0.2) as client:
        assert client.get("/thread?1").text == "1"
        other = client.another()
        other.send(b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n")
        assert client.get("/let-go?2").text == "done"
        assert other.receive().text == "2"
        with pytest.raises(TimeoutError, match=r"no answer to GET /wait within 0.2 s"):
            client.get("/wait")
        gone = waiting.get()
        assert gone.gone
        gone.response("too late")
        assert client.get("/thread?3").text == "3"


def test_handlers_in_threads(server):
    @server.get("/")
    @server.blocking
    def index(request):
        if request.query:
            raise ValueError(request.query)
        request.response(threading.current_thread().name)

    with server.test_client() as client:
        assert client.get("/").text != threading.current_thread().name
        with pytest.raises(ValueError, match="why"):
            client.get("/?why")
        assert client.get("/").status == 200


def test_in_development():
    server = WebServer(development=True)
    kept = []

    @server.get("/")
    def index(request):
        kept.append(request)
        request.response(kept[0].path)

    with server.test_client() as client:
        assert client.get("/").text == "/"
        with pytest.raises(StaleRequest, match="index"):
            client.get("/")


def test_run_until(server):
    done = []
    server.on_startup(lambda loader: None)

    @server.get("/")
    def index(request):
        request._http_server.epoll.loop.call_later(0.01, lambda: done.append(True))
        request.response()

    with server.test_client(timeout=0.1) as client:
        client.get("/")
        client.run_until(lambda: done)
        with pytest.raises(TimeoutError, match=r"has not come true within 0.1 s \(timeout=\)"):
            client.run_until(lambda: not done)


# Failures


@pytest.fixture
def failing(server):
    @server.get("/bug")
    def bug(request):
        1 / 0  # noqa: B018

    @server.get("/late-bug")
    def late_bug(request):
        request.response("fine")
        raise KeyError("late")

    @server.get("/silent")
    def silent(request):
        pass

    @server.get("/503")
    def unavailable(request):
        raise ServiceUnavailable("for now")

    @server.get("/breaks")
    def breaks(request):
        def pieces():
            yield b"a"
            raise OSError("broken")

        request._http_server.stream(request.conn, pieces())

    @server.get("/closes")
    def closes(request):
        request.conn.close()

    @server.get("/fine")
    def fine(request):
        request.response("fine")

    return server


def test_what_a_handler_raises_is_raised(failing):
    with failing.test_client() as client:
        with pytest.raises(ZeroDivisionError) as caught:
            client.get("/bug")
        assert "bug" in [entry.name for entry in caught.traceback]
        with pytest.raises(KeyError, match="late"):
            client.get("/late-bug")
        with pytest.raises(RuntimeError, match=r"silent.*returned without an answer"):
            client.get("/silent")
        with pytest.raises(OSError, match="broken"):
            client.get("/breaks")
        with pytest.raises(ConnectionError, match="closed the connection without an answer"):
            client.get("/closes")
        assert client.get("/503").status == 503
        assert isinstance(client.get("/503").error, ServiceUnavailable)
        assert client.get("/nothing").status == 404
        assert client.get("/fine").text == "fine"


def test_as_everybody_would_get_it(failing):
    failing.error_handler("internal-error")(lambda request: request.response("sorry"))
    with failing.test_client(raise_exceptions=False) as client:
        response = client.get("/bug")
        assert (response.status, response.text) == (500, "sorry")
        assert isinstance(response.error, ZeroDivisionError)
        assert isinstance(client.get("/late-bug").error, KeyError)
        with pytest.raises(ConnectionError, match="closed the connection"):
            client.get("/breaks")
        assert client.get("/fine").error is None


def test_what_fails_after_the_last_answer(failing):
    client = failing.test_client()
    with pytest.raises(KeyError), client:
        client.send(b"GET /late-bug HTTP/1.1\r\nHost: x\r\n\r\n")
    client = failing.test_client()
    with pytest.raises(RuntimeError, match="no connection"), client:
        client.send(b"GET /late-bug HTTP/1.1\r\nHost: x\r\n\r\n" + client.receive().raw)


def test_who_never_answers(failing):
    @failing.get("/stalls")
    def stalls(request):
        request._http_server.start_stream(request.conn).write(b"a")

    with failing.test_client(timeout=0.1) as client:
        with pytest.raises(
            TimeoutError, match=r"no end of the answer to GET /stalls within 0.1 s \(timeout"
        ):
            client.get("/stalls")
        client.send(b"GET /fine")
        with pytest.raises(TimeoutError, match=r"no answer to GET /"):
            client.receive()
        assert client.get("/fine").text == "fine"


def test_a_handler_that_never_returns(failing):
    """The traceback says where it is."""

    @failing.get("/sleeps")
    def sleeps(request):
        time.sleep(60)

    with failing.test_client(timeout=0.1) as client:
        with pytest.raises(TimeoutError, match=r"this takes longer than 0.1 s") as caught:
            client.get("/sleeps")
        assert "sleeps" in [entry.name for entry in caught.traceback]
        assert client.get("/fine").text == "fine"


def test_a_handler_cannot_wait_for_its_own_server(failing):
    @failing.get("/self")
    def itself(request):
        request.response(client.get("/fine").body)

    client = failing.test_client()
    with client, pytest.raises(RuntimeError, match="a handler cannot wait for its own server"):
        client.get("/self")


# The server


def test_start_and_end(tmp_path):
    (tmp_path / "a.txt").write_text("hello")
    server = WebServer(root=tmp_path, files="/")
    calls = []
    server.on_startup(lambda loader: calls.append(loader.load("/a.txt").content))
    server.on_shutdown(lambda: calls.append("end"))
    for _ in range(2):
        with server.test_client() as client:
            assert client.get("/a.txt").text == "hello"
            assert calls == [b"hello"]
        assert calls == [b"hello", "end"]
        calls.clear()
        client.close()
        with pytest.raises(RuntimeError):
            client.get("/a.txt")


def test_a_loader_that_was_given_stays_open(tmp_path):
    (tmp_path / "a.txt").write_text("hello")
    with Loader(tmp_path) as loader:
        server = WebServer(loader=loader, files="/")
        for _ in range(2):
            with server.test_client() as client:
                assert client.get("/a.txt").text == "hello"


def test_a_large_file_in_both_directions(tmp_path):
    content = b"0123456789abcdef" * (1 << 18)
    (tmp_path / "large").write_bytes(content)
    server = WebServer(root=tmp_path, files="/", limits=Limits(body_bytes=8 << 20))
    server.post("/")(lambda request: request.response(request.body))
    with server.test_client() as client:
        assert client.get("/large").body == content
        assert client.post("/", body=content).body == content


def test_a_server_that_cannot_start():
    server = WebServer()
    calls = []
    server.on_shutdown(lambda: calls.append("end"))

    @server.on_startup
    def start(loader):
        raise LookupError("no database")

    with pytest.raises(LookupError, match="no database"):
        server.test_client()
    assert calls == ["end"]


def test_two_servers_and_threads(failing):
    """One knows nothing of the other, also if what fails does so beside it."""

    def work(path, wrong):
        with failing.test_client(raise_exceptions=False) as client:
            for _ in range(30):
                error = client.get(path).error
                if (error is None) != (path == "/fine"):
                    wrong.append((path, error))

    wrong = []
    with failing.test_client() as one, failing.test_client() as other:
        with pytest.raises(ZeroDivisionError):
            one.get("/bug")
        assert other.get("/fine").error is None
        threads = [threading.Thread(target=work, args=[p, wrong]) for p in ("/bug", "/fine")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert wrong == []


def test_nothing_is_left_behind(failing):
    level = logging.getLogger("rush_web").handlers[:]
    with failing.test_client() as client:
        client.get("/fine")
    assert logging.getLogger("rush_web").handlers == level


def test_inside_a_running_event_loop(failing):
    """A test that is a coroutine may use it: it blocks the loop as long as an answer takes."""

    async def ask():
        with failing.test_client() as client:
            return client.get("/fine").text

    assert asyncio.run(ask()) == "fine"
