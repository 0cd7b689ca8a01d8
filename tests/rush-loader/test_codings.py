"""Compressing: what, with what, and only if it saves something."""

import dataclasses
import gzip
import importlib
import os
import random

import pytest

from rush_loader import codings, compressed
from rush_loader.file import content_etag
from rush_loader.mime import content_type, is_compressible
from rush_loader.reader import read_file

TEXT = "<p>All work and no play</p>\n" * 200


def test_compressed(write):
    file = read_file(write("page.html", TEXT))
    shorter = compressed(file)
    assert shorter.content == file.content
    assert set(shorter.encodings) == set(codings.COMPRESSORS) >= {"gzip"}
    assert gzip.decompress(shorter.encodings["gzip"]) == file.content
    assert shorter.memory_bytes == len(TEXT) + sum(map(len, shorter.encodings.values()))
    # Worked out here, not where they are sent.
    assert shorter.encoding_etags == {
        coding: content_etag(content) for coding, content in shorter.encodings.items()
    }
    again = compressed(read_file(file.path))
    assert again.encodings == shorter.encodings  # in every process the same


LEFT_AS_THEY_ARE = [
    ("small.html", "<p>" * 100),
    ("picture.png", TEXT),
    ("unknown", TEXT),
    ("random.txt", random.Random(1).randbytes(5000)),
]


@pytest.mark.parametrize(("name", "content"), LEFT_AS_THEY_ARE)
def test_left_as_they_are(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    file = read_file(str(path))
    assert compressed(file) is file
    large = read_file(str(path), max_bytes=0)
    assert compressed(large) is large


def with_twin(tmp_path, twin, suffix=".gz", content=TEXT, max_bytes=1 << 20):
    """A file, and then a twin."""
    (tmp_path / "page.html").write_text(content)
    (tmp_path / f"page.html{suffix}").write_bytes(twin)
    file = read_file(str(tmp_path / "page.html"), max_bytes=max_bytes)
    companion = read_file(str(tmp_path / f"page.html{suffix}"), max_bytes=max_bytes)
    return dataclasses.replace(file, companions={suffix: companion})


def test_what_has_a_twin_is_not_compressed(tmp_path):
    twin = gzip.compress(TEXT.encode())
    file = with_twin(tmp_path, twin)
    assert "gzip" not in compressed(file).encodings
    assert file.memory_bytes == len(TEXT) + len(twin)


OTHER = TEXT.replace("work", "wink").encode()


def made_with(coding, content):
    if coding not in codings.COMPRESSORS:
        pytest.skip(f"no package for {coding} is installed")
    return codings.COMPRESSORS[coding](content)


@pytest.mark.parametrize(("suffix", "coding"), sorted(codings.TWINS.items()))
def test_a_twin_is_of_this_very_version(tmp_path, suffix, coding):
    right = made_with(coding, TEXT.encode())
    file = with_twin(tmp_path, right, suffix)
    assert compressed(file).twins == {coding: file.companions[suffix]}
    longer = made_with(coding, TEXT.encode() * 1000)
    for wrong in (made_with(coding, OTHER), right[:-1], right[:4], b"nonsense", longer):
        file = with_twin(tmp_path, wrong, suffix)
        assert not compressed(file).twins, wrong


@pytest.mark.parametrize("max_bytes", [0, 1 << 20])
def test_where_that_cannot_be_seen_it_is_younger(tmp_path, monkeypatch, eventually, max_bytes):
    monkeypatch.delitem(codings.CHECKERS, "br", raising=False)
    file = with_twin(tmp_path, b"shorter", ".br", max_bytes=max_bytes)
    assert list(compressed(file).twins) == ["br"]
    page = tmp_path / "page.html"
    os.utime(page, (1, 1))  # as cp -p does it

    def now():
        os.chmod(page, 0o644)  # the clock of the file system may not have ticked
        return read_file(file.path, max_bytes=max_bytes)

    twin = file.companions[".br"]
    eventually(lambda: now().ctime_ns > twin.ctime_ns)
    file = dataclasses.replace(now(), companions=file.companions)
    assert not compressed(file).twins


@pytest.mark.parametrize("coding", ["br", "zstd"])
def test_with_packages(coding):
    if coding not in codings.COMPRESSORS:
        pytest.skip(f"no package for {coding} is installed")
    content = TEXT.encode()
    shorter = codings.COMPRESSORS[coding](content)
    assert len(shorter) < len(content) / 10
    names = {"br": ["brotli", "brotlicffi"], "zstd": ["compression.zstd", "backports.zstd"]}
    for name in [*names[coding], "zstandard"]:
        try:
            decompress = importlib.import_module(name).decompress
        except ImportError:
            continue
        assert decompress(shorter) == content
        return
    raise AssertionError(f"nothing here reads {coding}")


def test_without_packages(monkeypatch):
    def missing(name):
        raise ImportError(name)

    monkeypatch.setattr(codings, "import_module", missing)
    assert list(codings._compressors()) == ["gzip"]


COMPRESSIBLE = [
    *("a.html", "a.css", "a.js", "a.json", "a.svg", "a.txt", "a.xml", "a.wasm", "a.ttf", "a.map"),
    *("a.webmanifest", "a.geojson", "a.ico", "a.rss", "a.xhtml", "a.yaml"),
]


@pytest.mark.parametrize("name", COMPRESSIBLE)
def test_compressible(name):
    assert is_compressible(content_type(name))


@pytest.mark.parametrize("name", ["a.png", "a.woff2", "a.zip", "a.gz", "a.mp4", "a.pdf", "a"])
def test_not_compressible(name):
    assert not is_compressible(content_type(name))
