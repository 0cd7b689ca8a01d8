"""Answers that are given later, from wherever."""

import gc
import logging
import threading
from queue import SimpleQueue

import pytest

from programs import eventually
from rawclient import PATIENCE, request
from rush_http import Forbidden, NotFound, render
from rush_web import Detached, Snapshot, WebServer


@pytest.fixture
def later(app):
    """Detached requests of ``/later``, as they come; ``/`` answers at once."""
    queue = SimpleQueue()

    @app.route("/later", "GET", "POST", "HEAD")
    def keep_for_later(request):
        queue.put(request.detach())

    app.route("/")(lambda request: request.response("now"))

    def take():
        return queue.get(timeout=PATIENCE)

    return take


def in_the_loop(app, detached, answer):
    """Answer in the server's thread."""
    app.server.epoll.loop.call_soon_threadsafe(lambda: answer(detached))


def in_a_thread(app, detached, answer):
    thread = threading.Thread(target=answer, args=[detached])
    thread.start()
    thread.join(PATIENCE)


def cookie(request):
    request.set_cookie("a", "1")
    request.response("x")


def coded(request):
    request.code = 202
    request.response("x")


ANSWERS = [
    # what is answered, status, body, some of the headers
    (lambda request: request.response("Grüße"), 200, "Grüße".encode(), {"content-length": "7"}),
    (lambda request: request.response(b"x", 201, {"X-A": "1"}), 201, b"x", {"x-a": "1"}),
    (lambda request: request.response_json({"a": 1}), 200, b'{"a":1}', {}),
    (lambda request: request.redirect("/x", 303), 303, b"", {"location": "/x"}),
    (lambda request: request.raw_response(render(207, b"raw")), 207, b"raw", {}),
    (
        lambda request: request.response_file("/a.css"),
        200,
        b"a {}",
        {"content-type": "text/css; charset=utf-8"},
    ),
    (lambda request: request.response_file("/a.css", 404), 404, b"a {}", {}),
    (lambda request: request.send_file(request.context["file"]), 200, b"a {}", {}),
    (lambda request: request.response_file("/large"), 200, b"x" * (2 << 20), {}),
    (cookie, 200, b"x", {"set-cookie": "a=1; HttpOnly; Path=/; SameSite=Lax"}),
    (coded, 202, b"x", {}),
]


@pytest.mark.parametrize("where", [in_the_loop, in_a_thread])
@pytest.mark.parametrize(("respond", "status", "body", "headers"), ANSWERS)
def test_all_answers(app, later, where, respond, status, body, headers):
    (app.root / "a.css").write_text("a {}")
    (app.root / "large").write_bytes(b"x" * (2 << 20))
    client = app.start()
    client.send(request("/later"))
    detached = later()
    detached.context["file"] = app.loader.load("/a.css")
    where(app, detached, respond)
    response = client.response()
    assert (response.status, response.body) == (status, body)
    assert headers.items() <= response.headers.items()
    assert client.get().body == b"now"
    del detached
    gc.collect()
    assert client.get().body == b"now"
    assert app.logged() == []


def test_it_reads_as_a_snapshot(app, later):
    client = app.start()
    client.send(request("/later?a=1", "Cookie: c=1", method="POST", body=b"body"))
    detached = later()
    app.client().get("/?another=2")
    assert isinstance(detached, Detached)
    assert isinstance(detached, Snapshot)
    assert (detached.method, detached.path, detached.body) == ("POST", "/later", b"body")
    assert (detached.args, detached.cookies) == ({"a": "1"}, {"c": "1"})
    assert detached.client == client.sock.getsockname()
    assert repr(detached) == "<Detached POST '/later'>"
    with pytest.raises(AttributeError, match="is a copy: 'path' cannot be set"):
        detached.path = "/"
    assert detached.snapshot().path == "/later"
    assert not detached.answered
    detached.response("done")
    assert client.response().body == b"done"
    eventually(lambda: detached.answered)  # soon: the client may have it first


def test_only_its_own_connection_waits(app, later):
    client = app.start()
    client.send(request("/later") + request("/") + request("/later"))
    first = later()
    assert app.client().get().body == b"now"
    first.response("first")
    assert [client.response().body for _ in range(2)] == [b"first", b"now"]
    later().response("second")
    assert client.response().body == b"second"


