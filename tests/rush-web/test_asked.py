"""What a handler asks of a request: who has sent it, JSON in its body, a context of its own."""

import gc
import logging
import socket
import weakref

import pytest

from programs import eventually
from rawclient import RawClient, request
from rush_http import HttpServer, Peer
from rush_loader import Loader
from rush_web import HandlersManager, Route, WebServer

# json()

READ = [
    # Content-Type, body, what json() returns
    (
        "application/json",
        b'{"a": [1, 2.5, null, true, "\xc3\xbc"]}',
        {"a": [1, 2.5, None, True, "ü"]},
    ),
    ("application/json", b'"x"', "x"),
    ("application/json", b" null ", None),
    ("Application/JSON; charset=UTF-8", b"1", 1),
    ('application/json;charset="utf-8"', b"1", 1),
    ("application/json; charset=us-ascii", b"1", 1),
    ("application/json; boundary=x", b"1", 1),
    ("application/problem+json", b"{}", {}),
    ("application/vnd.api+json ; x=y", b"[]", []),
]

REFUSED = [
    # Content-Type, body, status, what the log has
    (None, b"{}", 415, "JSON is application/json, not None"),
    ("text/plain", b"{}", 415, "not 'text/plain'"),
    ("text/json", b"{}", 415, "not 'text/json'"),
    ("application/jsonx", b"{}", 415, "not 'application/jsonx'"),
    ("application/x-www-form-urlencoded", b"{}", 415, "JSON is application/json"),
    (
        "application/json; charset=latin-1",
        b"{}",
        400,
        "JSON is UTF-8 (RFC 8259, 8.1), not 'latin-1'",
    ),
    ("application/json", b"", 400, "the body is no JSON: Expecting value"),
    ("application/json", b"{", 400, "the body is no JSON: Expecting property name"),
    ("application/json", b"{} x", 400, "the body is no JSON: Extra data"),
    ("application/json", b"\xff", 400, "can't decode byte 0xff"),
    ("application/json", b"\xef\xbb\xbf{}", 400, "Unexpected UTF-8 BOM"),
    ("application/json", "{}".encode("utf-16-be"), 400, "the body is no JSON"),
    ("application/json", b"[NaN]", 400, "NaN is no JSON"),
    ("application/json", b"-Infinity", 400, "-Infinity is no JSON"),
    ("application/json", b"[" * 200_000, 400, "the body is no JSON: too deeply nested"),
]


def post(client, content_type, body):
    lines = [] if content_type is None else [f"Content-Type: {content_type}"]
    client.send(request("/", *lines, f"X-Length: {len(body)}", method="POST", body=body))
    return client.response()


@pytest.mark.parametrize(("content_type", "body", "value"), READ)
def test_json(app, content_type, body, value):
    seen = []

    @app.route("/", "POST")
    def handler(request):
        seen.extend([request.json(), request.json(any_type=True)])
        request.response()

    assert post(app.start(), content_type, body).status == 200
    assert seen == [value, value]


@pytest.mark.parametrize(("content_type", "body", "status", "words"), REFUSED)
def test_json_refused(app, content_type, body, status, words):
    app.route("/", "POST")(lambda request: request.response_json(request.json()))
    client = app.start()
    assert post(client, content_type, body).status == status
    assert any(words in line for line in app.logged(logging.INFO)), app.logged(logging.INFO)
    assert app.logged() == []
    assert post(client, "application/json", b"1").body == b"1"


def test_json_of_any_type(app):
    app.route("/", "POST")(lambda request: request.response_json(request.json(any_type=True)))
    client = app.start()
    assert post(client, "text/plain", b"[1]").body == b"[1]"
    assert post(client, None, b"[2]").body == b"[2]"
    assert post(client, "text/plain; charset=latin-1", b"[1]").status == 400


# client


def test_client(app):
    app.route("/")(lambda request: request.response(repr(request.client)))
    client = app.start()
    host, port = client.sock.getsockname()
    for _ in range(2):
        assert client.get().body.decode() == f"Peer(host={host!r}, port={port})"
    other = app.client()
    assert str(other.sock.getsockname()[1]) in other.get().body.decode()


