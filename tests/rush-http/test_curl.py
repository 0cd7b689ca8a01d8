"""curl as a client that nobody here has written."""

import shutil
import subprocess

import pytest

pytestmark = pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed")


@pytest.fixture
def curl(site):
    server = site()

    def curl(*arguments, body=b""):
        host, port = server.address
        done = subprocess.run(
            ["curl", "-sS", "--max-time", "20", *arguments, f"http://{host}:{port}/path?q"],
            input=body,
            capture_output=True,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, b"")
        return done.stdout

    return curl


def test_get(curl):
    assert curl() == b"GET /path?q "
    assert curl("-i").startswith(b"HTTP/1.1 200 OK\r\n")


def test_head(curl):
    answer = curl("-I")
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert answer.endswith(b"Content-Length: 13\r\n\r\n")


def test_http_1_0(curl):
    answer = curl("-0", "-i")
    assert b"\r\nConnection: close\r\n" in answer
    assert answer.endswith(b"\r\n\r\nGET /path?q ")


def test_upload(curl):
    data = bytes(range(256)) * 10_000
    assert curl("-T", "-", body=data) == b"PUT /path?q " + data  # chunked, with Expect
    assert curl("--data-binary", "@-", body=data) == b"POST /path?q " + data


def test_chunked_post(curl):
    sent = ("-H", "Transfer-Encoding: chunked", "--data-binary", "@-")
    assert curl(*sent, body=b"hello") == b"POST /path?q hello"


def test_expect(curl):
    answer = curl("-i", "-H", "Expect: 100-continue", "--data-binary", "@-", body=b"hello")
    assert answer.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n")
    assert answer.endswith(b"POST /path?q hello")


def test_too_large(curl):
    answer = curl("-i", "--data-binary", "@-", body=bytes(20 << 20))
    assert b"HTTP/1.1 413 Content Too Large\r\n" in answer
