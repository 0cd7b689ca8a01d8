"""What a WsgiApp keeps from request to request must not be seen: answers are those of a new one."""

import contextlib
import json
import threading

import pytest

from rawclient import RawClient, request
from rush_http import HttpServer, ObservedServer
from rush_http.wsgi import WsgiApp
from rush_http.wsgi.started import StartedMemo


@pytest.fixture
def serve():
    stack = []

    def serve(app, threads=0, **options):
        server = HttpServer(("127.0.0.1", 0))
        stack.append(server)
        stack.append(WsgiApp(app, server, threads, **options))
        server.run(threaded=True)
        return server.address

    yield serve
    for one in reversed(stack):
        one.close()


def mirror(environ, start_response):
    """Answer with the environ, and spoil it."""
    texts = {key: value for key, value in environ.items() if isinstance(value, str)}
    environ.update(HTTP_X_LEFT="over", REMOTE_ADDR="spoilt", SCRIPT_NAME="spoilt")
    environ.pop("HTTP_HOST")
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(texts).encode()]


BROWSER = ("User-Agent: x", "Accept: */*", "Accept-Language: en")
REQUESTS = [
    ("/", *BROWSER),
    ("/", *BROWSER),
    ("/?a=1", *BROWSER),
    ("/caf%C3%A9", *BROWSER),
    *[(f"/{n}", *BROWSER, f"Cookie: s={n}", f"traceparent: {n} \t") for n in range(5)],
    ("/5", *BROWSER, "Cookie: s=5", "COOKIE: t=5"),  # two lines, joined
    ("/6", *BROWSER, "Cookie: s=6", "accept: text/x"),  # one of the lines that were met, again
    ("/7", *BROWSER, "Cookie: s=7", "X_Forged: 1", "Proxy: evil"),
    ("/8", *BROWSER, "Cookie: s=8", "Content-Type: text/x", "Content-Length: 0"),
    ("/9", *BROWSER),
    ("/9",),
    ("/app/x", *BROWSER),
    ("/app/y?z", "Cookie: s=9", *BROWSER),
]


@pytest.mark.parametrize("threads", [0, 2])
@pytest.mark.parametrize("script_name", ["", "/app"])
def test_each_environ_is_that_of_its_request_alone(serve, threads, script_name):
    address = serve(mirror, threads, script_name=script_name)

    def environ(client, path, *lines):
        found = json.loads(client.get(path, *lines).body)
        port = found.pop("REMOTE_PORT")
        assert port == str(client.sock.getsockname()[1])
        return found

    with RawClient(address) as client:
        for one in REQUESTS:
            with RawClient(address) as fresh:
                assert environ(client, *one) == environ(fresh, *one)


def test_the_protocol_is_that_of_the_request(serve):
    keep = "Connection: keep-alive"
    with RawClient(serve(mirror)) as client:
        for protocol in ("HTTP/1.1", "HTTP/1.1", "HTTP/1.0", "HTTP/1.0", "HTTP/1.1"):
            answer = client.get("/", keep, protocol=protocol)
            assert json.loads(answer.body)["SERVER_PROTOCOL"] == protocol


# Answers, by the path: status, headers, body.
ANSWERS = {
    "/one": ("200 OK", [("Content-Type", "text/plain")], b"one"),
    "/two": ("200 OK", [("Content-Type", "text/plain")], b"two!"),
    "/other": ("200 OK", [("Content-Type", "text/x"), ("X-Y", "z")], b""),
    "/length": ("201 Made", [("Content-Type", "text/plain"), ("Content-Length", "3")], b"one"),
    "/none": ("204 No Content", [], b""),
    "/unchanged": ("304 Not Modified", [("ETag", '"x"')], b""),
    "/cookie": ("200 OK", [("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")], b"cookie"),
}


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("path", ANSWERS)
@pytest.mark.parametrize("more", [(), ("Connection: close",)], ids=["stays", "closes"])
def test_an_answer_is_the_same_again(serve, method, path, more):
    def app(environ, start_response):
        status, headers, body = ANSWERS[environ["PATH_INFO"]]
        start_response(status, list(headers))
        return [b"" if environ["REQUEST_METHOD"] == "HEAD" else body]

    address = serve(app)
    found = []
    for _ in range(3):
        with RawClient(address) as client:
            client.send(request(path, *more, method=method) * (1 if more else 2))
            client.end()
            found.append(client.rest())
    dateless = [[line for line in one.split(b"\r\n") if b"Date: " not in line] for one in found]
    assert dateless[0] == dateless[1] == dateless[2]
    assert found[0].count(b"HTTP/1.1 ") == (1 if more else 2)
    assert found[0].count(b"Date: ") == found[0].count(b"HTTP/1.1 ")


def test_what_is_one_clients_is_not_kept():
    memo = StartedMemo()
    memo.started("200 OK", [("Content-Type", "text/plain"), ("SET-Cookie", "secret=1")])
    memo.started("200 OK", [("X-Long", "x" * 2000)])
    memo.started("200 OK", [["Content-Type", "text/plain"]])
    assert not memo.known
    for number in range(3000):
        memo.started("200 OK", [("ETag", str(number))])
    assert 0 < len(memo.known) <= 1024


@pytest.mark.parametrize("threads", [0, 2])
def test_each_answer_is_told_to_who_observes(threads):
    told = []
    everything = threading.Event()

    def on_answers(answers):
        told.extend((head.path, int(status), size) for _, head, status, size, _, _ in answers)
        if any(path == "/last" for path, _, _ in told):
            everything.set()

    def app(environ, start_response):
        path = environ["PATH_INFO"]
        if path == "/fails":
            raise ValueError("the reason")
        start_response("200 OK", [("Content-Type", "text/plain")])
        return iter([b"Hel", b"lo"]) if path == "/pieces" else [b"Hello"]

    with contextlib.ExitStack() as stack:
        server = stack.enter_context(ObservedServer(("127.0.0.1", 0), on_answers=on_answers))
        stack.enter_context(WsgiApp(app, server, threads))
        server.run(threaded=True)
        client = stack.enter_context(RawClient(server.address))
        for path in ("/whole", "/whole", "/fails"):
            client.get(path)
        client.send(request("/pieces") + request("/whole") + request("/last"))
        assert everything.wait(20)
    assert told[:2] == [("/whole", 200, 5)] * 2
    assert told[2][:2] == ("/fails", 500)
    assert told[3:] == [("/pieces", 200, 5), ("/whole", 200, 5), ("/last", 200, 5)]
