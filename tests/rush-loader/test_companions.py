"""Files beside a file: there, gone, changed; together one version."""

import gzip
import os
import threading

import pytest
from inotify_simple import INotify

from rush_loader import changes

SUFFIXES = (".br", ".gz")


@pytest.fixture(params=["watched", "polled"])
def cache(request, make_cache):
    if request.param == "watched":
        return make_cache(companions=SUFFIXES)

    def no_instances():
        raise OSError(24, "Too many open files")

    return make_cache(companions=SUFFIXES, inotify=no_instances)


@pytest.fixture
def watched(make_cache):
    return make_cache(companions=SUFFIXES)


def contents(file):
    return {suffix: companion.content for suffix, companion in file.companions.items()}


def test_they_are_read_with_it(cache, write):
    path = write("app.css", "plain")
    write("app.css.gz", "zipped")
    write("app.css.zst", "not asked for")
    file = cache.add(path)
    assert file.content == b"plain"
    assert contents(file) == {".gz": b"zipped"}
    assert file.companions[".gz"].path == path + ".gz"
    assert cache.get(path) is file
    assert len(cache) == 1
    assert path + ".gz" not in cache
    with pytest.raises(TypeError):
        file.companions[".br"] = file


def test_one_that_appears_changes_and_goes(cache, write, save, eventually):
    path = write("app.css", "plain")
    first = cache.add(path)
    assert contents(first) == {}
    for version in "12":
        save(path + ".br", version)
        eventually(lambda: contents(cache[path]) == {".br": version.encode()})  # noqa: B023
    assert cache[path] is not first
    assert cache[path].content == b"plain"
    os.rename(path + ".br", path + ".gz")
    eventually(lambda: contents(cache[path]) == {".gz": b"2"})
    os.unlink(path + ".gz")
    eventually(lambda: contents(cache[path]) == {})
    assert contents(first) == {}


def test_a_new_version_of_the_file_keeps_them(cache, write, save, eventually):
    path = write("app.css", "one")
    write("app.css.gz", "zipped")
    cache.add(path)
    save(path, "two")
    eventually(lambda: cache[path].content == b"two")
    assert contents(cache[path]) == {".gz": b"zipped"}
    os.unlink(path)
    eventually(lambda: cache.get(path) is None)
    assert len(cache) == 0


def test_written_in_place_it_is_taken_when_it_is_whole(watched, write, eventually):
    path, other = write("app.css", "plain"), write("other.css", "one")
    watched.add(path)
    watched.add(other)
    with open(path + ".gz", "w") as file:
        for part in "ab":
            file.write(part)
            file.flush()
            os.utime(other, ns=(0, ord(part)))  # reported after it
            eventually(lambda: watched[other].mtime_ns == ord(part))  # noqa: B023
            assert contents(watched[path]) == {}
    eventually(lambda: contents(watched[path]) == {".gz": b"ab"})
    with open(path + ".gz", "w") as file:
        file.write("half")
        file.flush()
        os.utime(other, ns=(0, 0))
        eventually(lambda: watched[other].mtime_ns == 0)
        assert contents(watched[path]) == {".gz": b"ab"}
        file.write("whole")
    eventually(lambda: contents(watched[path]) == {".gz": b"halfwhole"})


def test_writing_one_does_not_delay_its_file(watched, write, save, eventually, monkeypatch):
    monkeypatch.setattr(changes, "QUIET_SECONDS", 600.0)
    path = write("app.css", "one")
    watched.add(path)
    with open(path + ".gz", "w") as file:
        file.write("half")
        file.flush()
        save(path, "two")
        eventually(lambda: watched[path].content == b"two")
        assert contents(watched[path]) == {}


def test_an_empty_one_is_none(cache, write, eventually):
    path = write("app.css", "one")
    write("app.css.gz", "")
    assert contents(cache.add(path)) == {}
    write("app.css.gz", "zipped")
    eventually(lambda: contents(cache[path]) == {".gz": b"zipped"})


@pytest.mark.parametrize("link", [os.symlink, os.link])
def test_links(watched, write, tmp_path, eventually, link):
    path = write("app.css", "plain")
    target = write("elsewhere/zipped", "zipped")
    watched.add(path)
    link(target, path + ".gz")
    eventually(lambda: contents(watched[path]) == {".gz": b"zipped"})
    write("elsewhere/zipped", "again")
    if link is os.symlink:
        eventually(lambda: contents(watched[path]) == {".gz": b"again"})
        os.unlink(target)
        eventually(lambda: contents(watched[path]) == {})
        write("elsewhere/zipped", "back")
        eventually(lambda: contents(watched[path]) == {".gz": b"back"})


