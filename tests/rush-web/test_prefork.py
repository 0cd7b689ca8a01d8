"""The parent and its workers: real processes, real signals."""

import contextlib
import os
import re
import signal
import socket
from time import monotonic

import pytest

from programs import Program, end_idle, eventually, watching
from rawclient import request

FIFO = """
@server.get("/slow")
def slow(request):
    with open("fifo") as fifo:  # until the test writes
        request.response(fifo.read())
"""

# Long before the 30 s that SIGTERM leaves to a request: a second, and what a busy machine adds.
SOON = 10.0


# Two workers


def test_two_workers_answer_on_one_port(serve):
    program = serve()
    pids = program.pids()
    assert pids == program.children()
    assert program.pid not in pids
    assert program.stop() == 0
    assert str(program.log) == ""


def test_many_workers(serve):
    program = serve("", "server.workers = 5")
    assert program.pids(5) == program.children()
    assert program.stop() == 0


def test_a_shared_queue(serve, fifo):
    """Whoever is free takes the next connection."""
    program = serve("listen='shared'", FIFO)
    assert len(program.children()) == 2
    with program.client() as held:
        held.send(request("/slow"))
        let_go = fifo()
        for _ in range(20):
            assert program.get("/pid").status == 200
        let_go()
        assert held.response().body == b"late"
    pid = program.children().pop()
    os.kill(pid, signal.SIGKILL)
    program.log.wait_for("was killed by SIGKILL")
    for _ in range(20):
        assert program.get("/pid").status == 200
    assert program.stop() == 0


def test_ipv6(launch, write):
    if not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    program = launch(write("host='::1'"))
    try:
        banner = program.output.wait_for(".\n")
    except AssertionError:
        pytest.skip("no IPv6 here")
    port = int(re.search(r"at http://\[::1\]:([0-9]+)/ with 2 workers", banner)[1])
    with socket.create_connection(("::1", port), timeout=20) as client:
        client.sendall(request("/pid"))
        assert client.recv(4096).startswith(b"HTTP/1.1 200 OK\r\n")
    assert program.stop() == 0


# The end


@pytest.mark.once
@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("group", [False, True], ids=["parent", "group"])
def test_it_ends_at_once_with_idle_connections(serve, signum, group):
    program = serve()
    with contextlib.ExitStack() as stack:
        clients = program.clients_of_workers(stack).values()
        started = monotonic()
        with watching(*program.children()) as ended:
            (program.kill_group if group else program.kill)(signum)
            assert program.wait() == 0
            assert monotonic() - started < SOON
            ended()
        assert [client.rest() for client in clients] == [b"", b""]
    assert str(program.log) == ""


@pytest.mark.parametrize("group", [False, True], ids=["parent", "group"])
def test_sigterm_lets_an_answer_in_flight_be_given(serve, fifo, group):
    program = serve("", FIFO)
    with program.client() as client:
        kill = program.kill_group if group else program.kill
        _, let_go = end_idle(program, client, "/slow", fifo, kill)
        let_go()
        assert client.response().body == b"late"
        assert client.rest() == b""
    assert program.wait() == 0
    assert str(program.log) == ""


def test_a_second_signal_ends_it_at_once(serve, fifo):
    program = serve("", FIFO)
    with program.client() as client:
        pid = program.pid_of(client)
        (idle,) = program.children() - {pid}
        client.send(request("/slow"))
        fifo()
        with watching(idle) as ended:
            program.kill(signal.SIGTERM)
            ended()

        def again():
            if f"(pid {pid}) is killed" in str(program.log):
                return True
            program.kill(signal.SIGINT)
            return False

        eventually(again, "the end")
    assert program.wait() in (0, -signal.SIGINT)  # one more may have met the interpreter's end


@pytest.mark.once
def test_what_does_not_end_in_time_is_killed(serve, fifo):
    program = serve("grace=0.1", FIFO)
    with program.client() as client:
        client.send(request("/slow"))
        fifo()
        started = monotonic()
        assert program.stop() == 0
        assert monotonic() - started < SOON
    assert "is killed" in str(program.log)


