"""`rush top`: what a running server does, read by another process."""

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time

import pytest

from programs import eventually
from rawclient import request
from rush_web.paint import Paint
from rush_web.readings import percentile, read, servers
from rush_web.slots import CONNECTIONS, PID, PLACE, TICKED, Slots
from rush_web.top import History, NoServer, find
from rush_web.units import shown_age, shown_seconds

FIFO = """
@server.get("/slow")
def slow(request):
    with open("fifo") as fifo:
        request.response(fifo.read())
"""


def rush_top(*arguments, env=()):
    command = [sys.executable, "-m", "rush_web", "top", *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=20, env={**os.environ, **dict(env)}
    )


def test_percentiles():
    counts = [0] * 64
    assert percentile(counts, 0.5) is None
    counts[20] = 98  # 2 ** 19 to 2 ** 20 ns
    counts[30] = 2
    assert percentile(counts, 0.5) == pytest.approx(2**19 * (1 + 50 / 98) * 1e-9)
    assert percentile(counts, 0.98) == pytest.approx(2**20 * 1e-9)
    assert 2**29 * 1e-9 < percentile(counts, 0.99) < 2**30 * 1e-9
    assert percentile(counts, 1.0) == pytest.approx(2**30 * 1e-9)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "-"),
        (0.0, "0.0 us"),
        (9.7e-6, "9.7 us"),
        (0.00042, "420 us"),
        (0.0012, "1.2 ms"),
        (0.9999, "1.0 s"),
        (30, "30 s"),
    ],
)
def test_times(seconds, text):
    assert shown_seconds(seconds) == text


def test_ages():
    texts = [shown_age(seconds) for seconds in (0, 59, 61, 7300, 200_000)]
    assert texts == ["0 s", "59 s", "1 min 1 s", "2 h 1 min", "2 d 7 h"]


def test_rates_are_between_the_moments_of_counting(monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    slots = Slots(2)
    slots.describe("http://127.0.0.1:80/", 2)
    slot = slots.take(0)
    slot.numbers[PID], slot.numbers[PLACE] = os.getpid(), 0
    slot.times[TICKED] = read(slots).at
    history = History(slots)
    slot.times[TICKED] += 0.5
    slot.counts[20] = 100
    slot.numbers[CONNECTIONS] = 12_345
    history.look()
    lines = history.lines(100, Paint())
    assert "1 of 2 workers, starting  200 requests/s  p50 786 us  p99 " in lines[1]
    assert re.search(r"^1 +[0-9]+  starting +200 .* 12,345 ", lines[4])
    assert all(len(line) <= 40 for line in history.lines(40, Paint()))
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert history.lines(5, Paint())[0] == "\x1b[1mhtt..\x1b[0m"


@pytest.mark.once
def test_a_server_is_looked_at(serve, fifo):
    program = serve("", FIFO)
    port = program.address[1]
    with program.client() as held, program.client() as other:
        busy = program.pid_of(held)
        held.send(request("/slow?x=%1B[31m"))
        let_go = fifo()
        (idle,) = program.children() - {busy}
        slots = find(port)
        assert slots is not None
        table = rush_top(port, "--once", env={"COLUMNS": "120"})
        assert (table.returncode, table.stderr) == (0, "")
        lines = table.stdout.splitlines()
        assert re.fullmatch(rf"http://127.0.0.1:{port}/  pid {program.pid}  up [0-9]+ s", lines[0])
        assert lines[1].startswith("2 of 2 workers, ready  ")
        assert lines[3].split()[0] == "PID"
        (row,) = (line for line in lines if f" {busy} " in line)
        assert re.search(r"  busy [0-9.]+ m?s  .*__main__.slow, GET /slow\?x=%1B\[31m$", row)
        assert any(re.search(rf" {idle} +ready ", line) for line in lines)
        assert "\x1b" not in table.stdout
        told = json.loads(rush_top(program.pid, "--json").stdout)
        assert (told["pid"], told["workers_wanted"], told["phase"]) == (program.pid, 2, "ready")
        by_pid = {one["pid"]: one for one in told["workers"]}
        assert by_pid[busy]["request"] == "GET /slow?x=%1B[31m"
        assert by_pid[busy]["busy_seconds"] > 0.5
        assert by_pid[idle]["request"] is None
        assert by_pid[idle]["memory_bytes"] > 1_000_000
        let_go()
        assert held.response().body == b"late"
        other.get("/pid")
        eventually(lambda: sum(one.connections for one in read(slots).workers) == 2)
        eventually(lambda: sum(one.requests for one in read(slots).workers) >= 3)
    eventually(lambda: sum(one.connections for one in read(slots).workers) == 0)
    assert program.stop() == 0
    assert str(program.log) == ""
    with pytest.raises(NoServer):
        find(port)
    assert not [one for one in servers() if one.parent == program.pid]
    assert rush_top(port, "--once").returncode == 1


@pytest.mark.once
def test_it_is_live_in_a_terminal(serve):
    program = serve()
    known = program.pids()
    pid, terminal = pty.fork()
    if not pid:
        os.environ.update(TERM="xterm", COLUMNS="80", LINES="24")
        os.environ.pop("NO_COLOR", None)
        command = [sys.executable, "-m", "rush_web", "top", str(program.pid)]
        os.execv(sys.executable, command)
    try:
        seen = b""

        def shown(text):
            nonlocal seen
            deadline = time.monotonic() + 20
            while text not in seen:
                assert time.monotonic() < deadline, seen[-2000:]
                assert select.select([terminal], [], [], 20)[0], seen
                seen += os.read(terminal, 65536)

        shown(b"\x1b[?1049h")
        shown(b"2 of 2 workers, ready")
        shown(b"q quits")
        for _ in range(2):  # it goes on with those who serve after a reload
            program.kill(signal.SIGHUP)
            shown(b"%d" % program.new_pid(known))
            known |= program.pids()
        os.write(terminal, b"q")
        shown(b"\x1b[?1049l")
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    finally:
        os.close(terminal)
    assert program.stop() == 0


@pytest.mark.once
def test_none_of_them():
    shown = rush_top(4_194_303)
    assert shown.returncode == 1
    assert re.match(r"rush: (no server|several)", shown.stderr)
    assert rush_top("x").returncode == 2
