"""Handlers that block, in threads."""

import gc
import logging
import signal
import socket
import struct
import threading
import time
from queue import SimpleQueue

import pytest

from programs import eventually
from rawclient import PATIENCE, request
from rush_http import Forbidden
from rush_web import Detached, Route, WebServer


class Gate:
    """A blocking handler that waits; `inside` counts those that do."""

    def __init__(self):
        self.inside = threading.Semaphore(0)
        self.opened = threading.Event()

    def __call__(self, request):
        self.inside.release()
        assert self.opened.wait(PATIENCE)
        request.response("waited")

    def wait_for(self, count):
        for _ in range(count):
            assert self.inside.acquire(timeout=PATIENCE)


@pytest.fixture
def gate(app):
    gate = Gate()
    app.route("/wait")(gate)
    app.route("/")(lambda request: request.response("now"))
    yield gate
    gate.opened.set()


def blocking_threads():
    return [thread for thread in threading.enumerate() if thread.name.startswith("rush-")]


def test_it_runs_in_a_thread_and_the_others_go_on(app, gate):
    client = app.start(blocking={gate})
    client.send(request("/wait"))
    gate.wait_for(1)
    assert app.client().get().body == b"now"
    gate.opened.set()
    assert client.response().body == b"waited"
    assert app.logged() == []


def test_fifty_that_wait_hold_nobody_up(app, gate):
    client = app.start(blocking={gate})
    waiting = [app.client() for _ in range(50)]
    for one in waiting:
        one.send(request("/wait"))
    gate.wait_for(50)
    times = []
    for _ in range(100):
        began = time.perf_counter()
        assert client.get().body == b"now"
        times.append(time.perf_counter() - began)
    assert sorted(times)[50] < 0.1  # seconds; the benchmark says how few it is
    gate.opened.set()
    assert {one.response().body for one in waiting} == {b"waited"}


def test_threads_are_made_when_they_are_needed(app, gate):
    assert blocking_threads() == []
    client = app.start(blocking={gate})
    assert client.get().body == b"now"
    assert blocking_threads() == []
    gate.opened.set()
    for _ in range(5):  # one after the other: one thread is enough
        assert client.get("/wait").body == b"waited"
        eventually(lambda: app.server.on_message_complete._blocking._pool._idle == 1)
    assert len(blocking_threads()) == 1


def test_it_has_all_of_a_request(app):
    seen = []

    def filter_in_the_loop(request):
        seen.append(threading.current_thread().name)
        request.context["user"] = "ann"
        return True

    @app.route("/<name>", "POST", filter=filter_in_the_loop)
    def handler(request):
        seen.append((type(request), threading.current_thread().name))
        request.set_cookie("a", "1")
        request.response_json(
            [request.params, request.args, request.json(), request.context, request.client[0]]
        )

    client = app.start(blocking={handler})
    json = "Content-Type: application/json"
    client.send(request("/x?a=1", json, method="POST", body=b"[1]"))
    response = client.response()
    assert response.body == b'[{"name":"x"},{"a":"1"},[1],{"user":"ann"},"127.0.0.1"]'
    assert "set-cookie" in response.headers
    assert seen == ["epollserver", (Detached, "rush-1")]


def test_what_it_raises_goes_to_the_error_handlers(app):
    threads = []

    @app.error("internal-error")
    def failed(request):
        threads.append(threading.current_thread().name)
        request.response(f"{request.error!r} {request.path}", headers={"X-A": "1"})

    errors = {"/value": ValueError("reason"), "/exit": SystemExit(3), "/forbidden": Forbidden("x")}

    @app.route("/<which>")
    def handler(request):
        request.set_cookie("a", "1")
        raise errors[request.path]

    client = app.start(blocking={handler})
    response = client.get("/value")
    assert (response.status, response.body) == (500, b"ValueError('reason') /value")
    assert "set-cookie" not in response.headers
    assert client.get("/exit").status == 500
    assert client.get("/forbidden").status == 403
    assert threads == ["epollserver"] * 2
    assert "<Detached GET '/value'> failed: reason" in app.logged()[0]
    assert app.client().get("/forbidden").status == 403


