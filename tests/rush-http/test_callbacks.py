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
