"""Live reload: what pages hear of, and how the script comes into them."""

import re

import pytest

from browser import dom_of, needs_chromium
from rush_loader import AutoUpdatingCache, Loader
from rush_web import WebServer
from rush_web.dev.live import with_script

TAG = b'<script src="/_rush/live.js"></script>\n'

PAGES = [
    (b"<body>x</body></html>", b"<body>x" + TAG + b"</body></html>"),
    (b"<BODY>x</BODY>", b"<BODY>x" + TAG + b"</BODY>"),
    (b"<p>x", b"<p>x" + TAG),
    (b"<script>'</body>'</script></body>", b"<script>'</body>'</script>" + TAG + b"</body>"),
    (b'<script src="/_rush/live.js">', b'<script src="/_rush/live.js">'),
]


@pytest.mark.parametrize(("before", "after"), PAGES)
def test_the_script_comes_to_the_end_of_the_body(before, after):
    assert with_script(before) == after


@pytest.fixture
def server(tmp_path):
    (tmp_path / "index.html").write_text("<html><body>index</body></html>")
    (tmp_path / "site.css").write_text("a {}")
    made = WebServer(root=tmp_path, files="/", development=True)
    made.live = True

    @made.get("/page")
    def page(request):
        request.response("<body>page</body>", content_type="text/html")

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


BROWSED = """
from pathlib import Path
from rush_web import WebServer

server = WebServer(port=0, root=".", files="/")
held = []


@server.get("/hold")
def hold(request):
    held.append(request.detach())  # until then the page is not loaded


@server.get("/save")
def save(request):
    Path("site.css").write_text("p { color: rgb(0, 0, 255) }")
    return "saved"


@server.get("/release")
def release(request):
    held.pop().response()
    return "released"
"""

PAGE = """<!DOCTYPE html><link rel="stylesheet" href="/site.css"><p>text</p><img src="/hold">
<script>
window.kept = "kept";
const saves = setInterval(() => fetch("/save"), 100);  // until the page has heard of one
new MutationObserver(() => {
  const links = document.querySelectorAll("link");
  if (links.length !== 1 || !links[0].href.includes("_rush=")) return;
  document.title = window.kept + " " + getComputedStyle(document.querySelector("p")).color;
  clearInterval(saves);
  fetch("/release");
}).observe(document.head, { childList: true });
</script>"""


@pytest.mark.once
@needs_chromium
def test_a_browser_swaps_a_style_without_a_reload(launch, tmp_path):
    (tmp_path / "app.py").write_text(BROWSED)
    (tmp_path / "index.html").write_text(PAGE)
    (tmp_path / "site.css").write_text("p { color: rgb(255, 0, 0) }")
    program = launch("-m", "rush_web", "dev", "app.py").ready()
    dom = dom_of("http://{}:{}/".format(*program.address), tmp_path, streams=True)
    assert "<title>kept rgb(0, 0, 255)</title>" in dom
