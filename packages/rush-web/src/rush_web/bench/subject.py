"""Subject: a server with one worker on one CPU, forked to be measured."""

import json
import os
import re
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from ..config import ConfigError, configure
from ..crew import START_FAILED
from ..lifeline import Lifeline
from ..programs import LoadFailed, Mistake
from ..server import WebServer, say

_STOP_SECONDS = 5.0
# What is another thing than the work of the worker, or would disturb a server that runs already.
_LEFT_OUT: dict[str, object] = {
    "proxy_protocol": "off",
    "certfile": None,
    "keyfile": None,
    "pid_file": None,
    "user": None,
    "access_log": False,
    "status_port": None,
    "worker_timeout": None,
    "recycle_requests": None,
    "recycle_seconds": None,
}


class Subject:
    """A server that runs: its address, and what it has to say of itself."""

    def __init__(self, pid: int, said: dict[str, list[str]]) -> None:
        self.pid = pid
        self.paths = said["paths"]
        """Those that can be asked for as they are."""
        self.left_out = said["left_out"]
        """Options that were set, and are not heeded here."""
        self.other_routes = said["others"]
        """Paths of routes that have parameters."""
        host, port = said["address"]
        self.address = host, int(port)

    def cpu_seconds(self) -> float:
        """The CPU time of all its processes, what the kernel did for them included."""
        return sum(map(_cpu_seconds, self._pids()))

    def queued_seconds(self) -> float:
        """How long they could have run, had nobody else had the CPU."""
        return sum(map(queued_seconds, self._pids()))

    def _pids(self) -> list[int]:
        with open(f"/proc/{self.pid}/task/{self.pid}/children") as children:
            return [self.pid, *map(int, children.read().split())]


@contextmanager
def subject(make: Callable[[], WebServer], cpu: int | None) -> Iterator[Subject]:
    """Fork a server and run it, on this CPU only; ended at the end of the block.

    ``make()`` is called in the new process.  What it raises ends this one, with the status that
    the command has for it.
    """
    lifeline = Lifeline()
    reader, writer = os.pipe()
    pid = os.fork()
    if not pid:
        status = START_FAILED
        try:
            os.close(reader)
            lifeline.hold()
            status = _serve(make, cpu, writer)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    try:
        os.close(writer)
        with os.fdopen(reader) as pipe:
            line = pipe.readline()
        if not line:
            _, status = os.waitpid(pid, 0)
            pid = 0
            raise SystemExit(os.waitstatus_to_exitcode(status) or START_FAILED)
        yield Subject(pid, json.loads(line))
    finally:
        if pid:
            _end(pid)
        lifeline.close()  # not before: that would kill it


def _serve(make: Callable[[], WebServer], cpu: int | None, writer: int) -> int:
    """In the new process: run the server; returns the exit status."""
    os.dup2(2, 1)  # what a module prints is not a part of the table
    if cpu is not None:
        os.sched_setaffinity(0, {cpu})
    try:
        server = make()
        configure(server)
    except LoadFailed as error:
        print(error.text, end="", file=sys.stderr)
        return START_FAILED
    except (Mistake, ConfigError) as error:
        print(f"rush: {error}", file=sys.stderr)
        return 2
    left_out = [name for name, usual in _LEFT_OUT.items() if getattr(server, name) != usual]
    for name, usual in _LEFT_OUT.items():
        setattr(server, name, usual)
    server.host, server.port, server.bind, server.workers = "127.0.0.1", 0, (), 1
    paths, others = _paths(server)

    def tell(banner: str) -> None:
        found = re.search("http://([0-9.]+):([0-9]+)/", banner)
        assert found is not None
        said = {"address": found.groups(), "paths": paths, "others": others, "left_out": left_out}
        os.write(writer, json.dumps(said).encode() + b"\n")
        os.close(writer)

    return server.run(on_ready=tell, environ={})


def _paths(server: WebServer) -> tuple[list[str], list[str]]:
    """Paths of routes that answer GET: those without parameters, and those with some."""
    routes = [route.path for route in server.routes if "GET" in route.methods and not route.stream]
    paths = dict.fromkeys(path for path in routes if "<" not in path)
    return list(paths), list(dict.fromkeys(path for path in routes if "<" in path))


def _end(pid: int) -> None:
    handle = os.pidfd_open(pid)
    try:
        signal.pidfd_send_signal(handle, signal.SIGINT)
        if not select.select([handle], [], [], _STOP_SECONDS)[0]:
            say("rush: the server does not end, and is killed")
            signal.pidfd_send_signal(handle, signal.SIGKILL)
        os.waitpid(pid, 0)
    finally:
        os.close(handle)


def queued_seconds(pid: int) -> float:
    """How long a process was ready to run and did not; 0 where the kernel does not tell."""
    with suppress(OSError, IndexError), open(f"/proc/{pid}/schedstat") as schedstat:
        return int(schedstat.read().split()[1]) / 1e9
    return 0.0


def _cpu_seconds(pid: int) -> float:
    with suppress(OSError):
        return time.clock_gettime((~pid << 3) | 2)  # clock_getcpuclockid(3)
    return 0.0
