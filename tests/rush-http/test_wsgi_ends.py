"""How requests to WSGI applications end: iterables are closed, exceptions answered and logged."""

import logging
import sys
import threading
from functools import partial

import pytest

from programs import eventually
from rawclient import RawClient, request
from rush_http.wsgi import FileWrapper
from wsgi_apps import PLAIN, Pieces, ask, reset


def errors(caplog):
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]


# close()

LARGE = b"x" * 65536


def endless():
    while True:
        yield LARGE


# What is closed: how the pieces are, the headers with them, and the method.
ENDED = {
    "empty": ([], [], "GET"),
    "one": ([b"Hello"], [], "GET"),
    "one of that length": ([b"Hello"], [("Content-Length", "5")], "GET"),
    "several": ([b"", b"Hel", b"lo"], [], "GET"),
    "several of that length": ([b"Hel", b"lo"], [("Content-Length", "5")], "GET"),
    "more than the length": ([b"Hello", b"Hello"], [("Content-Length", "5")], "GET"),
    "less than the length": ([b"Hel"], [("Content-Length", "5")], "GET"),
    "no bytes": (["Hello"], [], "GET"),
    "no bytes, later": ([b"Hello", "Hello"], [], "GET"),
    "for HEAD": ([b"Hel", b"lo"], [], "HEAD"),
    "endless, for HEAD": (endless(), [], "HEAD"),
    "refused headers": ([b"Hello"], [("X", "a\r\nb")], "GET"),
}


@pytest.mark.parametrize("case", ENDED)
def test_an_answer_is_closed_once(serve_wsgi, case):
    given, headers, method = ENDED[case]
    pieces = Pieces(given)

    def app(environ, start_response):
        if environ["PATH_INFO"] == "/after":
            start_response("200 OK", PLAIN)
            return [b"after"]
        start_response("200 OK", [*PLAIN, *headers])
        return pieces

    address = serve_wsgi(app)
    with RawClient(address) as client:
        client.send(request("/", "Connection: close", method=method))
        client.rest()
    assert pieces.closed.wait(20)
    assert ask(address, path="/after")[2] == b"after"
    assert pieces.closings == 1


@pytest.mark.parametrize("status", ["204 No Content", "205 Reset Content", "304 Not Modified"])
@pytest.mark.parametrize(
    "given", [[], [b"Hello"], [b"Hel", b"lo"]], ids=["nothing", "a piece", "pieces"]
)
@pytest.mark.parametrize("kind", [list, iter, Pieces])
@pytest.mark.parametrize("length", [(), (("Content-Length", "5"),)], ids=["", "length"])
def test_statuses_without_a_body_have_none(serve_wsgi, status, given, kind, length):
    def app(environ, start_response):
        start_response(status, list(length))
        return kind(given)

    with RawClient(serve_wsgi(app)) as client:
        for _ in range(2):
            client.send(request())
            answer = client.response()
            assert (answer.status, answer.body) == (int(status[:3]), b"")


def test_a_client_that_leaves_while_the_answer_is_sent(serve_wsgi, caplog):
    pieces = Pieces(endless())

    def app(environ, start_response):
        start_response("200 OK", PLAIN)
        return pieces

    with RawClient(serve_wsgi(app)) as client:
        client.send(request())
        client.begun()
        reset(client)
        assert pieces.closed.wait(20)
    assert pieces.closings == 1
    assert not errors(caplog)


def test_a_client_that_leaves_while_the_answer_is_written(serve_wsgi, threads, caplog):
    pieces, left = Pieces([b"more"]), threading.Event()

    def app(environ, start_response):
        write = start_response("200 OK", PLAIN)
        write(LARGE)
        if threads:
            assert left.wait(20)
            for _ in range(1000):
                write(LARGE)
        return pieces

    with RawClient(serve_wsgi(app)) as client:
        client.send(request())
        client.begun()
        reset(client)
        left.set()
    if not threads:  # in a thread, write() raises: they were never returned
        assert pieces.closed.wait(20)
    assert not errors(caplog)


