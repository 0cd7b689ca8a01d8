"""Which error handler answers, and with what."""

import logging

import pytest

from rush_http import BadRequest, ContentTooLarge, Forbidden, HttpError, NotFound
from rush_http import ServiceUnavailable as Busy
from rush_web import WebServer


def raising(error):
    def handler(request):
        raise error

    return handler


class OutOfStock(LookupError):
    pass


class SoldOut(OutOfStock):
    pass


class Missing(FileNotFoundError, NotFound):
    pass


NAMES = ["not-found", "internal-error"]

PICKED = [
    # what is registered, what is raised, which answers ("" is our own), status
    ([], NotFound(), "", 404),
    ([], ValueError(), "", 500),
    (NAMES, NotFound(), "not-found", 404),
    (NAMES, HttpError(status=404), "not-found", 404),
    (NAMES, FileNotFoundError(), "not-found", 404),
    (NAMES, ValueError(), "internal-error", 500),
    (NAMES, Busy(), "internal-error", 503),
    (NAMES, HttpError(status=501), "internal-error", 501),
    (NAMES, BadRequest(), "", 400),
    # statuses
    ([413], ContentTooLarge(), 413, 413),
    ([413], HttpError(status=413), 413, 413),
    ([413], BadRequest(), "", 400),
    ([404, *NAMES], NotFound(), 404, 404),
    ([404], FileNotFoundError(), 404, 404),
    ([500, *NAMES], ValueError(), 500, 500),
    ([500, *NAMES], Busy(), "internal-error", 503),
    ([503, *NAMES], Busy(), 503, 503),
    # classes: the nearest
    ([OutOfStock], OutOfStock(), OutOfStock, 500),
    ([OutOfStock], SoldOut(), OutOfStock, 500),
    ([LookupError, OutOfStock], SoldOut(), OutOfStock, 500),
    ([LookupError, SoldOut], OutOfStock(), LookupError, 500),
    ([SoldOut], OutOfStock(), "", 500),
    ([NotFound], NotFound(), NotFound, 404),
    ([FileNotFoundError, NotFound], Missing(), FileNotFoundError, 404),
    ([NotFound], Missing(), NotFound, 404),
    ([OSError], FileNotFoundError(), OSError, 404),
    ([OSError], PermissionError(), OSError, 500),
    # the class goes before the status, that before the name
    ([NotFound, 404, *NAMES], NotFound(), NotFound, 404),
    ([LookupError, 500, *NAMES], SoldOut(), LookupError, 500),
    ([Forbidden, 403], HttpError(status=403), 403, 403),
    # those that stand for all come last
    ([Exception], SoldOut(), Exception, 500),
    ([Exception], BadRequest(), Exception, 400),
    ([Exception], NotFound(), Exception, 404),
    ([Exception, HttpError], BadRequest(), HttpError, 400),
    ([Exception, HttpError], ValueError(), Exception, 500),
    ([Exception, HttpError, 400], BadRequest(), 400, 400),
    ([Exception, HttpError, *NAMES], NotFound(), "not-found", 404),
    ([Exception, *NAMES], ValueError(), "internal-error", 500),
    ([Exception, OutOfStock], SoldOut(), OutOfStock, 500),
]


@pytest.mark.parametrize(("kinds", "error", "picked", "status"), PICKED)
def test_which_answers(app, kinds, error, picked, status):
    seen = []

    def handler(kind):
        def answer(request):
            seen.append((request.error, request.code))
            return f"{kind}"

        return answer

    for kind in kinds:
        app.error(kind)(handler(kind))
    app.route("/")(raising(error))
    app.route("/fine")(lambda request: str(request.error))
    client = app.start()
    answer = client.get()
    assert answer.status == status
    if picked:
        assert answer.body == str(picked).encode()
        assert seen == [(error, status)]
    else:
        assert answer.body.startswith(b"%d " % status)
    assert client.get("/fine").body == b"None"


@pytest.mark.parametrize(
    ("kind", "error", "words"),
    [
        ("teapot", ValueError, "no error handler 'teapot': use 'not-found' or"),
        (200, ValueError, "no error handler for 200: an error has a status of 400 to 599"),
        (600, ValueError, "600"),
        (True, ValueError, "True"),
        (KeyboardInterrupt, TypeError, "a class of exceptions, not <class 'Keyb"),
        (int, TypeError, "a class of exceptions, not <class 'int'>"),
        (ValueError("x"), TypeError, "a class of exceptions, not ValueError"),
        (None, TypeError, "not None"),
    ],
)
def test_what_no_error_can_be(app, kind, error, words):
    with pytest.raises(error, match=words):
        WebServer().error_handler(kind)
    app.errors[kind] = print
    with pytest.raises(error, match=words):
        app.start()


