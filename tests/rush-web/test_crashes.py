"""Workers that die, workers that cannot start, a parent that dies: real processes."""

import contextlib
import os
import re
import signal

import pytest

from programs import watching
from rawclient import request

SOON = 10.0  # a second, and what a busy machine adds

CRASH = """
@server.get("/crash")
def crash(request):
    os._exit(7)
"""


def test_a_killed_worker_is_replaced_and_nobody_who_waits_is_lost(serve):
    program = serve()
    one = program.pids().pop()
    os.kill(one, signal.SIGSTOP)
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(program.client()) for _ in range(40)]
        for client in clients:
            client.send(request("/pid"))
        os.kill(one, signal.SIGKILL)
        pids = {int(client.response().body) for client in clients}
    assert one not in pids
    assert len(pids) == 2, "none of 40 connections waited for the worker that was killed"
    assert re.search(rf"worker [12] \(pid {one}\) was killed by SIGKILL after", str(program.log))
    assert program.children() == pids
    assert program.stop() == 0


@pytest.mark.once
def test_a_worker_that_crashes_again_and_again(serve):
    """Its queue is served by the other one meanwhile."""
    program = serve("", CRASH)
    one, other = program.pids()
    for times in range(1, 6):
        program.crash(one)
        program.log.wait_for("exited with 7", times)
        for _ in range(20):
            assert program.get("/pid").status == 200
        one = program.new_pid({one, other})
    assert program.pids() == {one, other}
    assert program.stop() == 0
    assert "Traceback" not in str(program.log)


def test_a_crash_loop_does_not_hold_up_the_end(serve):
    program = serve("", CRASH)
    one, other = program.pids()
    for times in range(1, 6):
        program.crash(one)
        program.log.wait_for("exited with 7", times)
        if times < 5:
            one = program.new_pid({one, other})
    assert program.stop() == 0  # while a restart is due


DIES_YOUNG = """
def die():
    if os.path.exists("die"):
        os.kill(os.getpid(), signal.SIGKILL)

os.register_at_fork(after_in_child=die)
"""


@pytest.mark.once
def test_a_worker_that_dies_before_it_serves(serve, tmp_path):
    program = serve("", DIES_YOUNG)
    one, other = program.pids()
    (tmp_path / "die").touch()
    os.kill(one, signal.SIGKILL)
    for times in range(2, 6):
        program.log.wait_for("was killed by SIGKILL", times)
        for _ in range(20):
            assert program.pid_of_new() == other
    (tmp_path / "die").unlink()
    program.new_pid({other})
    assert program.stop() == 0
    assert "Traceback" not in str(program.log)
    assert program.log.end().count("was killed by SIGKILL") < 20  # it was not tried all the time


def test_all_workers_die(serve, tmp_path):
    """The first that is back serves the queues of those that are not."""
    program = serve("", DIES_YOUNG, run="server.workers = 3; server.run()")
    pids = program.pids(3)
    (tmp_path / "die").touch()
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    program.log.wait_for("was killed by SIGKILL", 12)
    (tmp_path / "die").unlink()
    for _ in range(40):
        assert program.get("/pid").status == 200
    assert not program.pids(3) & pids
    assert program.stop() == 0
    assert "Traceback" not in str(program.log)


def test_a_deputy_that_dies(serve, tmp_path):
    """Another one takes its place."""
    program = serve("", DIES_YOUNG, run="server.workers = 3; server.run()")
    one, two, three = program.pids(3)
    (tmp_path / "die").touch()
    os.kill(one, signal.SIGKILL)
    program.log.wait_for("was killed by SIGKILL", 3)
    os.kill(two, signal.SIGKILL)
    program.log.wait_for(f"(pid {two}) was killed by SIGKILL")
    for _ in range(40):
        assert program.pid_of_new() == three
    (tmp_path / "die").unlink()
    assert three in program.pids(3)
    assert program.stop() == 0
    assert "Traceback" not in str(program.log)


def test_no_room_for_another_process(serve, tmp_path):
    program = serve(
        "",
        """
        fork = os.fork

        def full():
            if os.path.exists("full"):
                raise BlockingIOError(11, "no room")
            return fork()

        os.fork = full
        """,
    )
    one, other = program.pids()
    (tmp_path / "full").touch()
    os.kill(one, signal.SIGKILL)
    program.log.wait_for("cannot be forked: [Errno 11] no room", 2)
    for _ in range(20):
        assert program.pid_of_new() == other
    (tmp_path / "full").unlink()
    assert other in program.pids()
    assert program.stop() == 0
    assert "Traceback" not in str(program.log)


@pytest.mark.once
@pytest.mark.parametrize("status", [0, 1, 3])
def test_whatever_status_a_handler_exits_with(serve, status):
    program = serve("", CRASH.replace("7", str(status)))
    one, other = program.pids()
    program.crash(one)
    program.log.wait_for(f"exited with {status} after")
    assert other in program.pids()
    assert program.stop() == 0


@pytest.mark.once
@pytest.mark.parametrize("what", ["SystemExit(5)", "KeyboardInterrupt", "GeneratorExit"])
@pytest.mark.parametrize("where", ["a handler", "an error handler"])
def test_what_is_no_exception_ends_the_worker(serve, what, where):
    program = serve(
        "",
        f"""
        @server.get("/crash")
        def crash(request):
            raise {what if where == "a handler" else "ValueError"}

        @server.error_handler("internal-error")
        def failed(request):
            raise {what}
        """,
    )
    one, other = program.pids()
    program.crash(one)
    assert what.partition("(")[0] in program.log.wait_for("exited with 1 after")
    assert other in program.pids()
    assert program.stop() == 0


def test_a_worker_that_cannot_start(launch, write):
    program = launch(write("", 'server.redirects["/x"] = ("/y", 200)'))
    assert program.wait() == 3
    log = str(program.log)
    assert log.count("Traceback") == 1
    assert "ValueError: a redirect is one of" in log
    assert "no worker can start: the server stops" in log


def test_not_even_the_first_fork(launch, write):
    source = """
    def fork():
        raise BlockingIOError(11, "no room")

    @server.on_shutdown
    def bye():
        print("bye", flush=True)

    os.fork = fork
    """
    program = launch(write("", source))
    assert program.wait() == 1
    assert "BlockingIOError: [Errno 11] no room" in str(program.log)
    assert program.output.end() == "bye\n"


# The parent dies

SPIN = """
@server.get("/spin")
def spin(request):
    with open("fifo", "w"):  # the test knows
        pass
    SPIN
"""


@pytest.mark.parametrize("spin", [None, "while True: pass", "sum(range(10**12))"])
def test_no_worker_outlives_its_parent(serve, tmp_path, spin):
    os.mkfifo(tmp_path / "fifo")
    program = serve("", SPIN.replace("SPIN", spin or "pass"))
    with contextlib.ExitStack() as stack:
        clients = program.clients_of_workers(stack)
        if spin:
            for client in clients.values():
                client.send(request("/spin"))
                (tmp_path / "fifo").read_bytes()
        with watching(*clients) as ended:
            program.process.kill()
            ended(SOON)
