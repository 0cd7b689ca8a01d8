"""Each step of the tutorial, done as it says, from an empty folder."""

import itertools
import shutil
from pathlib import Path

import pytest

from manuals import Reader

TUTORIAL = Path(__file__).parents[2] / "packages" / "rush-web" / "docs" / "tutorial"
PAGES = sorted(TUTORIAL.glob("*.md"))


@pytest.mark.once
@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_a_step_of_the_tutorial(tmp_path, path):
    with Reader(tmp_path) as reader:
        assert reader.follow(path.read_text()) > 0


def test_the_steps_lead_to_each_other():
    steps = [path.name for path in PAGES if path.name[0].isdigit()]
    contents = (TUTORIAL / "README.md").read_text()
    for step, following in itertools.pairwise(steps):
        assert f"]({following})\n" in (TUTORIAL / step).read_text()
    assert [line for line in contents.split("](") if line.split(")")[0] in steps]
    assert all(f"]({step})" in contents for step in steps)
