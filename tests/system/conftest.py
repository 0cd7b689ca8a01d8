"""The example site, as a real server with two workers, in a folder of its own."""

import shutil

import pytest

from serving import REPOSITORY, serving


@pytest.fixture
def site(tmp_path):
    folder = tmp_path / "site"
    shutil.copytree(REPOSITORY / "packages/rush-web/examples/site", folder)
    with serving(folder, "app:server", "--workers", "2") as site:
        yield site
