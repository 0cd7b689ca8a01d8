"""Check a release before it is one: `nox -s release-check`; about a minute.

    python tests/release/check.py

Of the last commit, not of what is changed since.  Needs git, hatch, hatchling and twine, and a
registry for what is not ours (inotify_simple).  What is looked at:

- Versions: `hatch version` reads and raises them; each package admits the version of the one below
  it, and none that breaks with it; each CHANGELOG begins with its version.
- Two builds, in folders and with permissions and times that differ, are byte-identical, and so is
  a wheel that is made from the sdist.
- Metadata: complete, and such that a registry shows it (twine).
- An empty environment installs each package from a folder, with those below it and nothing above;
  another one installs all of them from an index, which Rush itself serves; they work there.
"""

import contextlib
import email
import email.message
import hashlib
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import urllib.request
import venv
import zipfile
from collections.abc import Iterator
from itertools import pairwise

import smoke

ROOT = pathlib.Path(__file__).parents[2]
# In order of dependency: each package may use only those before it.
PACKAGES = ["epollserver", "rush-http", "rush-loader", "rush-web"]
OTHERS = ["inotify_simple"]
PATIENCE = 120.0  # seconds
Files = dict[str, pathlib.Path]


class Wrong(Exception):
    """What keeps this from being a release."""


def run(*command: str | os.PathLike[str], cwd: pathlib.Path = ROOT, **environ: str) -> str:
    """What a program says.  Raises `Wrong` if it fails, with all of that."""
    done = subprocess.run(
        [os.fspath(word) for word in command],
        cwd=cwd,
        env={**os.environ, **environ},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PATIENCE,
    )
    if done.returncode:
        raise Wrong(f"{' '.join(map(str, command))} ends with {done.returncode}\n{done.stdout}")
    return done.stdout


def must(holds: object, words: str) -> None:
    if not holds:
        raise Wrong(words)


def hatch(*arguments: str, cwd: pathlib.Path) -> str:
    """The last line that it prints."""
    said = run(sys.executable, "-m", "hatch", "--no-color", *arguments, cwd=cwd)
    return said.strip().splitlines()[-1]


# The commit


def export(folder: pathlib.Path, *, umask: int, seconds: int) -> pathlib.Path:
    """The files of the last commit, with these permissions and this time."""
    folder.mkdir(parents=True)
    archive = subprocess.run(
        ["git", "archive", "HEAD", "packages"], cwd=ROOT, stdout=subprocess.PIPE, check=True
    )
    command = ["tar", "--extract", "--no-same-permissions", "--directory", folder]
    subprocess.run(command, input=archive.stdout, check=True, umask=umask)
    for path in folder.rglob("*"):
        os.utime(path, (seconds, seconds))
    return folder / "packages"


def build(packages: pathlib.Path, dist: pathlib.Path, epoch: str) -> Files:
    """Wheels and sdists of all packages, by their names."""
    for name in PACKAGES:
        command = [sys.executable, "-m", "hatchling", "build", "--directory", dist]
        run(*command, cwd=packages / name, SOURCE_DATE_EPOCH=epoch)
    return {path.name: path for path in sorted(dist.iterdir())}


