"""What a request costs: system calls, and no memory."""

import re
import shutil
import subprocess
import sys

import pytest

from clients import PATIENCE
from crowd import GET, PROGRAM, Crowd, Running, ask_pipelined, serving
from rawclient import RawClient


def calls_of(requests, connections, tmp_path):
    """How often the server made each system call, from its start to its end."""
    table = tmp_path / "calls"
    command = ["strace", "-c", "-f", "-o", str(table), sys.executable, str(PROGRAM), "0", "{}"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    with process:
        try:
            server = Running(process)
            with open(f"/proc/{process.pid}/task/{process.pid}/children") as children:
                (pid,) = children.read().split()
            with Crowd(server.address, connections) as crowd:
                size = len(ask_once(crowd))
                for _ in range(requests // connections - 1):
                    crowd.ask(GET)
                    assert all(len(answer) == size for answer in crowd.answers(size))
            subprocess.run(["kill", "-TERM", pid], check=True)
            process.wait(PATIENCE)
        finally:
            process.kill()
    rows = re.findall(r"^ *[0-9.]+ +[0-9.]+ +[0-9]+ +([0-9]+) +(?:[0-9]+ +)?([a-z_0-9]+)$",
                      table.read_text(), re.MULTILINE)  # fmt: skip
    return {name: int(count) for count, name in rows if name != "total"}


def ask_once(crowd):
    """One answer on each connection, read to its end."""
    crowd.ask(GET)
    for sock in crowd.sockets:
        answer = b""
        while not answer.endswith(b"GET /hi? "):
            answer += sock.recv(65536)
    return answer


@pytest.mark.skipif(not shutil.which("strace"), reason="strace is not installed")
@pytest.mark.parametrize("connections", [1, 50])
def test_two_system_calls_per_request(connections, tmp_path):
    """And a share of `epoll_wait`: one for all that is ready."""
    few, many = (calls_of(number, connections, tmp_path) for number in (100, 1100))
    if "recvfrom" not in many:
        pytest.skip("strace may not trace here")
    more = {name: count - few.get(name, 0) for name, count in many.items()}
    assert more.pop("recvfrom") == 1000
    assert more.pop("sendto") == 1000
    waits = more.pop("epoll_wait")
    assert waits <= 1020 if connections == 1 else waits < 500
    others = {name: count for name, count in more.items() if count}
    assert sum(map(abs, others.values())) < 100, others  # memory, now and then
    print(waits, others)


def test_requests_on_one_connection_leave_no_memory_behind():
    """A million of them: ``python tests/bench/million.py``."""
    with serving() as server, RawClient(server.address) as client:
        ask_pipelined(client, 10_000)
        before = server.rss_bytes()
        ask_pipelined(client, 200_000)
        assert server.rss_bytes() - before < 1 << 20
