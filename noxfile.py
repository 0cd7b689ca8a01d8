"""Checks and jobs: `nox` runs all checks, `nox -s serve` the example site.

nox                          every check, on every Python that is here
nox -s tests-3.12            the four packages on one Python
nox -s tests -- rush-http    one package, on every Python
nox -s fuzz -- 60            look for bytes that break the parser, for so many seconds
nox -s docs                  the API reference, into dist/docs; the pictures anew
nox -s screenshots           pictures of all that people see in a browser
nox -s serve -- --port 8000  the example site, with options of `rush run`
nox -s profile               write packages/rush-web/docs/budget.md
nox -s release-check         whether the last commit can be released
nox -s bench -- --install    compare with other servers, and install those before
"""

import os
import pathlib
import shutil
import subprocess

import nox
from nox.command import CommandFailed

# In order of dependency: each package may use only those before it.
PACKAGES = ["epollserver", "rush-http", "rush-loader", "rush-web"]
PYTHONS = ["3.10", "3.11", "3.12", "3.13", "3.14"]

nox.needs_version = ">=2024.4.15"
nox.options.sessions = ["lint", "types", "build", "tests", "system", "fuzz_briefly"]
# A Python that is not on this machine is skipped with a line that says so, also under CI=true.
nox.options.error_on_missing_interpreters = False


def find_pyenv_pythons() -> None:
    """Put the Pythons that pyenv has, but does not show, on the path: as links by their names."""
    links = pathlib.Path(".nox/pythons").absolute()
    versions = pathlib.Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser() / "versions"
    for version in PYTHONS:
        name = f"python{version}"
        found = shutil.which(name)  # of pyenv a shim, which may only say that it is not active
        if found and not subprocess.run([found, "--version"], capture_output=True).returncode:
            continue
        for python in sorted(versions.glob(f"{version}.*/bin/{name}"))[-1:]:
            links.mkdir(parents=True, exist_ok=True)
            (links / name).unlink(missing_ok=True)
            (links / name).symlink_to(python)
    os.environ["PATH"] = f"{links}{os.pathsep}{os.environ['PATH']}"


find_pyenv_pythons()

# Other parsers and clients, which tests compare with and meet; and the tool that varies bytes.
PARSERS = ["hypothesis", "h11", "httptools"]
CLIENTS = ["requests", "httpx", "aiohttp"]
OTHERS = ["pyyaml", "redis"]
FRAMEWORKS = ["flask", "django", "bottle", "falcon"]
# What the tests of a package use beside it: its extras, users of it, and others to compare with.
BESIDE = {
    "rush-http": PARSERS,
    "rush-loader": ["brotli", "backports.zstd", "jinja2"],
    "rush-web": [
        "multipart",
        "itsdangerous",
        "prometheus-client",
        "setproctitle",
        "werkzeug",
        "html5lib",
        "msgspec",
        "orjson",
    ],
}
# And what some need that one Python runs: it controls a browser.
BESIDE_ONCE = {"rush-web": ["selenium"]}
# Some tests show what is the same on every Python, and take their time: one runs them.  Others do
# so on the oldest and on the newest.
PRESENT = [name for name in PYTHONS if shutil.which(f"python{name}")]
NOT_ONCE = ["-m", "not once"]
IN_BETWEEN = ["-m", "not once and not ends"]
# The newest one that is here and that atheris is built for
FUZZING_PYTHON = next((name for name in PYTHONS[3::-1] if shutil.which(f"python{name}")), None)
# The newest one that is here and can tell its functions apart (-X perf)
PROFILING_PYTHON = next((name for name in PYTHONS[:1:-1] if shutil.which(f"python{name}")), None)

BUILT: dict[str, str] = {}


