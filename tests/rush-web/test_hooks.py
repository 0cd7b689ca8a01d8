"""Functions that run before and after handlers."""

import pytest

from rawclient import request
from rush_http import BadRequest
from rush_web import Answer, DevelopmentManager, WebServer
from rush_web.hooks import Chosen


@pytest.fixture
def server(app):
    (app.root / "a.txt").write_text("a file")
    server = WebServer(root=app.root, files="/static/")
    server.add_redirect("/old", "/new")
    server.add_redirect("/older", "/new?a=1", keep_query=True)

    @server.get("/")
    def index(request):
        request.response("index", headers={"X-Own": "1"})

    @server.get("/json/<int:number>")
    def number(request):
        return {"number": request.params["number"]}

    @server.get("/file")
    def file(request):
        request.response_file("/a.txt", headers={"X-Own": "1"})

    @server.get("/elsewhere")
    def elsewhere(request):
        request.redirect("/")

    @server.get("/bug")
    def bug(request):
        raise ValueError("oops")

    @server.get("/refused")
    def refused(request):
        raise BadRequest("no")

    @server.get("/silent")
    def silent(request):
        pass

    @server.get("/raw")
    def raw(request):
        request.raw_response(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nraw")

    return server


PATHS = [
    # path, status, body
    ("/", 200, b"index"),
    ("/json/7", 200, b'{"number":7}'),
    ("/file", 200, b"a file"),
    ("/static/a.txt", 200, b"a file"),
    ("/old?b=2", 301, b""),
    ("/older?b=2", 301, b""),
    ("/elsewhere", 302, b""),
    ("/nothing", 404, b"404 Not Found\n"),
    ("/static/b.txt", 404, b"404 Not Found\n"),
    ("/bug", 500, b"500 Internal Server Error\n"),
    ("/refused", 400, b"400 Bad Request\n"),
    ("/silent", 500, b"500 Internal Server Error\n"),
]


@pytest.mark.parametrize(("path", "status", "body"), PATHS)
def test_after_every_answer(app, server, path, status, body):
    seen = []

    @server.after_request
    def harden(request, answer):
        seen.append((request.path, answer.code))
        answer.set_header("X-Frame-Options", "DENY")
        answer.headers.append(("X-More", "1"))
        answer.set_header("x-own", "2")

    client = app.serve(server)
    for _ in range(3):  # a file is noted after the first time
        answer = client.get(path)
        assert (answer.status, answer.body) == (status, body)
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["x-more"] == "1"
        assert answer.headers["x-own"] == "2"
        if status == 301:
            more = "?a=1&b=2" if path.startswith("/older") else ""
            assert answer.headers["location"] == f"/new{more}"
    assert seen == [(path.partition("?")[0], status)] * 3
    head = client.get(path, method="HEAD")
    assert head.headers["x-frame-options"] == "DENY"
    options = client.get(path, method="OPTIONS")
    assert options.headers["x-frame-options"] == "DENY"


def test_conditions_and_ranges_after_all(app, server):
    @server.after_request
    def harden(request, answer):
        answer.set_header("X-Code", str(answer.code))

    client = app.serve(server)
    tag = client.get("/static/a.txt").headers["etag"]
    answer = client.get("/static/a.txt", f"If-None-Match: {tag}")
    assert (answer.status, answer.headers["x-code"]) == (304, "304")
    answer = client.get("/static/a.txt", "Range: bytes=0-1")
    assert (answer.status, answer.body, answer.headers["x-code"]) == (206, b"a ", "206")


def test_raw_answers_are_left_alone(app, server):
    server.after_request(lambda request, answer: answer.set_header("X-A", "1"))
    assert "x-a" not in app.serve(server).get("/raw").headers


def test_a_cookie_set_after(app, server):
    server.after_request(lambda request, answer: request.set_cookie("seen", "1"))
    client = app.serve(server)
    for path in ("/", "/static/a.txt", "/old", "/nothing"):
        assert client.get(path).headers["set-cookie"].startswith("seen=1;")


def test_one_answer_is_asked_once(app, server):
    """Also if a handler tries to answer again."""
    seen = []
    server.after_request(lambda request, answer: seen.append(answer.code))

    @server.get("/twice")
    def twice(request):
        request.response("first")
        request.response("second", 201)

    client = app.serve(server)
    client.send(request("/twice") + request("/"))
    assert [client.response().body for _ in range(2)] == [b"first", b"index"]
    assert seen == [200, 200]


@pytest.mark.parametrize("path", ["/", "/nothing", "/bug", "/old", "/static/a.txt"])
def test_an_after_function_that_fails(app, server, path):
    server.error_handler("not-found")(lambda request: "lost")

    @server.after_request
    def broken(request, answer):
        raise KeyError("broken")

    client = app.serve(server)
    for _ in range(2):
        answer = client.get(path)
        assert (answer.status, answer.body) == (500, b"500 Internal Server Error\n")
    assert any("broken" in line for line in app.log.text.splitlines())


def test_an_after_function_that_says_what_cannot_be_sent(app, server):
    server.after_request(lambda request, answer: answer.set_header("X", "a\r\nb"))
    assert app.serve(server).get("/").status == 500


ENDS = [
    # what a function before returns or does, status, body
    (lambda request: "halt", 200, b"halt"),
    (lambda request: ("log in", 401), 401, b"log in"),
    (lambda request: request.response("halt", 403), 403, b"halt"),
    (lambda request: {"error": "no"}, 200, b'{"error":"no"}'),
]


@pytest.mark.parametrize(("before", "status", "body"), ENDS)
@pytest.mark.parametrize("path", [path for path, _, _ in PATHS])
def test_before_ends_it(app, server, before, status, body, path):
    seen = []
    server.before_request(before)
    server.before_request(lambda request: seen.append("second"))
    server.after_request(lambda request, answer: seen.append(answer.code))
    client = app.serve(server)
    for _ in range(2):
        answer = client.get(path)
        assert (answer.status, answer.body) == (status, body)
    assert seen == [status, status]
    assert app.logged() == []


@pytest.mark.parametrize(("path", "status", "body"), PATHS)
def test_before_that_lets_it_pass(app, server, path, status, body):
    seen = []

    @server.before_request
    def first(request):
        seen.append(("first", request.path, dict(request.params)))

    server.before_request(lambda request: seen.append("second"))
    client = app.serve(server)
    for _ in range(2):
        answer = client.get(path)
        assert (answer.status, answer.body) == (status, body)
    assert seen == [("first", path.partition("?")[0], {}), "second"] * 2


def test_before_that_fails(app, server):
    server.error_handler(ZeroDivisionError)(lambda request: ("divided", 500))
    server.before_request(lambda request: 1 / 0)
    client = app.serve(server)
    for path, _, _ in PATHS:
        answer = client.get(path)
        assert (answer.status, answer.body) == (500, b"divided")


def test_before_that_returns_nonsense(app, server):
    @server.before_request
    def nonsense(request):
        return 42

    assert app.serve(server).get("/").status == 500
    assert "nonsense (" in app.logged()[0]


# Groups


def grouped():
    """A server whose functions note their names, and the notes."""
    notes = []

    def note(name):
        return lambda request: notes.append(f"before {name}")

    def note_after(name):
        return lambda request, answer: notes.append(f"after {name}")

    server = WebServer()
    api = server.group("/api")
    inner = api.group("/inner")
    other = server.group("/other")
    for group, name in ((server, "top"), (api, "api"), (inner, "inner")):
        group.get("/x")(lambda request: f"{request.params}")
        group.get("/y/<int:n>")(lambda request: f"{request.params}")
        group.get("/bug")(lambda request: 1 / 0)
        group.before_request(note(name))  # after the routes: that changes nothing
        group.after_request(note_after(name))
    other.get("/x")(lambda request: "other")
    return server, notes


TOP, API, INNER = ["top"], ["top", "api"], ["top", "api", "inner"]


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("/x", TOP),
        ("/api/x", API),
        ("/api/inner/x", INNER),
        ("/api/inner/y/7", INNER),
        ("/api/inner/bug", INNER),
        ("/other/x", TOP),
        ("/api/nothing", TOP),
    ],
)
def test_the_functions_of_groups(app, path, names):
    server, notes = grouped()
    client = app.serve(server)
    for _ in range(2):
        client.get(path)
        assert notes == [f"{when} {name}" for when in ("before", "after") for name in names]
        notes.clear()


