"""Clients that nobody here has written: libraries, load generators, a browser."""

import asyncio
import re
import shutil
import subprocess

import pytest

from browser import dom_of, needs_chromium
from rush_http import HttpServer, conditional

LARGE = bytes(range(256)) * 4096
FILE = conditional.Representation(
    len(LARGE), content_type="application/octet-stream", etag='"v1"', last_modified=1_700_000_000
)

PAGE = b"""<!doctype html><output></output><script>
async function ask() {
  const texts = await Promise.all([...Array(40).keys()].map(
    async number => (await fetch(`/${number}`)).text()));
  const right = texts.filter((text, number) => text == `GET /${number}? `).length;
  const posted = await (await fetch("/echo", {method: "POST", body: "x".repeat(100000)})).text();
  const head = await fetch("/head", {method: "HEAD"});
  const refused = await fetch("/%00");
  document.querySelector("output").textContent = [right, posted.length,
    head.headers.get("content-length"), (await head.text()).length, refused.status].join("; ");
}
ask();
</script>"""


@pytest.fixture(scope="module")
def url():
    """A server that answers with what it was asked; ``/page`` is a page that asks it a lot."""

    def answer(body, conn, protocol, method, path, query, headers):
        if path == "/page":
            server.respond(conn, PAGE, content_type="text/html; charset=utf-8")
        elif path == "/file":
            plan = FILE.answer(method, headers)
            parts = [
                part if isinstance(part, bytes) else LARGE[part.offset : part.offset + part.count]
                for part in plan.parts
            ]
            server.respond(conn, b"".join(parts), plan.status, plan.headers, content_type=None)
        else:
            server.respond(conn, f"{method} {path}?{query} ".encode() + body)

    with HttpServer(("127.0.0.1", 0), on_message_complete=answer) as server:
        server.run(threaded=True)
        yield "http://{}:{}".format(*server.address)


# Library, what it is asked; each gives (status, body) of each request, on one connection.

PIECES = [b"some", b"", b" pieces ", LARGE]
EXPECTED = [
    (200, b"GET /a?b=c "),
    (200, b"GET /a?b=c "),
    (200, b""),
    (200, b"POST /form? a=b"),
    (200, b"PUT /large? " + LARGE),
    (200, b"POST /pieces? some pieces " + LARGE),
    (200, "GET /café? ".encode()),
    (400, b"400 Bad Request\n"),
]
ASKED = [
    ("GET", "/a?b=c", None),
    ("GET", "/a?b=c", None),
    ("HEAD", "/a?b=c", None),
    ("POST", "/form", b"a=b"),
    ("PUT", "/large", LARGE),
    ("POST", "/pieces", PIECES),  # of a length that is not known: chunked
    ("GET", "/caf%C3%A9", None),
    ("GET", "/%00", None),
]


def by_requests(url):
    requests = pytest.importorskip("requests", reason="requests is not installed")
    with requests.Session() as session:
        for method, path, body in ASKED:
            data = iter(body) if isinstance(body, list) else body
            answer = session.request(method, url + path, data=data, timeout=20)
            yield answer.status_code, answer.content


def by_httpx(url):
    httpx = pytest.importorskip("httpx", reason="httpx is not installed")
    with httpx.Client(trust_env=False, timeout=20) as client:
        for method, path, body in ASKED:
            content = iter(body) if isinstance(body, list) else body
            answer = client.request(method, url + path, content=content)
            yield answer.status_code, answer.content


def by_aiohttp(url):
    aiohttp = pytest.importorskip("aiohttp", reason="aiohttp is not installed")

    async def pieces(body):
        for piece in body:
            yield piece

    async def ask():
        found = []
        async with aiohttp.ClientSession() as session:
            for method, path, body in ASKED:
                data = pieces(body) if isinstance(body, list) else body
                async with session.request(method, url + path, data=data) as answer:
                    found.append((answer.status, await answer.read()))
            many = await asyncio.gather(*[get(session, number) for number in range(50)])
            assert many == [b"GET /%d? " % number for number in range(50)]
        return found

    async def get(session, number):
        async with session.get(f"{url}/{number}") as answer:
            return await answer.read()

    return asyncio.run(asyncio.wait_for(ask(), 20))


@pytest.mark.parametrize("client", [by_requests, by_httpx, by_aiohttp])
def test_library(url, client):
    assert list(client(url)) == EXPECTED


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done
    return done.stdout


@pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed")
def test_curl_keeps_its_connection(url):
    said = run(*("curl", "-sS", "-w", "%{http_code} %{num_connects}\n", "-o", "/dev/null"),
               *("-o", "/dev/null", "-o", "/dev/null"),
               f"{url}/1", f"{url}/2", f"{url}/3")  # fmt: skip
    assert said == "200 1\n200 0\n200 0\n"


@pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed")
@pytest.mark.parametrize(
    ("options", "status", "body"),
    [
        ((), 200, LARGE),
        (("-r", "0-9"), 206, LARGE[:10]),
        (("-r", "-10"), 206, LARGE[-10:]),
        (("-C", "1048000"), 206, LARGE[1_048_000:]),  # goes on with a download
        (("-r", "9999999-"), 416, b""),
        (("-r", "0-9", "-H", 'If-Range: "v1"'), 206, LARGE[:10]),
        (("-r", "0-9", "-H", 'If-Range: "v0"'), 200, LARGE),
        (("-H", 'If-None-Match: "v0", "v1"'), 304, b""),
        (("-z", "Tue, 14 Nov 2023 22:13:20 GMT"), 304, b""),
        (("-z", "Tue, 14 Nov 2023 22:13:19 GMT"), 200, LARGE),
        (("-H", 'If-Match: "v0"'), 412, b""),
    ],
)
def test_curl_ranges_and_conditions(url, options, status, body, tmp_path):
    path = tmp_path / "body"
    said = run("curl", "-sS", "-w", "%{http_code}", *options, "-o", str(path), f"{url}/file")
    assert said == str(status)
    assert (path.read_bytes() if path.exists() else b"") == body


@pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed")
def test_curl_two_ranges(url):
    said = run("curl", "-sS", "-r", "48-50,524353-524354", f"{url}/file")
    _, first, second = said.split("\n\n")  # `run` has made each line end an LF
    assert (first.partition("\n")[0], second.partition("\n")[0]) == ("012", "AB")


@pytest.mark.skipif(not shutil.which("wrk"), reason="wrk is not installed")
def test_wrk(url):
    said = run("wrk", "-t", "1", "-c", "50", "-d", "1s", f"{url}/hi")
    assert int(re.search("([0-9]+) requests in", said)[1]) > 500
    assert "Socket errors" not in said
    assert "Non-2xx" not in said


@pytest.mark.skipif(not shutil.which("ab"), reason="ab is not installed")
@pytest.mark.parametrize("keep", [True, False])
def test_ab(url, keep):
    """It speaks HTTP/1.0, with ``Connection: Keep-Alive`` if asked to."""
    said = run("ab", "-q", *(["-k"] if keep else []), "-n", "2000", "-c", "20", f"{url}/hi")
    assert re.search("Complete requests: +2000\n", said)
    assert re.search("Failed requests: +0\n", said)
    assert "Non-2xx" not in said
    kept = re.search("Keep-Alive requests: +([0-9]+)\n", said)
    assert (int(kept[1]) if kept else 0) == (2000 if keep else 0)


@needs_chromium
def test_chromium(url, tmp_path):
    assert "<output>40; 100012; 12; 0; 400</output>" in dom_of(f"{url}/page", tmp_path)
