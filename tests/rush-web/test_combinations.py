"""What is used together: hooks, streams, bodies in pieces, threads, late answers, errors."""

import threading

import pytest

from rush_web import WebServer


class QuietError(Exception):
    """Its handler does nothing."""


class LateError(Exception):
    """Its handler answers later."""


@pytest.fixture(params=["plain", "hooks", "development", "development, hooks"])
def server(request):
    server = WebServer(development="development" in request.param)
    if "hooks" in request.param:

        @server.before_request
        def before(request):
            request.context["before"] = True
            request.set_cookie("before", "1")

        @server.after_request
        def after(request, answer):
            assert request.context == {"before": True}
            answer.set_header("X-After", request.path)

    server.hooked = "hooks" in request.param
    return server


def check(server, response, status, body):
    assert (response.status, response.body) == (status, body), response
    if server.hooked:
        assert "before=1" in ", ".join(response.headers.getlist("set-cookie"))
        assert response.headers["x-after"] == response.target


# Bodies in pieces


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("body", [b"", b"whole", [b"in ", b"pieces"]])
def test_what_then_returns_is_the_answer(server, stream, body):
    """However the body comes, and if it is there already."""

    @server.post("/up", stream=stream)
    def up(request):
        pieces = []
        request.receive(pieces.append, lambda request: (b"".join(pieces), 201))

    with server.test_client() as client:
        whole = body if isinstance(body, bytes) else b"".join(body)
        check(server, client.post("/up", body=body), 201, whole)


@pytest.mark.parametrize("answer", ["stream", "events", "redirect", "detach", "thread", "raise"])
def test_every_answer_after_a_body_in_pieces(server, answer):
    @server.error_handler(LateError)
    def late(request):
        detached = request.detach()
        threading.Thread(target=lambda: detached.response("late", 418)).start()

    def then(request):
        request.set_cookie("then", "1")
        if answer == "stream":
            request.stream(["a", "b"])
        elif answer == "events":
            events = request.events()
            events.send("news")
            events.close()
        elif answer == "redirect":
            request.redirect("/there")
        elif answer == "detach":
            request.detach().response("now")
        elif answer == "thread":
            detached = request.detach()
            threading.Thread(target=lambda: detached.response("then")).start()
        else:
            raise LateError

    @server.post("/up", stream=True)
    def up(request):
        request.receive(len, then)

    expected = {
        "stream": (200, b"ab"),
        "events": (200, b"data: news\n\n"),
        "redirect": (302, b""),
        "detach": (200, b"now"),
        "thread": (200, b"then"),
        "raise": (418, b"late"),
    }
    with server.test_client(raise_exceptions=False) as client:
        for body in (b"x", [b"x", b"y"], b""):
            response = client.post("/up", body=body)
            if answer == "raise":  # an error's answer has no cookies of what failed
                assert (response.status, response.body) == expected[answer]
            else:
                check(server, response, *expected[answer])
                assert "then=1" in ", ".join(response.headers.getlist("set-cookie"))


def test_nobody_takes_the_body_of_who_has_failed(server, caplog):
    """Also if the error handler does not answer: what was to come then does not come."""
    heard = []

    @server.error_handler(QuietError)
    def quiet(request):
        pass

    @server.post("/up", stream=True)
    def up(request):
        request.receive(heard.append, lambda request: heard.append("then"), heard.append)
        raise QuietError("after receive()")

    with server.test_client(raise_exceptions=False) as client:
        for body in (b"x", [b"x", b"y"]):
            response = client.post("/up", body=body)
            assert (response.status, response.body) == (500, b"500 Internal Server Error\n")
            (reason,) = heard
            assert isinstance(reason, QuietError)
            heard.clear()