def test_a_group_alone_has_functions(app):
    server = WebServer()
    api = server.group("/api")

    @api.before_request
    def only_known(request):
        return None if request.params["name"] == "ann" else ("who?", 403)

    @api.after_request
    def name(request, answer):
        answer.set_header("X-Name", request.params["name"])

    @api.get("/<name>")
    def hello(request):
        return f"Hello, {request.params['name']}!"

    server.get("/")(lambda request: "index")
    client = app.serve(server)
    answer = client.get("/api/ann")
    assert (answer.body, answer.headers["x-name"]) == (b"Hello, ann!", "ann")
    answer = client.get("/api/bob")
    assert (answer.status, answer.headers["x-name"]) == (403, "bob")
    for path in ("/", "/x"):
        assert "x-name" not in client.get(path).headers


def test_a_wrapped_handler_is_named_as_itself(app):
    server = WebServer()
    api = server.group("/api")
    api.before_request(lambda request: None)

    @api.get("")
    def silent_one(request):
        pass

    assert app.serve(server).get("/api").status == 500
    assert "silent_one (" in app.logged()[0]
    assert "test_hooks.py:" in app.logged()[0]


def test_explain_says_what_is_before():
    server, _ = grouped()
    steps = server.explain("GET", "/api/inner/x").steps
    assert sum("before_request grouped.<locals>.note" in step for step in steps) == 3
    assert sum("before_request" in step for step in server.explain("GET", "/x").steps) == 1
    assert server.explain("GET", "/api/x").handler.__name__ == "<lambda>"
    assert server.check() == []


