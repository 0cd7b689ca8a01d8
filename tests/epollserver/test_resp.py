"""The example `resp.py`: its parser by itself, and the whole program with Redis's own clients."""

import importlib.util
import pathlib
import re
import shutil
import socket
import subprocess

import pytest

import clients
from splits import SPLITS

EXAMPLE = pathlib.Path(__file__).parents[2] / "packages/epollserver/examples/resp.py"

spec = importlib.util.spec_from_file_location("resp", EXAMPLE)
resp = importlib.util.module_from_spec(spec)
spec.loader.exec_module(resp)

needs_cli = pytest.mark.skipif(not shutil.which("redis-cli"), reason="redis-cli is not installed")
needs_benchmark = pytest.mark.skipif(
    not shutil.which("redis-benchmark"), reason="redis-benchmark is not installed"
)


@pytest.fixture
def server():
    with clients.running(EXAMPLE, "0") as process:
        host, _, port = process.stdout.readline().split()[-1].partition(":")
        process.address = host, int(port)
        yield process


@pytest.fixture
def client(server):
    with clients.connect(server.address) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield client


# The parser


def words(pieces):
    """All requests in the pieces, and that nothing is left of them."""
    requests, found = resp.Requests(), []
    for piece in pieces:
        requests.feed(piece)
        while (request := requests.next()) is not None:
            found.append(request)
    requests.feed(b"mark\n")
    assert requests.next() == [b"mark"]
    return found


ACCEPTED = [
    (b"", []),
    (b"\r\n\n \r\n", []),
    (b"PING\r\n", [[b"PING"]]),
    (b"PING\n", [[b"PING"]]),
    (b"  SET a   1 \r\n", [[b"SET", b"a", b"1"]]),
    (b"*0\r\n", []),
    (b"*1\r\n$4\r\nPING\r\n", [[b"PING"]]),
    (b"*1\r\n$0\r\n\r\n", [[b""]]),
    (b"*2\r\n$4\r\nECHO\r\n$4\r\n\r\n*1\r\n", [[b"ECHO", b"\r\n*1"]]),
    (b"*1\r\n$4\r\nPING\r\nPING\r\n*1\r\n$1\r\n\xff\r\n", [[b"PING"], [b"PING"], [b"\xff"]]),
    (b"*1\r\n$1048576\r\n" + b"x" * 1048576 + b"\r\n", [[b"x" * 1048576]]),
    (b"*1024\r\n" + b"$1\r\na\r\n" * 1024, [[b"a"] * 1024]),
    (b"x" * 4095 + b"\n", [[b"x" * 4095]]),
]

# The last byte of each row is the one that gives it away: what comes before it is not refused.
REFUSED = [
    (b"*\r\n", "expected b'*' and a number"),
    (b"*-1\r\n", "expected b'*' and a number"),
    (b"*+1\r\n", "expected b'*' and a number"),
    (b"*1_0\r\n", "expected b'*' and a number"),
    (b"*1 \r\n", "expected b'*' and a number"),
    (b"*1025\r\n", "up to 1024, got b'*1025"),
    (b"*9999999999\r\n", "expected b'*' and a number"),
    (b"*1\r\nPING\r\n", "expected b'$' and a number"),
    (b"*1\r\n*1\r\n", "expected b'$' and a number"),
    (b"*1\r\n$-1\r\n", "expected b'$' and a number"),
    (b"*1\r\n\r\n", "expected b'$' and a number"),
    (b"*1\r\n$1048577\r\n", "up to 1048576, got b'$1048577"),
    (b"*2\r\n$1000\r\n" + b"x" * 1000 + b"\r\n$1047577\r\n", "up to 1047576, got"),
    (b"*1\r\n$4\r\nPINGXX", "no end of line after 4 bytes"),
    (b"*1\r\n$4\r\nPING\n\r", "no end of line after 4 bytes"),
    (b"x" * 4096, "a line has more than 4096 bytes"),
    (b"*1\r\n$" + b"1" * 4096, "a line has more than 4096 bytes"),
]


def named(rows):
    return [repr(row[0])[:40] for row in rows]


@pytest.mark.once
@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize(("wire", "expected"), ACCEPTED, ids=named(ACCEPTED))
def test_accepted(split, wire, expected):
    assert words(split(wire)) == expected


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize(("wire", "message"), REFUSED, ids=named(REFUSED))
def test_refused(split, wire, message):
    with pytest.raises(resp.ProtocolError, match=re.escape(message)):
        words(split(wire))


# The program


