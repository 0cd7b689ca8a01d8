"""Who answers, and what if that fails."""

import logging
import os

import pytest

from programs import eventually
from rawclient import request
from rush_http import BadRequest, Forbidden, HttpError, NotFound, ServiceUnavailable
from rush_web import DevelopmentManager, HandlersManager, WebServer
from rush_web.hooks import Hooks


def say(text, code=None):
    return lambda request: request.response(text, code)


# The order


def test_the_order(app):
    """Redirect, handler, file."""
    for name in ("all", "handled", "file"):
        (app.root / name).write_text("file")
    app.redirects["/all"] = ("/there", 308)
    app.route("/all")(say("handler"))
    app.route("/handled")(say("handler"))
    client = app.start(files="/")
    assert client.get("/all").status == 308
    assert client.get("/handled").body == b"handler"
    assert client.get("/file").body == b"file"
    assert client.get("/none").status == 404


@pytest.mark.parametrize("manager_class", [HandlersManager, DevelopmentManager])
@pytest.mark.parametrize("hooked", [False, True])
def test_a_redirect_goes_before_a_parameter(app, manager_class, hooked):
    hooks = Hooks()
    hooks.before += [lambda request: None] * hooked
    app.redirects["/user/old"] = ("/user/new", 308)
    app.route("/user/<name>", "GET", "PROPFIND")(say("handler"))
    client = app.start(manager_class=manager_class, hooks=hooks)
    for method in ("GET", "HEAD", "PROPFIND", "PUT", "BREW"):
        assert client.get("/user/old", method=method).status == 308
        status = 200 if method in ("GET", "HEAD", "PROPFIND") else 405
        assert client.get("/user/other", method=method).status == status


def test_a_parameter_goes_before_a_file(app):
    (app.root / "file").write_text("file")
    app.route("/<name>")(say("handler"))
    assert app.start(files="/").get("/file").body == b"handler"


def test_a_file_where_filters_say_no(app):
    (app.root / "file").write_text("file")
    app.route("/file", filter=lambda request: "yes" in request.args)(say("handler"))
    client = app.start(files="/")
    assert client.get("/file?yes").body == b"handler"
    assert client.get("/file").body == b"file"


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_redirects(app, code):
    app.redirects["/old"] = ("https://example.org/new?x=1", code)
    client = app.start()
    for method in ("GET", "POST", "DELETE", "OPTIONS", "PROPFIND", "HEAD"):
        response = client.get("/old?y=2", method=method)
        assert response.status == code
        assert response.headers["location"] == "https://example.org/new?x=1"
        assert response.headers["content-length"] == "0"
    assert client.get("/old/").status == 404
    assert client.get("/old", protocol="HTTP/1.0").headers["connection"] == "close"


BAD_REDIRECTS = [
    ("old", "/new", 301, "begins with '/': 'old'"),
    ("/old", "/new", 200, "not 200: '/old'"),
    ("/old", "/new", 304, "not 304"),
    ("/old/<id>", "/new", 301, "without parameters: '/old/<id>'"),
    ("/old", "/new\r\nX: y", 301, "no header may hold"),
]


@pytest.mark.parametrize(("path", "location", "code", "words"), BAD_REDIRECTS)
def test_bad_redirects(app, path, location, code, words):
    server = WebServer()
    with pytest.raises(ValueError, match=words):
        server.add_redirect(path, location, code)
    with pytest.raises(ValueError, match=words):
        server.add_redirects({path: location}, code)
    assert server.redirects == {}
    app.redirects[path] = (location, code)
    with pytest.raises(ValueError, match=words):
        app.start()


@pytest.mark.parametrize(("path", "location"), [(5, "/"), ("/a", 5), ("/a", None)])
def test_redirects_are_text(path, location):
    with pytest.raises(TypeError, match=f"from text to text, not {path!r} to {location!r}"):
        WebServer().add_redirect(path, location)


# Files


def test_files_below_a_prefix(app):
    (app.root / "css").mkdir()
    (app.root / "css" / "a.css").write_text("a {}")
    (app.root / "index.html").write_text("index")
    client = app.start(files="/static/")
    assert client.get("/static/css/a.css").body == b"a {}"
    assert client.get("/static/").body == b"index"
    assert client.get("/static/css/a.css", method="HEAD").headers["content-length"] == "4"
    for path in ("/css/a.css", "/static", "/staticcss/a.css", "/static//css/a.css"):
        assert client.get(path).status == 404, path
    posted = client.get("/static/css/a.css", method="POST")
    assert (posted.status, posted.headers["allow"]) == (405, "GET, HEAD, OPTIONS")
    assert client.get("/static/css/b.css", method="POST").status == 404


def test_no_files_by_default(app):
    (app.root / "index.html").write_text("index")
    client = app.start()
    assert client.get("/").status == 404
    assert client.get("/index.html").status == 404


