"""A `WebServer` behind proxies: who is believed, in handlers, the access log and WSGI."""

import json
import socket

import pytest

from programs import eventually
from proxy_wires import inet, tls, v1, v2
from rawclient import PATIENCE, RawClient, request
from rush_http import FORWARDED_HEADERS
from rush_web import WebServer
from rush_web.access_format import lines_maker
from rush_web.config import ConfigError, configure
from rush_web.proxies import parse_names, shown_names

LINES = [
    "X-Forwarded-For: 6.6.6.6, 203.0.113.7",
    "X-Forwarded-Proto: https",
    "X-Forwarded-Host: shop.example",
    "X-Forwarded-Port: 8443",
    "Forwarded: for=198.51.100.9;host=other;proto=https",
]
STRANGER = "127.0.0.2"


def who(request):
    """What a handler is told, and a copy that is kept."""
    later = request.snapshot()
    for one in (later, request):
        shown = [one.client and one.client.host, one.scheme, one.host]
    assert shown == [later.client and later.client.host, later.scheme, later.host]
    return shown


def made(**options):
    server = WebServer(**options)
    server.get("/")(who)

    @server.get("/blocking")
    @server.blocking
    def blocking(request):
        return who(request)

    return server


# What is believed: options, then client, scheme and host.
BELIEVED = [
    ({}, ["127.0.0.1", "http", "test"]),
    ({"trusted_proxies": ["10.0.0.1"]}, ["127.0.0.1", "http", "test"]),
    ({"trusted_proxies": ["127.0.0.1"]}, ["203.0.113.7", "http", "test"]),
    ({"trusted_proxies": ["127.0.0.1"], "proxy_headers": ()}, ["127.0.0.1", "http", "test"]),
    (
        {"trusted_proxies": ["127.0.0.1"], "proxy_headers": ["X-Forwarded-Proto"]},
        ["127.0.0.1", "https", "test"],
    ),
    (
        {"trusted_proxies": ["127.0.0.0/8"], "proxy_headers": FORWARDED_HEADERS[1:]},
        ["203.0.113.7", "https", "shop.example:8443"],
    ),
    (
        {"trusted_proxies": ["127.0.0.1"], "proxy_headers": ["Forwarded"]},
        ["198.51.100.9", "https", "other"],
    ),
]


@pytest.mark.parametrize(("options", "expected"), BELIEVED)
@pytest.mark.parametrize("development", [False, True])
def test_request(options, expected, development):
    with made(development=development, **options).test_client() as client:
        headers = dict(line.split(": ") for line in LINES)
        plain = ["127.0.0.1", "http", "test"]
        for path in ("/", "/blocking"):
            for said, told in ((headers, expected), ({}, plain), (headers, expected)):
                answer = client.get(path, headers={"Host": "test"} | said)
                assert answer.json() == told


def test_a_client_that_somebody_knows_better():
    server = made()

    @server.before_request
    def before(request):
        request.client = request.client._replace(host="198.51.100.1")

    with server.test_client() as client:
        for path in ("/", "/blocking"):
            answer = client.get(path, headers={"Host": "a"})
            assert answer.json() == ["198.51.100.1", "http", "a"]


def test_the_client_for_tests_has_no_proxy_in_front():
    options = {"trusted_proxies": ["127.0.0.1"], "proxy_protocol": "required"}
    with made(**options).test_client() as client:
        assert client.get("/", headers={"X-Forwarded-For": "203.0.113.7"}).status == 200


def test_explanations_ask_filters_without_a_proxy():
    server = WebServer()
    told = []
    server.get("/", filter=lambda request: told.append([*request.told()[:2], request.host]))(who)
    server.explain("GET", "/")
    assert told == [[("127.0.0.1", 0), "http", "x"]]


# Options


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"trusted_proxies": ["localhost"]}, "'localhost' does not appear"),
        ({"trusted_proxies": ["10.0.0.1"], "proxy_headers": ["X-Real-IP"]}, "no header of proxies"),
        ({"trusted_proxies": ["10.0.0.1"], "proxy_protocol": "on"}, "not 'on'"),
        ({"proxy_protocol": "required"}, "needs trusted_proxies"),
        ({"trusted_proxies": "10.0.0.1"}, "lists, not one text"),
        ({"trusted_proxies": ["10.0.0.1"], "proxy_headers": "forwarded"}, "lists, not one text"),
    ],
)
def test_what_makes_no_sense(options, words):
    with pytest.raises(ValueError, match=words):
        WebServer(**options)


def test_configuration():
    server = WebServer(trusted_proxies=["10.0.0.1"])
    environ = {
        "RUSH_TRUSTED_PROXIES": "127.0.0.1, fd00::/8,unix",
        "RUSH_PROXY_HEADERS": "none",
        "RUSH_PROXY_PROTOCOL": "trusted",
    }
    settings = {one.name: one for one in configure(server, environ)}
    assert server.trusted_proxies == ("127.0.0.1", "fd00::/8", "unix")
    assert (server.proxy_headers, server.proxy_protocol) == ((), "trusted")
    assert settings["trusted_proxies"].value == "127.0.0.1,fd00::/8,unix"
    assert settings["proxy_headers"].value == "none"
    usual = {one.name: one for one in configure(WebServer(), {})}
    assert [usual[name].value for name in ("trusted_proxies", "proxy_headers")] == [
        "none",
        "x-forwarded-for",
    ]
    with pytest.raises(ConfigError, match="RUSH_PROXY_PROTOCOL"):
        configure(server, {"RUSH_PROXY_PROTOCOL": "on"})