def test_head_and_http_1_0(app, later):
    client = app.start()
    client.send(request("/later", method="HEAD"))
    later().response("12345")
    response = client.response(without_body=True)
    assert response.headers["content-length"] == "5"
    client.send(request("/later", method="HEAD"))
    (app.root / "a").write_text("a")
    later().response_file("/a")
    assert client.response(without_body=True).headers["content-length"] == "1"
    client.send(request("/later", protocol="HTTP/1.0"))
    later().response("x")
    assert client.response().headers["connection"] == "close"
    assert client.rest() == b""


def test_an_answer_that_comes_before_the_handler_has_returned(app):
    """From another thread, by one that keeps nothing: the handler has not forgotten to answer."""

    @app.route("/")
    def handler(request):
        in_a_thread(None, request.detach(), lambda detached: detached.response("fast"))

    client = app.start()
    for _ in range(5):
        assert client.get().body == b"fast"
    assert app.logged() == []


def test_an_answer_within_the_handler(app):
    app.route("/")(lambda request: request.detach().response("at once"))
    client = app.start()
    assert client.get().body == b"at once"
    assert client.get().body == b"at once"
    assert app.logged() == []


def test_answering_twice(app, later):
    client = app.start()
    client.send(request("/later"))
    detached = later()
    detached.response("one")
    with pytest.raises(RuntimeError, match="answered already"):
        detached.response("two")
    assert client.response().body == b"one"
    client.send(request("/later"))
    other = later()
    with pytest.raises(RuntimeError, match="answered already"):
        detached.response("three")
    other.response("four")
    assert client.response().body == b"four"


@pytest.mark.parametrize(
    ("respond", "error"),
    [
        (lambda request: request.response("x", headers={"X-A": "\n"}), ValueError),
        (lambda request: request.response(1), TypeError),
        (lambda request: request.response_json(float("nan")), ValueError),
        (lambda request: request.response_file("/missing"), FileNotFoundError),
        (lambda request: request.redirect("/", 200), ValueError),
        (lambda request: request.set_cookie("a b", "1"), ValueError),
        (lambda request: request.raw_response("text"), TypeError),
    ],
)
def test_what_cannot_be_sent_is_no_answer(app, later, respond, error):
    client = app.start()
    client.send(request("/later"))
    detached = later()
    with pytest.raises(error):
        respond(detached)
    detached.response("something else")
    assert client.response().body == b"something else"


def test_told_when_the_client_has_gone(app, later):
    client = app.start()
    told = SimpleQueue()
    client.send(request("/later"))
    detached = later()
    detached.on_gone(lambda: told.put(1))
    assert not detached.gone
    client.sock.close()
    assert told.get(timeout=PATIENCE) == 1
    assert detached.gone
    detached.on_gone(lambda: told.put(2))
    assert told.get(timeout=PATIENCE) == 2
    detached.response("too late, and no error")
    del detached
    assert app.client().get().body == b"now"
    assert app.logged() == []


# Without an answer


def test_dropped_without_an_answer(app, later):
    client = app.start()
    for drop in (gc.collect, lambda: in_a_thread(app, None, lambda _: gc.collect())):
        client.send(request("/later"))
        detached = later()
        app.client().get()  # the handler has returned
        app.log.clear()
        del detached
        drop()
        assert client.response().status == 500
        assert client.get().body == b"now"
        (line,) = app.logged()
        assert "<Detached GET '/later'> failed: " in line
        assert "keep_for_later" in line
        assert "let go of it without an answer" in line


def test_dropped_within_the_handler(app):
    @app.route("/")
    def forgetful(request):
        request.detach()

    app.error("internal-error")(lambda request: request.response(str(request.error)))
    response = app.start().get()
    assert response.status == 500
    assert b"forgetful" in response.body
    assert len(app.logged()) == 1


def test_dropped_in_a_circle(app):
    @app.route("/")
    def forgetful(request):
        circle = [request.detach()]
        circle.append(circle)

    app.route("/collect")(lambda request: str(gc.collect() * 0))
    client = app.start()
    client.send(request())
    assert app.client().get("/collect").status == 200
    assert client.response().status == 500
    assert "forgetful" in app.logged()[0]