@pytest.mark.parametrize("prefix", ["/", "/static/"])
@pytest.mark.parametrize(
    "path",
    [
        "..%2fsecret",
        "%2e%2e/secret",
        "%2e%2e%2fsecret",
        "../secret",
        "css/../../secret",
        "..%5csecret",
        "%2fetc/passwd",
        ".env",
        "link",
        "folder/secret",
        "%ff",
        "fifo",
        "x" * 5000,
    ],
)
def test_never_outside_of_the_root(app, prefix, path):
    (app.root.parent / "secret").write_text("secret")
    (app.root / ".env").write_text("secret")
    (app.root / "link").symlink_to(app.root.parent / "secret")
    (app.root / "folder").symlink_to(app.root.parent)
    os.mkfifo(app.root / "fifo")
    response = app.start(files=prefix).get(f"{prefix}{path}")
    assert response.status == (400 if path == "%ff" else 404)
    assert b"secret" not in response.body
    assert app.logged() == []


def test_a_path_with_a_nul(app):
    client = app.start(files="/")
    assert client.get("/a%00b").status == 400


def test_links_inside_of_the_root(app):
    (app.root / "a").write_text("inside")
    (app.root / "link").symlink_to("a")
    assert app.start(files="/").get("/link").body == b"inside"


def test_a_saved_file_is_fresh(app):
    path, other = app.root / "page", app.root / "new"
    path.write_text("0")
    client = app.start(files="/")
    assert client.get("/page").body == b"0"
    for number in range(1, 6):
        other.write_text(str(number))
        os.replace(other, path)
        deadline = 5000
        while (body := client.get("/page").body) != b"%d" % number:
            assert body == b"%d" % (number - 1)
            deadline -= 1
            assert deadline
    path.unlink()
    while client.get("/page").status != 404:
        deadline -= 1
        assert deadline


@pytest.mark.parametrize("files", ["static/", "/static", "", "static"])
def test_bad_prefixes(app, files):
    with pytest.raises(ValueError, match="prefix such as '/static/'"):
        app.start(files=files)
    with pytest.raises(ValueError, match="prefix such as '/static/'"):
        WebServer(root=".", files=files)


# Errors


def raising(error):
    def handler(request):
        raise error

    return handler


DEFAULTS = [
    # what the handler does, status, the body, how much is logged as an error
    (raising(NotFound("reason")), 404, b"404 Not Found\n", 0),
    (raising(FileNotFoundError(2, "reason", "x")), 404, b"404 Not Found\n", 0),
    (raising(BadRequest("reason")), 400, b"400 Bad Request\n", 0),
    (raising(Forbidden("reason")), 403, b"403 Forbidden\n", 0),
    (raising(HttpError("reason", status=418)), 418, b"418 I'm a Teapot\n", 0),
    (raising(HttpError("reason", status=499)), 499, b"499 Error\n", 0),
    (raising(ServiceUnavailable("reason")), 503, b"503 Service Unavailable\n", 1),
    (raising(HttpError("reason")), 500, b"500 Internal Server Error\n", 1),
    (raising(ValueError("reason")), 500, b"500 Internal Server Error\n", 1),
    (raising(RecursionError("reason")), 500, b"500 Internal Server Error\n", 1),
    (raising(MemoryError("reason")), 500, b"500 Internal Server Error\n", 1),
    (raising(PermissionError(13, "reason")), 500, b"500 Internal Server Error\n", 1),
]


@pytest.mark.parametrize(("handler", "status", "body", "errors"), DEFAULTS)
def test_default_answers_are_complete(app, handler, status, body, errors):
    app.route("/")(handler)
    app.route("/after")(say("after"))
    client = app.start()
    response = client.get()
    assert (response.status, response.body.lower()) == (status, body.lower())
    assert response.headers["content-type"] == "text/plain; charset=utf-8"
    assert client.get("/after").body == b"after"  # the connection goes on
    assert len(app.logged()) == errors
    assert all("<Request GET '/'>" in line and "reason" in line for line in app.logged())
    assert "reason" not in response.body.decode()  # that is for the log


def test_the_traceback_is_logged(app):
    app.route("/")(raising(ValueError("reason")))
    app.start().get()
    (record,) = [record for record in app.log.records if record.levelno == logging.ERROR]
    assert record.name == "rush_web"
    assert record.exc_info[2] is not None


def test_a_handler_without_its_file_leaves_a_line(app):
    app.route("/")(lambda request: os.stat("/missing/settings"))
    app.start().get()
    assert any("/missing/settings" in line for line in app.logged(logging.INFO))


def test_nothing_there(app):
    client = app.start()
    for method in ("GET", "POST", "HEAD", "OPTIONS"):
        response = client.get("/nothing", method=method)
        assert response.status == 404
        assert response.headers["content-length"] == "14"