@pytest.mark.parametrize("text", ["none", "a", "a,b"])
def test_names_are_shown_as_they_are_read(text):
    assert shown_names(parse_names(text)) == text


# The access log


def test_format_without_proxies_asks_nobody():
    """It costs a function call otherwise."""
    make = lines_maker("{client}", 1)
    assert "client_of" not in make.__code__.co_names
    assert "client_of" in lines_maker("{client}", 1, is_behind=True).__code__.co_names


# Whole servers

SOURCE = """
@server.get("/")
def who(request):
    return [request.client and request.client.host, request.scheme, request.host]
"""

APP = """
import json
NAMES = ("REMOTE_ADDR", "wsgi.url_scheme", "HTTP_HOST")
def application(environ, start_response):
    body = json.dumps([environ[name] for name in NAMES]).encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
"""


class Client(RawClient):
    """A client of one of the addresses of this machine."""

    def __init__(self, address, host):
        self.sock = socket.create_connection(address, PATIENCE, source_address=(host, 0))
        self._buffer = bytearray()


def asked(client, *lines):
    return json.loads(client.get("/", *lines).body)


@pytest.fixture(params=["run", "wsgi"])
def program(request, launch, write, tmp_path):
    """Start a server, or a WSGI application, by the command; it writes an access log."""

    def program(*options):
        if request.param == "run":
            write(source=SOURCE, run="")
        else:
            (tmp_path / "app.py").write_text(APP)
        log = ("--access-log", "log", "--access-format", "{client} {status}")
        command = ("-m", "rush_web", request.param, "app", "--port", "0", "--workers", "1")
        return launch(*command, *options, *log).ready()

    return program


def logged(tmp_path, count):
    log = tmp_path / "log"
    eventually(lambda: log.read_text().count("\n") == count, f"{count} lines")
    return log.read_text().splitlines()


@pytest.mark.once
def test_headers(program, tmp_path):
    """Only of the proxy, and each request's own; what cannot be read is the connection's."""
    headers = ",".join(FORWARDED_HEADERS[1:])
    served = program("--trusted-proxies", "127.0.0.1", "--proxy-headers", headers)
    with Client(served.address, "127.0.0.1") as proxy, Client(served.address, STRANGER) as stranger:
        assert asked(proxy, *LINES) == ["203.0.113.7", "https", "shop.example:8443"]
        assert asked(proxy) == ["127.0.0.1", "http", "test"]
        assert asked(stranger, *LINES) == [STRANGER, "http", "test"]
        assert asked(proxy, "X-Forwarded-For: 203.0.113.8") == ["203.0.113.8", "http", "test"]
        assert asked(proxy, "X-Forwarded-For: 203.0.113.8") == ["203.0.113.8", "http", "test"]
        proxy.send(b"nonsense\r\n\r\n")
        assert proxy.response().status == 400
    assert logged(tmp_path, 6) == [
        "203.0.113.7 200",
        "127.0.0.1 200",
        f"{STRANGER} 200",
        "203.0.113.8 200",
        "203.0.113.8 200",
        "127.0.0.1 400",
    ]


@pytest.mark.once
def test_proxy_protocol(program, tmp_path):
    """By the variable of the option; a page of its own port needs no header."""
    options = ("--trusted-proxies", "127.0.0.1", "--proxy-protocol", "required")
    served = program(*options, "--status-port", "0")
    for wire, scheme in ((v1(), "http"), (v2(inet() + tls()), "https")):
        with Client(served.address, "127.0.0.1") as proxy:
            proxy.send(wire)
            assert asked(proxy, *LINES) == ["203.0.113.7", scheme, "test"]
            assert asked(proxy) == ["203.0.113.7", scheme, "test"]
    for host in ("127.0.0.1", STRANGER):
        with Client(served.address, host) as client:
            client.send(request())
            assert client.rest() == b""
    assert logged(tmp_path, 4) == ["203.0.113.7 200"] * 4
    port = str(served.output).rpartition("state is at http://127.0.0.1:")[2].partition("/")[0]
    with RawClient(("127.0.0.1", int(port))) as client:
        assert client.get("/health").status == 200


@pytest.mark.once
def test_unix_socket(launch, write, tmp_path):
    write(source=SOURCE, run="")
    path = f"{tmp_path}/sock"
    options = ("--host", f"unix:{path}", "--trusted-proxies", "unix", "--access-log", "log")
    served = launch("-m", "rush_web", "run", "app", *options)
    served.output.wait_for("unix:")
    with RawClient(path) as client:
        assert asked(client, *LINES) == ["203.0.113.7", "http", "test"]
        assert asked(client) == [None, "http", "test"]
    assert [line.split()[0] for line in logged(tmp_path, 2)] == ["203.0.113.7", "-"]