def test_what_it_returns_is_its_answer(app):
    values = {"/text": "text", "/json": {"a": 1}, "/all": ("x", 201, {"X-A": "1"}), "/bad": 1}
    app.route("/<name>")(handler := lambda request: values[request.path])
    client = app.start(blocking={handler})
    assert client.get("/text").body == b"text"
    assert client.get("/json").body == b'{"a":1}'
    response = client.get("/all")
    assert (response.status, response.body, response.headers["x-a"]) == (201, b"x", "1")
    assert client.get("/bad").status == 500


def test_what_it_returns_to_a_client_that_has_gone(app, gate):
    def handler(request):
        gate.inside.release()
        assert gate.opened.wait(PATIENCE)
        return "value"

    app.route("/returns")(handler)
    client = app.start(blocking={handler}, blocking_threads=1)
    client.send(request("/returns"))
    gate.wait_for(1)
    client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.sock.close()  # with RST: it will not read either
    assert app.client().get().body == b"now"
    gate.opened.set()
    # Its thread is through with it when it has run the next one.
    assert app.client().get("/returns").body == b"value"
    assert app.logged() == []


def test_functions_before_and_after_it(app):
    """Those before it run in the server's thread, those after it in the one that answers."""
    threads = []
    server = WebServer()

    @server.before_request
    def before(request):
        threads.append(threading.current_thread().name)

    @server.after_request
    def after(request, answer):
        threads.append(threading.current_thread().name)
        answer.set_header("X-Path", request.path)

    app.route("/")(handler := lambda request: "text")
    response = app.start(blocking={handler}, hooks=server.hooks).get()
    assert (response.body, response.headers["x-path"]) == (b"text", "/")
    assert threads == ["epollserver", "rush-1"]


def test_one_that_returns_without_an_answer(app):
    @app.route("/")
    def silent(request):
        pass

    client = app.start(blocking={silent})
    assert client.get().status == 500
    assert "silent" in app.logged()[0]
    assert "let go of it without an answer" in app.logged()[0]


def test_one_that_answers_later_still(app):
    queue = SimpleQueue()
    app.route("/")(queue.put)
    client = app.start(blocking={queue.put})
    client.send(request())
    queue.get(timeout=PATIENCE).response("later")
    assert client.response().body == b"later"


def test_one_that_answers_and_then_fails(app):
    @app.route("/")
    def handler(request):
        request.response("first")
        raise ValueError("afterwards")

    client = app.start(blocking={handler})
    assert client.get().body == b"first"
    eventually(app.logged)
    assert "failed after its answer: afterwards" in app.logged()[0]


def test_no_room(app, gate):
    """Refused at once, while those that have a place are answered."""
    client = app.start(blocking={gate}, blocking_threads=2, blocking_queue=1)
    held = [app.client() for _ in range(3)]
    for one in held[:2]:
        one.send(request("/wait"))
    gate.wait_for(2)
    held[2].send(request("/wait"))
    eventually(lambda: not app.server.on_message_complete._blocking._pool.has_room())
    for _ in range(3):
        response = client.get("/wait")
        assert (response.status, response.headers["retry-after"]) == (503, "1")
        assert response.body == b"503 Service Unavailable\n"
    assert client.get().body == b"now"
    gate.opened.set()
    assert [one.response().body for one in held] == [b"waited"] * 3
    eventually(app.server.on_message_complete._blocking._pool.has_room)
    assert client.get("/wait").body == b"waited"
    told = [line for line in app.logged(logging.WARNING) if "is refused with 503" in line]
    assert 1 <= len(told) <= 3
    assert (
        "all 2 threads are busy, and 1 requests wait (blocking_threads, blocking_queue)" in told[0]
    )