def test_own_error_handlers(app):
    seen = []

    @app.error("not-found")
    def not_found(request):
        seen.append((request.error, request.code))
        request.response(f"no {request.path}", headers={"X-A": "1"})

    @app.error("internal-error")
    def failed(request):
        seen.append((request.error, request.code))
        request.response_json({"error": str(request.error)})

    error = ValueError("reason")
    app.route("/bug")(raising(error))
    app.route("/busy")(raising(ServiceUnavailable("busy")))
    app.route("/silent")(lambda request: None)
    client = app.start()
    response = client.get("/missing")
    assert (response.status, response.body) == (404, b"no /missing")
    assert response.headers["x-a"] == "1"
    assert isinstance(seen[0][0], NotFound)
    response = client.get("/bug")
    assert (response.status, response.body) == (500, b'{"error":"reason"}')
    assert seen[1] == (error, 500)
    assert client.get("/busy").status == 503
    assert client.get("/silent").status == 500


def test_an_error_handler_names_another_status(app):
    app.error("not-found")(say("gone", 410))
    app.error("internal-error")(lambda request: request.redirect("/sorry"))
    app.route("/bug")(raising(ValueError()))
    client = app.start()
    assert client.get("/x").status == 410
    assert client.get("/bug").status == 302


def test_a_page_for_what_is_not_found(app):
    (app.root / "404.html").write_text("<h1>404</h1>")
    app.error("not-found")(lambda request: request.response_file("/404.html"))
    response = app.start(files="/").get("/x")
    assert (response.status, response.body) == (404, b"<h1>404</h1>")
    assert response.headers["content-type"] == "text/html; charset=utf-8"


@pytest.mark.parametrize("name", ["not-found", "internal-error"])
@pytest.mark.parametrize(
    "broken",
    [raising(ValueError("again")), raising(NotFound("again")), lambda request: None],
    ids=["raises", "is not found itself", "says nothing"],
)
def test_an_error_handler_that_fails(app, name, broken):
    app.error(name)(broken)
    app.route("/bug")(raising(KeyError("bug")))
    app.route("/fine")(say("fine"))
    client = app.start()
    response = client.get("/bug" if name == "internal-error" else "/missing")
    assert (response.status, response.body) == (500, b"500 Internal Server Error\n")
    assert any(f"the {name} handler" in line for line in app.logged())
    assert client.get("/fine").status == 200


def test_no_other_error_handlers(app):
    app.errors["teapot"] = say("x")
    with pytest.raises(ValueError, match="no error handler 'teapot': use 'not-found' or"):
        app.start()
    with pytest.raises(ValueError, match="no error handler 'teapot'"):
        WebServer().error_handler("teapot")
    with pytest.raises(TypeError, match="must be callable, not 'x'"):
        WebServer().error_handler("not-found")("x")


def test_a_handler_that_says_nothing(app):
    @app.route("/<which>")
    @app.route("/")
    def silent_one(request):
        pass

    client = app.start()
    for path in ("/", "/x"):
        assert client.get(path).status == 500
    assert len(app.logged()) == 2
    assert all("silent_one" in line and "without an answer" in line for line in app.logged())


def test_a_handler_that_says_two_things(app):
    @app.route("/")
    def handler(request):
        request.response("first")
        request.response("second")

    client = app.start()
    for _ in range(2):
        assert client.get().body == b"first"
    client.send(request() + request())  # also when answers are written together
    assert [client.response().body for _ in range(2)] == [b"first", b"first"]
    assert len(app.logged()) == 4
    assert all("'/'> failed after its answer: no request awaits" in line for line in app.logged())


@pytest.mark.parametrize("error", [ValueError("late"), NotFound("late"), BadRequest("late")])
def test_a_handler_that_raises_after_its_answer(app, error):
    @app.route("/")
    def handler(request):
        request.response("first")
        raise error

    client = app.start()
    assert client.get().body == b"first"
    assert client.get().body == b"first"
    assert any("failed after its answer: late" in line for line in app.logged())


def test_a_handler_that_closes_the_connection(app):
    @app.route("/")
    def handler(request):
        request.conn.close()

    app.route("/fine")(say("fine"))
    client = app.start()
    client.send(request())
    assert client.rest() == b""
    assert app.client().get("/fine").body == b"fine"
    assert app.logged() == []


def test_a_handler_that_closes_the_connection_and_fails(app):
    @app.route("/")
    def handler(request):
        request.conn.close()
        raise ValueError("reason")

    client = app.start()
    client.send(request())
    assert client.rest() == b""
    # The client may know of the end before the line is written.
    (line,) = eventually(app.logged, "a line in the log")
    assert line.endswith("reason")


def test_the_log_cuts_long_paths(app):
    app.start().get("/" + "x" * 9000)
    app.route("/<x>")(raising(ValueError("reason")))
    app.start().get("/" + "x" * 9000)
    assert len(app.logged()[0]) < 500


def test_the_first_of_two_routes_alike_counts(app):
    app.route("/")(say("first"))
    app.route("/")(say("second"))
    assert app.start().get("/").body == b"first"


def test_a_log_that_is_written_later_names_the_right_request(app):
    """The `Request` is another one by then."""
    app.route("/<x>")(raising(ValueError("reason")))
    client = app.start()
    for name in ("a", "b", "c"):
        client.get(f"/{name}")
    assert [line for line in app.logged() if "'/a'" in line] == [
        "<Request GET '/a'> failed: reason"
    ]
