"""Callbacks that fail, answer twice, or close."""

import io
import logging

import pytest

from rawclient import RawClient, request
from rush_http import Forbidden, HttpError

pytestmark = pytest.mark.over_tls


def failing(serve, error, **options):
    def callback(body, conn, protocol, method, path, query, headers):
        if path == "/fail":
            raise error
        server.respond(conn, b"fine")

    server = serve(callback, **options)
    return server


def test_callback_that_raises_is_500(serve, caplog):
    with RawClient(failing(serve, ZeroDivisionError("by me")).address) as client:
        for _ in range(2):  # the second one the short way
            answer = client.get("/fail")
            assert (answer.status, answer.body) == (500, b"500 Internal Server Error\n")
            assert "connection" not in answer.headers
        assert client.get("/").body == b"fine"
        assert client.get("/fail", method="HEAD").status == 500
        assert client.get("/", "Connection: close").body == b"fine"
    assert len(caplog.records) == 3
    assert caplog.records[0].exc_info[0] is ZeroDivisionError
    assert "by me" in caplog.text


def test_callback_that_refuses(serve, caplog):
    caplog.set_level(logging.INFO, "rush_http")
    with RawClient(failing(serve, Forbidden("not you")).address) as client:
        answer = client.get("/fail")
        assert (answer.status, answer.body) == (403, b"403 Forbidden\n")
        assert client.get("/").body == b"fine"
    assert [record.message for record in caplog.records] == ["refused: not you"]
    with RawClient(failing(serve, HttpError(status=418)).address) as client:
        assert client.get("/fail").status == 418
    busy = HttpError(status=429, headers={"Retry-After": "5"})
    with RawClient(failing(serve, busy).address) as client:
        assert client.get("/fail").headers["retry-after"] == "5"


def test_callback_that_raises_between_pipelined_requests(serve):
    with RawClient(failing(serve, KeyError("x")).address) as client:
        client.send(request("/") + request("/fail") + request("/"))
        assert [client.response().status for _ in range(3)] == [200, 500, 200]


def test_callback_that_raises_after_its_answer(serve, caplog):
    def callback(body, conn, *rest):
        server.respond(conn, b"answer")
        raise ZeroDivisionError

    server = serve(callback)
    with RawClient(server.address) as client:
        client.send(request() * 3)
        for _ in range(3):
            assert client.response().body == b"answer"
    assert len(caplog.records) == 3


def test_answering_twice(serve, until):
    errors = []

    def callback(body, conn, *rest):
        server.respond(conn, b"once")
        for again in (
            lambda: server.respond(conn, b"twice"),
            lambda: server.send(conn, b"twice"),
            lambda: server.send_file(conn, b"", io.BytesIO(), 0, 0),
        ):
            with pytest.raises(RuntimeError, match="no request awaits an answer"):
                again()
            errors.append(True)

    server = serve(callback)
    with RawClient(server.address) as client:
        client.send(request() * 2)
        assert [client.response().body for _ in range(2)] == [b"once", b"once"]
        assert client.get("/").body == b"once"
    until(server, lambda: len(errors) == 9)  # the last answer was out before it asked again


def test_response_that_cannot_be_sent_is_not(serve, caplog):
    def callback(body, conn, protocol, method, path, query, headers):
        server.respond(conn, b"", headers=[("Location", path)])

    server = serve(callback)
    with RawClient(server.address) as client:
        assert client.get("/a%0d%0aSet-Cookie:%20b").status == 500  # the path has a CRLF
        assert client.get("/a").headers["location"] == "/a"
    assert "ValueError" in caplog.text


def test_without_a_callback(serve, caplog):
    with RawClient(serve(None).address) as client:
        assert client.get("/").status == 500
    assert "no on_message_complete" in caplog.text


def test_callback_that_closes(serve, until):
    calls = []

    def callback(body, conn, *rest):
        calls.append(rest)
        conn.close()

    server = serve(callback)
    with RawClient(server.address) as client:
        client.send(request() * 5)
        assert client.rest() == b""
    assert len(calls) == 1
    until(server, lambda: not server.epoll.connections)


@pytest.mark.parametrize("error", [Forbidden("no"), ZeroDivisionError("oops")])
def test_callback_that_raises_after_its_stream_began(serve, error):
    """The client must not wait for an end that nobody will write."""

    def callback(body, conn, *rest):
        server.start_stream(conn).write(b"a part")
        raise error

    server = serve(callback)
    for count in (1, 3):
        with RawClient(server.address) as client:
            client.send(request() * count)
            assert not client.rest().endswith(b"0\r\n\r\n")


def test_callback_that_raises_after_a_stream_that_is_pulled(serve, caplog):
    """That answer is given: all of its pieces come."""

    def callback(body, conn, *rest):
        server.stream(conn, iter([b"a" * 100_000] * 9), length=900_000)
        raise ZeroDivisionError

    server = serve(callback)
    with RawClient(server.address) as client:
        for _ in range(2):
            assert len(client.get().body) == 900_000
    assert len(caplog.records) == 2


NOT_BYTES = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


def send(server, conn, file):
    server.send(conn, NOT_BYTES)


def send_file(server, conn, file):
    server.send_file(conn, NOT_BYTES, file, 0, 1)


def send_later(server, conn, file):
    server.defer(conn).send(NOT_BYTES)


@pytest.mark.parametrize("give", [send, send_file, send_later])
@pytest.mark.parametrize("pipelined", [False, True])
def test_text_instead_of_bytes(serve, caplog, give, pipelined):
    """It is an error of this request alone: the answers before and after it keep their places."""
    files = []

    def callback(body, conn, protocol, method, path, query, headers):
        if path == "/wrong":
            files.append(io.BytesIO(b"x"))
            give(server, conn, files[-1])
        else:
            server.respond(conn, path.encode())

    server = serve(callback)
    wanted = [("/1", b"/1"), ("/wrong", b"500 Internal Server Error\n"), ("/2", b"/2")]
    with RawClient(server.address) as client:
        if pipelined:
            client.send(b"".join(request(path) for path, _ in wanted))
        for path, body in wanted:
            if not pipelined:
                client.send(request(path))
            assert client.response().body == body
    assert "TypeError" in caplog.text
    assert all(file.closed for file in files) is (give is send_file)


@pytest.mark.parametrize("kind", [bytearray, memoryview])
def test_other_kinds_of_bytes(serve, kind):
    def callback(body, conn, *rest):
        data = bytearray(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx")
        server.send(conn, kind(data))
        data[-1:] = b"y"  # too late

    server = serve(callback)
    with RawClient(server.address) as client:
        for count in (1, 3):
            client.send(request() * count)
            assert [client.response().body for _ in range(count)] == [b"x"] * count
