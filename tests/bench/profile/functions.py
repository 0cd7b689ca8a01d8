"""Instructions of each Python function, by callgrind: exact, where time is noise.

Python 3.12 and later can give each of its functions a small piece of machine code of its own to go
through (``-X perf``), so that callgrind sees when it is called and what all that takes.  Who calls
whom is counted in another run; what a function takes itself is what is left.  The kernel's part is
not in it, and each call of a Python function costs some 100 instructions more than without -X perf.
"""

import dataclasses
import json
import os
import pathlib
import re
import socket
import subprocess
import sys
import time

LAYERS = pathlib.Path(__file__).with_name("layers.py")
PATIENCE = 60.0  # seconds
CONNECTIONS = 16
WARM, COUNTED = 40, 100  # writes of each connection
_CALL = re.compile(
    r"^cfn=\((\d+)\)(?: (\S+))?\n(?:cfi.*\n|cfl.*\n|cob.*\n)*calls=(\d+).*\n\S+ (\d+)", re.M
)
_NAME = re.compile(r"^c?fn=\((\d+)\) 0x([0-9a-f]+)$", re.M)


@dataclasses.dataclass
class Function:
    """What one function takes for one request."""

    name: str
    file: str
    calls: float
    total: float
    own: float


class Running:
    """A server of a layer, and connections to it."""

    def __init__(self, layer: str, port: int, *more: str, before: tuple[str, ...] = ()) -> None:
        python = [sys.executable, *(["-X", "perf"] if before else [])]
        command = [*before, *python, str(LAYERS), layer, str(port), *more]
        environ = dict(os.environ, PYTHONHASHSEED="0")
        self.process = subprocess.Popen(command, stderr=subprocess.DEVNULL, env=environ)
        deadline = time.monotonic() + PATIENCE
        self.socks: list[socket.socket] = []
        while len(self.socks) < CONNECTIONS:
            try:
                self.socks.append(socket.create_connection(("127.0.0.1", port), PATIENCE))
            except ConnectionRefusedError:
                if time.monotonic() > deadline or self.process.poll() is not None:
                    self.end()
                    raise
                time.sleep(0.05)

    def ask(self, make: "Make", numbers: range) -> None:
        """Write once on each connection for each number, and read all answers."""
        for number in numbers:
            writes = [make(number * CONNECTIONS + place) for place in range(CONNECTIONS)]
            for sock, write in zip(self.socks, writes, strict=True):
                sock.sendall(write)
            for sock, write in zip(self.socks, writes, strict=True):
                missing = write.count(b"\r\n\r\n")
                while missing:
                    missing -= sock.recv(65536).count(b"Hello, World!")

    def end(self) -> None:
        for sock in self.socks:
            sock.close()
        if self.process.poll() is None:
            self.process.terminate()
        self.process.wait(PATIENCE)


class Make:
    """Makes writes, of the bytes of one in which NULs stand for numbers."""

    def __init__(self, template: bytes) -> None:
        self.template = template
        self.depth = template.count(b"\r\n\r\n")

    def __call__(self, number: int) -> bytes:
        return self.template.replace(b"\0", b"%d" % (1_000_000 + number))


def measure(layer: str, template: bytes, folder: pathlib.Path, port: int) -> list[Function]:
    """The functions of a layer, those first that take most themselves."""
    make = Make(template)
    requests = COUNTED * CONNECTIONS * make.depth
    out = folder / "callgrind"
    options = ["--instr-atstart=no", f"--callgrind-out-file={out}", "--compress-strings=yes"]
    running = Running(layer, port, before=("valgrind", "--tool=callgrind", *options))
    pid = running.process.pid
    try:
        running.ask(make, range(WARM))
        control(pid, "on")
        running.ask(make, range(WARM, WARM + COUNTED))
        control(pid, "off")
    finally:
        running.end()
    pairs_file = folder / "pairs"
    running = Running(layer, port, str(pairs_file))
    try:
        running.ask(make, range(WARM + COUNTED))
    finally:
        running.end()
    pairs = json.loads(pairs_file.read_text())
    mapped = pathlib.Path(f"/tmp/perf-{pid}.map")
    profile = out.read_text()
    found = functions(read(profile, mapped.read_text()), pairs, requests)
    mapped.unlink()
    # The loop runs all the time: no call of it begins and ends while it is counted.
    rest = whole(profile) / requests - sum(one.own for one in found)
    found.append(Function("Loop.run", "epollserver/loop.py", 0.0, whole(profile) / requests, rest))
    return sorted(found, key=lambda one: -one.own)


def control(pid: int, word: str) -> None:
    command = ["callgrind_control", "-i", word, str(pid)]
    subprocess.run(command, check=True, capture_output=True)


def read(profile: str, perf_map: str) -> dict[str, tuple[int, int]]:
    """Calls and instructions of each Python function, with what it calls."""
    at = {}
    for line in perf_map.splitlines():
        address, _, name = line.split(" ", 2)
        at[int(address, 16)] = name.removeprefix("py::")
    names = {number: at.get(int(address, 16)) for number, address in _NAME.findall(profile)}
    found: dict[str, tuple[int, int]] = {}
    for number, _, calls, instructions in _CALL.findall(profile):
        name = names.get(number)
        if name is not None:
            before = found.get(name, (0, 0))
            found[name] = before[0] + int(calls), before[1] + int(instructions)
    return found


def whole(profile: str) -> int:
    """All instructions that were counted."""
    return int(re.findall(r"^(?:totals|summary): (\d+)", profile, re.M)[-1])


def functions(
    totals: dict[str, tuple[int, int]], pairs: dict[str, int], requests: int
) -> list[Function]:
    """Of each what it takes itself: without the functions that it calls."""
    called: dict[str, int] = {}
    for pair, count in pairs.items():
        callee = pair.split(" ", 1)[1]
        called[callee] = called.get(callee, 0) + count
    found = []
    for name, (calls, total) in totals.items():
        own = float(total)
        for pair, count in pairs.items():
            caller, callee = pair.split(" ", 1)
            if caller == name and callee in totals:
                # Of all calls of that one, as many come from here in the counted run too.
                own -= totals[callee][1] * count / called[callee]
        qualname, _, file = name.rpartition(":")
        found.append(Function(qualname, file, calls / requests, total / requests, own / requests))
    return found
