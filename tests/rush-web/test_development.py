"""Mistakes that development tells of."""

import pytest

from programs import eventually
from rush_web import DevelopmentManager, Request, StaleRequest, WebServer


@pytest.fixture
def kept(app):
    """Requests whose handlers have ended."""
    kept = []

    @app.route("/<name>")
    def keeper(request):
        kept.append(request)
        request.response(request.params["name"])

    @app.error("not-found")
    def not_found(request):
        kept.append(request)
        request.response()

    client = app.start(manager_class=DevelopmentManager)
    assert client.get("/ann").body == b"ann"
    assert client.get("/bob").body == b"bob"
    eventually(lambda: repr(kept[1]).startswith("<stale"))
    return kept


TOUCHES = [
    lambda request: request.method,
    lambda request: request.headers,
    lambda request: request.body,
    lambda request: request.conn,
    lambda request: request.params["name"],
    lambda request: request.args,
    lambda request: request.context,
    lambda request: request.parse_args(),
    lambda request: request.response("too late"),
    lambda request: request.snapshot(),
    lambda request: request.detach(),
    lambda request: request.nothing,
    lambda request: setattr(request, "code", 200),
]


@pytest.mark.parametrize("touch", TOUCHES)
def test_a_stale_request_names_the_handler_and_the_remedy(kept, touch):
    with pytest.raises(StaleRequest) as caught:
        touch(kept[0])
    message = str(caught.value)
    assert "of <Request GET '/ann'> is used after its handler has ended" in message
    assert "keeper" in message
    assert "test_development.py:" in message
    assert "request.snapshot()" in message
    assert "request.detach()" in message


def test_a_stale_request_can_be_looked_at(kept):
    assert repr(kept[0]) == "<stale Request GET '/ann'>"
    assert isinstance(kept[0], Request)
    assert kept[0] != kept[1]
    assert len({*kept}) == 2
    assert "method" in dir(kept[0])


def test_a_stale_request_of_an_error_handler(app, kept):
    app.client().get("/")
    eventually(lambda: repr(kept[-1]) == "<stale Request GET '/'>")
    with pytest.raises(StaleRequest, match="an error handler"):
        kept[-1].path  # noqa: B018


def test_a_handler_that_touches_a_stale_one_fails(app):
    kept = []

    @app.route("/keep")
    def keep(request):
        kept.append(request)
        request.response()

    app.route("/touch")(lambda request: request.response(kept[0].path))
    client = app.start(manager_class=DevelopmentManager)
    assert client.get("/keep").status == 200
    assert client.get("/touch").status == 500
    assert any("StaleRequest" in str(record.exc_info) for record in app.log.records)


def test_what_is_to_be_kept_can_be_kept(app):
    kept = []

    @app.route("/")
    def handler(request):
        kept.append(request.snapshot())
        kept.append(request.detach())

    app.route("/blocking")(blocking := lambda request: request.response(request.path))
    client = app.start(manager_class=DevelopmentManager, blocking={blocking})
    assert client.get("/blocking").body == b"/blocking"
    client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    eventually(lambda: len(kept) == 2)
    assert [one.path for one in kept] == ["/", "/"]
    kept.pop().response("done")
    assert client.response().body == b"done"
    assert app.logged() == []


def test_in_production_it_is_another_request_by_then(app):
    kept = []

    @app.route("/<name>")
    def handler(request):
        kept.append(request)
        request.response()

    client = app.start()
    client.get("/ann")
    client.get("/bob")
    assert kept[0] is kept[1]


@pytest.mark.once
@pytest.mark.parametrize(("options", "status"), [("development=True", 500), ("", 200)])
def test_the_option(serve, options, status):
    source = """
    kept = []

    @server.get("/keep")
    def keep(request):
        kept.append(request)
        request.response(str(len(kept)))

    @server.get("/touch")
    def touch(request):
        request.response(kept[0].path)
    """
    program = serve(options, source)
    with program.client() as client:
        assert client.get("/keep").body == b"1"
        assert client.get("/touch").status == status
    assert program.stop() == 0
    assert ("StaleRequest: 'path' of" in str(program.log)) == (status == 500)


def test_no_development_by_default():
    assert not WebServer().development
