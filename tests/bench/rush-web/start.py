"""How long the `rush` command takes to its first answer.

    python tests/bench/rush-web/start.py [rounds]

Milliseconds from the start of the process: of the wall, to the first answer (of ``--help``: to the
end), and of the processor, in the parent and in the worker that answers.  On a machine that others
use as well, the smallest one of the wall and that of the processor are worth something.  In turns.

What is imported, and how long that takes: ``python -X importtime -m rush_web --help``.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2] / "support"))

from programs import Program, children_of

ROUNDS = 15

APP = """
from rush_web import WebServer

server = WebServer(port=0, workers=1)


@server.get("/")
def index(request):
    return "hello"
"""


def processor_milliseconds(*pids: int) -> float:
    """What these processes have run until now (sched_schedstats in the kernel's documents)."""
    texts = (Path(f"/proc/{pid}/schedstat").read_text() for pid in pids)
    return sum(int(text.split()[0]) for text in texts) / 1e6


def first_answer(folder: Path, *arguments: str) -> tuple[float, float]:
    """Wall and processor, to the first answer of a server."""
    began = time.perf_counter()
    program = Program("-m", "rush_web", *arguments, cwd=folder)
    try:
        assert program.ready().get("/").body == b"hello"
        wall = (time.perf_counter() - began) * 1000
        return wall, processor_milliseconds(program.pid, *children_of(program.pid))
    finally:
        program.end()


def to_the_end(*arguments: str) -> tuple[float, float]:
    """Wall and processor of a process that ends by itself."""
    began = time.perf_counter()
    process = subprocess.Popen([sys.executable, *arguments], stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return (time.perf_counter() - began) * 1000, (used.ru_utime + used.ru_stime) * 1000


def main() -> None:
    """Measure, and print."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    # As installed: with what is compiled, in a folder of our own.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    taken: dict[str, list[tuple[float, float]]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["PYTHONPYCACHEPREFIX"] = str(folder / "compiled")
        (folder / "app.py").write_text(APP)
        for number in range(rounds + 1):
            for what, found in (
                ("python -c pass", to_the_end("-c", "pass")),
                ("rush --help", to_the_end("-m", "rush_web", "--help")),
                ("rush run app.py", first_answer(folder, "run", "app.py")),
                ("rush dev app.py", first_answer(folder, "dev", "app.py")),
            ):
                if number:  # the first round compiles
                    taken.setdefault(what, []).append(found)
    print(f"{'ms':<18}{'wall: min':>10}{'median':>10}{'processor: min':>17}{'median':>10}")
    for what, pairs in taken.items():
        wall, processor = zip(*pairs, strict=True)
        print(
            f"{what:<18}{min(wall):10.0f}{statistics.median(wall):10.0f}"
            f"{min(processor):17.0f}{statistics.median(processor):10.0f}"
        )


if __name__ == "__main__":
    main()
