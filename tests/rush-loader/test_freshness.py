"""What changes on disk is seen, without anybody asking the disk for it."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from rush_loader import changes


@pytest.fixture
def patient(monkeypatch):
    """Only a close ends a writer's work: on a busy machine, 100 ms pass between two lines."""
    monkeypatch.setattr(changes, "QUIET_SECONDS", 600.0)


def test_saved_by_rename_five_times_in_a_row(cache, write, save, eventually):
    path = write("page.html", "0")
    cache.add(path)
    for version in "12345":
        save(path, version)
        eventually(lambda: cache[path].content == version.encode())  # noqa: B023


def test_a_hit_is_the_same_object(cache, write):
    path = write("page.html")
    assert cache.add(path) is cache.add(path) is cache.get(path) is cache[path]


@pytest.mark.usefixtures("patient")
def test_written_in_place_is_whole_when_it_is_closed(cache, write, eventually):
    path = write("page.html", "old")
    other = write("other.html", "old")
    cache.add(path)
    cache.add(other)
    with open(path, "w") as file:
        file.write("ne")
        file.flush()
        # Reported after the writing of `path`, so that has been seen when this is.
        os.utime(other, ns=(0, 0))
        eventually(lambda: cache[other].mtime_ns == 0)
        assert cache[path].content == b"old"
        file.write("w")
    eventually(lambda: cache[path].content == b"new")


def test_appended_to_a_file_kept_open(cache, write, eventually):
    path = write("log.txt", "a")
    cache.add(path)
    with open(path, "a") as file:
        began = time.monotonic()
        file.write("b")
        file.flush()
        eventually(lambda: cache[path].content == b"ab")
        assert time.monotonic() - began >= 0.09
        file.write("c")
        file.flush()
        eventually(lambda: cache[path].content == b"abc")


STOPPED_HALF_WAY = """
import os, signal, sys
with open(sys.argv[1], "wb", buffering=0) as file:  # now it is empty
    os.kill(os.getpid(), signal.SIGSTOP)
    file.write(b"new")
"""


def test_a_writer_that_is_stopped_half_way(cache, write, eventually):
    """Nothing written for 100 ms counts as whole, whatever the writer means; it is corrected."""
    path = write("page.html", "old")
    cache.add(path)
    began = time.monotonic()
    with subprocess.Popen([sys.executable, "-c", STOPPED_HALF_WAY, path]) as writer:
        try:
            os.waitpid(writer.pid, os.WUNTRACED)
            eventually(lambda: cache[path].content != b"old")
            assert time.monotonic() - began >= 0.09
            assert cache[path].content == b""
            writer.send_signal(signal.SIGCONT)
            eventually(lambda: cache[path].content == b"new")
        finally:
            writer.kill()


@pytest.mark.usefixtures("patient")
def test_times_set_while_writing_do_not_show_the_half(cache, write, eventually):
    path = write("page.html", "old")
    cache.add(path)
    seen = set()
    with open(path, "w") as file:
        for _ in range(20):
            file.write("x")
            file.flush()
            os.utime(file.fileno())
            seen.add(cache[path].content)
    assert seen == {b"old"}
    eventually(lambda: cache[path].content == b"x" * 20)


def test_truncated(cache, write, eventually):
    path = write("page.html", "long")
    cache.add(path)
    os.truncate(path, 2)
    eventually(lambda: cache[path].content == b"lo")


def test_deleted_and_created_again(cache, write, eventually):
    path = write("page.html", "one")
    cache.add(path)
    os.unlink(path)
    eventually(lambda: cache.get(path) is None)
    with pytest.raises(FileNotFoundError):
        cache.add(path)
    write("page.html", "two")
    assert cache.add(path).content == b"two"


def test_created_again_in_one_moment(cache, write, eventually):
    path = write("page.html", "one")
    cache.add(path)
    os.unlink(path)
    write("page.html", "two")
    eventually(lambda: (cache.get(path) or cache.add(path)).content == b"two")


def test_replaced_by_a_link(cache, write, tmp_path, eventually):
    path, other = write("page.html", "one"), write("other.html", "two")
    cache.add(path)
    os.unlink(path)
    os.link(other, path)
    eventually(lambda: (cache.get(path) or cache.add(path)).content == b"two")
    os.symlink(write("third.html", "three"), tmp_path / "link")
    os.replace(tmp_path / "link", path)
    eventually(lambda: cache[path].content == b"three")


