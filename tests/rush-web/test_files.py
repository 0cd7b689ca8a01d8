"""How files are sent: conditions, ranges, codings, and what may not be forgotten between two."""

import gzip
import os
import time

import pytest

from rush_http.dates import parse_http_date
from rush_web import Route, ready
from rush_web.converters import CONVERTERS, own_converter

TEXT = "<p>All work and no play</p>" * 100


@pytest.fixture(params=["first", "again"])
def get(app, request):
    """Ask for a file; again: it was found before, so the short way is taken."""
    (app.root / "page.html").write_text(TEXT)
    (app.root / "large.bin").write_bytes(bytes(range(256)) * 8192)
    client = app.start(files="/static/")

    def get(path, method="GET", **headers):
        path = f"/static{path}"
        if request.param == "again":
            client.get(path)
        lines = [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        return client.get(path, *lines, method=method)

    return get


def test_conditions(get):
    whole = get("/page.html")
    assert (whole.status, whole.body) == (200, TEXT.encode())
    etag = whole.headers["etag"]
    unchanged = get("/page.html", if_none_match=etag)
    assert (unchanged.status, unchanged.body) == (304, b"")
    assert unchanged.headers["etag"] == etag
    assert "date" in unchanged.headers
    assert get("/page.html", if_modified_since=whole.headers["last-modified"]).status == 304
    assert get("/page.html", if_none_match='"x"').status == 200
    assert get("/page.html", if_match='"x"').status == 412
    assert get("/page.html", if_match='"x"', if_none_match=etag).status == 412


@pytest.mark.parametrize("path", ["/page.html", "/large.bin"])
def test_last_answer_of_a_connection(get, path):
    assert get(path, connection="close").headers["connection"] == "close"


@pytest.mark.parametrize("path", ["/page.html", "/large.bin"])
def test_ranges(get, path):
    whole = get(path).body
    part = get(path, range="bytes=10-19")
    assert (part.status, part.body) == (206, whole[10:20])
    assert part.headers["content-range"] == f"bytes 10-19/{len(whole)}"
    several = get(path, range="bytes=0-9,2000-2009")
    assert several.status == 206
    assert len(several.body) == int(several.headers["content-length"])
    assert whole[:10] in several.body
    assert whole[2000:2010] in several.body
    assert get(path, range=f"bytes={len(whole)}-").status == 416
    assert get(path, range="bytes=10-19", if_range='"x"').body == whole


@pytest.mark.parametrize("path", ["/page.html", "/large.bin"])
def test_head(get, path):
    whole, head = get(path), get(path, method="HEAD")
    assert head.body == b""
    assert head.headers | {"date": ""} == whole.headers | {"date": ""}


def test_codings(get):
    reply = get("/page.html", accept_encoding="gzip")
    assert reply.headers["vary"] == "Accept-Encoding"
    body = reply.body
    if "content-encoding" in reply.headers:  # it may not be compressed yet
        body = gzip.decompress(body)
    assert body == TEXT.encode()


@pytest.mark.once  # it takes a second
def test_the_date_goes_on(app):
    (app.root / "page.html").write_text("page")
    client = app.start(files="/")
    dates = set()
    while len(dates) < 2:
        before = int(time.time())
        date = parse_http_date(client.get("/page.html").headers["date"])
        assert before - 1 <= date <= time.time()
        dates.add(date)


def test_pipelined(app):
    (app.root / "page.html").write_text("page")
    client = app.start(files="/")
    client.send(b"GET /page.html HTTP/1.1\r\nHost: a\r\n\r\n" * 3)
    assert [client.response().body for _ in range(3)] == [b"page"] * 3


def test_a_found_file_does_not_go_before_a_handler_of_another_method(app):
    (app.root / "page.html").write_text("page")
    app.route("/page.html", "POST")(lambda request: request.response("posted"))
    client = app.start(files="/")
    for _ in range(2):
        assert client.get("/page.html").body == b"page"
        assert client.get("/page.html", method="POST").body == b"posted"


def test_a_found_file_does_not_go_before_a_filter(app):
    (app.root / "page.html").write_text("page")
    app.route("/page.html", filter=lambda request: request.query)(
        lambda request: request.response("filtered")
    )
    app.route("/<name>", filter=lambda request: request.query == "b")(
        lambda request: request.response(request.params["name"])
    )
    (app.root / "other.html").write_text("other")
    client = app.start(files="/")
    for _ in range(2):
        assert client.get("/page.html").body == b"page"
        assert client.get("/page.html?a").body == b"filtered"
        assert client.get("/other.html").body == b"other"
        assert client.get("/other.html?b").body == b"other.html"


def test_a_found_file_does_not_go_before_a_converter_that_may_say_yes(app):
    users = set()

    def user(text):
        if text not in users:
            raise ValueError(text)
        return text

    converters = {**CONVERTERS, "user": own_converter("user", user, CONVERTERS)}
    for path in ("/<user:name>", "/<user:name>/x", "/in/<int:number>"):
        app.routes.append(
            Route(path, lambda request: request.response("route"), converters=converters)
        )
    (app.root / "ann").write_text("file")
    (app.root / "bob").mkdir()
    (app.root / "bob/x").write_text("file")
    client = app.start(files="/")
    for found in (b"file", b"route"):
        for path in ("/ann", "/bob/x"):
            assert client.get(path).body == found
        users.update(("ann", "bob"))


def test_a_found_file_does_not_go_before_the_other_slash(app):
    app.route("/page/", "HEAD")(lambda request: request.response())
    (app.root / "page").write_text("file")
    client = app.start(files="/", trailing_slash="redirect")
    for _ in range(2):
        assert client.get("/page", method="HEAD").status == 308
        assert client.get("/page").body == b"file"


def test_a_found_file_that_is_gone(app):
    (app.root / "page.html").write_text("page")
    client = app.start(files="/")
    assert client.get("/page.html").body == b"page"
    assert client.get("/page.html", method="DELETE").status in (404, 405)
    os.rename(app.root / "page.html", app.root / "moved.html")
    while client.get("/page.html").status != 404:
        pass
    (app.root / "page.html").mkdir()
    assert client.get("/page.html").headers["location"] == "/page.html/"
    assert client.get("/moved.html").body == b"page"


def test_found_files_are_bounded(app, monkeypatch):
    monkeypatch.setattr(ready, "_MOST_ADDED", 3)
    app.redirects["/old"] = ("/0", 301)
    for number in range(10):
        (app.root / str(number)).write_text(str(number))
    client = app.start(files="/")
    for number in [*range(10), *range(10)]:
        assert client.get(f"/{number}").body == str(number).encode()
        assert client.get("/old").headers["location"] == "/0"


def test_a_page_for_errors_has_no_conditions(app):
    (app.root / "404.html").write_text("not here")
    app.error("not-found")(lambda request: request.response_file("/404.html"))
    app.route("/page")(lambda request: request.response_file("/404.html"))
    app.route("/post", "POST")(lambda request: request.response_file("/404.html"))
    client = app.start()
    conditions = "If-None-Match: " + client.get("/page").headers["etag"], "Range: bytes=0-0"
    missing = client.get("/missing", *conditions)
    assert (missing.status, missing.body) == (404, b"not here")
    posted = client.get("/post", *conditions, method="POST")
    assert (posted.status, posted.body) == (200, b"not here")
    assert client.get("/page", *conditions).status == 304


def test_headers_of_ones_own_with_a_part(app):
    (app.root / "a.txt").write_text("0123456789")
    app.route("/")(
        lambda request: request.response_file(
            "/a.txt", headers={"Cache-Control": "private", "Content-Disposition": "attachment"}
        )
    )
    client = app.start()
    part = client.get("/", "Range: bytes=2-4")
    assert (part.status, part.body, part.headers["cache-control"]) == (206, b"234", "private")
    assert part.headers["content-disposition"] == "attachment"
    response = client.get("/", "If-None-Match: " + part.headers["etag"])
    assert (response.status, response.headers["cache-control"]) == (304, "private")
    assert "content-disposition" not in response.headers


def answer_with(app, headers, content="<p>text</p>" * 500):
    (app.root / "page.html").write_text(content)
    app.route("/")(lambda request: request.response_file("/page.html", headers=headers))
    return app.start()


@pytest.mark.parametrize(
    ("given", "vary"),
    [
        ("Cookie", "Accept-Encoding, Cookie"),
        ("cookie, Accept-Language", "Accept-Encoding, cookie, Accept-Language"),
        ("accept-encoding, Cookie", "Accept-Encoding, Cookie"),
        ("accept-encoding", "Accept-Encoding"),
        ("*", "*"),
    ],
)
def test_a_file_varies_by_what_it_did_as_well(app, given, vary):
    client = answer_with(app, {"Vary": given})
    assert client.get("/").headers["vary"] == vary
    etag = client.get("/").headers["etag"]
    assert client.get("/", f"If-None-Match: {etag}").headers["vary"] == vary


def test_vary_twice(app):
    client = answer_with(app, [("Vary", "Cookie"), ("vary", "Origin")])
    assert client.get("/").headers["vary"] == "Accept-Encoding, Cookie, Origin"


def test_a_type_of_ones_own_with_ranges(app):
    client = answer_with(app, [("content-type", "text/x-own")])
    assert client.get("/").headers["content-type"] == "text/x-own"
    part = client.get("/", "Range: bytes=1-3")
    assert (part.status, part.headers["content-type"]) == (206, "text/x-own")
    # They would have the type of the file: it is sent as a whole instead (RFC 9110, 14.2).
    several = client.get("/", "Range: bytes=0-9,1000-1009")
    assert (several.status, several.headers["content-type"]) == (200, "text/x-own")
    assert len(several.body) == int(several.headers["content-length"]) == 5500
    unchanged = client.get(
        "/", "Range: bytes=0-9,1000-1009", f"If-None-Match: {part.headers['etag']}"
    )
    assert unchanged.status == 304


def test_a_reply_of_several_ranges_keeps_its_type(app):
    (app.root / "page.html").write_text("text" * 500)

    @app.route("/")
    def send(request):
        reply = request._loader.answer("/page.html", "GET", request.headers)
        request.send_reply(reply, headers={"Content-Type": "text/x-own"})

    several = app.start().get("/", "Range: bytes=0-9,1000-1009")
    assert several.status == 206
    assert several.headers["content-type"].startswith("multipart/byteranges; boundary=")


@pytest.mark.parametrize("name", ["ETag", "content-range", "Content-Encoding", "Content-Length"])
def test_headers_that_are_not_the_handlers(app, name):
    client = answer_with(app, {name: '"mine"'})
    assert client.get("/").status == 500
    assert f"header {name} is worked out here: leave it out" in app.logged()[0]


@pytest.mark.parametrize(
    ("path", "location"),
    [
        ("/static/css", "/static/css/"),
        ("/static/css?a=1&b=%2f", "/static/css/?a=1&b=%2f"),
        ("/static/a%20b%3f/%C3%A9", "/static/a%20b%3F/%C3%A9/"),
    ],
)
def test_a_directory_without_its_slash(app, path, location):
    (app.root / "css").mkdir()
    (app.root / "a b?" / "é").mkdir(parents=True)
    client = app.start(files="/static/")
    response = client.get(path)
    assert (response.status, response.headers["location"]) == (301, location)
    assert client.get(path, method="POST").status == 404


@pytest.mark.parametrize("path", ["//css", "//host/css", "/%2fcss", "/%5ccss", "/css//", "/\\css"])
def test_no_directory_sends_to_another_host(app, path):
    (app.root / "css").mkdir()
    (app.root / "host" / "css").mkdir(parents=True)
    response = app.start(files="/").get(path)
    assert response.status == 404
    assert "location" not in response.headers


def test_a_loader_of_ones_own(serve, tmp_path):
    """Everything that a loader can be told reaches the server with it."""
    for name in ("site/home.html", "site/.well-known", "docs/intro.html"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    program = serve(
        """files="/static/", loader=Mounts({
            "/": Loader("site", index="home.html", dot_files=True, fallback="/home.html",
                        cache_control=[("*.html", "max-age=60")]),
            "/docs/": Loader("docs"),
        })""",
        """
        @server.on_startup
        def warm(loader):
            assert loader.cache_files("/") == 3

        @server.get("/page")
        def page(request):
            request.response_file("/docs/intro.html")
        """,
    )
    for path, name in [
        ("/static/", "site/home.html"),
        ("/static/user/42", "site/home.html"),
        ("/static/.well-known", "site/.well-known"),
        ("/static/docs/intro.html", "docs/intro.html"),
        ("/page", "docs/intro.html"),
    ]:
        for _ in range(2):
            answer = program.get(path)
            assert (answer.status, answer.body) == (200, name.encode())
            kept = "max-age=60" if name == "site/home.html" else "no-cache"
            assert answer.headers["cache-control"] == kept
    answer = program.get("/static/docs?a=1")
    assert (answer.status, answer.headers["location"]) == (301, "/static/docs/?a=1")
    assert program.stop() == 0