def digest(path: pathlib.Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


# What is checked


def check_versions(packages: pathlib.Path) -> dict[str, str]:
    """The version of each package."""
    versions = {name: hatch("version", cwd=packages / name) for name in PACKAGES}
    for name, version in versions.items():
        must(re.fullmatch(r"\d+\.\d+\.\d+", version), f"{name} has the version {version!r}")
        changelog = (packages / name / "CHANGELOG.md").read_text()
        newest = re.search(r"^## (\S+)", changelog, re.M)
        must(newest and newest[1] == version, f"CHANGELOG of {name} does not begin with {version}")
    for below, name in pairwise(PACKAGES):
        major, minor, _ = versions[below].split(".")
        text = (packages / name / "pyproject.toml").read_text()
        wanted = f"{below}>={major}.{minor},<{major}.{int(minor) + 1}"
        must(f'"{wanted}"' in text, f"{name} does not depend on {wanted}")
    return versions


def check_raising(packages: pathlib.Path, versions: dict[str, str]) -> None:
    """Raise each version, in a copy."""
    for name, version in versions.items():
        major, minor, _ = version.split(".")
        hatch("version", "minor", cwd=packages / name)
        raised = hatch("version", cwd=packages / name)
        must(raised == f"{major}.{int(minor) + 1}.0", f"{name}: {version} was raised to {raised}")


def check_same(first: Files, second: Files) -> None:
    must(first.keys() == second.keys(), f"two builds: {[*first]} and {[*second]}")
    for name, path in first.items():
        must(digest(path) == digest(second[name]), f"two builds of {name} differ")


def check_sdists(built: Files, folder: pathlib.Path, epoch: str) -> None:
    """A wheel that is made from an sdist is the wheel."""
    for name, path in built.items():
        if not name.endswith(".tar.gz"):
            continue
        shutil.unpack_archive(path, folder, filter="data")
        command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel"]
        source = folder / name.removesuffix(".tar.gz")
        run(*command, "--directory", folder, cwd=source, SOURCE_DATE_EPOCH=epoch)
    for path in folder.glob("*.whl"):
        must(
            digest(path) == digest(built[path.name]), f"{path.name} differs if made from its sdist"
        )


def check_metadata(built: Files, versions: dict[str, str]) -> None:
    run(sys.executable, "-m", "twine", "check", "--strict", *built.values())
    for name, version in versions.items():
        found = f"{name.replace('-', '_')}-{version}"
        must(f"{found}.tar.gz" in built, f"no sdist of {name} {version}")
        wheel = built.get(f"{found}-py3-none-any.whl")
        must(wheel, f"no universal wheel of {name} {version}")
        with zipfile.ZipFile(wheel) as archive:
            names = archive.namelist()
            text = archive.read(f"{found}.dist-info/METADATA").decode()
        metadata = email.message_from_string(text)
        for field in ("Summary", "Author", "Keywords", "Requires-Python", "License-Expression"):
            must(metadata[field], f"{name} has no {field}")
        must(metadata["Description-Content-Type"] == "text/markdown", f"README of {name}")
        must(f"{found}.dist-info/licenses/LICENSE" in names, f"{name} has no LICENSE")
        module = name.replace("-", "_")
        must(f"{module}/py.typed" in names, f"{name} has no py.typed")
        foreign = {one.split("/")[0] for one in names} - {module, f"{found}.dist-info"}
        must(not foreign, f"{name} installs {foreign}")


# Empty environments


def environment(folder: pathlib.Path, *arguments: str | os.PathLike[str]) -> pathlib.Path:
    """A new one with what pip is told to install; the folder of its programs."""
    venv.create(folder, with_pip=True)
    pip = [folder / "bin/python", "-m", "pip", "--isolated", "--disable-pip-version-check"]
    run(*pip, "install", "--quiet", *arguments, cwd=folder, PYTHONPATH="")
    return folder / "bin"


def check_each(folder: pathlib.Path, dist: pathlib.Path) -> pathlib.Path:
    """Install each from a folder, and use it; the programs of the last one."""
    program = pathlib.Path(smoke.__file__)
    for place, name in enumerate(PACKAGES):
        options = ["--no-index", "--find-links", dist, name]
        programs = environment(folder / name, *options)
        below = PACKAGES[: place + 1]
        run(programs / "python", "-I", program, *below, cwd=folder)
    return programs


@contextlib.contextmanager
def index(folder: pathlib.Path, dist: pathlib.Path, programs: pathlib.Path) -> Iterator[str]:
    """Serve a simple index (PEP 503) of what was built, by the Rush that was built."""
    for path in dist.iterdir():
        name = path.name.partition("-")[0].replace("_", "-")
        (folder / name).mkdir(parents=True, exist_ok=True)
        shutil.copy(path, folder / name)
    command = [programs / "rush", "serve", folder, "--list", "--port", "0", "--workers", "1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            found = re.search(r"http://[0-9.:]+/", server.stdout.readline())
            must(found, "rush serve does not say where it serves")
            yield found[0]  # type: ignore[index]
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(PATIENCE)


def check_index(folder: pathlib.Path, dist: pathlib.Path, programs: pathlib.Path) -> None:
    """Install all of them from an index, the sdists as well as the wheels are there."""
    with index(folder / "simple", dist, programs) as url:
        names = [name.replace("-", "_") for name in PACKAGES]
        page = urllib.request.urlopen(f"{url}rush-web/").read().decode()
        must(all(kind in page for kind in (".whl", ".tar.gz")), f"the index has: {page}")
        installed = environment(folder / "all", "--index-url", url, PACKAGES[-1])
        run(installed / "python", "-I", smoke.__file__, *PACKAGES, cwd=folder)
        said = run(installed / "rush", "--version")
        must(said.startswith("rush "), said)
        listed = run(installed / "python", "-m", "pip", "list", "--format", "freeze")
        ours = {line.partition("==")[0].replace("-", "_") for line in listed.split()}
        must(set(names) <= ours, f"installed are {ours}")


def main() -> int:
    if run("git", "status", "--porcelain", "--", "packages"):
        print("note: changes since the last commit are not looked at")
    epoch = run("git", "log", "-1", "--format=%ct").strip()
    with tempfile.TemporaryDirectory(prefix="rush-release-") as name:
        folder = pathlib.Path(name)
        try:
            check(folder, epoch)
        except Wrong as wrong:
            print(f"not yet: {wrong}", file=sys.stderr)
            return 1
    return 0


def check(folder: pathlib.Path, epoch: str) -> None:
    first = export(folder / "a", umask=0o022, seconds=1_700_000_000)
    second = export(folder / "elsewhere/b", umask=0o077, seconds=1_800_000_000)
    versions = check_versions(first)
    print("versions:", ", ".join(f"{name} {version}" for name, version in versions.items()))
    dist = folder / "dist"
    built = build(first, dist, epoch)
    check_same(built, build(second, folder / "again", epoch))
    (folder / "sdists").mkdir()
    check_sdists(built, folder / "sdists", epoch)
    for path in built.values():
        print(f"{digest(path)}  {path.name}")
    check_metadata(built, versions)
    check_raising(second, versions)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--quiet"]
    run(*pip, "--no-deps", "--dest", dist, *OTHERS)
    print("installing each, from a folder and from an index ...", flush=True)
    programs = check_each(folder / "each", dist)
    check_index(folder, dist, programs)
    print("ready to be released")


if __name__ == "__main__":
    sys.exit(main())
