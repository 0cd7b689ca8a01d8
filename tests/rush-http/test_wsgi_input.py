"""``wsgi.input`` of every size and framing, and the parts of the environ that describe it."""

import contextlib
import io
import itertools
import logging
import threading

import pytest

from programs import eventually
from rawclient import RawClient, request
from rush_http import Limits
from wsgi_apps import PLAIN, ask

LINES = b"one\ntwo\r\n\nfour" + b"x" * 100 + b"\nlast"
# Small ones are in memory, the others in a file, or arriving; above 1 MiB a file is on disk.
SIZES = {"small": 1, "large": 300, "on disk": 12_000}


def everything(read):
    """What `read` gives until it gives nothing, and that it gives nothing once more."""
    found = list(iter(read, b""))
    assert read() == b""
    return found


def sized_lines(body):
    """Whole lines until they have about so many bytes, which kinds of files see differently."""
    found = body.readlines(10)
    assert 1 < len(found) < 5
    return [b"".join(found + body.readlines())]


READS = {
    "read": lambda body: [body.read()],
    "read(-1)": lambda body: [body.read(-1)],
    "read(n)": lambda body: everything(lambda: body.read(1000)),
    "read(more)": lambda body: [body.read(1 << 24)],
    "readline": lambda body: everything(body.readline),
    "readline(n)": lambda body: everything(lambda: body.readline(3)),
    "readlines": lambda body: body.readlines(),
    "readlines(hint)": sized_lines,
    "iteration": list,
    "a line, then all": lambda body: [body.readline(), body.read()],
    "read(0)": lambda body: [body.read(0), body.read(5), body.read()],
    "as text": lambda body: [as_text(body)],
    "readinto": lambda body: [readinto(body)],
}


def as_text(body):
    text = io.TextIOWrapper(body, "ascii", newline="")
    found = text.read().encode()
    text.detach()
    return found


def readinto(body):
    found, buffer = b"", bytearray(1000)
    while count := body.readinto(buffer):
        found += buffer[:count]
    return found


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
def test_each_way_to_read(serve_wsgi, size, chunked):
    content = LINES * SIZES[size]

    def app(environ, start_response):
        body = environ["wsgi.input"]
        pieces = READS[environ["HTTP_HOW"]](body)
        assert body.read() == body.read(7) == body.readline() == b""
        assert body.readlines() == list(body) == []
        start_response("200 OK", PLAIN)
        return [b"|".join(pieces)] if size == "small" else [b"".join(pieces)]

    address = serve_wsgi(app)
    for how in READS:
        sent = iter([content[:7], content[7:]]) if chunked else content
        answer = ask(address, "POST", "/", sent, {"How": how}, encode_chunked=chunked)
        assert answer[0] == 200, how
        if size == "small":
            want = io.BytesIO(content)
            assert answer[2] == b"|".join(READS[how](want)), how
        else:
            assert answer[2] == content, how


def lengths(environ, start_response):
    """What is said of the body; its first bytes."""
    start_response("200 OK", PLAIN)
    said = (environ.get("CONTENT_LENGTH"), environ.get("CONTENT_TYPE"))
    first = environ["wsgi.input"].read(3)
    return [f"{said} {environ['wsgi.input_terminated']} {first}".encode()]


CHUNKED = "Transfer-Encoding: chunked"
TYPED = "Content-Type: text/x"
BODIES = [
    (request(), (None, None), b""),
    (request("/", "Content-Length: 0"), ("0", None), b""),
    (request("/", TYPED), (None, "text/x"), b""),
    (request("/", "Content-Type:"), (None, ""), b""),
    (request("/", TYPED, method="POST", body=b"Hello"), ("5", "text/x"), b"Hel"),
    (request("/", method="POST", body=b"x" * 20_000), ("20000", None), b"xxx"),
    # RFC 3875, 4.1.2: the length of what the server has decoded, if that is known.
    (
        request("/", "Transfer-Encoding: chunked") + b"2\r\nHe\r\n3\r\nllo\r\n0\r\n\r\n",
        ("5", None),
        b"Hel",
    ),
    (request("/", "Transfer-Encoding: chunked") + b"0\r\n\r\n", ("0", None), b""),
]


@pytest.mark.parametrize(("wire", "said", "first"), BODIES)
def test_what_is_said_of_a_body(serve_wsgi, wire, said, first):
    with RawClient(serve_wsgi(lengths)) as client:
        for _ in range(2):
            client.send(wire)
            assert client.response().body.decode() == f"{said} True {first}"
        assert client.get().body.decode() == f"{(None, None)} True {b''}"


def test_a_body_is_not_that_of_the_next_request(serve_wsgi):
    """Nobody reads past its end, also of what comes in one piece with others."""

    def app(environ, start_response):
        start_response("200 OK", PLAIN)
        return [environ["wsgi.input"].read()]

    bodies = [b"first", b"x" * 20_000, b"third"]
    wire = b"".join(request(method="POST", body=body) for body in bodies)
    with RawClient(serve_wsgi(app)) as client:
        client.send(wire + request())
        assert [client.response().body for _ in range(4)] == [*bodies, b""]


# 100 Continue


def until_full(client, more):
    """Send until the other side takes nothing for a while; returns how many bytes that were."""
    sent = 0
    client.sock.settimeout(0.3)
    with contextlib.suppress(TimeoutError):
        while sent < 64 << 20:
            sent += client.sock.send(more())
    client.sock.settimeout(20)
    return sent


EXPECT = ("Content-Length: 100000", "Expect: 100-continue")


