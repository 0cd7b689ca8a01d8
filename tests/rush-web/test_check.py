"""What `check` and `explain` say, and that it is what happens."""

import itertools
import random

import pytest

from rawclient import request
from rush_http import BadRequest
from rush_loader import Loader
from rush_web import WebServer


def one(request):
    request.response("one")


def two(request):
    request.response("two")


def no(request):
    return False


def says(server):
    return [(problem.kind, problem.message) for problem in server.check()]


def register(server, *routes):
    """Routes as text: methods and path; ``?`` in front has a filter."""
    for number, text in enumerate(routes):
        methods, _, path = text.lstrip("?").partition(" ")
        accepts = no if text.startswith("?") else None
        path, any_path = (None, True) if path == "*" else (path, False)
        handler = (one, two)[number % 2]
        server.route(path, methods.split(","), accepts, any_path=any_path)(handler)
    return server


CHECKS = [
    # routes, redirects, what is found: its kind, and words of it
    (["GET /"], {}, []),
    (["GET /", "POST /", "GET /<a>", "GET /<int:b>", "GET /<path:c>", "GET *"], {}, []),
    (["GET /", "GET /"], {}, [("duplicate", "GET /: two")]),
    (["GET /<a>", "GET /<b>"], {}, [("duplicate", "GET /<b>: two")]),
    (["GET *", "GET *"], {}, [("duplicate", "GET any path: two")]),
    (["GET,POST /", "POST /"], {}, [("shadowed", "POST /: two")]),
    (["GET /", "POST /", "GET,POST /"], {}, [("shadowed", "GET,POST /: one")]),
    (["GET /", "GET,POST /"], {}, [("unreachable-method", "GET,POST /: two")]),
    (["GET /", "?GET /"], {}, [("shadowed", "GET / if no")]),
    (["?GET /", "GET /"], {}, []),
    (["GET /", "HEAD /"], {}, []),
    (["?GET /", "?GET /"], {}, [("no-fallback", "GET / is 404")]),
    (["?GET /a", "GET /<x>"], {}, []),
    (["?GET /a/b", "GET /<path:x>"], {}, []),
    (["?GET /7", "GET /<int:x>"], {}, []),
    (["?GET /a", "GET /<int:x>"], {}, [("no-fallback", "GET /a is 404")]),
    (["?GET /<int:x>", "GET /<y>"], {}, []),
    (["?GET /<x>", "GET /<int:y>"], {}, [("no-fallback", "GET /<x> is 404")]),
    (["?GET /<path:x>", "GET /<y>"], {}, [("no-fallback", "GET /<path:x> is 404")]),
    (["?GET /<path:x>", "GET *"], {}, []),
    (["?GET *"], {}, [("no-fallback", "GET * is 404")]),
    (["?GET /a/", "GET /<path:x>"], {}, []),
    (["?GET /a", "POST /<x>"], {}, [("no-fallback", "GET /a is 404")]),
    (["GET /a"], {"/a": "/b"}, [("shadowed", "redirect to /b"), ("redirect-to-nowhere", "/b")]),
    (["GET /a%20b"], {}, [("encoded-path", "GET /a%20b")]),
    (["GET /a?b=1"], {}, [("encoded-path", "GET /a?b=1")]),
    (["GET /100%"], {}, []),
    (["GET /new"], {"/old": "/new?x=1#y"}, []),
    (["GET /a b"], {"/old": "/a%20b"}, []),
    ([], {"/old": "https://example.org/", "/b": "//example.org/x"}, []),
    ([], {"/old": "/nowhere"}, [("redirect-to-nowhere", "/old to /nowhere")]),
    (["GET /c"], {"/a": "/b", "/b": "/c"}, []),
    ([], {"/a": "/a"}, [("redirect-loop", "/a to /a")]),
    ([], {"/a": "/b", "/b": "/a"}, [("redirect-loop", "/a to /b to /a")]),
    ([], {"/x": "/a", "/a": "/b", "/b": "/a"}, [("redirect-loop", "/a to /b to /a")]),
    ([], {"/a": "/b", "/b": "https://example.org/"}, []),
    ([], {"/rel": "rel"}, [("redirect-loop", "/rel to /rel")]),
    ([], {"/a": "?x=1"}, [("redirect-loop", "/a to /a")]),
    ([], {"/up": "/./up"}, [("redirect-loop", "/up to /up")]),
    ([], {"/a b": "/x/../a%20b"}, [("redirect-loop", "/a b to /a b")]),
    (["GET /a/new"], {"/a/old": "new", "/b": "a/new", "/a/b/c": "../new"}, []),
    ([], {"/a/old": "../new"}, [("redirect-to-nowhere", "/a/old to /new,")]),
    (["GET /"], {"//host/x": "/"}, []),
    ([], {"/a": "http://[", "/b": "mailto:x@example.org"}, []),
]