@pytest.mark.once
@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_signals_while_it_starts(launch, write, signum):
    """At any moment: it ends, nothing is left, and nothing worse than the signal is said."""
    path = write("", "", run="print('now', flush=True)\nserver.run()")
    for turn in range(10):
        program = launch(path)
        program.output.wait_for("now\n")
        if turn:
            eventually(program.has_forked)
        for _ in range(turn * 1000):
            pass  # a little later each time
        program.kill_group(signum)
        status = program.wait()
        assert status in (0, -signum, 1)
        assert "worker 1" not in str(program.log)
        assert "worker 2" not in str(program.log)
        with pytest.raises(ProcessLookupError):
            program.kill_group(0)


# What workers inherit


def links(pid):
    """What the descriptors of a process are, but for the standard ones."""
    found = {}
    for name in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(FileNotFoundError):
            if int(name) > 2:
                found[int(name)] = os.readlink(f"/proc/{pid}/fd/{name}")
    return found


def flags(pid, descriptor):
    with open(f"/proc/{pid}/fdinfo/{descriptor}") as info:
        return int(re.search(r"flags:\s+([0-7]+)", info.read())[1], 8)


def listening(program):
    port = f":{program.address[1]:04X}"
    with open("/proc/net/tcp") as table:
        rows = [line.split() for line in table]
    return {f"socket:[{row[9]}]" for row in rows if row[1].endswith(port) and row[3] == "0A"}


def test_workers_have_no_descriptor_of_their_parent(serve):
    program = serve()
    one, other = program.pids()
    os.kill(one, signal.SIGKILL)
    program.log.wait_for("was killed by SIGKILL")
    new = program.new_pid({one, other})
    queues = listening(program)
    assert len(queues) == 2
    for pid in (other, new):

        def shared(kind, pid=pid):
            theirs = set(links(program.pid).values())
            return {
                descriptor: link
                for descriptor, link in links(pid).items()
                if link.startswith(kind) and link in theirs
            }

        # A new worker may answer before its parent has closed its copy of the worker's end.
        eventually(lambda: len(shared("socket:")) == 1, "its queue alone")
        assert set(shared("socket:").values()) < queues
        [lifeline] = shared("pipe:")
        assert flags(pid, lifeline) & os.O_ACCMODE == os.O_RDONLY
        assert list(links(pid).values()).count("anon_inode:[eventpoll]") == 1
    parent = links(program.pid)
    assert set(links(new).values()) & set(links(other).values()) <= set(parent.values()) | {
        "anon_inode:[eventpoll]",
        "anon_inode:[eventfd]",
        "anon_inode:inotify",
        "anon_inode:[inotify]",
    }
    assert program.stop() == 0


def test_signals_are_not_blocked_in_workers_and_what_they_start(serve):
    program = serve(
        "",
        """
        import subprocess

        @server.get("/")
        def masks(request):
            command = ["cat", "/proc/self/status"]
            request.response(
                open("/proc/self/status").read() + subprocess.check_output(command, text=True)
            )
        """,
    )
    for pid in program.pids() | {program.pid}:
        with open(f"/proc/{pid}/status") as status:
            assert "SigBlk:\t0000000000000000\n" in status.read()
    assert program.get().body.count(b"SigBlk:\t0000000000000000\n") == 2
    assert program.stop() == 0


@pytest.mark.parametrize("stdout", ["closed", "/dev/full"])
def test_nobody_can_read_what_it_says(write, launch, stdout):
    path = write(
        "",
        """
        import contextlib
        from rush_web.server import say

        def ready(banner):
            say(banner)
            print(banner, file=sys.stderr)

        with contextlib.suppress(OSError):
            print("perhaps kept in a buffer")
        """,
        run="server.run(on_ready=ready)",
    )
    arguments = [path]
    if stdout == "closed":
        code = (
            "import os, sys; os.close(1); os.execv(sys.executable, [sys.executable, sys.argv[1]])"
        )
        arguments = ["-c", code, path]
    with open("/dev/full", "w") as full:
        program = launch(*arguments, stdout=full)
    program.ready(program.log)
    pid = program.pids().pop()
    os.kill(pid, signal.SIGKILL)
    program.log.wait_for("was killed by SIGKILL")
    assert len(program.pids()) == 2
    program.stop()
    assert "Traceback" not in str(program.log)


def test_output_is_written_once(serve):
    """What was in a buffer when a worker was forked."""
    program = serve("", "print('once')\n")
    assert program.pids()
    assert program.stop() == 0
    assert program.output.end().count("once") == 1


def test_the_harness_leaves_nothing(write, tmp_path):
    program = Program(write(), cwd=tmp_path).ready()
    with watching(*program.children()) as ended:
        program.end()
        ended()
