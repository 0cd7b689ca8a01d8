"""The example site as its users meet it: curl, a browser, saves, crashes, and the end."""

import contextlib
import os
import shutil
import signal
import subprocess
import threading
import time

import pytest

from browser import dom_of, needs_chromium
from rawclient import PATIENCE

curl = pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed")


def run_curl(site, path, *options):
    done = subprocess.run(
        ["curl", "-s", "-i", *options, site.url(path)], capture_output=True, timeout=PATIENCE
    )
    assert done.returncode == 0
    head, _, body = done.stdout.partition(b"\r\n\r\n")
    status, *lines = head.decode("latin-1").split("\r\n")
    return status, dict(line.split(": ", 1) for line in lines), body


@curl
@pytest.mark.parametrize(
    ("path", "status", "content_type", "words"),
    [
        ("/", "200 OK", "text/html; charset=utf-8", b"<h1>Rush runs</h1>"),
        ("/hello", "200 OK", "text/html; charset=utf-8", b"Hello, world!"),
        ("/hello?name=A%26B+C", "200 OK", "text/html; charset=utf-8", b"Hello, A&amp;B C!"),
        ("/user/caf%C3%A9", "200 OK", "application/json", '"café"'.encode()),
        ("/static/style.css", "200 OK", "text/css; charset=utf-8", b"main {"),
        ("/static/rush.svg", "200 OK", "image/svg+xml", b"<svg "),
        ("/nowhere", "404 Not Found", "text/html; charset=utf-8", b"There is no /nowhere"),
        ("/error", "500 Internal Server Error", "text/html; charset=utf-8", b"that went wrong"),
    ],
)
def test_curl(site, path, status, content_type, words):
    line, headers, body = run_curl(site, path)
    assert line == f"HTTP/1.1 {status}"
    assert headers["Content-Type"] == content_type
    assert headers["Content-Length"] == str(len(body))
    assert headers["Date"].endswith(" GMT")
    assert words in body


@curl
def test_curl_redirect(site):
    line, headers, body = run_curl(site, "/easter")
    assert (line, headers["Location"], body) == ("HTTP/1.1 302 Found", "/hello?name=bunny", b"")


@curl
def test_curl_large_file(site):
    content = os.urandom(3 << 20)
    (site.folder / "public/large.bin").write_bytes(content)
    line, headers, body = run_curl(site, "/static/large.bin")
    assert (line, headers["Content-Type"]) == ("HTTP/1.1 200 OK", "application/octet-stream")
    assert body == content


@curl
@pytest.mark.parametrize(
    "path", ["/", "/hello", "/static/style.css", "/easter", "/nowhere", "/error"]
)
def test_head_has_no_body(site, path):
    _, get, _ = run_curl(site, path)
    _, head, body = run_curl(site, path, "-I")
    assert body == b""
    assert head["Content-Length"] == get["Content-Length"] or path == "/hello"


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/static/../app.py", 404),
        ("/static/..%2fapp.py", 404),
        ("/static/%2e%2e/app.py", 404),
        ("/static/..%5capp.py", 404),
        ("/static//etc/passwd", 404),
        ("/static/link", 404),
        ("/static/a%00b", 400),
        ("/..%2f", 404),
        ("/%2e%2e/", 404),
        ("/a%00b", 400),
    ],
)
def test_nothing_outside_of_the_root(site, path, status):
    (site.folder / "public/link").symlink_to(site.folder / "app.py")
    with site.client() as client:
        response = client.get(path)
    assert response.status == status
    assert b"WebServer" not in response.body
    assert response.body


def test_every_worker_sees_every_save(site):
    """By rename, five times in a row, and in place: each worker answers with it, soon."""
    style = site.folder / "public/style.css"
    saved = site.folder / "public/.style.css~"
    slowest = 0.0
    with contextlib.ExitStack() as stack:
        clients = site.client_of_each_worker(stack)
        for number in range(6):
            content = f"/* save {number} */".encode()
            if number < 5:
                saved.write_bytes(content)
                saved.replace(style)
            else:
                style.write_bytes(content)
            began = time.monotonic()
            for client in clients.values():
                while client.get("/static/style.css").body != content:
                    assert time.monotonic() < began + PATIENCE
            slowest = max(slowest, time.monotonic() - began)
    print(f"slowest save seen by both workers after {slowest * 1000:.1f} ms")