def test_a_client_that_is_set_from_outside_counts_for_one_request(app):
    def trusted(request):
        if "x-real-ip" in request.headers:
            request.client = Peer(request.headers["x-real-ip"], 0)
        return True

    app.route("/", filter=trusted)(lambda request: request.response(request.client.host))
    client = app.start()
    assert client.get("/", "X-Real-IP: 192.0.2.7").body == b"192.0.2.7"
    assert client.get("/").body == b"127.0.0.1"


def test_no_client_on_a_unix_socket(tmp_path):
    seen = []

    def handler(request):
        seen.append((request.client, request.snapshot().client))
        request.response()

    path = str(tmp_path / "socket")
    with Loader(tmp_path) as loader, HttpServer(path) as server:
        server.on_message_complete = HandlersManager([Route("/", handler)], {}, {}, loader, server)
        server.run(threaded=True)
        with RawClient(path) as client:
            assert client.get().status == 200
    assert seen == [(None, None)]


def test_a_filter_that_is_explained_has_a_client():
    server = WebServer()

    @server.get("/", filter=lambda request: request.client.host == "127.0.0.1")
    def handler(request):
        pass

    assert server.explain("GET", "/").handler is handler


def test_a_client_with_an_ipv6_address(tmp_path):
    with Loader(tmp_path) as loader, HttpServer(("::1", 0)) as server:
        route = Route("/", lambda request: request.response(repr(request.client)))
        server.on_message_complete = HandlersManager([route], {}, {}, loader, server)
        server.run(threaded=True)
        with socket.create_connection(server.address) as sock:
            sock.sendall(request("/"))
            said = sock.recv(4096).partition(b"\r\n\r\n")[2].decode()
            assert said == f"Peer(host='::1', port={sock.getsockname()[1]})"


# context


def test_a_context_for_each_request(app):
    def known(request):
        request.context["user"] = "ann"
        return "no" not in request.args

    @app.route("/", filter=known)
    def handler(request):
        assert request.context is request.context
        request.response(str(request.context))

    app.route("/other")(lambda request: request.response(str(request.context)))
    client = app.start()
    assert client.get("/").body == b"{'user': 'ann'}"
    assert client.get("/other").body == b"{}"
    assert client.get("/?no").status == 404
    assert client.get("/other").body == b"{}"


def test_a_context_ends_with_its_request_however_that_ends(app):
    @app.route("/bug")
    def bug(request):
        request.context["secret"] = 1
        raise ValueError

    app.route("/other")(lambda request: request.response(str(request.context)))
    app.error("internal-error")(lambda request: request.response(str(request.context)))
    client = app.start()
    assert client.get("/bug").body == b"{'secret': 1}"
    assert client.get("/other").body == b"{}"


# What is kept


def test_nothing_of_a_request_is_kept(app):
    """The one `Request` waits without what the last client sent, and without its connection."""
    kept = []

    class Secret(dict):
        """A dict that can be asked for."""

    @app.route("/<name>", "POST")
    def handler(request):
        request.context["secret"] = secret = Secret()
        request.parse_form()
        assert request.cookies["session"] == "secret-cookie"
        kept.extend([weakref.ref(request.conn), weakref.ref(secret), request])
        request.response()

    client = app.start()
    lines = ("Cookie: session=secret-cookie", "Content-Type: application/x-www-form-urlencoded")
    client.send(request("/x?a=secret-arg", *lines, method="POST", body=b"secret-body=1"))
    assert client.response().status == 200
    client.sock.close()
    app.client()  # the loop's last event is another's
    conn, context, reused = kept

    def gone():
        gc.collect()
        return conn() is None and context() is None

    eventually(gone, "the end of a connection")
    names = [name for kind in type(reused).__mro__ for name in getattr(kind, "__slots__", ())]
    left = {name: str(getattr(reused, name)) for name in names}
    assert [name for name, text in left.items() if "secret" in text] == ["query"]
