"""How long `rush dev` takes from a save to the new answer.

    python tests/bench/rush-web/restart.py [rounds]

Milliseconds, from the save (by rename, as editors do it) to the moment when an answer of the new
version has come.  In turns, so that a noisy machine disturbs all alike:

* with a spare: a program that was executed ahead waits for the save;
* with streams: the same, while so many streams of events are open;
* without one: it was killed, as if saves came too fast for it.

And what of that is the start of Python, and the import of the server: processes of their own.
"""

import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2] / "support"))

from crowd import Crowd, many_descriptors
from programs import Program
from rawclient import request
from spares import spare_of

ROUNDS = 15
STREAMS = 200

APP = """
import sqlite3, uuid, decimal
from rush_web import WebServer

server = WebServer(port=0)
opened = set()


@server.get("/")
def index(request):
    return "VERSION"


@server.get("/events")
def events(request):
    stream = request.events()
    opened.add(stream)
    stream.on_gone(lambda: opened.discard(stream))
"""
IMPORT = "import rush_web.__main__, rush_web.dev.command, rush_web.dev.answers, rush_web.dev.live"


class Dev:
    """`rush dev`, and what is saved there."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "app.py"
        self._version = 0
        self._write()
        self.program = Program("-m", "rush_web", "dev", "app.py", cwd=folder).ready()

    def _write(self) -> None:
        new = self._file.with_suffix(".new")
        new.write_text(APP.replace("VERSION", str(self._version)))
        os.replace(new, self._file)

    def save(self) -> float:
        """Save another version; returns the milliseconds to its answer."""
        self._version += 1
        wanted = str(self._version).encode()
        began = time.perf_counter()
        self._write()
        while self.program.get("/").body != wanted:
            assert time.perf_counter() < began + 60, "the save was lost"
            time.sleep(0.001)
        return (time.perf_counter() - began) * 1000


def run(*arguments: str) -> float:
    """Milliseconds that a process of Python takes."""
    began = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True)
    return (time.perf_counter() - began) * 1000


def main() -> None:
    """Measure, and print medians."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    taken: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder, many_descriptors():
        dev = Dev(Path(folder))
        try:
            for _ in range(rounds):
                spare_of(dev.program)
                taken.setdefault("with a spare", []).append(dev.save())
                spare_of(dev.program)
                with Crowd(dev.program.address, STREAMS) as crowd:
                    crowd.ask(request("/events"))
                    taken.setdefault(f"with {STREAMS} streams", []).append(dev.save())
                os.kill(spare_of(dev.program), signal.SIGKILL)
                taken.setdefault("without one", []).append(dev.save())
                taken.setdefault("start of Python", []).append(run("-c", "pass"))
                taken.setdefault("with the import", []).append(run("-c", IMPORT))
        finally:
            dev.program.end()
    for name, values in taken.items():
        print(
            f"{name:<18}{statistics.median(values):7.0f} ms, "
            f"from {min(values):.0f} to {max(values):.0f}"
        )


if __name__ == "__main__":
    main()