CONVERSATIONS = [
    (b"PING\r\nping\r\nPING hi\r\n", b"+PONG\r\n+PONG\r\n$2\r\nhi\r\n"),
    (b"*2\r\n$4\r\nECHO\r\n$2\r\n\r\n\r\n", b"$2\r\n\r\n\r\n"),
    (b"GET a\nSET a 1\nGET a\nGET b\n", b"$-1\r\n+OK\r\n$1\r\n1\r\n$-1\r\n"),
    (b"SET a 1\nSET b 2\nDEL a b a c\nGET a\n", b"+OK\r\n+OK\r\n:2\r\n$-1\r\n"),
    (b"COMMAND DOCS\nCONFIG GET save\n", b"*0\r\n*2\r\n$4\r\nsave\r\n$0\r\n\r\n"),
    (b"DEL\nPING\n", b"-ERR no command b'DEL' with 0 arguments\r\n+PONG\r\n"),
    (b"GET a b\n", b"-ERR no command b'GET' with 2 arguments\r\n"),
    (b"FLY\n", b"-ERR no command b'FLY' with 0 arguments\r\n"),
    (b"*1\r\n$2\r\n\r\n\r\n", b"-ERR no command b'\\r\\n' with 0 arguments\r\n"),
    (
        b"PING\n*x\r\n",
        b"+PONG\r\n-ERR Protocol error: expected b'*' and a number up to 1024, got b'*x\\r'\r\n",
    ),
]


@pytest.mark.once
@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize(("wire", "expected"), CONVERSATIONS, ids=named(CONVERSATIONS))
def test_conversation(client, split, wire, expected):
    for piece in split(wire):
        client.sendall(piece)
    client.shutdown(socket.SHUT_WR)
    assert clients.read_to_end(client) == expected


def test_a_refused_connection_is_closed(client):
    client.sendall(b"*x\r\n")
    assert clients.read_to_end(client).startswith(b"-ERR Protocol error")


def test_long_answers_wait_until_they_are_read(server, client):
    size, count = 1_000_000, 200
    value = b"$%d\r\n%b\r\n" % (size, b"x" * size)
    client.sendall(b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n" + value)
    assert clients.read_exactly(client, 5) == b"+OK\r\n"
    client.sendall(b"GET a\n" * count + b"PING\n")
    with clients.connect(server.address) as other:  # which is served meanwhile
        other.sendall(b"PING\n")
        assert clients.read_exactly(other, 7) == b"+PONG\r\n"
    for _ in range(count):
        assert clients.read_exactly(client, len(value)) == value
    assert clients.read_exactly(client, 7) == b"+PONG\r\n"
    status = pathlib.Path(f"/proc/{server.pid}/status").read_text()
    assert int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) < 60_000


# Redis's own clients


def redis_cli(server, *arguments, **options):
    return subprocess.run(
        ["redis-cli", "-p", str(server.address[1]), *arguments],
        capture_output=True,
        text=True,
        check=True,
        timeout=clients.PATIENCE,
        **options,
    ).stdout


@needs_cli
def test_redis_cli(server):
    assert redis_cli(server, "ping") == "PONG\n"
    assert redis_cli(server, "echo", "two words\n") == "two words\n\n"
    assert redis_cli(server, "set", "a", "1") == "OK\n"
    assert redis_cli(server, "get", "a") == "1\n"
    assert redis_cli(server, "del", "a", "b") == "1\n"
    assert redis_cli(server, "get", "a") == "\n"
    assert redis_cli(server, "lpush", "a", "1").startswith("ERR no command b'lpush'")
    assert redis_cli(server, input="ping\nset b 2\nget b\n") == "PONG\nOK\n2\n"


@needs_cli
def test_redis_cli_pipe(server):
    """`--pipe` sends without waiting, and counts the answers."""
    lines = "".join(f"SET key{n} {n}\r\n" for n in range(10_000))
    assert "errors: 0, replies: 10000" in redis_cli(server, "--pipe", input=lines)
    assert redis_cli(server, "get", "key9999") == "9999\n"


@needs_benchmark
def test_redis_benchmark(server):
    options = ["-n", "20000", "-P", "16", "-q", "-t", "ping,set,get"]
    done = subprocess.run(
        ["redis-benchmark", "-p", str(server.address[1]), *options],
        capture_output=True,
        text=True,
        check=True,
        timeout=3 * clients.PATIENCE,
    )
    results = re.findall(r"(\w+): [\d.]+ requests per second", done.stdout)
    assert results == ["PING_INLINE", "PING_MBULK", "SET", "GET"]
    assert "WARNING" not in done.stdout + done.stderr
