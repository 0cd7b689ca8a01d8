"""The contenders, their environments, and the versions of what is in them."""

import dataclasses
import functools
import json
import os
import pathlib
import platform
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).parent
LAUNCH = HERE / "peers/launch.py"
ENVIRONMENTS = pathlib.Path(
    os.environ.get("BENCH_VENVS") or HERE.parents[2] / ".nox/bench-environments"
)
NO_ECHO = frozenset({"post"})


@dataclasses.dataclass(frozen=True)
class Contender:
    """One server: its name in tables, what `launch.py` calls it, and what must be installed."""

    name: str
    launcher: str
    packages: tuple[str, ...] = ()
    skips: frozenset[str] = frozenset()

    @property
    def environment(self) -> pathlib.Path:
        """The folder of its virtual environment, by its first package."""
        return ENVIRONMENTS / self.packages[0]

    @property
    def python(self) -> str:
        """The Python that runs it."""
        return str(self.environment / "bin/python") if self.packages else sys.executable

    def missing(self) -> str | None:
        """Why it cannot run here, if so."""
        if self.launcher == "nginx":
            return None if nginx() else "nginx is not installed"
        here = os.access(self.python, os.X_OK)
        return None if here else f"{self.environment} is not there (--install makes it)"

    def version(self) -> str:
        """What was measured, in a few words."""
        if self.launcher == "floor":
            return "C, by " + _said("cc", "--version").partition("\n")[0]
        if self.launcher == "nginx":
            return _said(str(nginx()), "-v").strip().rpartition("/")[2]
        names = self.packages or ("rush-web", "rush-http", "epollserver")
        return f"{_versions(self.python, names)}"


# `floor` knows nothing of HTTP: it is what the kernel's part costs.
CONTENDERS = [
    Contender("floor", "floor", skips=frozenset({"redirect", "unchanged", "missing"})),
    Contender("rush", "rush"),
    Contender("rush wsgi", "rush_wsgi"),  # the application that bjoern, fastpysgi and granian run
    Contender("nginx", "nginx", skips=NO_ECHO),
    Contender("bjoern", "bjoern", ("bjoern",)),
    Contender("fastpysgi", "fastpysgi", ("fastpysgi",)),
    Contender("granian", "granian", ("granian",)),
    Contender("socketify", "socketify", ("socketify",)),
    Contender("robyn", "robyn", ("robyn",)),
    Contender("uvicorn", "uvicorn", ("uvicorn", "uvloop", "httptools")),
    Contender("aiohttp", "aiohttp", ("aiohttp", "uvloop")),
    Contender("gunicorn+flask", "gunicorn_flask", ("flask", "gunicorn")),
]
NAMES = [contender.name for contender in CONTENDERS]


def nginx() -> str | None:
    """Where nginx is."""
    return shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin")


def install(contenders: list[Contender]) -> None:
    """Make the environments that are missing, with the Python that runs this."""
    for contender in contenders:
        folder = contender.environment if contender.packages else None
        if folder is None or os.access(contender.python, os.X_OK):
            continue
        print(f"installing {', '.join(contender.packages)} ...", flush=True)
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        pip = [contender.python, "-m", "pip", "install", "--quiet", "--no-input"]
        if subprocess.run([*pip, *contender.packages]).returncode:
            shutil.rmtree(folder)
            print(f"{contender.name} is left out: it could not be installed", flush=True)


def machine() -> dict[str, object]:
    """What was measured on."""
    cpu = next(
        (
            line.partition(":")[2].strip()
            for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    return {
        "cpu": cpu,
        "cpus": os.cpu_count(),
        "kernel": platform.release(),
        "python": platform.python_version(),
    }


def _said(*command: str) -> str:
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return done.stdout


@functools.cache
def _versions(python: str, names: tuple[str, ...]) -> str:
    program = (
        "import importlib.metadata, json, platform, sys; names = sys.argv[1:]; found = {}\n"
        "for name in names:\n"
        "    try: found[name] = importlib.metadata.version(name)\n"
        "    except importlib.metadata.PackageNotFoundError: pass\n"
        "print(json.dumps([platform.python_version(), found]))"
    )
    version, found = json.loads(_said(python, "-c", program, *names))
    listed = ", ".join(f"{name} {number}" for name, number in found.items())
    return f"{listed or 'from its sources'} (Python {version})"
