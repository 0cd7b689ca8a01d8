"""What the top-level README says, done."""

import inspect
import os
import re
import shutil
import subprocess
import sys

import pytest

from manuals import Reader, blocks_of
from rush_http import Limits
from rush_loader import AutoUpdatingCache
from rush_web import WebServer
from serving import REPOSITORY

README = (REPOSITORY / "README.md").read_text()
FIRST_SCREEN, _, OTHERS = README.partition("\n## The four libraries\n")
SECONDS = 60


def programs():
    """The programs of the libraries, each with what it prints."""
    blocks = [(language, text) for language, text, _ in blocks_of(OTHERS)]
    assert [language for language, _ in blocks] == ["python", "text"] * 4
    texts = [text for _, text in blocks]
    return list(zip(texts[::2], texts[1::2], strict=True))


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_first_program_prints_and_answers_what_is_shown(tmp_path):
    with Reader(tmp_path) as reader:
        assert reader.follow(FIRST_SCREEN) == 2


@pytest.mark.parametrize(("program", "printed"), programs())
def test_a_few_lines_of_each_library(tmp_path, program, printed):
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "no_proxy": "*"},
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    assert (done.stdout, done.stderr) == (printed, "")


def test_the_test_command_is_what_ci_runs():
    serve, check = re.findall(r"^```sh\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)
    assert serve.strip() == f"{check.strip()} -s serve"
    assert check.strip() in (REPOSITORY / ".ci/run").read_text().splitlines()


def test_the_defaults_are_those_of_the_code():
    limits = Limits()
    server = default_of(WebServer)
    cache = default_of(AutoUpdatingCache)
    shown = [
        f"{limits.request_line_bytes >> 10} KiB; "
        f"{limits.fields_bytes >> 10} KiB, {limits.fields_count} of them",
        f"{limits.body_bytes >> 20} MiB; of a route what you say",
        f"{limits.head_seconds:.0f} s",
        f"{limits.idle_seconds:.0f} s",
        f"{limits.write_seconds:.0f} s",
        f"{server['max_conns']:,}",
        f"{cache['max_bytes'] >> 20} MiB, none above {cache['max_file_bytes'] >> 20} MiB",
        f"{server['grace']:.0f} s",
        "no limit" if server["worker_timeout"] is None else "",
    ]
    section = README.partition("\n## Limits and defaults\n")[2].partition("\n## ")[0]
    assert re.findall(r"^\| .*? \| (.*?) \| `", section, re.MULTILINE) == shown


def default_of(thing):
    return {name: one.default for name, one in inspect.signature(thing).parameters.items()}


def test_what_was_measured_is_shown():
    """A chart of the last comparison that is there (`nox -s bench`) stands in the README."""
    assert ("](docs/speed.svg)" in README) == (REPOSITORY / "docs/speed.svg").exists()
    table = "tests/bench/results/latest.md"
    assert (f"]({table})" in README) == (REPOSITORY / table).exists()


def test_the_tables_for_who_helps_are_there():
    page = (REPOSITORY / "docs/CONTRIBUTING.md").read_text()
    rows = re.findall(r"^\|.*`tests/.*$", page, re.MULTILINE)
    assert len(rows) == 6
    for row in rows:
        text = (REPOSITORY / re.search(r"`(tests/[\w/.-]+)`", row)[1]).read_text()
        tables = re.findall(r"`([A-Z_]+)`", row)
        assert [table for table in tables if f"\n{table} = [\n" not in text] == []
    (row,) = re.findall(r"^    (\(.*\),)$", page, re.MULTILINE)
    assert row in (REPOSITORY / "tests/rush-http/test_parser_refused.py").read_text()