def test_dropped_after_the_client_has_gone(app, later):
    client = app.start()
    told = SimpleQueue()
    client.send(request("/later"))
    detached = later()
    detached.on_gone(lambda: told.put(1))
    client.sock.close()
    assert told.get(timeout=PATIENCE) == 1
    detached.response("x")
    del detached
    gc.collect()
    assert app.client().get().body == b"now"


def test_a_handler_that_fails_after_detaching(app):
    kept = []

    @app.route("/")
    def handler(request):
        kept.append(request.detach())
        raise Forbidden("reason")

    client = app.start()
    assert client.get().status == 403
    eventually(lambda: kept[0].answered)
    with pytest.raises(RuntimeError, match="answered already"):
        kept[0].response("x")
    kept.clear()
    gc.collect()
    assert client.get().status == 403
    assert app.logged() == []


def test_detaching_twice_or_too_late(app):
    caught = []

    @app.route("/twice")
    def twice(request):
        detached = request.detach()
        try:
            request.detach()
        except RuntimeError as error:
            caught.append(str(error))
        detached.response()

    @app.route("/late")
    def late(request):
        request.response()
        try:
            request.detach()
        except RuntimeError as error:
            caught.append(str(error))

    client = app.start()
    assert client.get("/twice").status == 200
    assert client.get("/late").status == 200
    eventually(lambda: len(caught) == 2)
    assert "<Request GET '/twice'> is detached already" in caught[0]
    assert "no request awaits an answer" in caught[1]


@pytest.mark.parametrize("name", ["not-found", "internal-error"])
def test_an_error_handler_that_answers_later(app, name):
    queue = SimpleQueue()
    app.error(name)(lambda request: queue.put(request.detach()))

    @app.route("/bug")
    def bug(request):
        raise NotFound if name == "not-found" else ValueError

    client = app.start()
    client.send(request("/bug"))
    detached = queue.get(timeout=PATIENCE)
    in_a_thread(app, detached, lambda request: request.response(type(request.error).__name__))
    response = client.response()
    assert (response.status, response.body) == (
        (404, b"NotFound") if name == "not-found" else (500, b"ValueError")
    )
    assert all("plain 500" not in line for line in app.logged(logging.INFO))


def test_a_function_before_the_handler_that_answers_later(app):
    queue = SimpleQueue()
    server = WebServer()

    @server.before_request
    def before(request):
        queue.put(request.detach())

    app.route("/")(lambda request: "not asked")
    client = app.start(hooks=server.hooks)
    client.send(request("/"))
    queue.get(timeout=PATIENCE).response("before")
    assert client.response().body == b"before"
    assert app.logged() == []


# Forms


def test_its_form_is_there_as_long_as_it_is(app):
    pytest.importorskip("multipart")
    queue = SimpleQueue()

    @app.route("/before", "POST")
    def before(request):
        form = request.parse_form()
        queue.put((request.detach(), form.files["f"].file))

    @app.route("/after", "POST")
    def after(request):
        queue.put((request.detach(), None))

    client = app.start()
    content_type = "Content-Type: multipart/form-data; boundary=x"
    disposition = b'Content-Disposition: form-data; name="f"; filename="a.txt"'
    body = b"--x\r\n%b\r\n\r\n%b\r\n--x--\r\n" % (disposition, b"0123456789" * 40_000)
    for path in ("/before", "/after"):
        client.send(request(path, content_type, method="POST", body=body))
        detached, file = queue.get(timeout=PATIENCE)
        upload = detached.parse_form().files["f"]
        assert file in (upload.file, None)
        detached.response("done")
        assert client.response().status == 200
        assert upload.read()[:10] == b"0123456789"
        del detached
        # The server's thread may be about to let go of it.
        eventually(lambda of=upload: gc.collect() >= 0 and of.file.closed)


def test_the_form_of_one_that_is_dropped_is_closed(app):
    pytest.importorskip("multipart")
    files = []

    @app.route("/", "POST")
    def handler(request):
        files.append(request.detach().parse_form().files["f"].file)

    client = app.start()
    content_type = "Content-Type: multipart/form-data; boundary=x"
    disposition = b'Content-Disposition: form-data; name="f"; filename="a.txt"'
    body = b"--x\r\n%b\r\n\r\n%b\r\n--x--\r\n" % (disposition, b"0123456789")
    client.send(request("/", content_type, method="POST", body=body))
    assert client.response().status == 500
    eventually(lambda: files[0].closed)
