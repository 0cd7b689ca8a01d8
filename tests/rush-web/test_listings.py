"""Folders that are listed, and the page of an application of one page."""

import os
import re

import pytest

from rush_loader import Loader, Mounts
from rush_web import WebServer

HOSTILE = '<img src=x onerror="alert(1)">.txt'


@pytest.fixture
def site(tmp_path):
    (tmp_path / "photos" / "old").mkdir(parents=True)
    for name, size in (("b.txt", 10), ("a.txt", 5000), (HOSTILE, 1), (".hidden", 1)):
        (tmp_path / "photos" / name).write_text("x" * size)
    (tmp_path / "page").mkdir()
    (tmp_path / "page" / "index.html").write_text("index")
    return tmp_path


@pytest.fixture
def client(site):
    with WebServer(root=site, files="/files/", listing=True).test_client() as client:
        yield client


def names(answer):
    return re.findall(r'<td data-key="[^"]*"><a href="\./([^"]*)"', answer.text)


def test_a_folder_is_listed(client):
    answer = client.get("/files/photos/")
    assert answer.status == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "script-src" in answer.headers["content-security-policy"]
    assert names(answer)[0] == "old/"
    assert names(answer)[-2:] == ["a.txt", "b.txt"]
    assert HOSTILE not in answer.text
    assert ">.hidden" not in answer.text
    assert "Index of /photos/" in answer.text  # from the root: nothing leads above it
    assert client.head("/files/photos/").status == 200


SORTED = [
    ("?sort=size", ["a.txt"]),
    ("?sort=size&order=desc", ["b.txt", "%3Cimg%20src%3Dx%20onerror%3D%22alert%281%29%22%3E.txt"]),
    ("?sort=%3Cb%3E", ["b.txt"]),
]


@pytest.mark.parametrize(("query", "last"), SORTED)
def test_it_is_sorted_by_the_query(client, query, last):
    assert names(client.get(f"/files/photos/{query}"))[-len(last) :] == last


def test_what_is_listed_and_what_not(client, site):
    assert client.get("/files/page/").text == "index"
    slash = client.get("/files/photos")
    assert (slash.status, slash.headers["location"]) == (301, "/files/photos/")
    for path in ("/files/none/", "/files/photos/b.txt/", "/files/../", "/photos/"):
        assert client.get(path).status == 404
    options = client.options("/files/photos/")
    assert options.headers["allow"] == "GET, HEAD, OPTIONS"
    os.rmdir(site / "photos" / "old")
    assert "old/" not in names(client.get("/files/photos/"))


def test_without_the_option_nothing_is_listed(site):
    with WebServer(root=site, files="/").test_client() as client:
        assert client.get("/photos/").status == 404


def test_mounts_are_listed(site):
    with (
        Mounts({"/pictures/": Loader(site / "photos")}) as loader,
        WebServer(loader=loader, files="/", listing=True).test_client() as client,
    ):
        assert "a.txt" in names(client.get("/pictures/"))


def test_the_fallback(site):
    (site / "index.html").write_text("application")
    with WebServer(root=site, files="/", fallback="/index.html").test_client() as client:
        assert client.get("/some/where").text == "application"
        assert client.get("/some/where.js").status == 404
        assert client.get("/photos/b.txt").text == "x" * 10


WRONG = [
    ({"fallback": "index.html", "root": "."}, "a path such as '/index.html'"),
    ({"fallback": "/i", "loader": object()}, "tell the loader"),
]


@pytest.mark.parametrize(("options", "message"), WRONG)
def test_what_makes_no_sense(options, message):
    with pytest.raises(ValueError, match=message):
        WebServer(**options)