def test_no_queue(app, gate):
    client = app.start(blocking={gate}, blocking_threads=1, blocking_queue=0)
    client.send(request("/wait"))
    gate.wait_for(1)
    assert app.client().get("/wait").status == 503
    gate.opened.set()
    assert client.response().body == b"waited"


def test_nothing_of_a_request_is_kept_by_an_idle_thread(app):
    app.route("/")(handler := lambda request: request.response())
    client = app.start(blocking={handler})
    assert client.get().status == 200

    def left():
        gc.collect()
        return any(isinstance(one, Detached) for one in gc.get_objects())

    eventually(lambda: not left())


# Registering


def everywhere(server):
    """The handler is marked above its route, below it, in a group, and for several routes."""

    def handler(request):
        request.response(threading.current_thread().name)

    group = server.group("/group")
    server.blocking(server.get("/above")(handler))
    group.blocking(group.get("/above")(lambda request: handler(request)))
    group.get("/below")(group.blocking(lambda request: handler(request)))
    server.get("/below")(server.blocking(lambda request: handler(request)))
    server.get("/again")(handler)
    server.get("/not")(lambda request: handler(request))
    return handler


def test_the_order_of_the_decorators_does_not_matter(app):
    server = WebServer()
    handler = everywhere(server)
    assert handler in server.blocking_handlers
    app.routes = server.routes
    client = app.start(blocking=server.blocking_handlers)
    for path in ("/above", "/below", "/group/above", "/group/below", "/again"):
        assert client.get(path).body.startswith(b"rush-"), path
    assert client.get("/not").body == b"epollserver"
    assert all("everywhere" in repr(route.handler) for route in server.routes)


def test_a_handler_that_cannot_be_hashed_is_not_blocking(app, gate):
    class Unhashable:
        __hash__ = None

        def __call__(self, request):
            request.response("fine")

    app.routes.append(Route("/fine", Unhashable()))
    assert app.start(blocking={gate}).get("/fine").body == b"fine"


def test_an_error_handler_is_not_blocking(app, gate):
    app.error("not-found")(gate)
    with pytest.raises(ValueError, match="an error handler cannot be blocking: <"):
        app.start(blocking={gate})


# Processes

BLOCKING = """
@server.get("/slow")
@server.blocking
def slow(request):
    with open("fifo") as fifo:  # until the test writes
        text = fifo.read()
    with open("done", "w") as done:
        done.write(text)
    request.response(text)
"""


@pytest.mark.once
def test_a_stop_waits_for_those_that_run(serve, fifo):
    program = serve("", BLOCKING)
    with program.client() as client:
        client.send(request("/slow"))
        let_go = fifo()
        program.kill(signal.SIGTERM)

        def refused():
            with socket.socket() as late:
                return late.connect_ex(program.address) != 0

        eventually(refused, "a worker that is stopping")
        let_go("late")
        response = client.response()
    assert (response.body, response.headers["connection"]) == (b"late", "close")
    assert program.wait() == 0


@pytest.mark.once
def test_a_stop_waits_for_one_whose_client_has_gone(serve, fifo, tmp_path):
    program = serve("", BLOCKING)
    with program.client() as client:
        client.send(request("/slow"))
        let_go = fifo()
    program.kill(signal.SIGTERM)
    let_go("late")
    assert program.wait() == 0
    assert (tmp_path / "done").read_text() == "late"


@pytest.mark.once
@pytest.mark.parametrize(
    ("options", "signum"), [("grace=0.5", signal.SIGTERM), ("", signal.SIGINT)]
)
def test_a_stop_does_not_wait_for_ever(serve, fifo, options, signum):
    program = serve(options, BLOCKING)
    with program.client() as client:
        client.send(request("/slow"))
        fifo()
        assert program.stop(signum) == 0
    assert "blocking handlers are still running" in str(program.log)
