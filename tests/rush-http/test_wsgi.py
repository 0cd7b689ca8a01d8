"""WSGI applications of every kind, on the loop and in threads; checked by wsgiref's validator."""

import hashlib
import http.client
import logging
import threading
from wsgiref.validate import validator

import pytest

from programs import eventually
from rawclient import RawClient, request
from rush_http import HttpServer
from rush_http.wsgi import FileWrapper, WsgiApp
from wsgi_apps import PLAIN, ask


class Closed(list):
    """Pieces that note that they were closed."""

    def __init__(self, pieces=()):
        super().__init__(pieces)
        self.closed = threading.Event()

    def __iter__(self):
        yield from list.__iter__(self)

    def close(self):
        assert not self.closed.is_set(), "closed twice"
        self.closed.set()


@pytest.fixture
def serve(serve_wsgi):
    """Serve an application, under the eyes of wsgiref's validator unless it is not `valid`."""

    def serve(app, *, valid=True, **options):
        return serve_wsgi(validator(app) if valid else app, **options)

    return serve


# Applications, by what they return.


def one(environ, start_response):
    start_response("200 OK", PLAIN)
    return [b"Hello"]


def several(environ, start_response):
    start_response("201 Created", PLAIN)
    return [b"Hel", b"", b"lo"]


def none(environ, start_response):
    start_response("200 OK", PLAIN)
    return []


def generator(environ, start_response):
    start_response("200 OK", PLAIN)
    yield b""
    yield b"Hel"
    yield b"lo"


def announced(environ, start_response):
    start_response("200 OK", [*PLAIN, ("Content-Length", "5")])
    return iter([b"Hel", b"lo"])


def announced_at_once(environ, start_response):
    start_response("200 OK", [*PLAIN, ("Content-Length", "5")])
    return iter([b"Hello"])


def written(environ, start_response):
    write = start_response("200 OK", PLAIN)
    write(b"Hel")
    return [b"lo"]


def no_content(environ, start_response):
    start_response("204 No Content", [])
    return []


def in_place_of_an_error(environ, start_response):
    try:
        raise ValueError("x")
    except ValueError:
        import sys

        start_response("200 OK", PLAIN)
        start_response("503 Later", PLAIN, sys.exc_info())
    return [b"Hello"]


def large(environ, start_response):
    start_response("200 OK", PLAIN)
    return (b"x" * 65536 for _ in range(64))


ANSWERS = [
    (one, 200, b"Hello", "5"),
    (several, 201, b"Hello", "5"),
    (none, 200, b"", "0"),
    (generator, 200, b"Hello", None),
    (announced, 200, b"Hello", "5"),
    (announced_at_once, 200, b"Hello", "5"),
    (written, 200, b"Hello", None),
    (no_content, 204, b"", None),
    (in_place_of_an_error, 503, b"Hello", "5"),
    (large, 200, b"x" * 65536 * 64, None),
]


@pytest.mark.parametrize(("app", "status", "body", "length"), ANSWERS)
@pytest.mark.parametrize("valid", [True, False], ids=["validated", "bare"])
def test_answers(serve, app, status, body, length, valid):
    address = serve(app, valid=valid)
    found = ask(address)
    assert (found[0], found[2]) == (status, body)
    if not valid:  # the validator's iterator is not a list
        assert found[1].get("Content-Length") == length
    assert "Date" in found[1]
    status_of_head, headers, nothing = ask(address, "HEAD")
    assert (status_of_head, nothing) == (status, b"")
    if not valid and length and app is not none:
        assert headers["Content-Length"] == length


def test_answers_come_in_order_on_one_connection(serve):
    def app(environ, start_response):
        start_response("200 OK", PLAIN)
        return [environ["PATH_INFO"].encode()]

    with RawClient(serve(app, valid=False)) as client:
        client.send(b"".join(request(f"/{number}") for number in range(50)))
        assert [client.response().body for _ in range(50)] == [b"/%d" % n for n in range(50)]


