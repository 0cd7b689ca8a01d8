"""Checks and jobs: `nox` runs all checks, `nox -s serve` the example site.

nox                          every check, on every Python that is here
nox -s "tests(python='3.12', package='rush-http')"
nox -s serve -- --port 8000  the example site, with options of `rush run`
"""

import functools
import pathlib
import shutil

import nox

# In order of dependency: each package may use only those before it.
PACKAGES = ["epollserver", "rush-http", "rush-loader", "rush-web"]
PYTHONS = ["3.10", "3.11", "3.12", "3.13", "3.14"]
TEST_TOOLS = ["pytest", "pytest-xdist"]

nox.needs_version = ">=2024.4.15"
nox.options.sessions = ["lint", "types", "build", "tests", "system"]
# A Python that is not on this machine is skipped with a line that says so, also under CI=true.
nox.options.error_on_missing_interpreters = False


@functools.cache
def wheels(session: nox.Session) -> dict[str, str]:
    """Build each package's wheel, once for all sessions: what a user would install."""
    folder = pathlib.Path(session.cache_dir, "wheels")
    shutil.rmtree(folder, ignore_errors=True)
    session.run(
        *("python", "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder)),
        *(f"./packages/{name}" for name in PACKAGES),
    )
    built = {}
    for name in PACKAGES:
        (wheel,) = folder.glob(f"{name.replace('-', '_')}-*-py3-none-any.whl")
        built[name] = str(wheel)
    return built


def install(session: nox.Session, package: str, *tools: str) -> None:
    """Install a package with all it depends on, and nothing above it; not editable."""
    below = PACKAGES[: PACKAGES.index(package) + 1]
    built = wheels(session)
    session.install(*tools, *(built[name] for name in below))


@nox.session(python=PYTHONS)
@nox.parametrize("package", PACKAGES, ids=PACKAGES)
def tests(session: nox.Session, package: str) -> None:
    """Test one package with nothing above it installed, so that a wrong import fails."""
    install(session, package, *TEST_TOOLS)
    session.run("pytest", "-q", "-n", "4", f"tests/{package}", *session.posargs)


@nox.session
def system(session: nox.Session) -> None:
    """Test whole servers as real processes, and every program of the README."""
    install(session, "rush-web", *TEST_TOOLS)
    session.run("pytest", "-q", "tests/system", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Check style and format."""
    session.install("ruff")
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")


@nox.session
def types(session: nox.Session) -> None:
    """Check types: the four packages, then each example as a program of its own."""
    session.install("mypy")
    session.run("mypy", *(f"--package={name.replace('-', '_')}" for name in PACKAGES))
    examples = sorted(pathlib.Path("packages").glob("*/examples/**/*.py"))
    session.run("mypy", *map(str, examples))


@nox.session
def build(session: nox.Session) -> None:
    """Build every wheel and sdist, as for a release."""
    session.install("hatch")
    for name in PACKAGES:
        dist = pathlib.Path("packages", name, "dist")
        shutil.rmtree(dist, ignore_errors=True)
        with session.chdir(f"packages/{name}"):
            session.run("hatch", "build")
        built = sorted(path.name.partition("-")[2] for path in dist.iterdir())
        wheel, sdist = built[-1:], built[:-1]
        if not (wheel[0].endswith("-py3-none-any.whl") and sdist[0].endswith(".tar.gz")):
            session.error(f"{name}: not one universal wheel and one sdist: {built}")


@nox.session
def serve(session: nox.Session) -> None:
    """Serve the example site at http://127.0.0.1:9090/ with two workers."""
    install(session, "rush-web")
    options = ["--port", "9090", "--workers", "2", *session.posargs]
    with session.chdir("packages/rush-web/examples/site"):
        session.run("rush", "run", "app:server", *options)