def test_beside_a_link_and_not_beside_its_target(watched, write, tmp_path, eventually):
    write("shared/app.css", "plain")
    write("shared/app.css.gz", "of the target")
    os.symlink("shared/app.css", tmp_path / "app.css")
    path = f"{tmp_path}/app.css"
    assert contents(watched.add(path)) == {}
    write("app.css.gz", "of the link")
    eventually(lambda: contents(watched[path]) == {".gz": b"of the link"})
    write("app.css.gz", "changed")
    eventually(lambda: contents(watched[path]) == {".gz": b"changed"})


def test_a_directory_swapped_under_both(watched, write, tmp_path, eventually):
    for number in "12":
        write(f"release-{number}/app.css", number)
        write(f"release-{number}/app.css.gz", number * 2)
    os.symlink("release-1", tmp_path / "current")
    path = f"{tmp_path}/current/app.css"
    assert contents(watched.add(path)) == {".gz": b"11"}
    os.symlink("release-2", tmp_path / "next")
    os.replace(tmp_path / "next", tmp_path / "current")
    eventually(lambda: watched[path].content == b"2" and contents(watched[path]) == {".gz": b"22"})


def test_what_is_not_a_file_is_none(cache, write, tmp_path):
    path = write("app.css", "plain")
    os.mkdir(path + ".gz")
    os.mkfifo(path + ".br")
    assert contents(cache.add(path)) == {}


def test_also_an_entry_of_its_own(cache, write, save, eventually):
    path = write("app.css", "plain")
    twin = write("app.css.gz", "zipped")
    cache.add(path)
    cache.add(twin)
    assert len(cache) == 2
    save(twin, "again")
    eventually(lambda: cache[twin].content == b"again")
    eventually(lambda: contents(cache[path]) == {".gz": b"again"})
    cache.discard(path)
    save(twin, "more")
    eventually(lambda: cache[twin].content == b"more")


def test_a_fork(watched, write, save, in_child, eventually):
    path = write("app.css", "plain")
    twin = write("app.css.gz", "zipped")
    watched.add(path)

    def child():
        save(twin, "again")
        assert contents(watched[path]) == {".gz": b"again"}
        os.unlink(twin)
        eventually(lambda: contents(watched[path]) == {})

    in_child(child)
    assert contents(watched[path]) == {}


def test_their_bytes_count_and_watches_go(make_cache, write, eventually):
    cache = make_cache(companions=SUFFIXES)
    path = write("app.css", "plain")
    cache.add(path)
    alone = cache.stats().bytes
    write("app.css.gz", "x" * 1000)
    eventually(lambda: cache.stats().bytes > alone + 1000)
    cache.discard(path)
    assert cache.stats().bytes == 0
    assert len(cache._upkeep._epochs.watches) == 0


def test_they_are_news_and_are_prepared_again(make_cache, write, save, eventually):
    prepared, told = [], []
    cache = make_cache(
        companions=(".gz",), prepare=lambda file: prepared.append(contents(file)) or file
    )
    cache.on_change(lambda paths, kind: told.append((paths, kind)))
    path = write("app.css", "plain")
    cache.add(path)
    eventually(lambda: prepared == [{}])
    save(path + ".gz", "zipped")
    eventually(lambda: prepared[1:] == [{".gz": b"zipped"}])
    assert told == [([path], "changed")]


def test_built_again_and_again(watched, write, eventually):
    """What a build tool does: the file in place, then its twin; readers meanwhile."""
    path = write("app.css", "0" * 1000)
    watched.add(path)
    done, mixed = threading.Event(), []

    def read():
        while not done.is_set():
            for companion in watched[path].companions.values():
                if len(set(gzip.decompress(companion.content))) != 1:
                    mixed.append(companion)

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for version in range(30):
            content = str(version % 10) * 1000
            write("app.css", content)
            with open(path + ".gz", "wb") as twin:
                zipped = gzip.compress(content.encode(), 0)
                for start in range(0, len(zipped), 100):
                    twin.write(zipped[start : start + 100])
                    twin.flush()
        eventually(lambda: watched[path].content == content.encode())
        eventually(lambda: contents(watched[path]) == {".gz": zipped})
    finally:
        done.set()
        reader.join()
    assert not mixed


@pytest.mark.parametrize("companions", [".gz", ("",), (".gz", "a/b"), ("\0",)])
def test_suffixes_are_checked(make_cache, companions):
    with pytest.raises((TypeError, ValueError), match="companions"):
        make_cache(companions=companions)


def test_they_cost_no_further_watches(make_cache, write):
    watched = []

    class Counting(INotify):
        def add_watch(self, path, mask):
            watched.append(path)
            return super().add_watch(path, mask)

    path = write("app.css", "plain")
    make_cache(inotify=Counting).add(path)
    alone = list(watched)
    watched.clear()
    make_cache(inotify=Counting, companions=SUFFIXES).add(path)
    assert watched == alone
