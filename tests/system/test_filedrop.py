"""The example file drop, with curl, with names that are none, and in a browser."""

import http.client
import json
import os
import shutil
import subprocess
import urllib.parse

import pytest

from browser import dom_of, needs_chromium
from rawclient import PATIENCE, request
from serving import REPOSITORY, serving

pytestmark = pytest.mark.once


@pytest.fixture
def filedrop(tmp_path):
    folder = tmp_path / "filedrop"
    shutil.copytree(REPOSITORY / "packages/rush-web/examples/filedrop", folder)
    with serving(folder, "app:server", "--workers", "2") as site:
        yield site


def ask(filedrop, method, path, body=None):
    connection = http.client.HTTPConnection(*filedrop.address, timeout=PATIENCE)
    connection.request(method, urllib.parse.quote(path, safe="/%"), body)
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer.status, dict(answer.headers), content


def files(filedrop):
    return {
        file["name"]: file["size"]
        for file in json.loads(ask(filedrop, "GET", "/files")[2])["files"]
    }


def test_up_and_down_and_gone(filedrop):
    content = os.urandom(3 << 20)
    status, _, body = ask(filedrop, "PUT", "/files/Übung 1.bin", content)
    assert (status, json.loads(body)) == (201, {"name": "Übung 1.bin", "size": len(content)})
    assert files(filedrop) == {"Übung 1.bin": len(content)}
    status, headers, body = ask(filedrop, "GET", "/files/Übung 1.bin")
    assert (status, body) == (200, content)
    assert headers["Content-Disposition"] == "attachment; filename*=UTF-8''%C3%9Cbung%201.bin"
    assert headers["Content-Type"] == "application/octet-stream"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert ask(filedrop, "PUT", "/files/Übung 1.bin", b"other")[0] == 409
    assert ask(filedrop, "DELETE", "/files/Übung 1.bin")[0] == 204
    assert ask(filedrop, "DELETE", "/files/Übung 1.bin")[0] == 404
    assert ask(filedrop, "GET", "/files/Übung 1.bin")[0] == 404
    assert files(filedrop) == {}


NAMES = {
    ".hidden": 400,
    "..": 400,
    "..%2Fapp.py": 404,
    "%2Fetc%2Fpasswd": 404,
    "a%0Ab": 400,
    "a\\b": 400,
    "x" * 201: 400,
    "\u202egpj.exe": 400,
    " ": 400,
}


def test_names_that_are_none(filedrop):
    before = set(os.listdir(filedrop.folder))
    for name, status in NAMES.items():
        for method in "PUT", "GET", "DELETE":
            assert ask(filedrop, method, f"/files/{name}", b"x")[0] == status, name
    assert set(os.listdir(filedrop.folder)) == before
    assert os.listdir(filedrop.folder / "drop") == []


def test_too_large_is_refused_before_it_is_sent(filedrop):
    with filedrop.client() as client:
        client.send(request("/files/x", f"Content-Length: {3 << 30}", method="PUT"))
        assert client.response().status == 413


def test_nothing_is_left_of_half_a_file(filedrop):
    with filedrop.client() as client:
        client.send(request("/files/x", "Content-Length: 100", method="PUT") + b"x" * 50)
        while not os.listdir(filedrop.folder / "drop"):
            pass
        assert files(filedrop) == {}
    while os.listdir(filedrop.folder / "drop"):
        ask(filedrop, "GET", "/files")


@pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed")
def test_curl(filedrop):
    source = filedrop.folder / "app.py"
    url = filedrop.url("/files/")
    up = ["curl", "-s", "--fail", "--noproxy", "*", "-T", source, url]
    assert subprocess.run(up, timeout=PATIENCE, stdout=subprocess.DEVNULL).returncode == 0
    down = ["curl", "-s", "--fail", "--noproxy", "*", url + "app.py"]
    done = subprocess.run(down, timeout=PATIENCE, stdout=subprocess.PIPE)
    assert done.stdout == source.read_bytes()


LOOK = """<!doctype html>
<iframe src="/" width="800" height="600"></iframe>
<output></output>
<script>
const frame = document.querySelector("iframe");
frame.onload = () => {
  const page = frame.contentDocument;
  const list = page.querySelector("#files");
  new MutationObserver(() => {
    const item = list.firstElementChild;
    if (!item) return;
    const link = item.querySelector("a");
    document.querySelector("output").textContent =
      [link.textContent, link.getAttribute("href"), item.querySelector(".size").textContent,
       page.querySelector("#none").hidden].join("; ");
  }).observe(list, { childList: true });
  const files = new DataTransfer();
  files.items.add(new File(["x".repeat(5000)], "é & <b>.txt"));
  const input = page.querySelector("#choose");
  input.files = files.files;
  input.dispatchEvent(new Event("change"));
};
</script>
"""


@needs_chromium
def test_a_browser_uploads_a_file_and_lists_it(filedrop, tmp_path):
    (filedrop.folder / "public/look.html").write_text(LOOK)
    found = dom_of(filedrop.url("/static/look.html"), tmp_path)
    said = "é &amp; &lt;b&gt;.txt; /files/%C3%A9%20%26%20%3Cb%3E.txt; 4.9 KiB; true"
    assert f"<output>{said}</output>" in found
    assert (filedrop.folder / "drop" / "é & <b>.txt").read_text() == "x" * 5000
