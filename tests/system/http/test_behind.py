"""Servers behind real proxies: who the client is, and that nobody says it but the proxy."""

import contextlib
import pathlib
import re
import shutil
import subprocess

import pytest

import certificates
from proxying import Client, haproxy, needs_haproxy, needs_nginx, needs_stream, nginx
from rawclient import PATIENCE, request
from rush_http import FORWARDED_HEADERS, HttpServer, TrustedProxies

PAGE = (pathlib.Path(__file__).parents[3] / "packages/rush-http/docs/behind-a-proxy.md").read_text()

CLIENT = "127.0.0.9"
SPOOFED = [
    "Forwarded: for=6.6.6.6;proto=https;host=evil",
    "X-Forwarded-For: 6.6.6.6",
    "X-Forwarded-For: 6.6.6.7",
    "X-Forwarded-Proto: https",
    "X-Forwarded-Host: evil",
    "X-Forwarded-Port: 666",
    "X-Real-IP: 6.6.6.6",
]
BLOCK = {
    kind: re.search(rf"^```{kind}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)[1]
    for kind in ("nginx", "haproxy")
}


@pytest.fixture(scope="module")
def tls(tmp_path_factory):
    """Contexts for servers and clients; and the certificate with its key, in one file."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    folder = tmp_path_factory.mktemp("tls")
    server, client = certificates.contexts(folder)
    both = folder / "both.pem"
    both.write_text((folder / "cert.pem").read_text() + (folder / "key.pem").read_text())
    return server, client, both


@pytest.fixture
def behind():
    """Start a server that answers with who has asked, how, and for which host."""
    with contextlib.ExitStack() as stack:

        def start(*trusted, ssl_context=None, **options):
            def callback(body, conn, protocol, method, path, query, headers):
                client, scheme, host = server.forwarded(conn, headers)
                shown = f"{client.host} {client.port} {scheme} {host or headers.get('host')}"
                server.respond(conn, shown.encode())

            proxies = TrustedProxies(*trusted or ("127.0.0.1",), **options)
            server = HttpServer(
                ("127.0.0.1", 0), 100, callback, proxies=proxies, ssl_context=ssl_context
            )
            stack.enter_context(server)
            server.run(threaded=True)
            host, port = server.address
            return f"{host}:{port}"

        yield start


def asked(client, *lines):
    answer = client.get("/", *lines)
    assert answer.status == 200, answer
    return answer.body.decode()


# The PROXY protocol

TCP = """
listen front
    mode tcp
    bind :8001
    server rush {server} {options}
"""
V2_OPTIONS = "ssl,cert-cn,ssl-cipher,cert-sig,cert-key,crc32c,unique-id,authority"


@needs_haproxy
@pytest.mark.parametrize(
    "options",
    [
        "send-proxy",
        "send-proxy-v2",
        "send-proxy-v2 proxy-v2-options crc32c",
        f"send-proxy-v2 proxy-v2-options {V2_OPTIONS}",
    ],
)
@pytest.mark.parametrize("over_tls", [False, True], ids=["plain", "TLS passed through"])
def test_haproxy(behind, tls, tmp_path, options, over_tls):
    server = behind(
        proxy_protocol="required",
        headers=FORWARDED_HEADERS[1:],
        ssl_context=tls[0] if over_tls else None,
    )
    text = TCP.format(server=server, options=options)
    with haproxy(tmp_path, text) as [front]:
        for host in (CLIENT, "127.0.0.1"):
            with Client(front, host, tls[1] if over_tls else None) as client:
                scheme = "https" if over_tls else "http"
                own = f"{client.name} {scheme} test"
                assert asked(client) == own
                if host == CLIENT:  # else the source is a proxy that is trusted
                    assert asked(client, *SPOOFED) == own


@needs_haproxy
@pytest.mark.parametrize(
    ("options", "scheme"), [("send-proxy-v2-ssl", "https"), ("send-proxy-v2", "http")]
)
def test_haproxy_that_ends_tls(behind, tls, tmp_path, options, scheme):
    text = f"""
listen front
    mode tcp
    bind :8001 ssl crt {tls[2]}
    server rush {behind(proxy_protocol="required")} {options}
"""
    with haproxy(tmp_path, text) as [front], Client(front, CLIENT, tls[1]) as client:
        name = f"{client.name} {scheme} test"
        assert asked(client, *SPOOFED) == name


@needs_haproxy
@pytest.mark.parametrize("options", ["send-proxy", "send-proxy-v2"])
def test_haproxy_never_mixes_clients(behind, tmp_path, options):
    """It reuses connections to us, as far as it may; checks of its own are among them."""
    text = f"""
listen front
    mode http
    http-reuse always
    option httpchk GET /
    bind :8001
    server rush {behind(proxy_protocol="required")} {options} check inter 50ms
"""
    with haproxy(tmp_path, text) as [front], contextlib.ExitStack() as stack:
        clients = [stack.enter_context(Client(front, f"127.0.0.{n}")) for n in (9, 10, 9, 11)]
        for _ in range(5):
            for client in clients:
                client.send(request("/", *SPOOFED))
            for client in clients:
                assert client.response().body.decode() == f"{client.name} http test"


@needs_stream
@pytest.mark.parametrize("over_tls", [False, True], ids=["plain", "TLS passed through"])
def test_nginx_stream(behind, tls, tmp_path, over_tls):
    server = behind(proxy_protocol="required", ssl_context=tls[0] if over_tls else None)
    stream = f"server {{ listen 8001; proxy_pass {server}; proxy_protocol on; }}"
    with (
        nginx(tmp_path, stream=stream) as [front],
        Client(front, CLIENT, tls[1] if over_tls else None) as client,
    ):
        own = f"{client.name} {'https' if over_tls else 'http'} test"
        assert asked(client, *SPOOFED) == asked(client) == own


@needs_haproxy
@needs_nginx
def test_haproxy_before_nginx_before_us(behind, tmp_path):
    """The first one tells the second by the PROXY protocol, that one us by headers."""
    server = behind(headers=["X-Forwarded-For"])
    http = f"""
    server {{
        listen 8001 proxy_protocol;
        location / {{
            proxy_pass http://{server};
            proxy_set_header Host $http_host;
            proxy_set_header X-Forwarded-For "$http_x_forwarded_for, $proxy_protocol_addr";
        }}
    }}"""
    with nginx(tmp_path, http=http) as [inner]:
        text = TCP.format(server="{}:{}".format(*inner), options="send-proxy")
        with haproxy(tmp_path, text) as [front], Client(front, CLIENT) as client:
            assert asked(client, *SPOOFED) == f"{CLIENT} 0 http test"


@needs_haproxy
@needs_nginx
def test_nginx_before_haproxy_before_us(behind, tmp_path):
    """The first one writes a header, the second one tells of the first: both are trusted."""
    server = behind("127.0.0.1", proxy_protocol="required")
    text = TCP.format(server=server, options="send-proxy-v2")
    with haproxy(tmp_path, text) as [inner]:
        http = f"""
        server {{
            listen 8001;
            location / {{
                proxy_pass http://{inner[0]}:{inner[1]};
                proxy_set_header Host $http_host;
                proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            }}
        }}"""
        with nginx(tmp_path, http=http) as [front]:
            with Client(front, CLIENT) as client:
                assert asked(client, *SPOOFED) == f"{CLIENT} 0 http test"
            with Client(inner, CLIENT) as client:  # past nginx
                own = f"{client.name} http test"
                assert asked(client, *SPOOFED) == own


@pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed")
@pytest.mark.parametrize("over_tls", [False, True], ids=["plain", "TLS"])
def test_curl(behind, tls, over_tls):
    server = behind(proxy_protocol="required", ssl_context=tls[0] if over_tls else None)
    scheme = "https" if over_tls else "http"
    command = ["curl", "-ksS", "--haproxy-protocol", *(f"-H{line}" for line in SPOOFED)]
    url = f"{scheme}://{server}/"
    found = said_by(*command, "--interface", CLIENT, url)
    assert found is None  # no trusted proxy
    assert said_by("curl", "-ksS", url) is None  # and no header
    found = said_by("curl", "-ksS", "--haproxy-protocol", url, url)
    # curl is a proxy here that names itself.
    assert re.fullmatch(rf"(127.0.0.1 \d+ {scheme} {server}){{2}}", found)
    if "--haproxy-clientip" in said_by("curl", "--help", "all"):
        found = said_by(*command, "--haproxy-clientip", "203.0.113.7", url)
        assert re.fullmatch(rf"203.0.113.7 \d+ {scheme} {server}", found)


def said_by(*command):
    done = subprocess.run(command, capture_output=True, timeout=PATIENCE, check=False)
    return None if done.returncode else done.stdout.decode()


# Headers


@needs_nginx
def test_nginx_of_the_readme(behind, tls, tmp_path):
    """As it is written there; what it does not set is the client's word, and not looked at."""
    server = behind(headers=["X-Forwarded-For", "X-Forwarded-Proto"])
    http = BLOCK["nginx"].replace("127.0.0.1:8000", server).replace("listen 80;", "listen 8001;")
    encrypted = http[http.index("server {\n    listen") :].replace(
        "listen 8001;", f"listen 8002 ssl; ssl_certificate {tls[2]}; ssl_certificate_key {tls[2]};"
    )
    with (
        nginx(tmp_path, http=http + encrypted, fronts=2) as fronts,
        Client(fronts[0], CLIENT) as client,
        Client(fronts[0], "127.0.0.10") as other,
        Client(fronts[1], CLIENT, tls[1]) as encrypted,
    ):
        for _ in range(3):  # by connections that are kept
            assert asked(client, *SPOOFED) == f"{CLIENT} 0 http test"
            assert asked(other) == "127.0.0.10 0 http test"
            assert asked(encrypted, *SPOOFED) == f"{CLIENT} 0 https test"


@needs_haproxy
def test_haproxy_of_the_readme(behind, tls, tmp_path):
    """As it is written there: by headers, and with the PROXY protocol before TLS."""
    plain = behind(headers=["X-Forwarded-For", "X-Forwarded-Proto"])
    encrypted = behind(proxy_protocol="required", ssl_context=tls[0])
    text = BLOCK["haproxy"].replace("127.0.0.1:8000", plain).replace("127.0.0.1:8443", encrypted)
    text = text.replace("bind :80\n", "bind :8001\n").replace("bind :443\n", "bind :8002\n")
    with (
        haproxy(tmp_path, text, fronts=2) as fronts,
        Client(fronts[0], CLIENT) as client,
        Client(fronts[0], "127.0.0.10") as other,
        Client(fronts[1], CLIENT, tls[1]) as passed,
    ):
        for _ in range(3):
            assert asked(client, *SPOOFED) == f"{CLIENT} 0 http test"
            assert asked(other) == "127.0.0.10 0 http test"
            assert asked(passed, *SPOOFED) == f"{passed.name} https test"


FORWARDED_OF_NGINX = """
map $http_host $quoted {{ default '"$http_host"'; }}
server {{
    listen 8001;
    location / {{
        proxy_pass http://{server};
        proxy_set_header Forwarded "$http_forwarded, for=$remote_addr;proto=https;host=$quoted";
    }}
}}
"""
FORWARDED_OF_HAPROXY = """
listen front
    bind :8001
    http-request add-header Forwarded for=%[src];proto=https;host="%[req.hdr(host)]"
    http-request set-header Host inner
    server rush {server}
"""


@pytest.mark.parametrize(
    ("run", "text"),
    [
        pytest.param(
            lambda folder, text: nginx(folder, http=text), FORWARDED_OF_NGINX,
            marks=needs_nginx, id="nginx",
        ),
        pytest.param(haproxy, FORWARDED_OF_HAPROXY, marks=needs_haproxy, id="haproxy"),
    ],
)  # fmt: skip
def test_forwarded(behind, tmp_path, run, text):
    """Nothing that a client writes before what its proxy writes can change what that says."""
    server = behind(headers=["Forwarded"])
    with run(tmp_path, text.format(server=server)) as [front], Client(front, CLIENT) as client:
        expected = f"{CLIENT} 0 https test"
        assert asked(client) == expected
        assert asked(client, *SPOOFED) == expected
        for own in (
            *("for=6.6.6.6;host=evil", 'for="6.6.6.6', 'for=6.6.6.6;x="', 'x="\\', "for=127.0.0.1"),
            *(",", ";", 'x="', "for=_x", "for=unknown", '"', "\\", "=", 'x="a,'),
        ):
            assert asked(client, f"Forwarded: {own}") == expected, own
            assert asked(client, "Forwarded: for=127.0.0.1", f"Forwarded: {own}") == expected, own
            assert asked(client, f"X-Forwarded-For: {own}") == expected, own


@needs_nginx
def test_past_the_proxy(behind, tmp_path):
    """Who finds the server itself is a client, whatever he says."""
    server = behind(headers=["X-Forwarded-For"])
    host, _, port = server.partition(":")
    with Client((host, int(port)), CLIENT) as client:
        own = f"{client.name} http test"
        assert asked(client, *SPOOFED) == asked(client) == own
