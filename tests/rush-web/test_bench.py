"""`rush bench`: what it says about an application, and its client for itself."""

import json
import re
from array import array

import pytest

from epollserver import RECEIVE, EpollServer
from programs import children_of, eventually, watching
from rush_web.bench.client import Load, NoAnswer, ask_once, load

pytestmark = pytest.mark.once

APP = """
import time
from rush_web import WebServer

server = WebServer(port=80, workers=4, access_log="log")
print("this is no part of the table")

@server.get("/")
def index(request):
    return "hello"

@server.get("/sum")
def total(request):
    return {"sum": sum(range(20_000))}

@server.get("/now/<number>")
def now(request):
    request.stream([str(time.time())])

@server.get("/bug")
def bug(request):
    1 / 0

@server.post("/form")
def form(request):
    return "posted"
"""


@pytest.fixture
def bench(launch, tmp_path):
    """What the command says: its exit status, stdout and stderr."""
    (tmp_path / "app.py").write_text(APP)

    def bench(*arguments):
        program = launch("-m", "rush_web", "bench", "--connections", "4", *arguments)
        return program.wait(), program.output.end(), str(program.log)

    return bench


def test_rows(bench, tmp_path):
    status, said, log = bench("--seconds", "0.6", "--json", "app:server", "/", "/sum", "/now/é ü")
    assert status == 0, log
    rows = json.loads(said)
    assert [row["name"] for row in rows] == [
        "hello, nothing else",
        "a file of 4 KiB",
        "GET /",
        "GET /sum",
        "GET /now/é ü",
    ]
    for row in rows:
        assert row["error"] is None
        assert row["statuses"] == {"200": row["requests"]}
        assert row["requests"] >= 12  # each connection at least once in each round
        assert 0 < row["p50_seconds"] <= row["p99_seconds"]
    hello, *_, total, _ = rows
    assert hello["own_cpu_seconds"] is None
    assert total["cpu_seconds"] > 2 * hello["cpu_seconds"]
    assert total["own_cpu_seconds"] == pytest.approx(total["cpu_seconds"] - hello["cpu_seconds"])
    assert not (tmp_path / "log").exists()


def test_table_of_all_routes(bench):
    status, said, log = bench("--seconds", "0.5", "app:server")
    assert status == 1  # for /bug
    titles, *rows = said.splitlines()[2:7]
    assert re.split("  +", titles.strip())[:2] == ["requests/s", "CPU each"]
    assert [re.split("  +", row)[0] for row in rows] == [
        "hello, nothing else",
        "a file of 4 KiB",
        "GET /",
        "GET /sum",
    ]
    assert "GET /bug" in said
    assert "it answers 500 Internal Server Error" in said
    assert re.search(r"A CPU that does nothing else answers about [0-9,]+ hellos a second\.", said)
    assert "this is no part" not in said
    assert "without access_log" in log
    assert "routes with parameters: /now/<number>" in log


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (("nowhere:server",), 2, "rush: no module 'nowhere'"),
        (("app:nothing",), 2, "'nothing' is no WebServer"),
        (("broken.py",), 3, "ZeroDivisionError"),
        (("app:server", "sum"), 2, "'sum' is no path"),
        (("--seconds", "0"), 2, "--seconds more than 0"),
    ],
)
def test_what_cannot_be_measured(bench, tmp_path, arguments, status, words):
    (tmp_path / "broken.py").write_text("1 / 0\n")
    found = bench(*arguments)
    assert found[:2] == (status, "")
    assert words in found[2]


def test_nothing_is_left_behind_if_it_is_killed(launch, tmp_path):
    (tmp_path / "app.py").write_text(APP)
    program = launch("-m", "rush_web", "bench", "app:server", "/", "--seconds", "60")
    servers = eventually(lambda: len(program.children()) == 2 and program.children(), "two servers")
    eventually(lambda: all(children_of(pid) for pid in servers), "their workers")
    everybody = servers.union(*map(children_of, servers))
    with watching(*everybody) as ended:
        program.process.kill()
        ended()


@pytest.fixture
def answering(request):
    """The address of a server that answers each request with some bytes, or closes after them."""

    def answering(answer, *, closing=False):
        server = EpollServer(("127.0.0.1", 0))

        @server.handler(on_event=RECEIVE)
        def receive(conn):
            if conn.recv(65536):
                conn.write(answer)
                if closing:
                    conn.finish()

        server.start(threaded=True)
        request.addfinalizer(server.stop)
        return server.address

    return answering


WIRE = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"


@pytest.mark.parametrize(
    ("answer", "closing", "status"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", False, 200),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi", True, 200),
        (b"HTTP/1.1 404 No\r\nConnection: close\r\n\r\nuntil the end", True, 404),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n", False, 200),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 900000\r\n\r\n" + bytes(900_000), False, 200),
        (b"HTTP/1.1 304 Not Modified\r\n\r\n", False, 304),
    ],
    ids=["length", "closed", "until the end", "chunked", "in pieces", "without a body"],
)
def test_client(answering, answer, closing, status):
    address = answering(answer, closing=closing)
    assert ask_once(address, WIRE).status == status
    found = load(address, WIRE, 3, 0.1)
    assert found.statuses == {status: found.requests}
    assert len(found.latencies) == found.requests >= 3
    assert found.seconds >= 0.1


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"SSH-2.0-OpenSSH\r\n\r\n", "no answer of HTTP/1.1"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhi", "closed the connection after"),
        (b"", "closed the connection without an answer"),
    ],
)
def test_client_that_gets_no_answer(answering, answer, words):
    address = answering(answer, closing=True)
    for ask in (ask_once, lambda *arguments: load(*arguments, 3, 0.1)):
        with pytest.raises(NoAnswer, match=words):
            ask(address, WIRE)


def test_percentiles():
    found = Load(latencies=array("d", [0.4, 0.1, 0.3, 0.2]))
    assert (found.percentile(0.5), found.percentile(0.99)) == (0.3, 0.4)
    found.add(Load(latencies=array("d", [0.5])))
    assert found.percentile(1.0) == 0.5
    assert Load().percentile(0.5) == 0.0