def test_the_environ(serve):
    seen = {}

    def app(environ, start_response):
        seen.update(environ)
        return one(environ, start_response)

    # Not validated: it takes a copy, and CONTENT_TYPE of a GET amiss.
    address = serve(app, valid=False, script_name="/shop", environ={"my.own": 1})
    with RawClient(address) as client:
        client.get(
            "/shop/caf%C3%A9%20x?a=b%20c",
            *("X-One: 1", "X-Two: a", "X-Two: b", "Cookie: a=1", "Cookie: b=2", "X_Two: spoofed"),
            *("Proxy: http://evil", "Content-Type: text/x", "content_length: 7"),
        )
        host, port = client.sock.getsockname()
    assert seen["REQUEST_METHOD"] == "GET"
    assert seen["SCRIPT_NAME"] == "/shop"
    assert seen["PATH_INFO"].encode("latin-1").decode() == "/café x"
    assert seen["QUERY_STRING"] == "a=b%20c"
    assert seen["SERVER_PROTOCOL"] == "HTTP/1.1"
    assert (seen["SERVER_NAME"], seen["SERVER_PORT"]) == (address[0], str(address[1]))
    assert (seen["REMOTE_ADDR"], seen["REMOTE_PORT"]) == (host, str(port))
    assert seen["HTTP_HOST"] == "test"
    assert seen["HTTP_X_ONE"] == "1"
    assert seen["HTTP_X_TWO"] == "a, b"
    assert seen["HTTP_COOKIE"] == "a=1; b=2"
    assert seen["CONTENT_TYPE"] == "text/x"
    assert seen["wsgi.url_scheme"] == "http"
    assert seen["my.own"] == 1
    assert not {"HTTP_PROXY", "HTTP_CONTENT_TYPE", "CONTENT_LENGTH"} & seen.keys()


# The root, what is asked for, SCRIPT_NAME and PATH_INFO.
PATHS = [
    ("/shop", "/shop", "/shop", ""),
    ("/shop", "/shop/", "/shop", "/"),
    ("/shop", "/shop//", "/shop", "//"),
    ("/shop", "/shop/a%2Fb", "/shop", "/a/b"),
    ("/shop", "/shop%2Fa", "/shop", "/a"),
    ("/shop", "/shopping", "", "/shopping"),
    ("/shop", "/Shop/", "", "/Shop/"),
    ("/shop", "/", "", "/"),
    ("/shop", "/shop/caf%C3%A9", "/shop", "/café"),
    ("/café", "/caf%C3%A9/x", "/café", "/x"),
    ("/café", "/cafe/x", "", "/cafe/x"),
    ("", "/", "", "/"),
    ("", "//a//b/", "", "//a//b/"),
    ("", "/a%2Fb%20c%25", "", "/a/b c%"),
    ("", "/a+b;c=d", "", "/a+b;c=d"),
    ("", "/%E2%82%AC", "", "/€"),
    ("", "http://test/a?b", "", "/a"),
]


@pytest.mark.parametrize(("root", "path", "script_name", "rest"), PATHS)
def test_what_is_below_the_script_name(serve, root, path, script_name, rest):
    def app(environ, start_response):
        start_response("200 OK", PLAIN)
        # PEP 3333: each character is a byte.
        return [f"{environ['SCRIPT_NAME']}|{environ['PATH_INFO']}".encode("latin-1")]

    with RawClient(serve(app, valid=False, script_name=root)) as client:
        assert client.get(path).body == f"{script_name}|{rest}".encode()


FLAGS = "wsgi.multithread", "wsgi.multiprocess", "wsgi.run_once"


@pytest.mark.parametrize(("threads", "multithread"), [(0, False), (1, False), (2, True)])
@pytest.mark.parametrize("multiprocess", [False, True])
def test_what_is_said_of_threads_and_processes(serve, threads, multithread, multiprocess):
    def app(environ, start_response):
        assert environ["wsgi.version"] == (1, 0)
        environ["wsgi.errors"].write("")
        environ["wsgi.errors"].writelines([""])
        environ["wsgi.errors"].flush()
        start_response("200 OK", PLAIN)
        return [str([environ[name] for name in FLAGS]).encode()]

    said = ask(serve(app, multiprocess=multiprocess))[2]
    assert said.decode() == str([multithread, multiprocess, False])


# Lines of a request, and what they are in the environ; `None`: nothing.
FIELDS = [
    (["X-One: 1"], {"HTTP_X_ONE": "1"}),
    (["x-oNe:\t1 \t"], {"HTTP_X_ONE": "1"}),
    (["X-One:"], {"HTTP_X_ONE": ""}),
    (["X-Two: a", "X-Other: b", "x-two: c"], {"HTTP_X_TWO": "a, c", "HTTP_X_OTHER": "b"}),
    (["Cookie: a=1", "cookie: b=2; c=3"], {"HTTP_COOKIE": "a=1; b=2; c=3"}),
    (["X-Latin: caf\xe9"], {"HTTP_X_LATIN": "caf\xe9"}),
    (["X_One: spoofed"], {"HTTP_X_ONE": None}),
    (["X-One: 1", "X_One: spoofed"], {"HTTP_X_ONE": "1"}),
    (["X_One: spoofed", "X-One: 1"], {"HTTP_X_ONE": "1"}),
    (["Remote_Addr: 6.6.6.6", "REMOTE-ADDR: 6"], {"HTTP_REMOTE_ADDR": "6"}),
    (["Proxy: evil"], {"HTTP_PROXY": None}),
    (["Proxy-Authorization: x"], {"HTTP_PROXY_AUTHORIZATION": "x"}),
    (["content_length: 7", "Content_Type: x"], {"CONTENT_LENGTH": None, "CONTENT_TYPE": None}),
    (["Content-Type: text/x"], {"CONTENT_TYPE": "text/x", "HTTP_CONTENT_TYPE": None}),
    (["Content-Length: 0"], {"CONTENT_LENGTH": "0", "HTTP_CONTENT_LENGTH": None}),
    (["X.Y!: 1"], {"HTTP_X.Y!": "1"}),
]


