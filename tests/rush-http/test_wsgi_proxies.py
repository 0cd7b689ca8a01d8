"""What an application is told behind proxies: of the client, not of them."""

import json
from wsgiref.util import request_uri
from wsgiref.validate import validator

import pytest

from proxy_wires import inet, tls, v1, v2
from rawclient import RawClient, request
from rush_http import FORWARDED_HEADERS, HttpServer, TrustedProxies
from rush_http.wsgi import WsgiApp

NAMES = ("REMOTE_ADDR", "REMOTE_PORT", "SERVER_NAME", "SERVER_PORT", "HTTP_HOST", "wsgi.url_scheme")


def told(environ, start_response):
    found = {name: environ[name] for name in NAMES if name in environ}
    body = json.dumps([found, request_uri(environ)]).encode()
    lines = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
    start_response("200 OK", lines)
    return [body]


@pytest.fixture(params=[0, 3], ids=["loop", "threads"])
def threads(request):
    return request.param


@pytest.fixture
def connect(threads):
    """Serve the application behind these proxies; returns a client."""
    opened = []

    def connect(*trusted, **options):
        proxies = TrustedProxies(*trusted, **options) if trusted else None
        server = HttpServer(("127.0.0.1", 0), proxies=proxies)
        wsgi = WsgiApp(validator(told), server, threads)
        server.run(threaded=True)
        client = RawClient(server.address)
        opened.extend((server, wsgi, client.sock))
        return client

    yield connect
    for one in reversed(opened):
        one.close()


def asked(client, *lines):
    return json.loads(client.get("/a", *lines).body)


def usual(client):
    """What is told without proxies."""
    own, port = client.sock.getsockname()[1], client.sock.getpeername()[1]
    values = ("127.0.0.1", str(own), "127.0.0.1", str(port), "test", "http")
    return [dict(zip(NAMES, values, strict=True)), "http://test/a"]


LINES = [
    "X-Forwarded-For: 203.0.113.7",
    "X-Forwarded-Proto: https",
    "X-Forwarded-Host: shop.example",
    "X-Forwarded-Port: 8443",
    "Forwarded: for=6.6.6.6;host=other;proto=https",
]


@pytest.mark.parametrize("trusted", [(), ("10.0.0.1",)])
def test_of_a_stranger(connect, trusted):
    client = connect(*trusted)
    assert asked(client, *LINES) == asked(client) == usual(client)


@pytest.mark.parametrize(
    ("headers", "more", "url"),
    [
        ([], {}, "http://test/a"),
        (["x-forwarded-for"], {"REMOTE_ADDR": "203.0.113.7"}, "http://test/a"),
        (["x-forwarded-proto"], {"wsgi.url_scheme": "https"}, "https://test/a"),
        (
            ["x-forwarded-host"],
            {"HTTP_HOST": "shop.example", "SERVER_NAME": "shop.example", "SERVER_PORT": "80"},
            "http://shop.example/a",
        ),
        (
            ["x-forwarded-port"],
            {"HTTP_HOST": "test:8443", "SERVER_NAME": "test", "SERVER_PORT": "8443"},
            "http://test:8443/a",
        ),
        (
            FORWARDED_HEADERS[1:],
            {
                "REMOTE_ADDR": "203.0.113.7",
                "HTTP_HOST": "shop.example:8443",
                "SERVER_NAME": "shop.example",
                "SERVER_PORT": "8443",
                "wsgi.url_scheme": "https",
            },
            "https://shop.example:8443/a",
        ),
        (
            ["forwarded"],
            {
                "REMOTE_ADDR": "6.6.6.6",
                "HTTP_HOST": "other",
                "SERVER_NAME": "other",
                "SERVER_PORT": "443",
                "wsgi.url_scheme": "https",
            },
            "https://other/a",
        ),
    ],
)
def test_of_a_proxy(connect, headers, more, url):
    client = connect("127.0.0.1", headers=headers)
    expected = usual(client)[0] | more
    if "REMOTE_ADDR" in more:
        del expected["REMOTE_PORT"]  # no header has told it
    # The same again is taken from memory, and what comes between is another client's.
    for _ in range(3):
        assert asked(client, *LINES) == [expected, url]
        assert asked(client) == usual(client)
        assert asked(client, *LINES, "Accept: a/b") == [expected, url]


def test_host_of_ipv6_and_port_of_a_client(connect):
    client = connect("127.0.0.1", headers=["forwarded"])
    line = 'Forwarded: for="[2001:db8::7]:4711";host="[2001:db8::1]:81"'
    found, url = asked(client, line)
    assert (found["REMOTE_ADDR"], found["REMOTE_PORT"]) == ("2001:db8::7", "4711")
    assert (found["SERVER_NAME"], found["SERVER_PORT"]) == ("[2001:db8::1]", "81")
    assert url == "http://[2001:db8::1]:81/a"


def test_each_request_has_its_client(connect):
    """Lines that differ from request to request, before and after those that do not."""
    client = connect("127.0.0.1")
    for number in [1, 2, 2, 3, 0, 0, 1, 4, 0]:
        for lines in (("Accept: a/b", "X-A: b"), ("Accept: c/d",), ()):
            line = [f"X-Forwarded-For: 203.0.113.{number}"] if number else []
            found, _ = asked(client, *lines, *line)
            assert found["REMOTE_ADDR"] == (f"203.0.113.{number}" if number else "127.0.0.1")
            assert ("REMOTE_PORT" in found) is not bool(number)
            found, _ = asked(client, *line, *lines)
            assert found["REMOTE_ADDR"] == (f"203.0.113.{number}" if number else "127.0.0.1")


@pytest.mark.parametrize(
    ("wire", "scheme"), [(v1(), "http"), (v2(inet()), "http"), (v2(inet() + tls()), "https")]
)
def test_proxy_protocol(connect, wire, scheme):
    client = connect("127.0.0.1", proxy_protocol="required")
    client.send(wire + request("/a"))
    more = {"REMOTE_ADDR": "203.0.113.7", "REMOTE_PORT": "4711", "wsgi.url_scheme": scheme}
    expected = [usual(client)[0] | more, f"{scheme}://test/a"]
    assert json.loads(client.response().body) == expected
    assert asked(client, *LINES) == expected
