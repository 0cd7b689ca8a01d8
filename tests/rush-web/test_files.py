"""How files are sent: conditions, ranges, codings, and what may not be forgotten between two."""

import gzip
import os

import pytest

from rush_web import handlers

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
    monkeypatch.setattr(handlers, "_MOST_NOTED", 3)
    for number in range(10):
        (app.root / str(number)).write_text(str(number))
    client = app.start(files="/")
    for number in [*range(10), *range(10)]:
        assert client.get(f"/{number}").body == str(number).encode()


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