@pytest.mark.parametrize(("lines", "found"), FIELDS)
def test_fields(serve, lines, found):
    """The same for the first request, the same again, and lines that follow known ones."""

    def app(environ, start_response):
        start_response("200 OK", PLAIN)
        return [repr({name: environ.get(name) for name in found}).encode()]

    with RawClient(serve(app, valid=False)) as client:
        for path, before in (("/", []), ("/", []), *((f"/{n}", ["Accept: x"]) for n in range(6))):
            assert client.get(path, *before, *lines).body.decode() == repr(found)


def test_a_unix_socket(serve, tmp_path):
    def app(environ, start_response):
        start_response("200 OK", PLAIN)
        return [environ["REMOTE_ADDR"].encode()]

    with RawClient(serve(app, address=str(tmp_path / "socket"))) as client:
        assert client.get().body == b""


# Bodies of requests


def digest(environ, start_response):
    """Reads the body in pieces; answers with its length and its hash."""
    body, size, found = environ["wsgi.input"], 0, hashlib.sha256()
    while piece := body.read(5000):
        size += len(piece)
        found.update(piece)
    start_response("200 OK", PLAIN)
    return [f"{size} {found.hexdigest()} {environ.get('CONTENT_LENGTH')}".encode()]


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
@pytest.mark.parametrize("size", [0, 1, 16384, 16385, 70_000, 3_000_000])
def test_bodies(serve, size, chunked):
    body = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    sent = iter([body[:1], body[1:]]) if chunked else body
    answer = ask(serve(digest), "POST", "/", sent, {}, encode_chunked=chunked)[2].decode().split()
    assert answer[:2] == [str(size), hashlib.sha256(body).hexdigest()]
    if not chunked and size:
        assert answer[2] == str(size)


@pytest.mark.parametrize("lines", [10, 40_000])
def test_a_body_as_lines(serve, lines):
    def app(environ, start_response):
        body = environ["wsgi.input"]
        count = len(body.readline()) + len(body.readlines()) + sum(1 for _ in body)
        start_response("200 OK", PLAIN)
        return [str(count).encode()]

    answer = ask(serve(app, valid=False), "POST", body=b"line\n" * lines)
    assert answer[2] == str(5 + lines - 1).encode()


def test_a_body_that_nobody_reads_does_no_harm(serve):
    address = serve(one, valid=False)
    with RawClient(address) as client:
        for size in (10, 20_000, 500_000):
            client.send(request(method="POST", body=b"x" * size))
            assert client.response().body == b"Hello"
        assert client.get().body == b"Hello"


def test_a_body_past_its_limit(serve):
    address = serve(digest, valid=False, body_bytes=100_000)
    assert ask(address, "POST", body=b"x" * 100_000)[0] == 200
    with RawClient(address) as client:
        client.send(request("/", "Content-Length: 100001", method="POST"))
        assert client.response().status == 413


def test_a_client_that_leaves_in_the_middle_of_its_body(serve, caplog):
    ended = threading.Event()

    def app(environ, start_response):
        try:
            return digest(environ, start_response)
        finally:
            ended.set()

    address = serve(app, valid=False)
    with RawClient(address) as client:
        client.send(request("/", "Content-Length: 1000000", method="POST") + b"x" * 200_000)
    # On the loop the application is not even called; in a thread its read() is ended.
    assert ask(address)[0] == 200
    assert ended.wait(20)
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


# The ends of answers


def test_close_is_called(serve):
    pieces = Closed([b"Hel", b"lo"])

    def app(environ, start_response):
        start_response("200 OK", PLAIN)
        return pieces

    assert ask(serve(app, valid=False))[2] == b"Hello"
    assert pieces.closed.wait(20)


def test_close_is_called_when_the_client_leaves(serve):
    class Endless(Closed):
        def __iter__(self):
            while True:
                yield b"x" * 65536

    pieces = Endless()

    def app(environ, start_response):
        start_response("200 OK", PLAIN)
        return pieces

    with RawClient(serve(app, valid=False)) as client:
        client.send(request())
        client.begun()
    assert pieces.closed.wait(20)


