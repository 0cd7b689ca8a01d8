"""Metrics and health, of whole servers."""

import contextlib
import json
import os
import re
import signal

import pytest

from load import Load
from programs import eventually
from rawclient import RawClient, request
from rush_web import WebServer
from rush_web.slots import DRAINING
from rush_web.top import find

SOURCE = """
@server.get("/hello")
def hello(request):
    request.response("hello")

@server.get("/bug")
def bug(request):
    1 / 0

@server.get("/slow")
def slow(request):
    with open("fifo") as fifo:
        request.response(fifo.read())
"""


def samples(text):
    """Name and labels to value."""
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


def test_options():
    for options in (
        {"metrics": "x"},
        {"health": "x"},
        {"status_port": -1},
        {"access_format": "{x}"},
    ):
        with pytest.raises(ValueError, match=r"metrics|health|status_port|no field \{x\}"):
            WebServer(**options)


def test_they_are_not_there_unless_asked_for(serve):
    program = serve("", SOURCE)
    with program.client() as client:
        assert [client.get(path).status for path in ("/metrics", "/health")] == [404, 404]
    assert program.stop() == 0


@pytest.mark.once
def test_all_workers_are_counted_together_and_for_good(serve):
    program = serve("metrics='/stats'", SOURCE)

    def metrics(name):
        answer = program.get("/stats")
        assert answer.status == 200
        assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
        return samples(answer.body.decode()).get(name)

    pids = program.pids()
    asked = metrics("rush_requests_total")  # by those who have looked for the pids
    for _ in range(10):
        assert program.get("/hello").status == 200
    assert program.get("/bug").status == 500
    assert program.get("/none").status == 404
    eventually(lambda: (metrics("rush_requests_total") or 0) >= asked + 12, "12 requests")
    # These are told later than the answer, by 50 ms.
    eventually(lambda: metrics('rush_responses_total{code="4xx"}') == 1, "the 404")
    eventually(lambda: metrics('rush_responses_total{code="5xx"}') == 1, "the 500")
    assert metrics("rush_failures_total") == 1
    assert metrics("rush_workers") == 2
    assert metrics("rush_request_seconds_count") > asked + 12
    before = metrics("rush_requests_total")
    pid = pids.pop()
    os.kill(pid, signal.SIGKILL)
    program.log.wait_for("was killed by SIGKILL")
    program.new_pid(pids)
    eventually(lambda: metrics("rush_worker_restarts_total") == 1)
    assert metrics("rush_requests_total") >= before
    assert program.stop() == 0


@pytest.mark.once
def test_counters_go_on_over_reloads(serve):
    """Whoever answers, of the old program or of the new one, counts all; so if one is killed."""
    program = serve("metrics='/metrics'", SOURCE)
    began = samples(program.get("/metrics").body.decode())["rush_start_time_seconds"]
    seen = {}

    def look():
        nonlocal seen
        found = samples(program.get("/metrics").body.decode())
        counters = [name for name in found if re.search("_(total|bucket|sum|count)", name)]
        assert all(found[name] >= seen.get(name, 0) for name in counters)
        assert found["rush_start_time_seconds"] == began
        seen = found
        return found

    def reloaded(before):
        with contextlib.suppress(EOFError, ConnectionError):  # of one that is killed
            look()
        return len(program.children()) == 1 and program.children() != before

    with Load(program.address, count=8, path="/hello") as load:
        for _ in range(2):
            before = program.children()
            program.kill(signal.SIGHUP)
            eventually(lambda before=before: reloaded(before), "a reload")
        load.wait_for_all()
        assert (load.failed, load.lost) == ([], [])
    eventually(lambda: look()["rush_requests_total"] >= load.said[b"hello"])
    before = program.children()
    os.kill(*before, signal.SIGKILL)
    eventually(lambda: reloaded(before), "another program")
    eventually(lambda: look()["rush_workers"] == look()["rush_workers_wanted"] == 2)
    assert seen["rush_worker_restarts_total"] == 0
    assert program.stop() == 0


@pytest.mark.once
def test_prometheus_reads_them(serve):
    parser = pytest.importorskip("prometheus_client.parser")
    program = serve("metrics='/metrics'", SOURCE)
    with program.client() as client:
        for _ in range(3):
            client.get("/hello")
        text = client.get("/metrics").body.decode()
    families = {family.name: family for family in parser.text_string_to_metric_families(text)}
    assert {family.type for family in families.values()} == {"counter", "gauge", "histogram"}
    assert families["rush_requests"].samples[0].value == 3
    buckets = families["rush_request_seconds"].samples
    values = [one.value for one in buckets if one.name.endswith("_bucket")]
    assert values == sorted(values)
    assert values[-1] == 3
    assert [one.labels["le"] for one in buckets if one.name.endswith("_bucket")][-1] == "+Inf"
    (total,) = (one.value for one in buckets if one.name.endswith("_sum"))
    assert 0 < total < 60
    assert all(family.documentation for family in families.values())
    assert program.stop() == 0