def test_an_error_handler_may_answer_later_for_who_has_left_a_body(server):
    heard = []

    @server.error_handler(LateError)
    def late(request):
        detached = request.detach()
        threading.Thread(target=lambda: detached.response("late", 418)).start()

    @server.post("/up", stream=True)
    def up(request):
        request.receive(heard.append, lambda request: heard.append("then"))
        raise LateError

    with server.test_client(raise_exceptions=False) as client:
        for body in (b"x", [b"x", b"y"]):
            response = client.post("/up", body=body)
            assert (response.status, response.body) == (418, b"late")
    assert heard == []


def test_a_value_beside_a_body_that_is_to_come(server, caplog):
    @server.post("/up", stream=True)
    def up(request):
        request.receive(len, lambda request: "then")
        return "early"

    with server.test_client(raise_exceptions=False) as client:
        check(server, client.post("/up", body=b"x"), 200, b"then")
    assert "has left it to be answered later, and returned 'early' as well" in caplog.text


def test_who_streams_after_a_body_is_named(server, caplog):
    """Not whose request came between."""

    @server.get("/between")
    def between(request):
        return "between"

    def then(request):
        request.stream(1 / 0 for _ in "x")

    @server.post("/up", stream=True)
    def up(request):
        request.receive(len, then)

    with server.test_client(raise_exceptions=False) as client:
        client.send(b"POST /up HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n")
        client.another().get("/between")
        client.send(b"x")
        with pytest.raises(ConnectionError):
            client.receive("POST")
    assert "<locals>.then (" in caplog.text
    assert "<locals>.between (" not in caplog.text


@pytest.mark.parametrize("body", [None, b"", b"x", [b"x", b"y"]])
def test_a_filter_that_raises_is_answered_by_the_error_handlers(server, body, caplog):
    """Also where it decides how the body is taken."""

    @server.post("/up", stream=True, filter=lambda request: 1 / 0)
    def up(request):
        raise AssertionError

    @server.error_handler(ZeroDivisionError)
    def zero(request):
        return "zero", 418

    with server.test_client(raise_exceptions=False) as client:
        response = client.post("/up", body=body)
        assert (response.status, response.body) == (418, b"zero")


def test_a_filter_may_ask_what_a_hook_has_found():
    server = WebServer()

    @server.before_request
    def who(request):
        request.context["user"] = request.headers.get("x-user")

    @server.post("/up", stream=True, filter=lambda request: request.context["user"] == "ann")
    def up(request):
        pieces = []
        request.receive(pieces.append, lambda request: b"".join(pieces))

    @server.post("/up")
    def other(request):
        return f"other {len(request.body)}"

    with server.test_client() as client:
        for body in (b"", b"body", [b"bo", b"dy"]):
            whole = body if isinstance(body, bytes) else b"".join(body)
            response = client.post("/up", body=body, headers={"X-User": "ann"})
            assert response.body == whole
            assert client.post("/up", body=body).text == f"other {len(whole)}"


# Threads and late answers


def test_error_handlers_may_answer_later_for_late_requests(server):
    """For those that are answered later already, by a thread or by whoever."""

    @server.error_handler(LateError)
    def late(request):
        detached = request.detach()
        threading.Thread(target=lambda: detached.response("late", 418)).start()

    @server.get("/blocking")
    @server.blocking
    def blocking(request):
        raise LateError

    @server.get("/failed")
    def failed(request):
        request.detach().fail(LateError())

    with server.test_client(raise_exceptions=False) as client:
        for path in ("/blocking", "/failed") * 2:
            response = client.get(path)
            assert (response.status, response.body) == (418, b"late")


def test_a_late_request_that_is_dropped_again_is_answered(server, caplog):
    """By an error handler that lets go of it as well: nobody waits for ever."""
    asked = []

    @server.error_handler(500)
    def wrong(request):
        asked.append(type(request.error))
        request.detach()

    @server.get("/")
    def dropped(request):
        request.detach()

    @server.get("/again")
    def again(request):
        first = request.detach()
        second = first.detach()
        with pytest.raises(RuntimeError, match="is detached already"):
            first.response("first")
        with pytest.raises(RuntimeError, match="is detached already"):
            first.detach()
        second.response("second")

    with server.test_client(raise_exceptions=False) as client:
        assert client.get("/").status == 500
        check(server, client.get("/again"), 200, b"second")
    assert asked