def test_mode_is_seen(cache, write, eventually):
    path = write("page.html")
    before = cache.add(path)
    os.chmod(path, 0o600)
    eventually(lambda: cache[path].ctime_ns != before.ctime_ns)
    assert cache[path].content == before.content


@pytest.mark.parametrize("depth", ["a", "a/b", "a/b/c"])
def test_directory_moved_away_and_another_in_its_place(cache, write, tmp_path, eventually, depth):
    path = write("a/b/c/page.html", "one")
    write(f"next/{os.path.relpath('a/b/c', depth)}/page.html", "two")
    cache.add(path)
    os.rename(tmp_path / depth, tmp_path / "old")
    eventually(lambda: cache.get(path) is None)
    os.rename(tmp_path / "next", tmp_path / depth)
    assert cache.add(path).content == b"two"
    (tmp_path / depth / os.path.relpath("a/b/c", depth) / "page.html").write_text("three")
    eventually(lambda: cache[path].content == b"three")


def test_a_deleted_tree_that_comes_back(cache, write, tmp_path, eventually):
    path = write("a/b/page.html", "one")
    for version in "123":
        cache.add(path)
        os.unlink(path)
        os.removedirs(tmp_path / "a/b") if version == "2" else os.rmdir(tmp_path / "a/b")
        eventually(lambda: cache.get(path) is None)
        tmp_path.mkdir(exist_ok=True)
        write("a/b/page.html", version)
        cache.add(path)
        save_in_place(path, version * 2)
        eventually(lambda: cache[path].content == (version * 2).encode())  # noqa: B023


def save_in_place(path, content):
    with open(path, "w") as file:
        file.write(content)


def swap(link, target):
    os.symlink(target, f"{link}~")
    os.replace(f"{link}~", link)


@pytest.mark.parametrize("absolute", [False, True], ids=["relative", "absolute"])
def test_symbolic_link_swapped_in_the_middle(cache, write, tmp_path, eventually, absolute):
    write("release-1/static/page.html", "one")
    write("release-2/static/page.html", "two")
    base = f"{tmp_path}/" if absolute else ""
    os.symlink(f"{base}release-1", tmp_path / "current")
    path = f"{tmp_path}/current/static/page.html"
    assert cache.add(path).real_path == f"{tmp_path}/release-1/static/page.html"
    for version, content in [("2", b"two"), ("1", b"one"), ("2", b"two")]:
        swap(tmp_path / "current", f"{base}release-{version}")
        eventually(lambda: cache[path].content == content)  # noqa: B023
    write("release-2/static/page.html", "three")
    eventually(lambda: cache[path].content == b"three")


def test_symbolic_link_to_a_link_that_is_swapped(cache, write, tmp_path, eventually):
    write("x/1.txt", "one")
    write("y/2.txt", "two")
    os.symlink("x/1.txt", tmp_path / "inner")
    os.mkdir(tmp_path / "deep")
    os.symlink("../inner", tmp_path / "deep/outer")
    path = f"{tmp_path}/deep/outer"
    assert cache.add(path).content == b"one"
    swap(tmp_path / "inner", "y/2.txt")
    eventually(lambda: cache[path].content == b"two")
    os.unlink(tmp_path / "y/2.txt")
    eventually(lambda: cache.get(path) is None)


def test_symbolic_link_swapped_while_a_file_is_written(cache, write, tmp_path, eventually, patient):
    """Nobody writes the other file: it is not waited for."""
    for release in ("1", "2"):
        write(f"release-{release}/index.html", release)
    os.symlink("release-1", tmp_path / "current")
    path = str(tmp_path / "current/index.html")
    cache.add(path)
    with open(path, "w") as file:
        file.write("half")
        file.flush()
        swap(tmp_path / "current", "release-2")
        eventually(lambda: cache[path].content == b"2")


