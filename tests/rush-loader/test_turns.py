"""A disk may be slow: who reads from it keeps nobody waiting who wants something else."""

import os
import threading

import pytest


@pytest.fixture
def slow_disk(monkeypatch):
    """Reading a file that says "slow" takes until `go_on` is set."""
    read = os.read

    class Disk:
        begun, go_on = threading.Event(), threading.Event()

    def slow_read(descriptor, size):
        content = read(descriptor, size)
        if content == b"slow":
            Disk.begun.set()
            assert Disk.go_on.wait(60)
        return content

    monkeypatch.setattr(os, "read", slow_read)
    return Disk


@pytest.fixture
def in_threads():
    """Call a function in threads; returns a function that waits for what they returned."""

    def start(function, count):
        results = []
        threads = [
            threading.Thread(target=lambda: results.append(function())) for _ in range(count)
        ]
        for thread in threads:
            thread.start()

        def wait():
            for thread in threads:
                thread.join()
            return results

        return wait

    return start


def test_others_go_on(cache, write, save, eventually, in_threads, slow_disk):
    path, other = write("slow.html", "slow"), write("other.html", "one")
    cache.add(other)
    results = in_threads(lambda: cache.add(path), 3)
    try:
        assert slow_disk.begun.wait(20)
        save(other, "two")
        eventually(lambda: cache[other].content == b"two")
        assert cache.add(write("third.html")).content == b"one"
        assert cache.get(path) is None
        assert path not in cache
    finally:
        slow_disk.go_on.set()
    first, *rest = results()
    assert first.content == b"slow"
    assert all(file is first for file in rest)  # read once


def test_what_changes_meanwhile_is_read_again(cache, write, save, in_threads, slow_disk):
    path = write("slow.html", "slow")
    results = in_threads(lambda: cache.add(path), 1)
    assert slow_disk.begun.wait(20)
    save(path, "fast")
    slow_disk.go_on.set()
    results()
    assert cache[path].content == b"fast"


def test_what_goes_meanwhile_is_gone(cache, write, in_threads, slow_disk):
    path = write("slow.html", "slow")
    results = in_threads(lambda: cache.add(path), 1)
    assert slow_disk.begun.wait(20)
    os.unlink(path)
    slow_disk.go_on.set()
    results()
    assert cache.get(path) is None


def test_who_wants_a_new_version_waits_for_it(cache, write, save, in_threads, slow_disk):
    path = write("page.html", "old")
    cache.add(path)
    save(path, "slow")
    assert slow_disk.begun.wait(20)  # the thread of the cache reads it
    results = in_threads(lambda: cache[path].content, 3)
    slow_disk.go_on.set()
    assert results() == [b"slow"] * 3


def test_discarded_while_it_is_read(cache, write, save, in_threads, slow_disk):
    path = write("page.html", "old")
    cache.add(path)
    save(path, "slow")
    assert slow_disk.begun.wait(20)
    cache.discard(path)
    slow_disk.go_on.set()
    assert cache.get(path) is None
    assert cache.add(path).content == b"slow"
    cache.discard(path)
    assert len(cache._upkeep._epochs.watches) == 0


def test_discarded_while_it_is_added(cache, write, save, in_threads, eventually, slow_disk):
    path = write("page.html", "slow")
    results = in_threads(lambda: cache.add(path), 1)
    assert slow_disk.begun.wait(20)
    cache.discard(path)  # nothing is kept yet
    slow_disk.go_on.set()
    results()
    save(path, "new")
    eventually(lambda: cache[path].content == b"new")


def test_open_files_are_counted_when_many_are_read_at_once(make_cache, write, monkeypatch):
    readlink, together = os.readlink, threading.Barrier(3)

    def all_at_once(place):
        if place.startswith("/proc/self/fd/"):  # a file that was just opened
            together.wait(60)
        return readlink(place)

    cache = make_cache(max_file_bytes=1000, max_open_files=2)
    paths = [write(f"{number}.bin", "x" * 3000) for number in range(3)]
    monkeypatch.setattr(os, "readlink", all_at_once)
    threads = [threading.Thread(target=cache.add, args=(path,)) for path in paths]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    monkeypatch.undo()
    files = [cache[path] for path in paths]
    assert sum(file.descriptor is not None for file in files) == 2


def test_closed_while_it_is_read(make_cache, write, slow_disk):
    cache = make_cache()
    path = write("slow.html", "slow")
    errors = []

    def add():
        try:
            cache.add(path)
        except ValueError as error:
            errors.append(error)

    thread = threading.Thread(target=add)
    thread.start()
    assert slow_disk.begun.wait(20)
    cache.close()
    slow_disk.go_on.set()
    thread.join()
    assert "closed" in str(errors[0])


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # a fork beside a thread of the test
def test_a_fork_while_another_thread_reads(
    cache, write, save, in_child, in_threads, eventually, slow_disk
):
    path, other = write("slow.html", "slow"), write("other.html", "one")
    cache.add(other)
    results = in_threads(lambda: cache.add(path), 1)
    try:
        assert slow_disk.begun.wait(20)

        def child():
            slow_disk.go_on.set()
            assert cache[other].content == b"one"
            assert cache.add(path).content == b"slow"
            save(path, "new")
            eventually(lambda: cache[path].content == b"new")

        in_child(child)
        assert cache[other].content == b"one"
    finally:
        slow_disk.go_on.set()
    assert results()[0].content == b"slow"
    assert cache[path].content == b"new"
    save(path, "newer")
    eventually(lambda: cache[path].content == b"newer")
