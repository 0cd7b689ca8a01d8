"""The four distributions as installed: metadata, types, and who depends on whom."""

import importlib
import importlib.metadata
import importlib.resources
import re

import pytest

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


@pytest.mark.parametrize("name", NAMES)
def test_public_names_are_documented(name):
    module = importlib.import_module(name.replace("-", "_"))
    assert module.__all__ == sorted(module.__all__, key=lambda name: (not name.isupper(), name))
    for public in module.__all__:
        thing = getattr(module, public)
        if isinstance(thing, type):
            assert thing.__doc__, public
