"""Servers behind proxies: whose word counts, and whose does not."""

import contextlib
import logging
import socket

import pytest

import rawclient
from proxy_wires import LOCAL, TCP6, UNIX, inet, inet6, tls, v1, v2
from rawclient import PATIENCE, RawClient, request
from rush_http import (
    FORWARDED_HEADERS,
    HttpServer,
    Limits,
    ObservedServer,
    TrustedProxies,
)
from splits import SPLITS

STRANGER = "127.0.0.2"

# All that a proxy could say, said by a client.
SPOOFED = [
    "Forwarded: for=6.6.6.6;proto=https;host=evil",
    "X-Forwarded-For: 6.6.6.6",
    "X-Forwarded-Proto: https",
    "X-Forwarded-Host: evil",
    "X-Forwarded-Port: 666",
    "X-Real-IP: 6.6.6.6",
    "X-Forwarded-Ssl: on",
    "X-Forwarded-Scheme: https",
    "True-Client-IP: 6.6.6.6",
    "X_Forwarded_For: 6.6.6.6",
]


@pytest.fixture
def behind(serve):
    """Start a server that answers with who has asked, how, and for which host."""

    def start(*trusted, address=("127.0.0.1", 0), limits=None, **options):
        def callback(body, conn, protocol, method, path, query, headers):
            client, scheme, host = server.forwarded(conn, headers)
            shown = "nobody" if client is None else f"{client.host} {client.port}"
            server.respond(conn, f"{shown}|{scheme}|{host}".encode())

        proxies = TrustedProxies(*trusted, **options) if trusted else None
        server = serve(callback, address, proxies=proxies, limits=limits)
        return server

    return start


class Client(RawClient):
    """A client of one of the addresses of this machine, which may begin TLS later."""

    def __init__(self, address, host):
        self.sock = socket.create_connection(address, PATIENCE, source_address=(host, 0))
        self._buffer = bytearray()


def client_from(server, host):
    return Client(server.address, host)


def speak_tls(client, server):
    """Go on over TLS, after what was sent."""
    context = rawclient.TLS.get(server.address)
    if context is not None:
        client.sock = context.wrap_socket(client.sock, server_hostname="localhost")


def asked(server, *lines, host="127.0.0.1"):
    """What a client of `host` is taken for; the port of the socket as ``own``."""
    with client_from(server, host) as client:
        return shown(client, client.get("/", *lines))


def shown(client, answer):
    assert answer.status == 200
    own = f"{client.sock.getsockname()[1]}"
    client, *others = answer.body.decode().split("|")
    address, _, port = client.partition(" ")
    return ("|".join([f"{address} own" if port == own else client, *others])).strip()


# Headers


@pytest.mark.parametrize(
    ("trusted", "headers"),
    [
        ([], []),
        (["127.0.0.1"], FORWARDED_HEADERS[:1]),
        (["127.0.0.1"], FORWARDED_HEADERS[1:]),
        (["10.0.0.0/8", "unix", "::1"], FORWARDED_HEADERS[1:]),
    ],
)
def test_what_a_stranger_says_of_himself(behind, trusted, headers):
    """Nothing of it counts."""
    server = behind(*trusted, **({"headers": headers} if trusted else {}))
    for lines in (SPOOFED, *([line] for line in SPOOFED)):
        assert asked(server, *lines, host=STRANGER) == f"{STRANGER} own|http|None"


def test_what_a_proxy_says(behind):
    server = behind("127.0.0.1", headers=FORWARDED_HEADERS[1:])
    assert asked(server, *SPOOFED) == "6.6.6.6 0|https|evil:666"
    assert asked(server, *SPOOFED[1:2]) == "6.6.6.6 0|http|None"
    assert asked(server) == "127.0.0.1 own|http|None"
    server = behind("127.0.0.1", headers=["Forwarded"])
    assert asked(server, *SPOOFED) == "6.6.6.6 0|https|evil"
    assert asked(server, *SPOOFED[1:]) == "127.0.0.1 own|http|None"


def test_each_request_of_a_connection_is_of_its_own_client(behind):
    """A proxy sends requests of many clients by one connection."""
    server = behind("127.0.0.1")
    with client_from(server, "127.0.0.1") as client:
        hosts = ["203.0.113.1", "203.0.113.2", "203.0.113.2", None, "203.0.113.1", None, None]
        for host in hosts:
            lines = [] if host is None else [f"X-Forwarded-For: {host}"]
            expected = "127.0.0.1 own" if host is None else f"{host} 0"
            assert shown(client, client.get("/", *lines)) == f"{expected}|http|None"
        client.send(b"".join(request("/", f"X-Forwarded-For: 203.0.113.{n}") for n in range(9)))
        for number in range(9):
            assert client.response().body == b"203.0.113.%d 0|http|None" % number


