"""Every program in the manuals runs and prints what they say."""

import ast
import contextlib
import doctest
import http.client
import inspect
import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

import rush_loader
from tables import wrong_in

PACKAGE = Path(__file__).parents[2] / "packages" / "rush-loader"
README = PACKAGE / "README.md"
PROGRAM = re.compile(r"```python\n(.*?)```\n\n(?:[^\n]*\n\n)?```text\n(.*?)```", re.DOTALL)


def test_the_manual_of_the_package():
    assert doctest.testmod(rush_loader).attempted > 10
    assert doctest.testmod(rush_loader).failed == 0


def test_the_tables_of_the_readme_have_every_public_name():
    assert wrong_in(README.read_text(), "rush_loader") == []


def test_the_options_of_the_cache_and_their_defaults():
    rows = re.findall(r"^\| `(\w+)` \| (\d+|`.*?`)( MiB)? \|", README.read_text(), re.MULTILINE)
    listed = {
        name: int(value) << 20 if unit else ast.literal_eval(value.strip("`"))
        for name, value, unit in rows
    }
    parameters = inspect.signature(rush_loader.AutoUpdatingCache).parameters
    # `inotify` is for tests.
    assert {**listed, "inotify": parameters["inotify"].default} == {
        name: parameter.default for name, parameter in parameters.items()
    }


PROGRAMS = PROGRAM.findall(README.read_text())


def test_the_readme_has_programs():
    assert len(PROGRAMS) >= 2


@pytest.mark.once
@pytest.mark.parametrize(("program", "printed"), PROGRAMS)
def test_the_programs_of_the_readme(tmp_path, program, printed):
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.stdout, done.stderr) == (printed, "")


@pytest.mark.once
def test_watch_config(tmp_path):
    config = tmp_path / "config.toml"
    config.write_text("level = 1")
    with subprocess.Popen(
        [sys.executable, "-u", PACKAGE / "examples" / "watch_config.py", config],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
        text=True,
    ) as example:
        try:
            assert example.stdout.readline() == "level = 1\n"
            config.write_text("level = 2")
            assert example.stdout.readline() == "level = 2\n"
        finally:
            example.kill()


def test_the_examples_can_be_imported():
    assert callable(runpy.run_path(str(PACKAGE / "examples" / "watch_config.py"))["main"])


@pytest.mark.once
def test_serve_files(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "page.html").write_text("<h1>Hello</h1>")
    (tmp_path / "large.bin").write_bytes(b"x" * (2 << 20))
    with subprocess.Popen(
        [sys.executable, "-u", PACKAGE / "examples" / "serve_files.py", tmp_path],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
        text=True,
    ) as example:
        try:
            url = example.stdout.readline().strip()
            for path, status, headers in [
                ("folder/page.html", 200, {}),
                ("folder", 301, {}),
                ("folder/", 200, {}),
                ("missing", 404, {}),
                ("missing/", 404, {}),
                ("large.bin", 206, {"Range": "bytes=0-99"}),
            ]:
                connection = http.client.HTTPConnection(url.split("/")[2], timeout=20)
                with contextlib.closing(connection):
                    connection.request("GET", f"/{path}", headers=headers)
                    response = connection.getresponse()
                    body = response.read()
                    assert response.status == status, path
                    if path == "folder/":
                        assert b'<a href="./page.html">page.html</a> 14' in body
        finally:
            example.kill()
