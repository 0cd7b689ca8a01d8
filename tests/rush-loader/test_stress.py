"""Processes that write as fast as they can, and readers that never see what was not written.

    STRESS_SECONDS=20 pytest -s tests/rush-loader/test_stress.py

prints what each reader saw, and how soon after the end it had everything that is on disk.
"""

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from stress_writer import new_content, paths

SECONDS = float(os.environ.get("STRESS_SECONDS", "2.5"))
FILES = 100  # of each kind
WRITERS, READERS = 4, 3
SUPPORT = Path(__file__).parents[1] / "support"


def start(name, *arguments):
    return subprocess.Popen(
        [sys.executable, SUPPORT / name, *map(str, arguments)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.mark.once
def test_readers_never_see_a_torn_version(tmp_path):
    chance = random.Random(0)
    for path in paths(tmp_path, FILES):
        with open(path, "wb") as file:
            file.write(new_content(chance))
    processes = []
    try:
        readers = [start("stress_reader.py", tmp_path, n, FILES) for n in range(READERS)]
        processes += readers
        for reader in readers:
            assert reader.stdout.readline() == "ready\n"
        writers = [start("stress_writer.py", tmp_path, n, FILES, SECONDS) for n in range(WRITERS)]
        processes += writers
        writes = sum(int(writer.communicate(timeout=SECONDS + 60)[0]) for writer in writers)
        for reader in readers:
            reader.stdin.close()
        seen = [json.loads(reader.stdout.read()) for reader in readers]
    finally:
        for process in processes:
            with process:
                process.kill()
    print(f"\n{writes} writes", *seen, sep="\n")
    for one in seen:
        assert not one["torn"], one
        assert one["versions"] > 100, one
        assert one["seconds_to_current"] < 20, one  # one second, on a machine of its own