def test_statuses_of_what_is_not_picked(app):
    """405 and what a reader of the body refuses are errors as any other."""
    app.error(405)(lambda request: {"error": request.error.allow})
    app.error(413)(lambda request: "too much")
    app.route("/", "POST")(lambda request: request.parse_args(max_count=0) and None)
    app.route("/big", "POST")(raising(ContentTooLarge()))
    client = app.start()
    answer = client.get("/")
    assert (answer.status, answer.body) == (405, b'{"error":"OPTIONS, POST"}')
    assert answer.headers["allow"] == "OPTIONS, POST"
    assert client.get("/big", method="POST").body == b"too much"
    assert client.get("/?a=1", method="POST").status == 400


NEVER_ASKED = [
    # what is sent, the status
    (b"GET / HTTP/1.1\r\nHost : x\r\n\r\n", 400),
    (b"GET / HTTP/3.0\r\nHost: x\r\n\r\n", 505),
    (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n", 413),
    (b"GET / HTTP/1.1\r\nHost: x\r\nX: %b\r\n\r\n" % (b"x" * 100_000), 431),
]


@pytest.mark.parametrize(("wire", "status"), NEVER_ASKED)
def test_what_no_handler_hears_of(app, wire, status):
    """It is refused before there is a request to ask anybody about."""
    server = WebServer()
    for kind in (status, Exception):
        server.error_handler(kind)(lambda request: "handled")
    server.before_request(lambda request: "handled")
    server.after_request(lambda request, answer: answer.set_header("X-Handled", "1"))
    client = app.serve(server)
    client.send(wire)
    answer = client.response()
    assert (answer.status, answer.headers["connection"]) == (status, "close")
    assert answer.body.startswith(b"%d " % status)
    assert "x-handled" not in answer.headers


HEADERS = [
    # what the error handler does, what Retry-After is then
    (None, "5"),
    (lambda request: "busy", "5"),
    (lambda request: request.response("busy"), "5"),
    (lambda request: request.response_json({}), "5"),
    (lambda request: request.redirect("/wait"), "5"),
    (lambda request: request.response_file("/busy.txt"), "5"),
    (lambda request: ("busy", 503, {"retry-after": "7"}), "7"),
    (lambda request: request.response_file("/busy.txt", headers={"Retry-After": "8"}), "8"),
]


@pytest.mark.parametrize(("handler", "seconds"), HEADERS)
@pytest.mark.parametrize("status", [429, 503])
def test_the_headers_of_an_error(app, handler, seconds, status):
    (app.root / "busy.txt").write_text("busy")
    if handler is not None:
        app.error(status)(handler)

    @app.route("/")
    def busy(request):
        request.set_cookie("a", "1")
        raise HttpError("reason", status=status, headers={"Retry-After": "5"})

    app.route("/fine")(lambda request: "fine")
    client = app.start()
    answer = client.get()
    assert answer.headers["retry-after"] == seconds
    assert "set-cookie" not in answer.headers  # that was for another answer
    assert "retry-after" not in client.get("/fine").headers


def test_an_error_handler_sets_cookies(app):
    @app.error(Forbidden)
    def forbidden(request):
        request.delete_cookie("session")
        return "log in"

    app.route("/")(raising(Forbidden(headers={"X-A": "1"})))
    answer = app.start().get()
    assert answer.headers["set-cookie"].startswith("session=")
    assert answer.headers["x-a"] == "1"


def test_what_has_a_handler_of_its_own_is_no_bug(app):
    app.error(LookupError)(lambda request: ("sold out", 409))
    app.error(Exception)(lambda request: "sorry")
    app.route("/sold")(raising(SoldOut("the last one")))
    app.route("/bug")(raising(ValueError("oops")))
    client = app.start()
    assert client.get("/sold").status == 409
    assert app.logged() == []
    (line,) = [one for one in app.logged(logging.INFO) if "the last one" in one]
    assert line.startswith("<Request GET '/sold'> ended with SoldOut('the last one'), for ")
    assert client.get("/bug").status == 500
    assert [line.endswith("oops") for line in app.logged()] == [True]


@pytest.mark.parametrize("kind", [ValueError, 500, "internal-error", Exception])
@pytest.mark.parametrize(
    "broken", [raising(ValueError("again")), lambda request: None, lambda request: 42]
)
def test_an_error_handler_that_fails(app, kind, broken):
    app.error(kind)(broken)
    app.route("/")(raising(ValueError("reason")))
    client = app.start()
    for _ in range(2):
        answer = client.get()
        assert (answer.status, answer.body) == (500, b"500 Internal Server Error\n")
    name = kind if isinstance(kind, str | int) else kind.__name__
    assert any(f"the {name} handler" in line for line in app.logged())


def test_explain_names_the_error_handler():
    server = WebServer()
    server.post("/")(lambda request: None)
    assert str(server.explain("GET", "/x")).endswith("-> 404, a plain line")

    @server.error_handler("not-found")
    def lost(request):
        pass

    @server.error_handler(405)
    def not_so(request):
        pass

    assert ": error handler test_explain_names_the" in server.explain("GET", "/x").answer
    assert ".lost (" in server.explain("GET", "/x").answer
    answer = server.explain("GET", "/").answer
    assert answer.startswith("405 with Allow: OPTIONS, POST: error handler ")
    assert ".not_so (" in answer