@pytest.mark.parametrize("threads", [3], indirect=True)
@pytest.mark.parametrize("read", [True, False])
def test_in_threads_100_continue_is_sent_to_who_reads(serve_wsgi, read):
    def app(environ, start_response):
        count = len(environ["wsgi.input"].read()) if read else 0
        start_response("200 OK", PLAIN)
        return [str(count).encode()]

    with RawClient(serve_wsgi(app)) as client:
        client.send(request("/", *EXPECT, method="POST"))
        answer = client.response()
        if read:
            assert answer.status == 100
            client.send(b"x" * 100_000)
            assert client.response().body == b"100000"
            assert client.get().body == b"0"
        else:
            assert (answer.status, answer.body) == (200, b"0")
            assert answer.headers["connection"] == "close"
            assert client.rest() == b""


def test_a_body_that_is_sent_without_waiting_for_100(serve_wsgi):
    def app(environ, start_response):
        start_response("200 OK", PLAIN)
        return [str(len(environ["wsgi.input"].read())).encode()]

    with RawClient(serve_wsgi(app)) as client:
        client.send(request("/", *EXPECT, method="POST") + b"x" * 100_000 + request())
        answers = [client.response()]
        if answers[0].status == 100:
            answers = [client.response()]
        answers.append(client.response())
        assert [answer.body for answer in answers] == [b"100000", b"0"]


@pytest.mark.parametrize("threads", [3], indirect=True)
def test_a_client_that_expects_100_and_leaves(serve_wsgi, caplog):
    ended = threading.Event()

    def app(environ, start_response):
        try:
            environ["wsgi.input"].read()
        finally:
            ended.set()

    with RawClient(serve_wsgi(app)) as client:
        client.send(request("/", *EXPECT, method="POST"))
        assert client.response().status == 100
    assert ended.wait(20)
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


# Bodies that go wrong


@pytest.mark.parametrize("handled", [False, True])
@pytest.mark.parametrize("threads", [3], indirect=True)
@pytest.mark.parametrize(
    ("rest", "status"), [(b"zz\r\n", 400), (b"fffffff\r\n" + b"x" * 100_000, 413)]
)
def test_a_body_that_is_refused_while_it_is_read(serve_wsgi, caplog, rest, status, handled):
    """The client is told by us; what the application says then reaches nobody."""
    reading, ended = threading.Event(), threading.Event()

    def app(environ, start_response):
        try:
            assert environ["wsgi.input"].read(70_000)
            reading.set()
            environ["wsgi.input"].read()
        except OSError:
            if not handled:
                raise
        finally:
            ended.set()
        start_response("400 Bad", PLAIN)
        return [b"the application's"]

    with RawClient(serve_wsgi(app, body_bytes=150_000)) as client:
        client.send(request("/", CHUNKED, method="POST"))
        client.send(b"11170\r\n" + b"x" * 70_000 + b"\r\n")
        assert reading.wait(20)
        client.send(rest)
        assert client.response().status == status
        assert client.rest() == b""
    assert ended.wait(20)
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


@pytest.mark.parametrize("threads", [3], indirect=True)
def test_who_does_not_read_slows_the_client(serve_wsgi):
    """What is read ahead is bounded; the rest stays with the client."""
    go, size = threading.Event(), 64 << 20

    def app(environ, start_response):
        assert go.wait(20)
        count = 0
        while piece := environ["wsgi.input"].read(1 << 20):
            count += len(piece)
        start_response("200 OK", PLAIN)
        return [str(count).encode()]

    with RawClient(serve_wsgi(app)) as client:
        client.send(request("/", f"Content-Length: {size}", method="POST"))
        sent = until_full(client, lambda: b"x" * 65536)
        assert sent < size
        go.set()
        while sent < size:
            sent += client.sock.send(b"x" * min(65536, size - sent))
        assert client.response().body == str(size).encode()


@pytest.mark.parametrize("threads", [3], indirect=True)
def test_a_full_pool_does_not_read_on(serve_wsgi):
    """Of each connection one request waits for a thread; the next ones stay with the client."""
    go, asked = threading.Event(), []

    def app(environ, start_response):
        asked.append(environ["PATH_INFO"])
        assert go.wait(20)
        start_response("200 OK", PLAIN)
        return [environ["PATH_INFO"].encode()]

    address = serve_wsgi(app)
    clients = [RawClient(address) for _ in range(5)]
    for client in clients:
        client.send(request("/0"))
    eventually(lambda: len(asked) == 3, "all threads to be busy")
    numbers = itertools.count(1)
    sent = until_full(
        clients[0], lambda: b"".join(request(f"/{next(numbers):07}") for _ in range(1000))
    )
    assert sent < 32 << 20
    assert len(asked) == 3
    go.set()
    for client in clients:
        client.sock.settimeout(20)
        assert client.response().body == b"/0"
    for number in range(1, 1000):
        assert clients[0].response().body == b"/%07d" % number
    for client in clients:
        client.sock.close()


def test_a_body_that_comes_too_slowly(serve_wsgi, caplog):
    """Nobody waits for ever: the time limits of bodies count."""
    limits = Limits(body_seconds=0.2)

    def app(environ, start_response):
        environ["wsgi.input"].read()
        start_response("200 OK", PLAIN)
        return [b"never"]

    with RawClient(serve_wsgi(app, limits=limits)) as client:
        client.send(request("/", "Content-Length: 100000", method="POST") + b"x" * 70_000)
        assert client.response().status == 408
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]