@pytest.mark.parametrize("threads", [3], indirect=True)
@pytest.mark.parametrize("kind", ["whole", "pieces", "file", "raises"])
def test_a_client_that_leaves_while_the_application_works(serve_wsgi, tmp_path, caplog, kind):
    (tmp_path / "file").write_bytes(LARGE)
    began, left, closed = threading.Event(), threading.Event(), threading.Event()
    file = (tmp_path / "file").open("rb")
    pieces = Pieces([b"Hel", b"lo"])

    def app(environ, start_response):
        start_response("200 OK", PLAIN)
        if environ["PATH_INFO"] == "/after":
            return [b"after"]
        began.set()
        assert left.wait(20)
        if kind == "raises":
            closed.set()
            raise ConnectionError("the database has gone")
        return {"whole": [b"Hello"], "pieces": pieces, "file": FileWrapper(file)}[kind]

    address = serve_wsgi(app)
    with RawClient(address) as client:
        client.send(request())
        assert began.wait(20)
        reset(client)
    ask(address, path="/after")  # the server knows by now
    left.set()
    if kind == "pieces":
        assert pieces.closed.wait(20)
        assert pieces.closings == 1
    if kind == "file":
        eventually(lambda: file.closed, "the file to be closed")
    file.close()
    for _ in range(4):
        assert ask(address, path="/after")[2] == b"after"
    assert not errors(caplog)


def test_a_close_that_raises_is_logged(serve_wsgi, caplog):
    class Bad(Pieces):
        def close(self):
            super().close()
            raise SystemExit("the reason")

    def app(environ, start_response):
        start_response("200 OK", PLAIN)
        return Bad([b"Hel", b"lo"])

    address = serve_wsgi(app)
    for _ in range(2):
        assert ask(address)[2] == b"Hello"
    eventually(lambda: caplog.text.count("the reason") >= 2, "the log")


# What is raised


# On the loop Ctrl-C is meant for the server.
RAISED = [(threads, kind) for threads in (0, 3) for kind in (ValueError, SystemExit, GeneratorExit)]


@pytest.mark.parametrize(
    ("threads", "kind"), [*RAISED, (3, KeyboardInterrupt)], indirect=["threads"]
)
@pytest.mark.parametrize("place", ["call", "first", "later", "written"])
def test_whatever_is_raised_ends_this_request_alone(serve_wsgi, caplog, kind, place):
    def pieces():
        if place == "later":
            yield b"Hello"
        raise kind("the reason")

    def app(environ, start_response):
        if environ["PATH_INFO"] == "/after":
            start_response("200 OK", PLAIN)
            return [b"after"]
        if place == "call":
            raise kind("the reason")
        write = start_response("200 OK", PLAIN)
        if place == "written":
            write(b"Hello")
            raise kind("the reason")
        return Pieces(pieces()) if kind is GeneratorExit else pieces()

    address = serve_wsgi(app)
    with RawClient(address) as client:
        client.send(request())
        if place in ("call", "first"):
            assert client.response().status == 500
            assert client.get("/after").body == b"after"
        else:
            assert not client.rest().endswith(b"0\r\n\r\n")
    assert ask(address, path="/after")[2] == b"after"
    eventually(lambda: "the reason" in caplog.text, "the log")


RETURNED = [
    (lambda: None, "NoneType"),
    (lambda: 5, "int"),
    (lambda: "Hello", "made of bytes"),
    (lambda: ["Hello"], "made of bytes"),
    (lambda: [b"Hel", "lo"], "made of bytes"),
    (lambda: [None], "made of bytes"),
    (lambda: [b"Hello", 5], ""),
    (lambda: iter(["Hello"]), "made of bytes"),
    (lambda: [bytearray(b"Hello")], "made of bytes"),
    (lambda: (b"Hel", "lo"), "made of bytes"),
    (lambda: b"Hello", "made of bytes"),
]


