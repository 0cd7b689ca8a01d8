"""The comparison with other servers runs and writes its pages; its numbers do not count here."""

import json
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

import pytest

from serving import REPOSITORY

COMPARE = REPOSITORY / "tests/bench/whole/compare.py"
SCENARIOS = ["plaintext", "unchanged", "pipelined", "half"]


@pytest.mark.skipif(not shutil.which("cc"), reason="there is no C compiler")
def test_the_comparison(tmp_path):
    options = ["--rounds", "1", "--seconds", "0.05", "--output", tmp_path, "rush", "floor"]
    scenarios = [word for name in SCENARIOS for word in ("-s", name)]
    done = subprocess.run(
        [sys.executable, COMPARE, *options, *scenarios], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    data = json.loads((tmp_path / "latest.json").read_text())
    assert list(data["scenarios"]) == SCENARIOS
    for name, found in data["scenarios"].items():
        assert not found["failed"], name
        assert found["summary"]["rush"]["per_cpu_second"] > 0
        assert found["summary"]["rush"]["errors"] == 0, name
    page = (tmp_path / "latest.md").read_text()
    assert all(f"\n### {name}: " in page for name in SCENARIOS)
    ElementTree.parse(tmp_path / "speed.svg")
