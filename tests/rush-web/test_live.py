"""Live reload: what pages hear of, and how the script comes into them."""

import re

import pytest

from rush_loader import AutoUpdatingCache, Loader
from rush_web import WebServer
from rush_web.dev.live import VERSION
from rush_web.dev.scripted import allowing, with_script

TAG = f'<script src="/_rush/live.js" data-version="{VERSION}"></script>\n'.encode()

PAGES = [
    (b"<body>x</body></html>", b"<body>x" + TAG + b"</body></html>"),
    (b"<BODY>x</BODY>", b"<BODY>x" + TAG + b"</BODY>"),
    (b"<p>x", b"<p>x" + TAG),
    (b"<script>'</body>'</script></body>", b"<script>'</body>'</script>" + TAG + b"</body>"),
    (b'<script src="/_rush/live.js">', b'<script src="/_rush/live.js">'),
]


@pytest.mark.parametrize(("before", "after"), PAGES, ids=range(len(PAGES)))  # TAG is random
def test_the_script_comes_to_the_end_of_the_body(before, after):
    assert with_script(before) == after


POLICIES = [
    ("img-src *", "img-src *"),
    ("default-src 'self'", "default-src 'self'"),
    (
        "default-src 'none'; img-src x",
        "default-src 'none'; img-src x; script-src-elem 'self'; connect-src 'self'",
    ),
    (
        "script-src 'nonce-x'; connect-src 'self'",
        "script-src 'nonce-x'; connect-src 'self'; script-src-elem 'nonce-x' 'self'",
    ),
    ("a b, script-src 'NONE'", "a b,script-src 'NONE'; script-src-elem 'self'"),
]


@pytest.mark.parametrize(("before", "after"), POLICIES)
def test_a_policy_allows_it(before, after):
    assert allowing(before) == after


@pytest.fixture
def server(tmp_path):
    (tmp_path / "index.html").write_text("<html><body>index</body></html>")
    (tmp_path / "site.css").write_text("a {}")
    made = WebServer(root=tmp_path, files="/", development=True)
    made.live = True

    @made.get("/page")
    def page(request):
        request.response("<body>page</body>", content_type="text/html")

    @made.get("/later")
    @made.blocking
    def later(request):
        return "later", 200, {"Content-Type": "text/html"}

    @made.after_request
    def policy(request, answer):
        if request.path == "/later":
            answer.set_header("Content-Security-Policy", "default-src 'none'")

    @made.get("/text")
    def text(request):
        return "<body>"

    @made.get("/bug")
    def bug(request):
        raise ValueError("reason")

    return made


def test_pages_get_it_and_nothing_else_does(server):
    with server.test_client(raise_exceptions=False) as client:
        for _ in range(2):
            assert TAG in client.get("/").body
            assert client.get("/").headers["cache-control"] == "no-store"
            assert client.get("/site.css").body == b"a {}"
        assert TAG in client.get("/page").body
        assert client.get("/text").body == b"<body>"
        later = client.get("/later")
        assert later.body == b"later" + TAG
        assert "script-src-elem 'self'" in later.headers["content-security-policy"]
        head = client.head("/")
        assert int(head.headers["content-length"]) == len(client.get("/").body)
        script = client.get("/_rush/live.js")
        assert script.headers["content-type"] == "text/javascript; charset=utf-8"
        error = client.get("/bug", headers={"Accept": "text/html", "Host": "localhost"})
        assert error.text.count("new EventSource") == 1  # in the page: its policy allows that
        assert TAG not in error.body


def test_without_it_there_is_nothing(server):
    server.live = False
    with server.test_client() as client:
        assert client.get("/").text == "<html><body>index</body></html>"
        assert client.get("/_rush/live.js").status == 404


def test_a_saved_file_is_told(server, tmp_path):
    with server.test_client() as client, client.another() as other:
        other.get("/")
        other.get("/site.css")
        stream = client.get("/_rush/live", stream=True)
        first = stream.read_until(b"\n\n") + stream.read_until(b"\n\n")
        assert re.search(rb"retry: 200\n[^z]*event: version\n", first)
        (tmp_path / "site.css").write_text("b {}")
        assert b'event: style\ndata: ["site.css"]\n\n' in stream.read_until(b"\n\n")
        (tmp_path / "index.html").write_text("<p>new")
        assert b"event: reload\n" in stream.read_until(b"\n\n")
        assert other.get("/").body == b"<p>new" + TAG


def test_a_cache_that_cannot_tell(tmp_path):
    class Quiet:
        def get(self, path):
            return None

        def close(self):
            pass

    with Loader(tmp_path, Quiet()) as loader, pytest.raises(TypeError, match="does not tell"):
        loader.on_change(print)
    with AutoUpdatingCache() as cache:
        assert Loader(tmp_path, cache).on_change(print) is print