def test_another_link_to_a_file_that_is_being_written(cache, write, tmp_path, eventually):
    """It is looked at, as the link is new, and still waited for, as the file is the same."""
    path = write("release/index.html", "old")
    os.symlink("release", tmp_path / "current")
    linked = str(tmp_path / "current/index.html")
    cache.add(linked)
    with open(path, "w") as file:
        began = time.monotonic()
        file.write("half")
        file.flush()
        swap(tmp_path / "current", "./release")
        eventually(lambda: cache[linked].content == b"half")
        assert time.monotonic() - began >= 0.09
        file.write(", and whole")
    eventually(lambda: cache[linked].content == b"half, and whole")


def test_two_names_of_one_directory(cache, write, tmp_path, eventually):
    path = write("real/page.html", "one")
    os.symlink("real", tmp_path / "alias")
    alias = f"{tmp_path}/alias/page.html"
    cache.add(path)
    cache.add(alias)
    cache.discard(path)
    write("real/page.html", "two")
    eventually(lambda: cache[alias].content == b"two")
    assert path not in cache


def test_a_file_that_becomes_large_and_small_again(make_cache, write, save, eventually):
    cache = make_cache(max_file_bytes=10)
    path = write("page.html", "small")
    cache.add(path)
    save(path, "x" * 11)
    eventually(lambda: cache[path].content is None)
    assert cache[path].size == 11
    save(path, "y" * 12)
    eventually(lambda: cache[path].size == 12)
    save(path, "tiny")
    eventually(lambda: cache[path].content == b"tiny")


@pytest.mark.usefixtures("patient")
def test_a_large_file_can_be_sent_while_it_grows(make_cache, write, eventually):
    cache = make_cache(max_file_bytes=10)
    path = write("large.log", "x" * 20)
    cache.add(path)
    with open(path, "a") as log:
        for size in range(21, 30):
            log.write("y")
            log.flush()
            eventually(lambda: cache[path].size == size)  # noqa: B023
            with cache[path].open() as file:
                assert len(file.read()) == size
    with open(path, "w") as log:
        log.write("half")
        log.flush()
        eventually(lambda: os.stat(path).st_size == 4)
        assert cache[path].content is None  # its last whole version was a large one
        log.write("whole")
    eventually(lambda: cache[path].content == b"halfwhole")


def test_writing_elsewhere_in_an_ancestor_wakes_nobody(cache, write, tmp_path):
    path = write("sub/page.html")
    cache.add(path)
    (tmp_path / "busy.log").write_text("created before")
    watches = cache._upkeep._epochs.watches
    watches.read()  # nothing of it is awaited: the directory holds no cached file
    reported = []
    with cache._upkeep.lock, open(tmp_path / "busy.log", "w") as log:
        log.write("x")
        log.flush()
        reported += watches.read()
    assert not reported


def test_revalidate_sees_what_is_not_reported(make_cache, write, tmp_path, eventually):
    # Through another hard link in a directory that nobody watches.
    path = write("watched/page.html", "one")
    os.mkdir(tmp_path / "elsewhere")
    os.link(path, tmp_path / "elsewhere/page.html")
    sleepy, awake = make_cache(), make_cache(revalidate=0.05)
    sleepy.add(path)
    awake.add(path)
    (tmp_path / "elsewhere/page.html").write_text("two")
    eventually(lambda: awake[path].content == b"two")
    assert sleepy[path].content == b"one"


@pytest.mark.usefixtures("patient")
def test_revalidate_does_not_show_the_half(make_cache, write):
    cache = make_cache(revalidate=0)
    path = write("page.html", "old")
    cache.add(path)
    with open(path, "w") as file:
        for _ in range(20):
            file.write("x")
            file.flush()
            assert cache[path].content == b"old"


@pytest.mark.usefixtures("quick_switches")
def test_several_threads(cache, write, save, eventually):
    path = write("page.html", "0" * 1000)
    cache.add(path)
    done = threading.Event()
    torn = []

    def read():
        while not done.is_set():
            content = (cache.get(path) or cache.add(path)).content
            if len(set(content)) != 1 or len(content) != 1000:
                torn.append(content)

    threads = [threading.Thread(target=read) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for version in range(40):
            save(path, str(version % 10) * 1000)
        eventually(lambda: cache[path].content == b"9" * 1000)
    finally:
        done.set()
        for thread in threads:
            thread.join()
    assert not torn
