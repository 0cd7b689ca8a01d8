"""The four distributions as installed: metadata, types, and who depends on whom."""

import importlib
import importlib.metadata
import importlib.resources
import re
from itertools import pairwise

import pytest

from serving import REPOSITORY

NAMES = ["epollserver", "rush-http", "rush-loader", "rush-web"]


@pytest.mark.parametrize("name", NAMES)
def test_metadata(name):
    metadata = importlib.metadata.metadata(name)
    module = importlib.import_module(name.replace("-", "_"))
    assert metadata["Version"] == module.__version__
    assert metadata["License-Expression"] == "MIT"
    assert metadata["Requires-Python"] == ">=3.10"
    assert metadata["Summary"]
    assert metadata["Description"].startswith(f"# {name}")
    assert "Operating System :: POSIX :: Linux" in metadata.get_all("Classifier")
    assert importlib.resources.files(module).joinpath("py.typed").is_file()


def test_each_depends_on_the_one_before():
    needed = {
        name: sorted(
            re.match(r"[A-Za-z_-]+", line)[0].replace("_", "-")
            for line in importlib.metadata.requires(name) or ()
            if "extra ==" not in line
        )
        for name in NAMES
    }
    assert needed == {
        "epollserver": [],
        "rush-http": ["epollserver"],
        "rush-loader": ["inotify-simple", "rush-http"],
        "rush-web": ["rush-loader"],
    }


def test_versions_fit_together():
    """Each admits the version of the one below it, and none that may break with it."""
    versions = {name: importlib.metadata.version(name).split(".") for name in NAMES}
    for below, name in pairwise(NAMES):
        major, minor, _ = versions[below]
        (needed,) = (line for line in importlib.metadata.requires(name) if line.startswith(below))
        bounds = set(needed.removeprefix(below).split(","))
        assert bounds == {f">={major}.{minor}", f"<{major}.{int(minor) + 1}"}, name


@pytest.mark.parametrize("name", NAMES)
def test_changelog_begins_with_the_version(name):
    changelog = (REPOSITORY / "packages" / name / "CHANGELOG.md").read_text()
    assert re.search(r"^## (\S+)", changelog, re.M)[1] == importlib.metadata.version(name)


@pytest.mark.parametrize("name", NAMES)
def test_public_names_are_documented(name):
    module = importlib.import_module(name.replace("-", "_"))
    assert module.__all__ == sorted(module.__all__, key=lambda name: (not name.isupper(), name))
    for public in module.__all__:
        thing = getattr(module, public)
        if isinstance(thing, type):
            assert thing.__doc__, public