@pytest.mark.parametrize("size", [0, 5, 300_000])
def test_files(serve, tmp_path, size):
    path = tmp_path / "file"
    path.write_bytes(b"head" + b"x" * size)
    opened = []

    def app(environ, start_response):
        file = path.open("rb")
        file.seek(4)
        opened.append(file)
        start_response("200 OK", [("Content-Type", "application/x")])
        return environ["wsgi.file_wrapper"](file)

    address = serve(app, valid=False)
    with RawClient(address) as client:
        answer = client.get()
        assert answer.body == b"x" * size
        assert answer.headers["content-length"] == str(size)
        assert answer.headers["content-type"] == "application/x"
        assert client.get(method="HEAD").headers["content-length"] == str(size)
        assert client.get().body == b"x" * size
    eventually(lambda: all(file.closed for file in opened), "the files to be closed")


def test_a_file_wrapper_around_what_is_no_file(serve):
    class Reader:
        closed = False

        def __init__(self):
            self.left = [b"", b"lo", b"Hel"]

        def read(self, size):
            return self.left.pop()

        def close(self):
            self.closed = True

    reader = Reader()

    def app(environ, start_response):
        start_response("200 OK", PLAIN)
        return FileWrapper(reader)

    assert ask(serve(app))[2] == b"Hello"
    eventually(lambda: reader.closed, "the reader to be closed")


# Mistakes of applications


def never_started(environ, start_response):
    return [b"Hello"]


def twice(environ, start_response):
    start_response("200 OK", PLAIN)
    start_response("200 OK", PLAIN)
    return [b"Hello"]


def text(environ, start_response):
    start_response("200 OK", PLAIN)
    return ["Hello"]


def hop_by_hop(environ, start_response):
    start_response("200 OK", [("Connection", "close")])
    return [b"Hello"]


def split_header(environ, start_response):
    start_response("200 OK", [("X", "a\r\nSet-Cookie: b")])
    return [b"Hello"]


def bad_status(environ, start_response):
    start_response("OK", PLAIN)
    return [b"Hello"]


def raising(environ, start_response):
    raise ValueError("reason")


def raising_at_the_first_piece(environ, start_response):
    start_response("200 OK", PLAIN)
    raise ValueError("reason")
    yield b""


MISTAKES = [
    (never_started, "has not called start_response"),
    (twice, "needs exc_info"),
    (text, "made of bytes"),
    (hop_by_hop, "is about one connection"),
    (split_header, "characters that no header may hold"),
    (bad_status, "such as '200 OK'"),
    (raising, "reason"),
    (raising_at_the_first_piece, "reason"),
]


@pytest.mark.parametrize(("app", "words"), MISTAKES)
def test_a_mistake_before_the_answer_is_a_500(serve, caplog, app, words):
    with RawClient(serve(app, valid=False)) as client:
        assert client.get().status == 500
        assert client.get().status == 500  # the connection goes on
    assert words in caplog.text


def late(environ, start_response):
    start_response("200 OK", PLAIN)
    yield b"x" * 10
    raise ValueError("reason")


def less(environ, start_response):
    start_response("200 OK", [*PLAIN, ("Content-Length", "20")])
    return [b"x" * 10]


def more(environ, start_response):
    start_response("200 OK", [*PLAIN, ("Content-Length", "5")])
    return iter([b"xxx", b"xxxxxxx"])


@pytest.mark.parametrize("app", [late, less, more])
def test_a_mistake_in_the_answer_ends_the_connection(serve, caplog, app):
    with pytest.raises((http.client.IncompleteRead, ConnectionError, http.client.BadStatusLine)):
        ask(serve(app, valid=False))
    eventually(lambda: "ERROR" in caplog.text, "the log")


def test_options_that_make_no_sense():
    with HttpServer(("127.0.0.1", 0)) as server:
        with pytest.raises(ValueError, match="threads is -1"):
            WsgiApp(one, server, -1)
        for name in ("shop", "/shop/", "/"):
            with pytest.raises(ValueError, match="script_name"):
                WsgiApp(one, server, script_name=name)


def test_a_slow_request_holds_no_other():
    """In threads: the others go on, also those of the loop itself."""
    wait, waiting = threading.Event(), threading.Semaphore(0)

    def app(environ, start_response):
        if environ["PATH_INFO"] == "/slow":
            waiting.release()
            assert wait.wait(20)
        return one(environ, start_response)

    with HttpServer(("127.0.0.1", 0)) as server, WsgiApp(app, server, 3):
        server.run(threaded=True)
        clients = [RawClient(server.address) for _ in range(2)]
        for client in clients:
            client.send(request("/slow"))
            assert waiting.acquire(timeout=20)
        assert ask(server.address)[2] == b"Hello"
        wait.set()
        for client in clients:
            assert client.response().body == b"Hello"
            client.sock.close()


def test_more_wait_than_there_are_threads(serve):
    address = serve(one, valid=False)
    clients = [RawClient(address) for _ in range(60)]
    for client in clients:
        client.send(request() * 3)
    for client in clients:
        assert [client.response().body for _ in range(3)] == [b"Hello"] * 3
        client.sock.close()