SLASHES = [
    # the same, with trailing_slash="redirect"
    (["GET /new"], {"/old": "/new/"}, []),
    (["GET /new/"], {"/old": "/new"}, []),
    (["GET /new"], {"/old": "/other/"}, [("redirect-to-nowhere", "/old to /other/,")]),
    (["PUT /new"], {"/old": "/new/"}, [("redirect-to-nowhere", "/old to /new/,")]),
    (["GET /x"], {"/x": "/x/"}, [("shadowed", "/x"), ("redirect-loop", "/x to /x/ to /x")]),
    (["GET /y"], {"/y": "/x", "/x": "/y/"}, [("shadowed", ""), ("redirect-loop", "/y/ to /y")]),
    (["GET /x", "POST /x/"], {"/x": "/x/"}, [("shadowed", "/x"), ("redirect-loop", "/x to /x/")]),
]


@pytest.mark.parametrize(("routes", "redirects", "expected"), CHECKS)
def test_check(routes, redirects, expected):
    server = register(WebServer(), *routes)
    server.add_redirects(redirects)
    found = says(server)
    assert [kind for kind, _ in found] == [kind for kind, _ in expected]
    for (_, message), (_, words) in zip(found, expected, strict=True):
        assert words in message


@pytest.mark.parametrize(("routes", "redirects", "expected"), SLASHES)
def test_check_follows_slashes(routes, redirects, expected):
    server = register(WebServer(trailing_slash="redirect"), *routes)
    server.add_redirects(redirects)
    found = says(server)
    assert [kind for kind, _ in found] == [kind for kind, _ in expected]
    for (_, message), (_, words) in zip(found, expected, strict=True):
        assert words in message


def test_check_names_the_handlers():
    server = register(WebServer(), "GET /", "GET /")
    (problem,) = server.check()
    assert problem.routes == (server.routes[1], server.routes[0])
    assert str(problem).startswith("duplicate: GET /: two (")
    assert f"{__file__}:" in str(problem)


def test_check_looks_at_files(tmp_path):
    (tmp_path / "css").mkdir()
    for name in ("index.html", "a.css", ".hidden", "css/b.css", "css/c.css", "other", "moved"):
        (tmp_path / name).write_text(name)
    server = WebServer(root=tmp_path, files="/static/")
    register(server, "GET /static/css/<name>", "GET /static/", "POST /static/a.css")
    register(server, "?GET /static/other")  # where it says no, the file is there
    server.add_redirects({"/static/moved": "/static/a.css", "/b": "/static/b", "/i": "/static/"})
    assert says(server)[0] == ("redirect-to-nowhere", "/b to /static/b, where nothing answers")
    hidden = [message for kind, message in says(server) if kind == "hidden-file"]
    assert len(hidden) == len(says(server)) - 1 == 3
    words = ["/static/: ", "/static/moved: answered by the redirect to", "/css/b.css, /static/css/"]
    for message, word in itertools.product(hidden, words):
        assert (word in message) == (hidden.index(message) == words.index(word)), (message, word)


def test_check_looks_at_the_files_of_a_loader(tmp_path):
    (tmp_path / "a.css").touch()
    with Loader(tmp_path) as loader:
        server = WebServer(loader=loader, files="/static/")
        server.add_redirects({"/a": "/static/a.css", "/b": "/static/b.css"})
        assert says(server) == [
            ("redirect-to-nowhere", "/b to /static/b.css, where nothing answers")
        ]


def test_check_counts_hidden_files(tmp_path):
    for number in range(9):
        (tmp_path / f"{number}").touch()
    server = register(WebServer(root=tmp_path, files="/"), "GET *")
    ((kind, message),) = says(server)
    assert kind == "hidden-file"
    assert message.startswith("/0, /1, /2 and 6 more: answered by GET any path: one (")


# explain


@pytest.fixture
def server(tmp_path):
    (tmp_path / "f").touch()
    server = WebServer(root=tmp_path, files="/static/", trailing_slash="redirect")
    register(
        server,
        "GET /",
        "GET,POST /user/<int:id>",
        "?GET /user/<name>",
        "PUT /put/",
        "POST /static/f",
    )
    server.add_redirect("/old", "/new", keep_query=True)
    server.get("/key", lambda request: request.headers.get("x-key") == "42")(one)
    server.post("/body", lambda request: request.body == b"42")(one)
    return server


