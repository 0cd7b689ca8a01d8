"""The mapping: what is in it, what it may hold, what it leaves behind."""

import os
import socket
import threading

import pytest

from rush_loader import AutoUpdatingCache, FileNotFound
from rush_loader.store import ENTRY_BYTES


def test_is_a_mapping(cache, write):
    one, two = write("one.txt", "1"), write("two.txt", "2")
    assert cache.get(one) is None
    with pytest.raises(KeyError, match=r"one\.txt"):
        cache[one]
    cache.add(one)
    cache.add(two)
    assert one in cache
    assert list(cache) == [one, two]
    assert len(cache) == 2
    cache.get(one)
    assert list(cache) == [two, one]
    cache.discard(one)
    cache.discard(one)
    assert list(cache) == [two]
    assert cache.get(one) is None


def test_what_is_not_a_file_is_not_found(cache, tmp_path):
    os.mkfifo(tmp_path / "fifo")
    os.mkdir(tmp_path / "directory")
    os.symlink("loop", tmp_path / "loop")
    os.symlink("nowhere", tmp_path / "dangling")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(f"{tmp_path}/socket")
        (tmp_path / "file").write_text("")
        for name in (
            *("fifo", "directory", "loop", "dangling", "socket", "missing", "file/below"),
            *("x" * 300, "nul\0", "x/" * 3000, "directory/", "file/", "\udfff"),
        ):
            with pytest.raises(FileNotFound) as caught:
                cache.add(f"{tmp_path}/{name}")
            assert caught.value.filename == f"{tmp_path}/{name}"
            assert caught.value.status == 404
    with pytest.raises(FileNotFound, match="not a regular file"):
        cache.add("/dev/null")
    with pytest.raises(FileNotFound):
        cache.add("/")
    assert len(cache) == 0


def test_what_was_not_found_leaves_no_watch(cache, write):
    cache.add(write("page.html"))
    before = len(cache._upkeep._epochs.watches)
    for name in ("missing", "missing/below"):
        with pytest.raises(FileNotFound):
            cache.add(write("deep/er/file") + name)
    assert len(cache._upkeep._epochs.watches) == before


def test_watches_go_with_the_last_entry_that_needs_them(cache, write):
    paths = [write("a/one.txt"), write("a/two.txt"), write("b/c/three.txt")]
    for path in paths:
        cache.add(path)
    counts = []
    for path in paths:
        counts.append(len(cache._upkeep._epochs.watches))
        cache.discard(path)
    assert counts[0] == counts[1] > counts[2] > 0
    assert len(cache._upkeep._epochs.watches) == 0


@pytest.mark.parametrize("path", ["page.html", "", "./page.html"])
def test_relative_paths_are_an_error_of_the_caller(cache, path):
    with pytest.raises(ValueError, match="not absolute"):
        cache.add(path)


def test_paths_are_text(cache, tmp_path):
    with pytest.raises(TypeError, match="fspath"):
        cache.add(tmp_path)


@pytest.mark.parametrize("options", [{"max_bytes": -1}, {"max_file_bytes": -1}, {"revalidate": -1}])
def test_options_are_checked(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        AutoUpdatingCache(**options)


def test_least_recently_used_go_first(make_cache, write):
    cache = make_cache(max_bytes=3 * (ENTRY_BYTES + 100))
    paths = [write(f"{number}.txt", "x" * 100) for number in range(5)]
    for path in paths[:3]:
        cache.add(path)
    cache.get(paths[0])
    cache.add(paths[3])
    assert list(cache) == [paths[2], paths[0], paths[3]]
    cache.add(paths[1])
    assert list(cache) == [paths[0], paths[3], paths[1]]


def test_empty_files_are_bounded_as_well(make_cache, write):
    cache = make_cache(max_bytes=10 * ENTRY_BYTES)
    for number in range(25):
        cache.add(write(f"{number}.txt", ""))
    assert len(cache) == 10


def test_a_version_that_grows_pushes_others_out(make_cache, write, save, eventually):
    cache = make_cache(max_bytes=2 * ENTRY_BYTES + 1000)
    one, two = write("one.txt", "1"), write("two.txt", "2")
    cache.add(one)
    cache.add(two)
    save(two, "2" * 1000)
    eventually(lambda: list(cache) == [two])
    assert cache[two].size == 1000


def test_what_does_not_fit_at_all_is_given_but_not_kept(make_cache, write):
    cache = make_cache(max_bytes=100)
    path = write("one.txt", "1")
    assert cache.add(path).content == b"1"
    assert len(cache) == 0


def test_the_thread_starts_with_the_first_use(make_cache, write):
    before = threading.active_count()
    cache = make_cache()
    assert threading.active_count() == before
    cache.add(write("one.txt"))
    assert threading.active_count() == before + 1


def test_close_ends_everything(write, descriptors):
    path = write("one.txt")
    before = threading.enumerate(), descriptors()
    with AutoUpdatingCache() as cache:
        cache.add(path)
        assert descriptors() != before[1]
    assert (threading.enumerate(), descriptors()) == before
    cache.close()
    for use in (cache.get, cache.add, cache.__getitem__):
        with pytest.raises(ValueError, match="closed"):
            use(path)


def test_close_from_two_threads(write):
    cache = AutoUpdatingCache()
    cache.add(write("one.txt"))
    closers = [threading.Thread(target=cache.close) for _ in range(4)]
    for closer in closers:
        closer.start()
    for closer in closers:
        closer.join()


def test_files_of_proc_have_no_size_but_content(cache):
    assert cache.add("/proc/version").content.startswith(b"Linux")
    assert cache["/proc/version"].size > 10