@pytest.mark.parametrize("trusted", ["unix", "127.0.0.1"])
def test_unix(behind, tmp_path, trusted):
    path = str(tmp_path / "sock")
    behind(trusted, address=path)
    with RawClient(path) as client:
        found = client.get("/", "X-Forwarded-For: 203.0.113.7").body
    assert found == (b"203.0.113.7 0|http|None" if trusted == "unix" else b"nobody|http|None")


def test_a_listener_for_both_families(behind):
    """The peer of a proxy of IPv4 has an address of IPv6 then."""
    server = behind("127.0.0.1", address=("::", 0))
    for host, expected in (("127.0.0.1", "203.0.113.7 0"), (STRANGER, f"::ffff:{STRANGER} own")):
        with Client(("127.0.0.1", server.address[1]), host) as client:
            answer = client.get("/", "X-Forwarded-For: 203.0.113.7")
            assert shown(client, answer) == f"{expected}|http|None"


# The PROXY protocol: what comes first, and who the client is then.

TOLD = {
    "v1": (v1(), "203.0.113.7 4711|http|None"),
    "v1 unknown": (v1(kind="UNKNOWN"), "127.0.0.1 own|http|None"),
    "v2": (v2(inet()), "203.0.113.7 4711|http|None"),
    "v2 IPv6": (v2(inet6(), family=TCP6), "2001:db8::7 4711|http|None"),
    "v2 local": (v2(command=LOCAL, family=0), "127.0.0.1 own|http|None"),
    "v2 over TLS": (v2(inet() + tls()), "203.0.113.7 4711|https|None"),
    "v2 UNIX": (v2(bytes(216), family=UNIX), "127.0.0.1 own|http|None"),
}


@pytest.mark.over_tls
@pytest.mark.parametrize(("wire", "expected"), TOLD.values(), ids=TOLD)
def test_proxy_protocol(behind, wire, expected, transport):
    """Whatever a header says, and however it is cut; nothing of what a client says counts then."""
    server = behind("127.0.0.1", proxy_protocol="required", headers=FORWARDED_HEADERS[1:])
    if transport == "tls":
        expected = expected.replace("|http|", "|https|")
    for split in SPLITS:
        with client_from(server, "127.0.0.1") as client:
            for piece in split(wire):
                client.send(piece)
            speak_tls(client, server)
            assert shown(client, client.get("/", *SPOOFED)) == expected
            assert shown(client, client.get("/")) == expected


def test_in_one_piece_with_requests(behind):
    server = behind("127.0.0.1", proxy_protocol="required")
    with client_from(server, "127.0.0.1") as client:
        client.send(v2(inet()) + request() * 3)
        for _ in range(3):
            assert client.response().body == b"203.0.113.7 4711|http|None"


def test_byte_by_byte_with_a_request(behind):
    server = behind("127.0.0.1", proxy_protocol="required")
    with client_from(server, "127.0.0.1") as client:
        for byte in v1() + request():
            client.send(bytes([byte]))
        assert client.response().body == b"203.0.113.7 4711|http|None"


def test_chain_of_both(behind):
    """A source that is a proxy itself is believed on what it writes; any other is not."""
    server = behind("127.0.0.1", "10.0.0.0/8", proxy_protocol="required")
    line = "X-Forwarded-For: 6.6.6.6, 203.0.113.7"
    for source, expected in (("10.0.0.1", "203.0.113.7 0"), ("198.51.100.1", "198.51.100.1 4711")):
        with client_from(server, "127.0.0.1") as client:
            client.send(v1(source))
            assert client.get("/", line).body == f"{expected}|http|None".encode()


@pytest.mark.over_tls
@pytest.mark.parametrize("proxy_protocol", ["required", "trusted"])
@pytest.mark.parametrize(
    "wire",
    [
        request("/", *SPOOFED),
        b"\r\n" + v1() + request(),
        v1().replace(b"\r\n", b"\n") + request(),
        b"PROXY UNKNOWN " + b"f" * 100 + b"\r\n" + request(),
        v2(inet(), command=0x11) + request(),
        v2(inet()[:-1]) + request(),
        v1()[:-1],
        v2(inet())[:-1],
        b"",
    ],
    ids=range(9),
)
def test_trusted_one_without_a_header_is_closed(behind, wire, proxy_protocol, transport):
    """No request is answered, nor an alert of TLS sent."""
    server = behind("127.0.0.1", proxy_protocol=proxy_protocol)
    with client_from(server, "127.0.0.1") as client:
        client.send(wire)
        with contextlib.suppress(OSError):  # it has closed already
            client.end()
        assert client.rest() == b""
    assert not server.epoll.connections


