"""How servers end, and what ends them: real processes, real signals."""

import contextlib
import os
import signal
import socket
from time import monotonic

import pytest

from programs import eventually
from rawclient import request

SOON = 10.0  # a second, and what a busy machine adds

FIFO = """
@server.get("/slow")
def slow(request):
    with open("fifo") as fifo:  # until the test writes
        request.response(fifo.read())
"""

CRASH = """
@server.get("/crash")
def crash(request):
    os._exit(7)
"""

GOODBYE = """
@server.on_shutdown
def first():
    raise RuntimeError("the first one fails")

@server.on_shutdown
def second():
    print("bye", flush=True)
"""


def test_a_worker_killed_by_a_signal_without_a_name_is_replaced(serve):
    program = serve()
    one, other = program.pids()
    os.kill(one, signal.SIGRTMIN + 6)
    program.log.wait_for(f"was killed by signal {signal.SIGRTMIN + 6}")
    assert program.new_pid({one, other})
    assert "Traceback" not in str(program.log)
    assert program.stop() == 0


@pytest.mark.once
def test_requests_that_crash_hold_nobody_up_for_long(serve):
    """Back-off is for workers that cannot start; one that served is back within a moment."""
    program = serve("", CRASH + "\nserver.workers = 1\n")
    for times in range(1, 8):
        with program.client() as client:
            client.send(request("/crash"))
            assert client.rest() == b""
        program.log.wait_for("exited with 7", times)
        began = monotonic()
        assert program.get("/pid").status == 200
        assert monotonic() - began < SOON / 2  # it was 6.4 s after the seventh
    assert program.stop() == 0


def test_ctrl_c_does_not_wait_for_a_busy_handler(serve, fifo):
    program = serve("", FIFO)
    with program.client() as client:
        client.send(request("/slow"))
        fifo()
        began = monotonic()
        assert program.stop(signal.SIGINT) == 0
        assert monotonic() - began < SOON
    assert "Traceback" not in str(program.log)


def test_a_closed_terminal_ends_it_in_good_order(serve):
    """Not with a reload: nobody would be there to end it."""
    leader, follower = os.openpty()
    source = "import fcntl, termios; fcntl.ioctl(TERMINAL, termios.TIOCSCTTY, 0)" + GOODBYE
    program = serve("", source.replace("TERMINAL", str(follower)), pass_fds=[follower])
    os.close(follower)
    os.close(leader)
    assert program.wait() == 0
    assert program.output.end().endswith("bye\n")


def test_a_callback_that_fails_does_not_keep_the_others_from_being_called(serve):
    program = serve("", GOODBYE)
    assert program.stop() == 0
    assert program.output.end().endswith("bye\n")
    assert "the first one fails" in str(program.log)


@pytest.mark.parametrize("options", ["", "listen='shared'"])
def test_who_comes_after_sigterm_is_refused_at_once(serve, fifo, options):
    """Not left to wait in a queue that nobody will serve."""
    program = serve(options, FIFO)
    with program.client() as held:
        held.send(request("/slow"))
        let_go = fifo()
        program.kill(signal.SIGTERM)

        def refused():
            with socket.socket() as late:
                late.settimeout(SOON)
                return late.connect_ex(program.address) != 0

        # The worker that is busy has its queue still; it is closed when the handler returns.
        let_go()
        assert held.response().body == b"late"
        eventually(refused, "a refusal")
    assert program.wait() == 0


def test_of_servers_that_start_together_one_gets_the_port(launch, write):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    path = write("", f"server.port = {port}\n")
    programs = [launch(path) for _ in range(4)]
    eventually(lambda: sum(one.process.poll() is not None for one in programs) == 3)
    with contextlib.ExitStack() as stack:
        (left,) = [one for one in programs if one.process.poll() is None]
        left.ready().clients_of_workers(stack)
    assert left.stop() == 0
    for one in programs:
        assert one is left or f"cannot listen at 127.0.0.1:{port}: Address already" in str(one.log)
