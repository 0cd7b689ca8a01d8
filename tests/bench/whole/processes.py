"""Servers as processes on CPUs of their own: started, frozen, measured, and always ended."""

import contextlib
import ctypes
import os
import pathlib
import select
import signal
import socket
import subprocess
import tempfile
import time

PATIENCE = 20.0  # seconds
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None)
_TICKS = os.sysconf("SC_CLK_TCK")

# The servers have the first of the CPUs that this process may use, the client the last.
CPUS = sorted(os.sched_getaffinity(0))
SERVER_CPU, CLIENT_CPU = CPUS[0], CPUS[-1]


class Failed(Exception):
    """A contender does not do what it should; the message says what.

    `words` are its own on that: for who looks for the reason, not for the results.
    """

    def __init__(self, message: str, words: str = "") -> None:
        super().__init__(message)
        self.words = words


def pinned(cpus: list[int]) -> None:
    """In a new process: stay on these CPUs, and do not outlive who started it."""
    os.sched_setaffinity(0, cpus)
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


def family(pid: int) -> list[int]:
    """The process and all that descend from it, as far as they live."""
    found = [pid]
    for one in found:
        with contextlib.suppress(OSError):
            for task in os.listdir(f"/proc/{one}/task"):
                children = pathlib.Path(f"/proc/{one}/task/{task}/children").read_text()
                found += map(int, children.split())
    return found


def cpu_seconds(pid: int) -> float:
    """What all threads of a process have used, also those that ended (clock_getcpuclockid(3))."""
    try:
        return time.clock_gettime((~pid << 3) | 2)
    except OSError:
        return 0.0


def memory_bytes(pids: list[int]) -> int:
    """What they occupy; a page that several share counts once (proportional set size)."""
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError, IndexError):
            rollup = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
            total += int(rollup.partition("\nPss:")[2].split()[0]) << 10
    return total


def busy_seconds(cpu: int) -> float:
    """What a CPU has worked since the machine was started, for whomever."""
    for line in pathlib.Path("/proc/stat").read_text().splitlines():
        if line.startswith(f"cpu{cpu} "):
            user, nice, system, _, _, irq, softirq = map(int, line.split()[1:8])
            return (user + nice + system + irq + softirq) / _TICKS
    return 0.0


class Server:
    """A contender that runs; frozen, but for the time in which it is measured."""

    def __init__(self, argv: list[str], port: int, workers: int, environ: dict[str, str]) -> None:
        self.port = port
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 (`end` closes it)
        cpus = [SERVER_CPU] if workers == 1 else CPUS[: max(2, len(CPUS) - 1)]
        self._process = subprocess.Popen(
            argv,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=self._said,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=lambda: pinned(cpus),
        )
        try:
            self._wait()
        except BaseException:
            self.end()
            raise

    def _wait(self) -> None:
        deadline = time.monotonic() + PATIENCE
        while True:
            if self._process.poll() is not None:
                raise Failed(f"it ended with {self._process.returncode}", self.last_words())
            with socket.socket() as sock:
                if not sock.connect_ex(("127.0.0.1", self.port)):
                    return
            if time.monotonic() > deadline:
                raise Failed("it does not listen", self.last_words())
            time.sleep(0.05)

    def last_words(self) -> str:
        self._said.seek(0)
        return " | ".join(self._said.read()[-400:].decode(errors="replace").split("\n")).strip()

    def alive(self) -> bool:
        return self._process.poll() is None

    def pids(self) -> list[int]:
        return family(self._process.pid)

    def cpu_seconds(self) -> float:
        return sum(map(cpu_seconds, self.pids()))

    def freeze(self) -> None:
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, signum: int) -> None:
        for pid in self.pids() if self.alive() else []:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signum)

    def end(self) -> None:
        """End it and all that it has started, politely at first."""
        pids = self.pids() if self.alive() else []
        handles = []
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                handles.append(os.pidfd_open(pid))
        self._signal(signal.SIGTERM)
        self._signal(signal.SIGCONT)
        for patience in (2.0, 5.0):
            deadline = time.monotonic() + patience
            for handle in handles:
                left = max(0.0, deadline - time.monotonic())
                if not select.select([handle], [], [], left)[0]:
                    signal.pidfd_send_signal(handle, signal.SIGKILL)
        for handle in handles:
            os.close(handle)
        self._process.wait(PATIENCE)
        self._said.close()
