"""A reload: the program is executed anew, and nobody notices; real processes, real signals."""

import os
import signal

import pytest

from load import Load
from programs import children_of, eventually, watching
from rawclient import request
from rush_web.readings import servers

VERSION = """
@server.get("/version")
def version(request):
    request.response("VERSION")

@server.on_shutdown
def bye():
    print("bye VERSION", flush=True)
"""


@pytest.fixture
def site(write, launch):
    """A server that says which version of its program answers; `change` writes another."""

    class Site:
        def change(self, version, options="", source="", **more):
            return write(options, VERSION.replace("VERSION", str(version)) + source, **more)

        def begin(self, *arguments, **more):
            self.program = launch(self.change(*arguments, **more)).ready()
            return self.program

        def reload(self, *arguments, **more):
            self.change(*arguments, **more)
            self.program.kill(signal.SIGHUP)

        def answers(self, version):
            """Wait until every worker is of this version."""
            answer = str(version).encode()
            eventually(
                lambda: all(self.program.get("/version").body == answer for _ in range(20)),
                f"version {version}",
            )

    return Site()


@pytest.mark.once
def test_five_reloads_under_load(site):
    """No failed request, and the new code answers after each."""
    program = site.begin(0)
    with Load(program.address, path="/version") as load:
        for version in range(1, 6):
            site.reload(version)
            load.wait_for_saying(str(version))
            program.output.wait_for(f"bye {version - 1}\n")
            load.wait_for_all()
        assert (load.failed, load.lost) == ([], [])
    eventually(lambda: len(program.children()) == 1, "the end of the old programs")
    assert program.stop() == 0
    assert program.output.end().count("bye") == 6
    assert str(program.log) == ""


@pytest.mark.once
def test_a_new_program_that_fails(site):
    """The old one goes on, the log says why; the next reload can be right."""
    program = site.begin(1)
    failures = [
        ("import nothing.at_all", "No module named 'nothing'"),
        ("server.redirects['/x'] = ('/y', 200)", "no worker can start: the server stops"),
        ("sys.exit()", "exited with 0 before all its workers served"),
    ]
    for times, (source, words) in enumerate(failures, 1):
        site.reload(2, source=source)
        program.log.wait_for("before all its workers served", times)
        assert words in str(program.log)
        site.answers(1)
    site.reload(3)
    site.answers(3)
    assert program.stop() == 0


HALFWAY = """
def fail():
    time.sleep(0)  # a fork of the second worker: the first one serves
    made = os.path.exists("made")
    open("made", "w").close()
    if made:
        os._exit(3)

os.register_at_fork(after_in_child=fail)
"""


@pytest.mark.once
def test_a_new_program_that_fails_halfway(site):
    """What was ceded to it is served again."""
    program = site.begin(1)
    with Load(program.address, count=8, path="/version") as load:
        site.reload(2, source=HALFWAY)
        program.log.wait_for("before all its workers served")
        load.wait_for_all()
        load.wait_for_all()
        assert (load.failed, load.lost) == ([], [])
    site.answers(1)
    assert len(program.pids()) == 2
    site.reload(3)
    site.answers(3)
    assert program.stop() == 0


@pytest.mark.once
def test_a_program_that_is_killed_is_executed_anew(site):
    program = site.begin(1)
    site.reload(2)
    site.answers(2)
    eventually(lambda: len(program.children()) == 1)
    slots = next(one for one in servers() if one.parent == program.pid)
    for version in (3, 4):  # what it is by then
        site.change(version)
        with watching(*program.pids()) as ended:
            os.kill(program.children().pop(), signal.SIGKILL)
            ended()
        site.answers(version)
        # What its workers said of themselves is gone with them.
        eventually(lambda: len(list(slots.in_use())) == 2)
    assert program.log.wait_for("was killed by SIGKILL: it is executed anew", 2)
    assert program.stop() == 0


@pytest.mark.once
def test_signals_while_the_program_is_executed_anew(site, tmp_path):
    """One that hangs is given up for the next; the end does not wait for it."""
    os.mkfifo(tmp_path / "fifo")
    program = site.begin(1)
    for version in (2, 3):
        site.reload(version, source="open('fifo', 'w').close(); time.sleep(1000)")
        (tmp_path / "fifo").read_bytes()
    site.reload(4)
    site.answers(4)
    eventually(lambda: len(program.children()) == 1, "the end of the others")
    site.reload(5, source="open('fifo', 'w').close(); time.sleep(1000)")
    (tmp_path / "fifo").read_bytes()
    assert program.get("/version").body == b"4"
    with watching(*program.children()) as ended:
        assert program.stop() == 0
        ended()


@pytest.mark.once
def test_two_reloads_at_once(site):
    program = site.begin(1)
    site.change(2)
    for _ in range(2):
        program.kill_group(signal.SIGHUP)
    site.answers(2)
    program.output.wait_for("bye 1\n")
    site.reload(3)
    site.answers(3)
    assert program.stop() == 0


@pytest.mark.once
def test_a_killed_parent_takes_all_with_it_after_a_reload(site, tmp_path):
    os.mkfifo(tmp_path / "fifo")
    spin = """
@server.get("/spin")
def spin(request):
    open("fifo", "w").close()
    while True:
        pass
"""
    program = site.begin(1, source=spin)
    site.reload(2, source=spin)
    site.answers(2)
    pids = program.pids()
    with program.client() as client, watching(*program.children(), *pids) as ended:
        client.send(request("/spin"))
        (tmp_path / "fifo").read_bytes()
        program.process.kill()
        ended()


@pytest.mark.once
def test_options_that_have_changed(site):
    """More and fewer workers, another kind of queues; port 0 stands for the one that was found."""
    program = site.begin(1)
    for version, options, workers in (
        (2, "", 4),
        (3, "", 1),
        (4, "listen='shared'", 2),
        (5, "", 2),
    ):
        site.reload(version, options, source=f"server.workers = {workers}")
        site.answers(version)
        eventually(lambda: len(program.children()) == 1, "the end of the old program")
        (present,) = program.children()
        eventually(lambda now=present, count=workers: len(children_of(now)) == count)
    program.kill(signal.SIGTTIN)  # it is passed on
    assert len(program.pids(3)) == 3
    program.kill(signal.SIGTTOU)
    eventually(lambda: len(children_of(program.children().pop())) == 2, "one worker less")
    assert program.stop() == 0