EXPLAINED = [
    # method, target, kind, words of the answer
    ("GET", "/", "handler", "handler GET /: one"),
    ("GET", "/user/7", "handler", "handler GET,POST /user/<int:id>: two"),
    ("GET", "/user/bill", "nothing", "404"),
    ("POST", "/user/bill", "method", "405 with Allow: GET, HEAD, OPTIONS"),
    ("OPTIONS", "/user/7", "options", "204 with Allow: GET, HEAD, OPTIONS, POST"),
    ("GET", "/old?x=1", "redirect", "redirect 301 to /new?x=1"),
    ("PUT", "/put?x=%20", "slash", "redirect 308 to /put/?x=%20"),
    ("GET", "/static/a/b", "file", "file /a/b of "),
    ("POST", "/static/a/b", "nothing", "404"),
    ("GET", "/x", "nothing", "404"),
    ("PUT", "/static/f", "method", "405 with Allow: GET, HEAD, OPTIONS, POST"),
    ("OPTIONS", "/static/f", "options", "204 with Allow: GET, HEAD, OPTIONS, POST"),
]


@pytest.mark.parametrize(("method", "target", "kind", "words"), EXPLAINED)
def test_explain(server, method, target, kind, words):
    explanation = server.explain(method, target)
    assert (explanation.kind, explanation.method) == (kind, method)
    assert words in explanation.answer
    assert str(explanation).splitlines()[0] == f"{method} {target.partition('?')[0]}"
    assert str(explanation).splitlines()[-1] == f"  -> {explanation.answer}"


def test_explain_says_why(server):
    lines = str(server.explain("GET", "/user/bill")).splitlines()
    assert lines[1] == "    no redirect of this path"
    assert lines[2].startswith("    GET /user/<name> if no (")
    assert lines[2].endswith("): its filter says no")
    lines = str(server.explain("PUT", "/user/7")).splitlines()
    assert lines[2].startswith("    GET,POST /user/<int:id>: two (")
    assert lines[2].endswith("): not for PUT")


def test_explain_gives_what_it_found(server):
    found = server.explain("GET", "/user/7")
    assert (found.route, found.handler, found.params) == (server.routes[1], two, {"id": 7})
    assert server.explain("GET", "/old").location == "/new"
    assert server.explain("PUT", "/user/7").allow == {"GET", "HEAD", "OPTIONS", "POST"}
    assert server.explain("GET", "/x").handler is None


def test_explain_asks_filters(server):
    assert server.explain("GET", "/key").kind == "nothing"
    assert server.explain("GET", "/key", {"X-Key": "42"}).kind == "handler"
    assert server.explain("POST", "/body", body=b"42").kind == "handler"


@pytest.mark.parametrize(
    ("method", "target"), [("GET", "x"), ("G T", "/"), ("GET", "/%zz"), ("GET", "/ä"), ("GET", "")]
)
def test_explain_what_nobody_can_ask(server, method, target):
    with pytest.raises(BadRequest):
        server.explain(method, target)


def test_explain_says_what_happens(app):
    """Of what was generated: the same as a client sees."""
    rng = random.Random(2026)
    paths = ["/a", "/a/", "/b", "/<x>", "/<int:x>", "/a/<x>", "/b/<path:x>", "/7"]
    server = WebServer(root=app.root, files="/s/", trailing_slash="redirect")
    (app.root / "f").write_text("file")
    for _ in range(12):
        accepts = rng.choice([None, None, no, lambda request: "y" in request.args])
        methods = rng.sample(["GET", "POST", "HEAD"], rng.randrange(1, 3))
        server.route(rng.choice(paths), methods, accepts)(lambda request: request.response())
    server.add_redirect("/r", "/a")
    app.routes = server.routes
    app.redirects = server.redirects
    client = app.start(files="/s/", trailing_slash="redirect")
    statuses = {"handler": {200}, "redirect": {301}, "slash": {308}, "options": {204}}
    statuses |= {"file": {200, 404}, "method": {405}, "nothing": {404}}
    kinds = set()
    targets = [
        "/a",
        "/a/",
        "/b",
        "/7",
        "/7/",
        "/s/f",
        "/s/",
        "/s/g",
        "/a/7/",
        "/r",
        "/",
        "/a?y",
        "/x?y",
    ]
    methods = ("GET", "HEAD", "POST", "PUT", "OPTIONS")
    for method, target in itertools.product(methods, targets):
        kind = server.explain(method, target).kind
        kinds.add(kind)
        client.send(request(target, method=method))
        response = client.response(without_body=method == "HEAD")
        assert response.status in statuses[kind], (method, target, kind)
    assert kinds == set(statuses)
