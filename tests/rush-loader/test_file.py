"""One version of a file, and what HTTP wants to know of it."""

import dataclasses
import hashlib
import os
import pickle

import pytest

from rush_http import http_date
from rush_loader import FileNotFound
from rush_loader.mime import content_type
from rush_loader.reader import FileBusy, read_file


def test_everything_is_worked_out_once(write):
    path = write("page.html", "<h1>Grüße</h1>")
    os.utime(path, (1_700_000_000, 1_700_000_000))
    file = read_file(path)
    assert file.path == path
    assert file.real_path == os.path.realpath(path)
    assert file.content == "<h1>Grüße</h1>".encode()
    assert file.size == len(file.content) == 16
    assert file.mtime_ns == 1_700_000_000 * 10**9
    assert (file.device, file.inode) == (os.stat(path).st_dev, os.stat(path).st_ino)
    assert file.etag == f'"{hashlib.blake2b(file.content, digest_size=16).hexdigest()}"'
    assert file.last_modified == "Tue, 14 Nov 2023 22:13:20 GMT"
    with pytest.raises(dataclasses.FrozenInstanceError):
        file.size = 0
    assert "Grüße" not in repr(file)


@pytest.mark.parametrize("year_3000_or_1960", [32_503_680_000, -315_619_200])
def test_odd_times_make_no_odd_headers(write, year_3000_or_1960):
    path = write("page.html")
    os.utime(path, (0, year_3000_or_1960))
    file = read_file(path)
    if year_3000_or_1960 > 0:
        assert file.last_modified.split()[3] != "3000"
    else:
        assert file.last_modified == http_date(0)
    read_file(path, max_bytes=0)


def test_a_large_file_is_opened_when_it_is_sent(write):
    path = write("film.mp4", "x" * 1000)
    file = read_file(path, max_bytes=999)
    assert file.content is None
    assert file.size == 1000
    assert file.etag.startswith('"')
    with file.open() as first, file.open() as second:
        assert first.read() == second.read() == b"x" * 1000
        assert not os.get_inheritable(first.fileno())


def test_a_large_file_that_changed_is_not_opened(write, save, tmp_path):
    path = write("film.mp4", "x" * 1000)
    file = read_file(path, max_bytes=999)
    save(path, "y" * 1000)
    with pytest.raises(FileNotFound, match="load it again"):
        file.open()
    os.unlink(path)
    with pytest.raises(FileNotFound):
        file.open()
    os.mkfifo(path)
    with pytest.raises(FileNotFound):
        file.open()


def test_a_changed_large_file_has_another_etag(write, save):
    path = write("film.mp4", "x" * 1000)
    before = read_file(path, max_bytes=0).etag
    save(path, "y" * 1000)
    assert read_file(path, max_bytes=0).etag != before


def test_what_is_known_is_not_read_again(write):
    path = write("page.html")
    fresh = read_file(path)
    assert not fresh.settled  # a change within the same tick would leave the same stamps
    assert read_file(path, known=fresh) is not fresh
    settled = dataclasses.replace(fresh, settled=True)
    assert read_file(path, known=settled) is settled
    os.rename(path, f"{path}2")
    os.symlink(f"{path}2", path)
    assert read_file(path, known=settled).real_path == f"{path}2"


def test_written_while_it_is_read(write, monkeypatch):
    path = write("log.txt", "x")
    read = os.read

    def read_and_append(descriptor, size):
        content = read(descriptor, size)
        with open(path, "a") as log:
            log.write("y")
        return content

    monkeypatch.setattr(os, "read", read_and_append)
    with pytest.raises(FileBusy, match="faster"):
        read_file(path, partial=False)
    assert read_file(path).content.startswith(b"xyyyyy")


def test_deleted_while_it_is_read(write, monkeypatch, tmp_path):
    path = write("page.html", "whole")
    fstat = os.fstat

    def fstat_and_delete(descriptor):
        if os.path.exists(path):
            os.unlink(path)
        return fstat(descriptor)

    monkeypatch.setattr(os, "fstat", fstat_and_delete)
    file = read_file(path)
    assert file.content == b"whole"
    assert file.real_path == path


def test_its_descriptor_is_not_left_open(write, tmp_path, descriptors):
    before = descriptors()
    read_file(write("page.html"))
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(FileNotFound):
        read_file(f"{tmp_path}/fifo")
    assert descriptors() == before


def test_not_found_is_both_kinds_and_can_be_pickled():
    error = pickle.loads(pickle.dumps(FileNotFound("/x", "because")))
    assert isinstance(error, FileNotFoundError)
    assert (error.status, error.filename, error.strerror) == (404, "/x", "because")
    assert str(error) == "[Errno 2] because: '/x'"


CONTENT_TYPES = [
    ("/a/page.html", "text/html; charset=utf-8"),
    ("/a/PAGE.HTML", "text/html; charset=utf-8"),
    ("/a/site.css", "text/css; charset=utf-8"),
    ("/a/app.js", "text/javascript; charset=utf-8"),
    ("/a/data.json", "application/json"),
    ("/a/logo.svg", "image/svg+xml"),
    ("/a/photo.jpeg", "image/jpeg"),
    ("/a/all.tar.gz", "application/gzip"),
    ("/a/app.wasm", "application/wasm"),
    ("/a/font.woff2", "font/woff2"),
    ("/a/Makefile", "application/octet-stream"),
    ("/a.html/file", "application/octet-stream"),
    ("/a/what.ever", "application/octet-stream"),
    ("/a/dot.", "application/octet-stream"),
]


@pytest.mark.parametrize(("path", "expected"), CONTENT_TYPES)
def test_content_type(path, expected):
    assert content_type(path) == expected