@pytest.mark.parametrize(("returned", "words"), RETURNED)
@pytest.mark.parametrize("length", [(), (("Content-Length", "5"),)], ids=["", "length"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_what_is_no_body_is_a_500(serve_wsgi, caplog, returned, words, length, method):
    def app(environ, start_response):
        start_response("200 OK", [*PLAIN, *length])
        return returned()

    with RawClient(serve_wsgi(app)) as client:
        for _ in range(2):
            assert client.get("/", method=method).status == 500
    assert words in caplog.text


def test_a_mistake_after_the_first_piece_is_noticed(serve_wsgi, caplog):
    def app(environ, start_response):
        start_response("200 OK", PLAIN)
        return iter([b"Hello", "Hello"])

    with RawClient(serve_wsgi(app)) as client:
        client.send(request())
        assert not client.rest().endswith(b"0\r\n\r\n")
    eventually(lambda: errors(caplog), "the log")


# start_response

SAID = [
    (lambda start: start("200", PLAIN), 200),
    (lambda start: start("299 Mine", PLAIN), 299),
    (lambda start: start("200 OK", PLAIN, None), 200),
    (lambda start: start("200 OK", tuple(PLAIN)), 200),
    (lambda start: start("200 OK", [("X", "caf\xe9")]), 200),
    (lambda start: start("200 OK", [("X", "caf\u0113")]), 500),
    (lambda start: start("200 OK", [("X\u0113", "x")]), 500),
    (lambda start: start("200 OK", [("X", 5)]), 500),
    (lambda start: start("200 OK", [(b"X", b"x")]), 500),
    (lambda start: start("200 OK", [("X", None)]), 500),
    (lambda start: start("200 OK", [("Content-Type", None)]), 500),
    (lambda start: start("200 OK", [("X", "a", "b")]), 500),
    (lambda start: start("200 OK", None), 500),
    (lambda start: start("200 OK", {"Content-Type": "text/plain"}), 500),
    (lambda start: start(b"200 OK", PLAIN), 500),
    (lambda start: start(200, PLAIN), 500),
    (lambda start: start(None, PLAIN), 500),
    (lambda start: start("", PLAIN), 500),
    (lambda start: start("20 OK", PLAIN), 500),
    (lambda start: start("2000 OK", PLAIN), 500),
    (lambda start: start("200\r\nX: y", PLAIN), 500),
    (lambda start: start("200 OK\r\nX: y", PLAIN), 500),
    (lambda start: start("200 OK\n", PLAIN), 500),
    (lambda start: start("099 Less", PLAIN), 500),
    (lambda start: start("100 Continue", PLAIN), 500),
    (lambda start: start("101 Switching Protocols", PLAIN), 500),
    (lambda start: start("600 More", PLAIN), 500),
    (lambda start: start("200 OK", [("Content-Length", "-5")]), 500),
    (lambda start: start("200 OK", [("Content-Length", 5)]), 500),
    (lambda start: start("200 OK", [("Content-Length", "5"), ("Content-Length", "6")]), 500),
    (lambda start: start("200 OK", [("Content-Length", "5"), ("content-length", "5")]), 200),
    *(
        (lambda start, name=name: start("200 OK", [(name, "x")]), 500)
        for name in ("Connection", "Keep-Alive", "TE", "Trailer", "transfer-encoding", "UPGRADE")
    ),
    (lambda start: start("200 OK", [("Transfer-Encoding", "chunked")]), 500),
]


@pytest.mark.parametrize(("say", "status"), SAID)
def test_what_start_response_is_told(serve_wsgi, say, status):
    def app(environ, start_response):
        say(start_response)
        return [b"Hello"]

    with RawClient(serve_wsgi(app)) as client:
        for _ in range(2):  # what is known is not looked at again
            client.send(request())
            head = client.begun().split(b"\r\n")[0]
            assert head.startswith(b"HTTP/1.1 %d " % status)
            while b"Hello" not in client.begun() and b"500 Internal" not in client.begun():
                client._more()
            client._buffer.clear()


def raised_later(environ, start_response):
    start_response("200 OK", PLAIN)
    yield b"" if environ["PATH_INFO"] == "/empty" else b"Hel"
    try:
        raise ValueError("the reason")
    except ValueError:
        start_response("503 Later", PLAIN, sys.exc_info())
    yield b"lo"


def raised_after_all(environ, start_response):
    """The first piece is all that was announced."""
    start_response("200 OK", [*PLAIN, ("Content-Length", "3")])
    yield b"Hel"
    try:
        raise ValueError("the reason")
    except ValueError:
        start_response("503 Later", PLAIN, sys.exc_info())


def test_exc_info_replaces_what_was_not_sent(serve_wsgi):
    assert ask(serve_wsgi(raised_later), path="/empty")[::2] == (503, b"lo")


@pytest.mark.parametrize("app", [raised_later, raised_after_all])
def test_exc_info_is_raised_again_after_headers_were_sent(serve_wsgi, caplog, app):
    with RawClient(serve_wsgi(app)) as client:
        client.send(request("/", "Connection: close"))
        answer = client.rest()
    assert b"503" not in answer
    assert not answer.endswith(b"0\r\n\r\n")
    eventually(lambda: "the reason" in caplog.text, "the log")


def test_what_is_written_when_all_is_over_reaches_nobody(serve_wsgi):
    """Neither the answer's own client, nor the next request of that connection."""
    kept, said = [], []

    def app(environ, start_response):
        write = start_response("200 OK", PLAIN)
        for late in kept:
            try:
                late()
            except Exception as error:
                said.append(error)
        kept[:] = [partial(write, b"stale"), partial(start_response, "404 Stale", [])]
        return [environ["PATH_INFO"].encode()]

    with RawClient(serve_wsgi(app)) as client:
        for number in range(4):
            answer = client.get(f"/{number}")
            assert (answer.status, answer.body) == (200, b"/%d" % number)
    assert len(said) == 6


# Files, in parts


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(
    ("at", "length", "status"),
    [
        (0, None, 200),
        (10, None, 200),
        (10, 5, 206),
        (10, 0, 206),
        (100, None, 200),
        (200, None, 200),
    ],
)
def test_a_part_of_a_file(serve_wsgi, tmp_path, method, at, length, status):
    content = bytes(range(100))
    (tmp_path / "file").write_bytes(content)
    files = []

    def app(environ, start_response):
        file = (tmp_path / "file").open("rb")
        files.append(file)
        file.seek(at)
        headers = [] if length is None else [("Content-Length", str(length))]
        start_response(f"{status} Some", [*PLAIN, *headers])
        return environ["wsgi.file_wrapper"](file)

    part = content[at:] if length is None else content[at : at + length]
    with RawClient(serve_wsgi(app)) as client:
        for _ in range(2):
            answer = client.get(method=method)
            assert (answer.status, answer.body) == (status, b"" if method == "HEAD" else part)
            assert answer.headers["content-length"] == str(len(part))
    eventually(lambda: all(file.closed for file in files), "the files to be closed")


def test_a_file_that_is_shorter_than_announced(serve_wsgi, tmp_path, caplog):
    (tmp_path / "file").write_bytes(b"Hello")
    file = (tmp_path / "file").open("rb")

    def app(environ, start_response):
        start_response("200 OK", [*PLAIN, ("Content-Length", "10")])
        return environ["wsgi.file_wrapper"](file)

    with RawClient(serve_wsgi(app)) as client:
        client.send(request())
        client.rest()  # it ends
    eventually(lambda: file.closed, "the file to be closed")
    eventually(lambda: errors(caplog), "the log")


def test_a_client_that_leaves_while_a_file_is_sent(serve_wsgi, tmp_path, caplog):
    with (tmp_path / "file").open("wb") as file:
        file.truncate(1 << 30)
    opened = (tmp_path / "file").open("rb")

    def app(environ, start_response):
        start_response("200 OK", PLAIN)
        return environ["wsgi.file_wrapper"](opened)

    with RawClient(serve_wsgi(app)) as client:
        client.send(request())
        client.begun()
        reset(client)
    eventually(lambda: opened.closed, "the file to be closed")
    assert not errors(caplog)


def test_http_1_0_ends_with_the_connection(serve_wsgi):
    def app(environ, start_response):
        start_response("200 OK", PLAIN)
        return iter([b"Hel", b"lo"])

    with RawClient(serve_wsgi(app)) as client:
        client.send(request(protocol="HTTP/1.0"))
        head, _, body = client.rest().partition(b"\r\n\r\n")
    assert body == b"Hello"
    assert b"chunked" not in head
