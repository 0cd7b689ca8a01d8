"""Several loaders below prefixes."""

import pytest

from rush_http import Headers
from rush_loader import FileNotFound, Loader, Mounts, SlashMissing


@pytest.fixture
def mounts(tmp_path, write, make_cache):
    write("site/index.html", "site")
    write("site/docs/hidden.html", "of the site")
    write("manual/index.html", "manual")
    write("manual/deep er/index.html", "deep")
    cache = make_cache()
    return Mounts(
        {"/": Loader(tmp_path / "site", cache), "/docs/": Loader(tmp_path / "manual", cache)}
    )


def test_the_longest_prefix_counts(mounts):
    assert mounts.load("/").content == b"site"
    assert mounts.load("/docs/").content == b"manual"
    assert mounts.answer("/docs/index.html", "GET", Headers()).body == b"manual"
    assert mounts.answerer("/docs/index.html")("GET", Headers()).body == b"manual"
    for path in ("/docs/hidden.html", "/docs/../index.html", "/docs//index.html", "x", ""):
        with pytest.raises(FileNotFound):
            mounts.load(path)


@pytest.mark.parametrize(
    ("path", "location"), [("/docs", "/docs/"), ("/docs/deep er", "/docs/deep%20er/")]
)
def test_directories_without_their_slash(mounts, path, location):
    for ask in (
        mounts.load,
        lambda path: mounts.answer(path, "GET", Headers()),
        lambda path: mounts.answerer(path)("GET", Headers()),
    ):
        with pytest.raises(SlashMissing) as caught:
            ask(path)
        assert caught.value.location == location


def test_listing(mounts):
    found = mounts.listing("/docs/")
    assert found.path == "/docs/"
    assert [item.name for item in found.items] == ["deep er", "index.html"]


def test_cache_files(mounts):
    assert mounts.cache_files("/docs/deep er/") == 1
    assert mounts.cache_files("/docs/") == 2
    assert mounts.cache_files("/docs/index.html", "/index.html") == 2
    assert mounts.cache_files("/") == 4
    with pytest.raises(FileNotFound):
        mounts.cache_files("/missing")


def test_nothing_below_no_prefix(tmp_path, write, make_cache):
    write("site/index.html", "site")
    with Mounts({"/only/": Loader(tmp_path / "site", make_cache())}) as mounts:
        assert mounts.load("/only/").content == b"site"
        for path in ("/", "/index.html", "/only.html"):
            with pytest.raises(FileNotFound):
                mounts.load(path)


@pytest.mark.parametrize("prefix", ["", "docs/", "/docs", "//", "/a//b/"])
def test_bad_prefixes(prefix):
    with pytest.raises(ValueError, match="prefix"):
        Mounts({prefix: None})
