"""What is in a directory, and no more than would be served."""

import os

import pytest

from rush_loader import FileNotFound, Item, Loader, listing


@pytest.fixture
def site(tmp_path, write):
    write("root/b.txt", "four")
    write("root/a/deep.txt")
    write("root/.hidden")
    write("root/naïve b.txt", "")
    write("secret/secret.txt")
    root = tmp_path / "root"
    os.symlink("b.txt", root / "inside")
    os.symlink("a", root / "directory")
    os.symlink("../secret", root / "outside")
    os.symlink("../secret/secret.txt", root / "secret.txt")
    os.symlink("nowhere", root / "dangling")
    os.mkfifo(root / "fifo")
    os.mkdir(os.fsencode(root) + b"/odd\xff")
    (root / "line\nbreak").touch()
    return root


def test_listing(site, make_cache):
    found = Loader(site, make_cache()).listing("/")
    assert (found.path, found.truncated) == ("/", False)
    assert [(item.name, item.kind, item.size) for item in found.items] == [
        ("a", "directory", 0),
        ("b.txt", "file", 4),
        ("directory", "directory", 0),
        ("inside", "file", 4),
        ("naïve b.txt", "file", 0),
    ]
    assert found.items[1] == Item("b.txt", "file", 4, os.stat(site / "b.txt").st_mtime)


def test_dot_files_when_asked_for(site, make_cache):
    items = Loader(site, make_cache(), dot_files=True).listing("/").items
    assert items[0].name == ".hidden"


def test_below(site, make_cache):
    loader = Loader(site, make_cache())
    for path in ("/a/", "/directory/"):
        found = loader.listing(path)
        assert (found.path, [item.name for item in found.items]) == (path, ["deep.txt"])


@pytest.mark.parametrize(
    "path", ["", "/a", "/b.txt/", "/missing/", "/outside/", "/fifo/", "/../", "//", "/.hidden/"]
)
def test_not_found(site, make_cache, descriptors, path):
    loader = Loader(site, make_cache())
    before = descriptors()
    with pytest.raises(FileNotFound):
        loader.listing(path)
    assert descriptors() == before


def test_a_listing_is_bounded(site, make_cache, monkeypatch):
    monkeypatch.setattr(listing, "MOST_ITEMS", 3)
    found = Loader(site, make_cache()).listing("/")
    assert found.truncated
    assert len(found.items) == 3
    assert found.items == tuple(sorted(found.items))
