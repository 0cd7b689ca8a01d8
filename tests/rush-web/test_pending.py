"""Requests that are answered later: a worker that dies has them named, and threads are watched."""

import os
import re
import signal
import threading

import pytest

from programs import eventually
from rawclient import RawClient, request
from rush_http import HttpServer
from rush_loader import Loader
from rush_web import HandlersManager, Route
from rush_web.blackbox import BlackBox
from rush_web.pending import MOST, Pending, pending_of, pending_words
from rush_web.slots import PENDING, Slots

SOURCE = """
kept = []

@server.get("/later")
def later(request):
    kept.append(request.detach())

@server.get("/wait")
@server.blocking
def wait(request):
    open("fifo", "w").close()  # until the test reads
    while True:
        time.sleep(60)
"""


def test_the_most_and_no_more():
    slot = Slots(1).take(0)
    pending = Pending(slot)
    for key in range(MOST + 3):
        pending.begin(key, f"GET /{key}")
    assert len(pending_of(slot)) == MOST
    assert slot.numbers[PENDING] == MOST + 3
    assert re.fullmatch(r"(GET /[0-4] \([0-9.]+ s\)(, | and )){5}30 more", pending_words(slot))
    pending.end(2)
    pending.end(MOST + 1)  # one that has no record
    pending.end("unknown")
    pending.begin("new", "GET /" + "x" * 200)
    assert [text for _, text in pending_of(slot)][-1] == "GET /" + "x" * 114
    for key in (*range(MOST + 3), "new"):
        pending.end(key)
    assert pending_of(slot) == []
    assert (slot.numbers[PENDING], pending_words(slot)) == (0, "")


def test_each_end_is_an_end(tmp_path):
    """By an answer now, later, from a thread, in pieces, to nobody."""
    slot = Slots(1).take(0)
    box = BlackBox(slot, 0)
    kept = []
    go_on = threading.Event()

    def detach(request):
        kept.append(request.detach())
        if request.query == "now":
            kept.pop().response("now")

    def block(request):
        go_on.wait()
        request.response("blocked")

    routes = [Route("/d", detach), Route("/b", block)]
    with Loader(tmp_path) as loader, HttpServer(("127.0.0.1", 0)) as server:
        manager = HandlersManager(routes, {}, {}, loader, server, blocking={block})
        server.on_message_complete = manager.watched_by(box, server.epoll.loop)
        server.run(threaded=True)

        def waiting():
            return sorted(text.rpartition(", ")[2] for _, text in pending_of(slot))

        with RawClient(server.address) as client, RawClient(server.address) as other:
            assert client.get("/d?now").body == b"now"
            assert waiting() == []
            client.send(request("/d?x=1") + request("/d?x=2"))
            other.send(request("/b"))
            eventually(lambda: waiting() == ["GET /b", "GET /d?x=1"])
            kept.pop().response("later")
            assert client.response().body == b"later"
            eventually(lambda: waiting() == ["GET /b", "GET /d?x=2"])
            go_on.set()
            assert other.response().body == b"blocked"
            eventually(lambda: waiting() == ["GET /d?x=2"])
            kept.pop().stream([b"a", b"b"])
            eventually(lambda: waiting() == [])
            other.send(request("/d?gone"))
            eventually(lambda: waiting() == ["GET /d?gone"])
        kept.pop().response("to nobody")  # until then it might only have shut down its side
        eventually(lambda: waiting() == [])
    manager.close()


@pytest.mark.once
def test_the_log_names_them(serve, fifo, tmp_path):
    program = serve("", "server.workers = 1\n" + SOURCE)
    with program.client() as client, program.client() as other:
        pid = program.pid_of(client)
        client.send(request("/later?x=1"))
        other.send(request("/wait"))
        (tmp_path / "fifo").read_bytes()
        os.kill(pid, signal.SIGKILL)
        log = program.log.wait_for("was killed by SIGKILL")
    assert re.search(
        r"s, idle; to be answered later: __main__\.later, GET /later\?x=1 \([0-9.]+ s\),"
        r" __main__\.wait, GET /wait \([0-9.]+ s\); before that: GET /wait,",
        log,
    )
    assert program.stop() == 0


@pytest.mark.once
def test_threads_that_run_too_long(serve, fifo, tmp_path):
    """One is reported with its stack, and the worker serves on; if all are, it is replaced."""
    options = "worker_timeout=0.5, grace=0.5, blocking_threads=2"
    program = serve(options, "server.workers = 1\n" + SOURCE)
    with program.client() as client, program.client() as first, program.client() as second:
        pid = program.pid_of(client)
        first.send(request("/wait?1"))
        (tmp_path / "fifo").read_bytes()
        log = program.log.wait_for("its thread is at")
        assert re.search(
            r"wait \(.*app\.py:[0-9]+\) for <Detached GET '/wait'> runs for [0-9.]+ s"
            r" \(worker_timeout is 0.5 s\)",
            log,
        )
        program.log.wait_for("time.sleep(60)")
        assert "threading.py" not in str(program.log)
        assert program.pid_of(client) == pid
        second.send(request("/wait?2"))
        (tmp_path / "fifo").read_bytes()
        program.log.wait_for("all 2 threads run too long: the worker is replaced")
        new = program.new_pid({pid})
        log = program.log.wait_for("left to themselves")  # when its grace is over
        assert log.count("its thread is at") == 2
    assert program.pid_of_new() == new
    assert program.stop() == 0
