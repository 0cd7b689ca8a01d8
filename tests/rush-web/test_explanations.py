"""What browsers, terminals and scripts get of an error that nobody handles."""

import json

import pytest

from rawclient import PATIENCE
from rush_http import NotFound
from rush_web import DevelopmentManager, HandlersManager

BROWSER = "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
LOCAL = "Host: 127.0.0.1:9090"
SECRET = "hunter" + "2"


@pytest.fixture(params=[DevelopmentManager, HandlersManager])
def manager(request):
    return request.param


def start(app, manager, **options):
    @app.route("/bug")
    def bug(request):
        password = SECRET
        raise ValueError(f"<script>{len(password)}")

    @app.route("/user/<int:id>")
    def user(request):
        raise NotFound(f"no user {request.params['id']}")

    return app.start(manager_class=manager, **options)


def ask(client, target, *lines, method="GET"):
    text = "\r\n".join([f"{method} {target} HTTP/1.1", *(lines or [LOCAL]), "", ""])
    client.send(text.encode())
    return client.response(without_body=method == "HEAD")


def test_browsers_get_pages_and_others_a_line(app):
    client = start(app, HandlersManager)
    for target, status, reason in (("/x", 404, "Not Found"), ("/bug", 500, "Internal")):
        page = ask(client, target, LOCAL, BROWSER)
        assert page.status == status
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        assert page.headers["vary"] == "Accept"
        assert reason.encode() in page.body
        for accept in ((), ("Accept: */*",), ("Accept: application/json",)):
            plain = ask(client, target, LOCAL, *accept)
            assert plain.headers["content-type"] == "text/plain; charset=utf-8"
            assert plain.body.startswith(b"%d %b" % (status, reason.encode()))
    assert ask(client, "/x", LOCAL, BROWSER, method="HEAD").status == 404


def test_an_error_is_explained_as_the_client_likes_it(app):
    client = start(app, DevelopmentManager)
    page = ask(client, "/bug?token=abc", LOCAL, BROWSER)
    assert page.status == 500
    assert page.headers["cache-control"] == "no-store"
    text = page.body.decode()
    assert "ValueError" in text
    assert "&lt;script&gt;7" in text
    assert "<script>7" not in text
    assert SECRET not in text
    assert "abc" not in text
    plain = ask(client, "/bug", LOCAL, "Accept: */*")
    assert plain.headers["content-type"] == "text/plain; charset=utf-8"
    assert plain.body.startswith(b"Traceback")
    assert b"curl -i" in plain.body
    for accept in ("application/json", "application/json, text/plain, */*"):
        data = json.loads(ask(client, "/bug", LOCAL, f"Accept: {accept}").body)
        assert data["error"] == "ValueError"
        assert data["frames"][0]["function"].endswith("bug")


def test_a_path_that_is_missing_is_explained(app):
    client = start(app, DevelopmentManager, files="/static/")
    page = ask(client, "/user/ann", LOCAL, BROWSER)
    assert page.status == 404
    assert b"is no int for &lt;id&gt;" in page.body
    wrong = ask(client, "/bug", LOCAL, BROWSER, method="DELETE")
    assert (wrong.status, wrong.headers["allow"]) == (405, "GET, HEAD, OPTIONS")
    assert b"it is for GET" in wrong.body
    file = ask(client, "/static/x.css", LOCAL, "Accept: */*")
    assert b"There is no such file" in file.body
    raised = ask(client, "/user/7", LOCAL, BROWSER)  # by a handler: it says why itself
    assert raised.status == 404
    assert b"no user 7" in raised.body


NOT_FOR_ALL = [
    ["Host: example.org"],
    ["Host: 10.0.0.1"],
    [LOCAL, "X-Forwarded-For: 127.0.0.1"],
    [LOCAL, "Forwarded: for=127.0.0.1"],
]


@pytest.mark.parametrize("lines", NOT_FOR_ALL)
def test_others_than_this_machine_see_nothing(app, lines):
    client = start(app, DevelopmentManager)
    for target in ("/bug", "/x"):
        for accept in (BROWSER, "Accept: */*", "Accept: application/json"):
            body = ask(client, target, *lines, accept).body
            assert b"ValueError" not in body
            assert b"/user" not in body


FROM_OUTSIDE = ["X-Debug: 1", "RUSH-Development: 1", "X-Forwarded-Host: localhost", "Cookie: dev=1"]


@pytest.mark.parametrize("line", FROM_OUTSIDE)
def test_production_explains_nothing_whatever_is_asked(app, line):
    client = start(app, HandlersManager)
    for target in ("/bug", "/bug?development=1", "/x"):
        for accept in (BROWSER, "Accept: */*", "Accept: application/json"):
            body = ask(client, target, LOCAL, line, accept).body
            assert b"ValueError" not in body
            assert b"/user" not in body


def test_error_handlers_go_first(app, manager):
    @app.error("internal-error")
    def mine(request):
        return "mine"

    client = start(app, manager)
    assert ask(client, "/bug", LOCAL, BROWSER).body == b"mine"


def test_one_that_fails_ends_in_a_plain_status(app, manager):
    @app.error("internal-error")
    def mine(request):
        raise RuntimeError("again")

    client = start(app, manager)
    answer = ask(client, "/bug", LOCAL)
    assert (answer.status, answer.body) == (500, b"500 Internal Server Error\n")


def test_an_answer_that_comes_later_is_explained_as_well(app):
    @app.route("/later")
    def later(request):
        detached = request.detach()
        detached.fail(KeyError("late"))

    client = start(app, DevelopmentManager)
    client.sock.settimeout(PATIENCE)
    assert b"KeyError" in ask(client, "/later", LOCAL, BROWSER).body
