"""Filters of routes that have their own way with bodies: asked at the head, and once."""

import pytest

from rawclient import request
from rush_web import DevelopmentManager, HandlersManager, WebServer

MANAGERS = pytest.mark.parametrize("manager_class", [HandlersManager, DevelopmentManager])


def put(path, *lines, body=b"abc"):
    return request(path, *lines, method="PUT", body=body)


def streamed(request):
    """Take a body, and say what the filter has left."""
    request.receive(lambda piece: None, then)


def then(request):
    note = request.context.get("note", "nothing")
    request.response(f"{note} of {dict(request.params)}")


class Filter:
    """Says what it is told to, and counts how often it is asked."""

    def __init__(self, says=lambda request: True):
        self.says = says
        self.asked = 0

    def __call__(self, request):
        self.asked += 1
        request.context["note"] = f"noted, {request.params}"
        return self.says(request)


@MANAGERS
@pytest.mark.parametrize("fallback", ["none", "stream", "whole"])
@pytest.mark.parametrize("path", ["/up", "/up/<name>"])
def test_a_filter_that_says_yes_is_asked_once(app, manager_class, fallback, path):
    """And what it notes in the context is there for the handler, and at the end."""
    accepts = Filter()
    app.route(path, "PUT", filter=accepts, stream=True)(streamed)
    if fallback != "none":
        app.route(path, "PUT", stream=fallback == "stream")(lambda request: "fallback")
    client = app.start(manager_class=manager_class)
    params = {"name": "x"} if "<" in path else {}
    for number in range(1, 3):
        client.send(put(path.replace("<name>", "x")))
        assert client.response().body.decode() == f"noted, {params} of {params}"
        assert accepts.asked == number


@pytest.mark.parametrize(
    ("fallback", "status", "asked"),
    [("none", 404, 1), ("stream", 200, 1), ("other path", 200, 1), ("whole", 200, 2)],
)
def test_a_filter_that_says_no(app, fallback, status, asked):
    """Where only streams can be picked it is not asked again when the body is there."""
    accepts = Filter(lambda request: False)
    app.route("/up", "PUT", filter=accepts, stream=True)(streamed)
    if fallback != "none":
        path = "/<any>" if fallback == "other path" else "/up"
        app.route(path, "PUT", stream=fallback != "whole")(
            lambda request: request.receive(lambda piece: None, lambda request: "fallback") and None
        )
    client = app.start()
    client.send(put("/up"))
    assert client.response().status == status
    assert accepts.asked == asked


@MANAGERS
def test_what_goes_before_is_called_before_the_filter(app, manager_class):
    """As for all other handlers: what it leaves in the context is there for the filter."""
    made = WebServer()
    order = []

    @made.before_request
    def first(request):
        order.append("first")
        request.context["user"] = "ann"

    def is_ann(request):
        order.append("filter")
        return request.context["user"] == "ann"

    made.put("/up", filter=is_ann, stream=True)(streamed)
    client = app.serve(made, manager_class)
    client.send(put("/up"))
    assert client.response().status == 200
    assert order == ["first", "filter"]


@MANAGERS
def test_what_goes_before_may_answer_in_its_place(app, manager_class):
    made = WebServer()
    accepts = Filter()
    made.before_request(lambda request: ("no", 403))
    made.put("/up", filter=accepts, stream=True)(streamed)
    client = app.serve(made, manager_class)
    client.send(put("/up"))
    assert client.response().status == 403
    assert accepts.asked == 0


@MANAGERS
def test_a_filter_that_fails_is_asked_once(app, manager_class):
    accepts = Filter(lambda request: 1 / 0)
    app.route("/up", "PUT", filter=accepts, stream=True)(streamed)
    client = app.start(manager_class=manager_class)
    client.send(put("/up"))
    assert client.response().status == 500
    assert accepts.asked == 1
    assert len(app.logged()) == 1


def test_the_limit_is_that_of_the_route_that_was_picked(app):
    for limit in (5, 10):
        accepts = Filter(lambda request, limit=limit: request.query == f"{limit}")
        app.route("/up", "PUT", filter=accepts, stream=True, body_limit=limit)(streamed)
    app.route("/up/<name>", "PUT", stream=True, body_limit=7)(streamed)
    client = app.start()
    for path, size, status in [
        ("/up?5", 5, 200),
        ("/up?10", 10, 200),
        ("/up?10", 11, 413),
        ("/up?5", 6, 413),
        ("/up/x", 7, 200),
        ("/up/x", 8, 413),
    ]:
        client = app.client()
        client.send(put(path, body=b"x" * size))
        assert client.response().status == status, (path, size)


@MANAGERS
def test_a_converter_that_fails_is_answered_by_the_error_handlers(app, manager_class):
    made = WebServer()

    def broken(text):
        raise ZeroDivisionError

    made.add_converter("broken", broken)
    made.put("/up/<broken:x>", stream=True)(streamed)

    @made.error_handler(RuntimeError)
    def failed(request):
        return f"own words: {request.error}"

    client = app.serve(made, manager_class)
    for _ in range(2):
        client.send(put("/up/x"))
        response = client.response()
        assert response.status == 500
        assert response.body.startswith(b"own words: converter 'broken' failed for 'x'")
