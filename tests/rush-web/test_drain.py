"""Ends and reloads that meet something else: real processes, real signals."""

import contextlib
import os
import re
import signal
import threading

import pytest

from programs import children_of, end_idle, eventually, watching
from rawclient import request

pytestmark = pytest.mark.once

FIFO = """
@server.get("/slow")
def slow(request):
    with open("fifo") as fifo:  # until the test writes
        request.response(fifo.read())

@server.get("/slowly")
@server.blocking
def slowly(request):
    slow(request)

@server.get("/spin")
def spin(request):
    open("fifo", "w").close()
    while True:
        pass
"""

# The second process that is forked waits until the test writes.
SECOND_WAITS = """
def wait():
    first = not os.path.exists("forked")
    open("forked", "w").close()
    if not first:
        open("gate").close()

os.register_at_fork(after_in_child=wait)
"""


@pytest.fixture
def gate(tmp_path):
    """Where the second worker waits; calling it lets it go on."""
    path = tmp_path / "gate"
    os.mkfifo(path)
    opened = []

    def arrived():
        opened.append(path.open("w"))  # waits for the reader
        return opened[-1].close

    yield arrived
    for file in opened:
        file.close()


def test_one_worker_less_while_it_starts(launch, write, gate):
    """All workers serve that are still wanted: so it is ready."""
    program = launch(write("health='/health'", SECOND_WAITS))
    gate()
    program.kill(signal.SIGTTOU)
    program.ready()
    assert program.get("/health").body == b"ready\n"
    assert program.stop() == 0


def test_health_during_a_reload(serve, write, gate, fifo):
    """It serves all the time, so it is ready all the time; asked on old connections and new."""
    program = serve("health='/health'", FIFO)
    with program.client() as old:
        old.send(request("/slow") + request("/health"))
        let_go_of_slow = fifo()
        write("health='/health'", FIFO + SECOND_WAITS)
        program.kill(signal.SIGHUP)
        let_go = gate()
        for _ in range(10):
            new = program.get("/health")
            assert (new.status, new.body) == (200, b"ready\n")
        let_go()
        program.output.wait_for("with 2 workers.\n", 2)
        let_go_of_slow()
        assert old.response().body == b"late"
        answer = old.response()
        assert (answer.status, answer.body) == (200, b"ready\n")
    assert program.stop() == 0


def test_the_end_of_a_server_whose_old_program_still_answers(serve, fifo):
    """Who was accepted before a reload is answered, though SIGTERM follows."""
    program = serve("", FIFO)
    program.kill(signal.SIGHUP)
    program.output.wait_for("with 2 workers.\n", 2)
    eventually(lambda: len(program.children()) == 1, "the end of the first workers")
    with program.client() as client:
        pid = program.pid_of(client)
        client.send(request("/slow"))
        let_go = fifo()
        program.kill(signal.SIGHUP)
        program.output.wait_for("with 2 workers.\n", 3)
        before, after = eventually(
            lambda: len(program.children()) == 2 and sorted(program.children()), "both programs"
        )
        # Its other worker has ended, so it has been told that it is replaced; half a second is what
        # distinguishes two signals from one that came twice.
        eventually(lambda: children_of(before) == {pid}, "the end of those who are idle")
        threading.Event().wait(0.6)
        with watching(after) as ended:
            program.kill(signal.SIGTERM)
            ended()
        let_go()
        assert client.response().body == b"late"
    assert program.wait() == 0


def test_who_waits_to_be_accepted_is_answered(serve, fifo):
    program = serve("listen='shared'", FIFO)
    with program.client() as client, contextlib.ExitStack() as stack:
        pid, let_go = end_idle(program, client, "/slow", fifo)
        late = stack.enter_context(program.client())
        late.send(request("/pid"))
        let_go()
        assert client.response().body == b"late"
        assert int(late.response().body) == pid
    assert program.wait() == 0


def test_a_signal_that_comes_again_to_a_worker_changes_nothing(serve, fifo):
    program = serve("", FIFO)
    with program.client() as client:
        pid, let_go = end_idle(program, client, "/slowly", fifo)
        os.kill(pid, signal.SIGTERM)  # as it comes to each process of a group
        let_go()
        assert client.response().body == b"late"
    assert program.wait() == 0


def test_a_program_that_imports_does_not_outlive_a_killed_parent(serve, write, tmp_path):
    program = serve()
    os.mkfifo(tmp_path / "fifo")
    write("", "open('fifo', 'w').close(); time.sleep(1000)")
    program.kill(signal.SIGHUP)
    (tmp_path / "fifo").read_bytes()
    with watching(*program.children()) as ended:
        program.process.kill()
        ended()


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGHUP])
def test_who_is_killed_while_it_drains_is_named_with_its_request(serve, tmp_path, signum):
    program = serve("grace=0.1", FIFO)
    os.mkfifo(tmp_path / "fifo")
    with program.client() as client:
        pid = program.pid_of(client)
        client.send(request("/spin?why=not"))
        (tmp_path / "fifo").read_bytes()
        program.kill(signum)
        log = program.log.wait_for(f"(pid {pid}) was killed by SIGKILL after")
        assert re.search(r"after [0-9.]+ s in __main__\.spin, GET /spin\?why=not", log)
    if signum == signal.SIGHUP:
        program.kill(signal.SIGTERM)
    assert program.wait() == 0