@pytest.mark.once
def test_health(serve, fifo):
    program = serve("health='/health'", SOURCE)
    with program.client() as client, program.client() as waiting:
        answer = client.get("/health")
        assert (answer.status, answer.body) == (200, b"ready\n")
        assert answer.headers["cache-control"] == "no-store"
        answer = client.get("/health", "Accept: application/json")
        assert json.loads(answer.body) == {"status": "ready", "workers": 2, "workers_wanted": 2}
        for path, word in (("/health/live", b"live\n"), ("/health/ready", b"ready\n")):
            answer = client.get(path)
            assert (answer.status, answer.body) == (200, word)
        # Both to one worker, which is busy with the first when the server begins to drain.
        slots = find(program.address[1])
        paths = "/slow", "/health", "/health/ready", "/health/live"
        waiting.send(b"".join(map(request, paths)))
        let_go = fifo()
        program.kill(signal.SIGTERM)
        eventually(lambda: slots.phase == DRAINING)
        let_go()
        assert waiting.response().body == b"late"
        for _ in range(2):
            answer = waiting.response()
            assert (answer.status, answer.body) == (503, b"draining\n")
        answer = waiting.response()
        assert (answer.status, answer.body) == (200, b"live\n")
    assert program.wait() == 0


@pytest.mark.once
def test_a_port_of_their_own(serve, fifo):
    program = serve("status_port=0", SOURCE)
    said = program.output.wait_for("Its state is at")
    port = int(re.search(r"Its state is at http://127.0.0.1:([0-9]+)/", said)[1])
    with program.client() as client, RawClient(("127.0.0.1", port)) as status:
        assert client.get("/metrics").status == 404
        assert status.get("/health").body == b"ready\n"
        assert status.get("/hello").status == 404
        assert status.get("/metrics", method="POST").status == 405
        assert client.get("/hello").status == 200
        eventually(
            lambda: samples(status.get("/metrics").body.decode())["rush_requests_total"] >= 2
        )
        # It answers also while the worker is busy, and while it drains.
        client.send(request("/slow"))
        let_go = fifo()
        busy = samples(status.get("/metrics").body.decode())
        assert any(
            value > 0
            for name, value in busy.items()
            if name.startswith("rush_worker_busy_seconds{")
        )
        let_go()
        assert client.response().body == b"late"
    assert program.stop() == 0


@pytest.mark.once
def test_draining_is_told_on_a_port_of_their_own(serve, fifo):
    program = serve("status_port=0", "server.workers = 1\n" + SOURCE)
    said = program.output.wait_for("Its state is at")
    port = int(re.search(r"Its state is at http://127.0.0.1:([0-9]+)/", said)[1])
    with program.client() as client, RawClient(("127.0.0.1", port)) as status:
        client.send(request("/slow"))
        let_go = fifo()
        assert status.get("/health").status == 200
        program.kill(signal.SIGTERM)
        eventually(lambda: status.get("/health").status == 503)
        assert status.get("/health").body == b"draining\n"
        assert status.get("/health/ready").status == 503
        assert status.get("/health/live").body == b"live\n"
        let_go()
        assert client.response().body == b"late"
    assert program.wait() == 0


@pytest.mark.once
def test_a_worker_that_retires_leaves_the_port_of_its_pages(serve):
    """While it drains, and when it ends: no probe is refused or reset."""
    hold = """
kept = []

@server.get("/hold")
def hold(request):
    kept.append(request.detach())
"""
    program = serve("status_port=0, grace=1", hold)
    said = program.output.wait_for("Its state is at")
    port = int(re.search(r"Its state is at http://127.0.0.1:([0-9]+)/", said)[1])

    def probe():
        with RawClient(("127.0.0.1", port)) as status:
            assert status.get("/health").status == 200
        return True

    with contextlib.ExitStack() as stack:
        for client in program.clients_of_workers(stack).values():
            client.send(request("/hold"))
        program.kill(signal.SIGTTOU)
        eventually(lambda: probe() and len(program.children()) == 1)
    before = program.children()
    program.kill(signal.SIGHUP)  # the number stays, also of a port that was found
    eventually(lambda: probe() and len(program.children()) == 1 and program.children() != before)
    assert probe()
    assert program.stop() == 0