def test_a_blocking_handler_may_detach(server):
    @server.get("/")
    @server.blocking
    def blocking(request):
        detached = request.detach()
        threading.Thread(target=lambda: detached.response("later")).start()

    with server.test_client() as client:
        check(server, client.get("/"), 200, b"later")


def test_a_blocking_handler_that_streams_is_named(server, caplog):
    @server.get("/")
    @server.blocking
    def blocking(request):
        request.stream(1 / 0 for _ in "x")

    with server.test_client(raise_exceptions=False) as client, pytest.raises(ConnectionError):
        client.get("/")
    assert "<locals>.blocking (" in caplog.text


def test_a_thread_that_fails_late_ends_its_own_events_only(caplog):
    """The connection may have gone on, with events of another request."""
    server = WebServer()
    release, opened = threading.Event(), []

    @server.get("/slow")
    @server.blocking
    def slow(request):
        request.response("slow")
        release.wait(30)
        raise ValueError("after its answer")

    @server.get("/events")
    def events(request):
        opened.append(request.events(keep_alive=None))

    with server.test_client(raise_exceptions=False) as client:
        assert client.get("/slow").text == "slow"
        with client.get("/events", stream=True) as stream:
            release.set()
            client.run_until(lambda: "after its answer" in caplog.text)
            assert opened[0].send("still there")
            assert stream.read_until(b"\n\n") == b"data: still there\n\n"


def test_a_thread_that_fails_ends_the_events_it_has_begun(server, caplog):
    @server.get("/")
    @server.blocking
    def blocking(request):
        request.events().send("first")
        raise ValueError("after its answer")

    with server.test_client(raise_exceptions=False) as client, pytest.raises(ConnectionError):
        _ = client.get("/").body


# Wrong types, and other alphabets


@pytest.mark.parametrize("pieces", [7, None, "text", b"bytes"])
def test_what_has_no_pieces_is_an_error_before_the_answer(server, pieces, caplog):
    @server.get("/")
    def wrong(request):
        request.stream(pieces)

    with server.test_client(raise_exceptions=False) as client:
        assert client.get("/").status == 500
        assert client.head("/").status == 500
    assert "pieces come from an iterable, not " in caplog.text


LOCATIONS = [
    ("/café", "/caf%C3%A9"),
    ("/日本?a=ü b#ß", "/%E6%97%A5%E6%9C%AC?a=%C3%BC b#%C3%9F"),
    ("/%C3%A9?x=é", "/%C3%A9?x=%C3%A9"),
    ("https://example.org/é", "https://example.org/%C3%A9"),
    ("/plain?a=b|c", "/plain?a=b|c"),
]


@pytest.mark.parametrize(("location", "sent"), LOCATIONS)
def test_a_location_of_any_alphabet(server, location, sent):
    """As RFC 3987, 3.1 makes a URI of it: percent-encoded UTF-8."""
    server.add_redirects({"/old": location})

    @server.get("/")
    def go(request):
        request.redirect(location)

    with server.test_client() as client:
        assert client.get("/").headers["location"] == sent
        assert client.get("/old").headers["location"] == sent


def test_a_location_cannot_end_its_line(server, caplog):
    @server.get("/")
    def go(request):
        request.redirect("/é\r\nX: y")

    with server.test_client(raise_exceptions=False) as client:
        assert client.get("/").status == 500


def test_no_headers_are_none_with_hooks_as_well(server):
    @server.get("/")
    def none(request):
        return "none", 200, None

    with server.test_client() as client:
        check(server, client.get("/"), 200, b"none")
