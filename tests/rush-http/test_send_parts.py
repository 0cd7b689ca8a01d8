"""Files in several parts: ``multipart/byteranges`` and the like."""

import os

import pytest

from rawclient import RawClient, request
from rush_http import render_head

pytestmark = pytest.mark.over_tls


class File:
    """A file that knows how often it was closed."""

    def __init__(self, path):
        self._file = path.open("rb")
        self.closed = 0

    def fileno(self):
        return self._file.fileno()

    def close(self):
        self.closed += 1
        self._file.close()


CONTENT = os.urandom(3 << 20)


@pytest.fixture
def parts(serve, tmp_path):
    """Start a server that answers with these parts of a file."""
    (tmp_path / "file").write_bytes(CONTENT)
    files = []

    def start(parts, length):
        def callback(body, conn, protocol, method, path, query, headers):
            if path == "/plain":
                server.respond(conn, b"plain")
                return
            files.append(File(tmp_path / "file"))
            head = render_head(206) + b"Content-Length: %d\r\n\r\n" % length
            server.send_parts(conn, head, files[-1], parts)

        server = serve(callback)
        return server, files

    return start


def expected(parts):
    return b"".join(p if isinstance(p, bytes) else CONTENT[p[0] : p[0] + p[1]] for p in parts)


ROWS = [
    [],
    [b"only bytes"],
    [(5, 10)],
    [(0, 0)],
    [b"", (7, 0), b""],
    [b"--x\r\n\r\n", (0, 10), b"\r\n--x\r\n\r\n", (100, 1), b"\r\n--x--\r\n"],
    [(0, 2 << 20), b"between", (1 << 20, 2 << 20), (0, 3 << 20)],
    [(number * 3, 2) for number in range(1000)],
]


@pytest.mark.parametrize("row", ROWS, ids=[repr(row)[:50] for row in ROWS])
def test_parts(parts, until, row):
    body = expected(row)
    server, files = parts(row, len(body))
    with RawClient(server.address) as client:
        for _ in range(2):
            client.send(request("/plain") + request("/") + request("/plain"))
            assert client.response().body == b"plain"
            answer = client.response()
            assert (answer.status, answer.body) == (206, body)
            assert client.response().body == b"plain"
    until(server, lambda: [file.closed for file in files] == [1, 1])


def test_head_has_no_body(parts, until):
    server, files = parts([b"abc", (0, 5)], 8)
    with RawClient(server.address) as client:
        assert client.get("/", method="HEAD").headers["content-length"] == "8"
        assert client.get("/plain").body == b"plain"
    until(server, lambda: [file.closed for file in files] == [1])


@pytest.mark.parametrize("row", [[b"x", (-1, 5)], [(0, 1), (0, -5)], [5], None])
def test_nonsense_sends_nothing(parts, row):
    server, files = parts(row, 5)
    with RawClient(server.address) as client:
        assert client.get("/").status == 500
        assert client.get("/plain").body == b"plain"
    assert [file.closed for file in files] == [1]


def test_client_that_goes(parts, until):
    server, files = parts([(0, 3 << 20)] * 20, 60 << 20)
    with RawClient(server.address) as client:
        client.send(request("/"))
        client.exactly(1000)
    until(server, lambda: [file.closed for file in files] == [1])