def test_refusal_is_logged(behind, caplog):
    server = behind("127.0.0.1", proxy_protocol="required")
    with caplog.at_level(logging.INFO, "rush_http"):
        for host in ("127.0.0.1", STRANGER):
            with client_from(server, host) as client, contextlib.suppress(ConnectionError):
                client.send(request())
                assert client.rest() == b""
    assert "refused: 127.0.0.1: no PROXY header, but b'GET / HTTP/1.1" in caplog.text
    assert f"refused: {STRANGER} is no trusted proxy" in caplog.text


@pytest.mark.parametrize("wire", [v1(), v2(inet())])
def test_stranger_with_a_header(behind, wire):
    """Refused; where strangers are served it is no request, and nothing that it says counts."""
    server = behind("127.0.0.1", proxy_protocol="required")
    with client_from(server, STRANGER) as client, contextlib.suppress(ConnectionError):
        client.send(wire + request())
        assert client.rest() == b""
    server = behind("127.0.0.1", proxy_protocol="trusted")
    with client_from(server, STRANGER) as client:
        client.send(wire + request())
        assert client.response().status == 400
        assert client.rest() == b""


def test_stranger_without_a_header(behind):
    server = behind("127.0.0.1", proxy_protocol="required")
    with client_from(server, STRANGER) as client, contextlib.suppress(ConnectionError):
        client.send(request())
        assert client.rest() == b""
    server = behind("127.0.0.1", proxy_protocol="trusted")
    assert asked(server, *SPOOFED, host=STRANGER) == f"{STRANGER} own|http|None"


@pytest.mark.parametrize("trusted", ["unix", "127.0.0.1"])
def test_header_over_unix(behind, tmp_path, trusted):
    path = str(tmp_path / "sock")
    behind(trusted, address=path, proxy_protocol="required")
    with RawClient(path) as client, contextlib.suppress(ConnectionError):
        for byte in v2(inet()):
            client.send(bytes([byte]))
        client.send(request())
        if trusted == "unix":
            assert client.response().body == b"203.0.113.7 4711|http|None"
        else:
            assert client.rest() == b""


@pytest.mark.over_tls
@pytest.mark.parametrize("wire", [b"", b"PROXY", v1()[:-1], v2(inet())[:20]])
def test_late(behind, wire, transport):
    """A header has `head_seconds`."""
    limits = Limits(head_seconds=0.1)
    server = behind("127.0.0.1", proxy_protocol="required", limits=limits)
    with client_from(server, "127.0.0.1") as client:
        client.send(wire)
        assert client.rest() == b""


def test_stopping_waits_for_a_header(behind, until):
    """A connection that has said nothing yet is as an idle one."""
    server = behind("127.0.0.1", proxy_protocol="required")
    with client_from(server, "127.0.0.1") as client, client_from(server, "127.0.0.1") as silent:
        until(server, lambda: len(server.epoll.entering) == 2)
        server.stop(20, idle_grace=0.2)
        client.send(v1() + request())
        answer = client.response()
        assert answer.body == b"203.0.113.7 4711|http|None"
        assert answer.headers["connection"] == "close"
        assert silent.rest() == b""


def test_observed_by_its_source(request):
    answers = []
    proxies = TrustedProxies("127.0.0.1", proxy_protocol="required")

    def callback(body, conn, *asked):
        server.respond(conn, b"hi")

    server = ObservedServer(
        ("127.0.0.1", 0), 10, callback, on_answers=answers.extend, proxies=proxies
    )
    with server:
        server.run(threaded=True)
        with client_from(server, "127.0.0.1") as client:
            client.send(v1())
            assert client.get("/").body == b"hi"
    assert [conn.data.client for conn, *_ in answers] == ["203.0.113.7"]


def test_peer_is_the_source(serve):
    def callback(body, conn, *asked):
        server.respond(conn, "{}:{}".format(*server.peer(conn)).encode())

    proxies = TrustedProxies("127.0.0.1", proxy_protocol="required")
    server: HttpServer = serve(callback, proxies=proxies)
    with client_from(server, "127.0.0.1") as client:
        client.send(v1())
        assert client.get("/", *SPOOFED).body == b"203.0.113.7:4711"