def wheels(session: nox.Session) -> dict[str, str]:
    """Build each package's wheel, once for all sessions: what a user would install."""
    if not BUILT:
        folder = pathlib.Path(session.cache_dir, "wheels")
        shutil.rmtree(folder, ignore_errors=True)
        session.run(
            *("python", "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder)),
            *(f"./packages/{name}" for name in PACKAGES),
        )
        for name in PACKAGES:
            (wheel,) = folder.glob(f"{name.replace('-', '_')}-*-py3-none-any.whl")
            BUILT[name] = str(wheel)
    return BUILT


def install(session: nox.Session, *packages: str) -> None:
    """Install packages from their wheels: as a user would, not editable."""
    built = wheels(session)
    session.install(*(built[name] for name in packages))


def install_what_there_is(session: nox.Session, *packages: str) -> None:
    """Install packages that some tests use; those are skipped where one is not to be had."""
    try:
        session.install("--only-binary=:all:", *packages)
    except CommandFailed:
        for package in packages:
            session.install("--only-binary=:all:", package, success_codes=[0, 1])
    # Otherwise a folder of its own in this one, which pytest stumbles over.
    session.env["HYPOTHESIS_STORAGE_DIRECTORY"] = str(pathlib.Path(session.cache_dir, "hypothesis"))


def run_tests(session: nox.Session, *arguments: str, success_codes: tuple[int, ...] = (0,)) -> None:
    """Run tests; those that fail while many run at a time, once more one by one.

    On a busy machine a deadline can pass.  What is broken fails again; what failed once is told.
    """
    try:
        session.run("pytest", "-q", *arguments, success_codes=success_codes)
    except CommandFailed:
        session.warn("some tests failed; once more, one by one:")
        again = ["--last-failed", "--last-failed-no-failures=none", "-n", "0"]
        session.run("pytest", "-q", *arguments, *again)


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """Test each package with nothing above it installed, so that a wrong import fails.

    Arguments that name packages choose among them; the others go to pytest.
    """
    chosen = [name for name in PACKAGES if name in session.posargs] or PACKAGES
    options = [argument for argument in session.posargs if argument not in PACKAGES]
    newest = session.python in PRESENT[-1:]
    if not newest:
        options += NOT_ONCE if session.python in PRESENT[:1] else IN_BETWEEN
    session.install("pytest", "pytest-xdist")
    for name in PACKAGES[: PACKAGES.index(chosen[-1]) + 1]:
        install(session, name)
        if name in BESIDE:
            more = BESIDE_ONCE.get(name, []) if newest else []
            install_what_there_is(session, *BESIDE[name], *more)
        if name in chosen:
            workers = "2" if name == "rush-http" else "6"  # its tests compute, the others wait
            parallel = ["-n", workers, "--dist", "worksteal"]
            run_tests(session, *parallel, f"tests/{name}", *options)


@nox.session
def system(session: nox.Session) -> None:
    """Test whole servers as real processes, and every program of the README."""
    session.install("pytest", "pytest-xdist")
    install(session, *PACKAGES)
    install_what_there_is(session, *CLIENTS, *FRAMEWORKS, *OTHERS)
    # What is not below http counts what a killed worker costs: it has the machine for itself.
    parallel = ["-n", "3", "--dist", "worksteal"]
    or_none = (0, 5)  # the arguments may choose among them
    run_tests(session, *parallel, "tests/system/http", *session.posargs, success_codes=or_none)
    others = ["tests/system", "--ignore=tests/system/http"]
    run_tests(session, *others, *session.posargs, success_codes=or_none)


def find_bytes_that_break_it(session: nox.Session, seconds: int, *options: str) -> None:
    """Fuzz the parser: half of the time by coverage where that can be had, half by chance."""
    install(session, *PACKAGES[:2])
    install_what_there_is(session, "atheris", *PARSERS)
    program = ["python", "tests/fuzz/fuzz.py", str(max(1, seconds // 2))]
    session.run(*program, *options)
    session.run(*program, "--chance", *options)


@nox.session(python=FUZZING_PYTHON)
def fuzz(session: nox.Session) -> None:
    """Look for bytes that break the parser, or that it reads as no other does: ten minutes.

    The argument is another time, in seconds.
    """
    (seconds,) = session.posargs or ["600"]
    find_bytes_that_break_it(session, int(seconds), "--differential")


@nox.session(python=FUZZING_PYTHON)
def fuzz_briefly(session: nox.Session) -> None:
    """Look for bytes that break the parser for half a minute."""
    find_bytes_that_break_it(session, 30)


@nox.session
def lint(session: nox.Session) -> None:
    """Check style and format."""
    session.install("ruff")
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")


@nox.session
def types(session: nox.Session) -> None:
    """Check types: the four packages, then each example and a user's program for itself."""
    session.install("mypy", "jinja2", "redis")
    session.run("mypy", *(f"--package={name.replace('-', '_')}" for name in PACKAGES))
    examples = [
        path
        for name in PACKAGES
        for path in pathlib.Path("packages", name, "examples").rglob("*.py")
    ]
    for folder in sorted({path.parent for path in examples}):
        # One after the other: two may have an example of the same name.
        session.run("mypy", *(str(path) for path in examples if path.parent == folder))
    # A user's program: what is installed is what it sees, and our settings are not its own.
    install(session, *PACKAGES)
    session.install("pytest")
    program = "tests/rush-web/test_typed.py"
    session.run("mypy", "--config-file=", "--strict", program)
    try:
        session.install("--only-binary=:all:", "pyright[nodejs]")
        session.run("pyright", "--version")  # it gets the rest of itself from npm
    except CommandFailed:
        session.warn("pyright is not to be had here: the user's program is checked by mypy only")
    else:
        session.run("pyright", "--pythonpath", f"{session.bin}/python", program)


@nox.session
def build(session: nox.Session) -> None:
    """Build every wheel and sdist, as for a release."""
    session.install("hatch")
    for name in PACKAGES:
        dist = pathlib.Path("packages", name, "dist")
        shutil.rmtree(dist, ignore_errors=True)
        with session.chdir(f"packages/{name}"):
            session.run("hatch", "build")
        built = sorted(path.name for path in dist.iterdir())
        if len(built) != 2 or not built[0].endswith("-py3-none-any.whl"):
            session.error(f"{name}: not one universal wheel and one sdist: {built}")


@nox.session(python=PROFILING_PYTHON)
def profile(session: nox.Session) -> None:
    """Write the page on what a request costs, by layer and by function; needs valgrind."""
    install(session, *PACKAGES)
    session.run("python", "tests/bench/profile/budget.py", *session.posargs)


@nox.session(name="release-check")
def release_check(session: nox.Session) -> None:
    """Check that what was committed can be released; about a minute."""
    session.install("hatch", "hatchling", "twine")
    session.run("python", "tests/release/check.py")
    # The schemas are thousands of files: not for every run of the tests.
    session.install("pytest", "kubernetes-validate")
    session.run("pytest", "-q", "tests/system/test_deploy.py", "-k", "accepts_the_objects")


@nox.session
def docs(session: nox.Session) -> None:
    """Write the API reference into dist/docs, and draw the pictures of the pages anew."""
    install(session, *PACKAGES)
    session.install("pdoc")
    folder = pathlib.Path("dist/docs").absolute()
    shutil.rmtree(folder, ignore_errors=True)
    session.run("python", "docs/reference.py", str(folder))
    pages = pathlib.Path("packages/rush-web/docs")
    with (pages / "request.svg").open("w") as picture:
        session.run("python", str(pages / "draw_request.py"), stdout=picture)
    with (pages / "terminal.svg").open("w") as picture:
        session.run("python", "docs/draw_terminal.py", stdout=picture)
    session.log(f"the reference: {folder}/index.html")


@nox.session
def serve(session: nox.Session) -> None:
    """Serve the example site at http://127.0.0.1:9090/ with two workers."""
    install(session, *PACKAGES)
    options = ["--port", "9090", "--workers", "2", *session.posargs]
    with session.chdir("packages/rush-web/examples/site"):
        session.run("rush", "run", "app:server", *options)


@nox.session
def screenshots(session: nox.Session) -> None:
    """Make pictures of every page, light and dark, wide and narrow: in .nox, or in `--out FOLDER`.

    Needs chromium and chromium-driver.  Other arguments choose among the pages.
    """
    out, chosen = pathlib.Path(session.cache_dir, "screenshots"), session.posargs
    if chosen[:1] == ["--out"]:
        out, chosen = pathlib.Path(chosen[1]), chosen[2:]
    session.install("pytest", "selenium")
    install(session, *PACKAGES)
    session.run("python", "tests/screenshots/screenshots.py", str(out), *chosen)


@nox.session
def bench(session: nox.Session) -> None:
    """Compare Rush with other servers in about five minutes; with --quick in one.

    Needs a C compiler; makes the environments of its peers if --install is given.  Where the first
    argument is the name of a package, that package is compared with its own kind; where it is
    "sizing", the page on sizing gets new numbers.
    """
    name = next(iter(session.posargs), "")
    if name in PACKAGES:
        session.install("uvloop", "whitenoise")
        install(session, *PACKAGES)
        session.run("python", f"tests/bench/{name}/compare.py", *session.posargs[1:])
        return
    install(session, *PACKAGES)
    if name == "sizing":
        session.run("python", "tests/bench/sizing.py", *session.posargs[1:])
    else:
        session.run("python", "tests/bench/whole/compare.py", *session.posargs)