@pytest.mark.parametrize("register", ["before_request", "after_request"])
def test_what_cannot_be_called(register):
    with pytest.raises(TypeError, match="'x' is none"):
        getattr(WebServer(), register)("x")


def test_set_header():
    answer = Answer(200, [("A", "1"), ("B", "2"), ("a", "3")])
    answer.set_header("a", "4")
    assert answer.headers == [("B", "2"), ("a", "4")]


def test_functions_before_a_group_concern_nobody_else(app):
    """Files stay noted, and heads ready: only handlers of the group are wrapped."""
    server = WebServer()
    server.group("/api").before_request(lambda request: None)
    assert not Chosen(server.hooks, server.routes)
    api = server.group("/api")
    api.before_request(lambda request: ("no", 403))
    api.get("/x")(lambda request: "yes")
    server.get("/y")(lambda request: "yes")
    assert not Chosen(server.hooks, server.routes)
    client = app.serve(server)
    assert client.get("/api/x").status == 403
    assert client.get("/y").status == 200
    api.after_request(lambda request, answer: None)
    assert Chosen(server.hooks, server.routes)


# Answers that come later


def test_answers_that_come_later(app, server):
    """By `detach`, from a thread, and where those fail."""
    seen = []

    @server.after_request
    def harden(request, answer):
        seen.append((request.path, answer.code))
        answer.set_header("X-A", "1")

    @server.get("/detached")
    def detached(request):
        request.detach().response_json([1])

    @server.get("/blocking")
    @server.blocking
    def blocking(request):
        return {"a": 1}, 201

    @server.get("/file-later")
    @server.blocking
    def file_later(request):
        request.response_file("/a.txt")

    @server.get("/bug-later")
    @server.blocking
    def bug_later(request):
        raise BadRequest("no", headers={"X-B": "2"})

    client = app.serve(server)
    for path, status, body in (
        ("/detached", 200, b"[1]"),
        ("/blocking", 201, b'{"a":1}'),
        ("/file-later", 200, b"a file"),
        ("/bug-later", 400, b"400 Bad Request\n"),
    ):
        for _ in range(2):
            answer = client.get(path)
            assert (answer.status, answer.body, answer.headers["x-a"]) == (status, body, "1")
            assert answer.headers.get("x-b") == ("2" if status == 400 else None)
        assert seen == [(path, status)] * 2
        seen.clear()


def test_before_that_detaches(app, server):
    @server.before_request
    def later(request):
        request.detach().response("later")

    client = app.serve(server)
    for path in ("/", "/static/a.txt", "/nothing"):
        assert client.get(path).body == b"later"
    assert app.logged() == []


def test_hooks_in_development(app, server):
    server.before_request(lambda request: None)
    server.after_request(lambda request, answer: answer.set_header("X-A", "1"))
    client = app.serve(server, DevelopmentManager)
    for path, status, body in PATHS:
        answer = client.get(path)
        assert (answer.status, answer.body, answer.headers["x-a"]) == (status, body, "1")