def test_files_come_and_go(site):
    page = site.folder / "public/page.html"
    with contextlib.ExitStack() as stack:
        clients = site.client_of_each_worker(stack)
        for _ in range(2):
            for client in clients.values():
                assert client.get("/static/page.html").status == 404
            page.write_bytes(b"here")
            for client in clients.values():
                assert client.get("/static/page.html").body == b"here"
            page.unlink()
            deadline = time.monotonic() + PATIENCE
            for client in clients.values():
                while client.get("/static/page.html").status != 404:
                    assert time.monotonic() < deadline


class Load(threading.Thread):
    """A client that asks again and again on one connection, and connects anew when it is lost."""

    def __init__(self, site, stop):
        super().__init__()
        self.site = site
        self.stop = stop
        self.answered = 0
        self.lost = 0
        self.wrong = []  # anything but an answer, or a connection that was being served and lost

    def run(self):
        while not self.stop.is_set():
            served = 0
            try:
                with self.site.client() as client:
                    while not self.stop.is_set():
                        response = client.get("/hello")
                        assert response.status == 200
                        served += 1
                        self.answered += 1
            except (ConnectionResetError, BrokenPipeError, EOFError) as error:
                self.lost += 1
                if not served:
                    self.wrong.append(error)
            except Exception as error:
                self.wrong.append(error)
                return


def test_a_killed_worker_costs_only_what_it_served(site):
    stop = threading.Event()
    loads = [Load(site, stop) for _ in range(8)]
    for load in loads:
        load.start()
    try:
        for _ in range(3):
            killed = kill_a_worker(site)
            wait_for_two_workers(site, killed)
    finally:
        stop.set()
        for load in loads:
            load.join(PATIENCE)
    assert [error for load in loads for error in load.wrong] == []
    assert all(load.answered for load in loads)
    log = (site.folder / "log").read_text()
    assert log.count("was killed by SIGKILL") == 3


def kill_a_worker(site):
    with site.client() as client:
        pid = site.worker_of(client)
        os.kill(pid, signal.SIGKILL)
    return pid


def wait_for_two_workers(site, gone):
    deadline = time.monotonic() + PATIENCE
    found = set()
    while len(found) < 2:
        assert time.monotonic() < deadline, found
        with contextlib.suppress(EOFError, ConnectionError), site.client() as client:
            found |= {site.worker_of(client)} - {gone}


def test_sigterm_ends_everything(site):
    with contextlib.ExitStack() as stack:
        clients = site.client_of_each_worker(stack)
        began = time.monotonic()
        site.process.send_signal(signal.SIGTERM)
        assert site.process.wait(PATIENCE) == 0
        took = time.monotonic() - began
        for pid in clients:
            assert not os.path.exists(f"/proc/{pid}")
    print(f"SIGTERM with idle connections: ended after {took:.2f} s")


def test_ctrl_c_ends_it_without_a_traceback(site):
    with contextlib.ExitStack() as stack:
        site.client_of_each_worker(stack)
        site.process.send_signal(signal.SIGINT)
        assert site.process.wait(PATIENCE) == 0
    assert "Traceback" not in (site.folder / "log").read_text()


def test_the_banner_says_what_where_and_how(site):
    assert site.banner == (
        f"Rush serves 4 routes and the files of {site.folder}/public below /static/"
        f" at http://127.0.0.1:{site.address[1]}/ with 2 workers."
    )


LOOK = """<!doctype html>
<iframe src="/" onload="look(this.contentDocument)"></iframe>
<output></output>
<script>
function look(page) {
  const image = page.querySelector("img");
  const style = page.defaultView.getComputedStyle(page.querySelector("main"));
  document.querySelector("output").textContent =
    `${page.title}; ${image.naturalWidth > 0}; ${style.borderRadius}`;
}
</script>
"""


@needs_chromium
def test_a_browser_shows_the_page_with_style_and_picture(site, tmp_path):
    """A page beside it loads the index page into a frame, and says what it finds there."""
    (site.folder / "public/look.html").write_text(LOOK)
    assert "<output>Rush runs; true; 12px</output>" in dom_of(
        site.url("/static/look.html"), tmp_path
    )
