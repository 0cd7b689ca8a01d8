"""Threads do not survive a fork, so none is there when it happens; freshness does."""

import multiprocessing
import os
import threading
import warnings

import pytest

from rush_loader import AutoUpdatingCache


def threads_of_the_kernel():
    return len(os.listdir("/proc/self/task"))


def test_child_and_parent_see_changes_after_the_fork(cache, write, save, in_child, eventually):
    path, other = write("page.html", "one"), write("other.html", "one")
    cache.add(path)
    cache.add(other)
    save(path, "before the fork")

    def child():
        assert cache[path].content == b"before the fork"  # at once: checked when it is used
        save(path, "from the child")
        eventually(lambda: cache[path].content == b"from the child")
        os.unlink(path)
        eventually(lambda: cache.get(path) is None)
        save(path, "at last")
        assert cache.add(path).content == b"at last"

    in_child(child)
    assert cache[path].content == b"at last"
    assert cache[other].content == b"one"
    save(path, "from the parent")
    eventually(lambda: cache[path].content == b"from the parent")


def test_inherited_entries_are_never_stale(cache, write, save, in_child):
    paths = [write(f"{number}.txt", "old") for number in range(20)]
    for path in paths:
        cache.add(path)

    def child():
        for path in paths[:10]:
            save(path, "new")
        os.unlink(paths[10])
        assert [cache[path].content for path in paths[:10]] == [b"new"] * 10
        assert cache.get(paths[10]) is None
        assert [cache[path].content for path in paths[11:]] == [b"old"] * 9

    in_child(child)


def test_no_thread_during_the_fork(cache, write, in_child):
    cache.add(write("page.html"))
    threads = threads_of_the_kernel()

    def child():
        assert threads_of_the_kernel() == 1
        assert threading.active_count() == 1
        cache.get(next(iter(cache)))
        assert threads_of_the_kernel() == 2

    with warnings.catch_warnings():
        warnings.simplefilter("error")  # Python 3.12 counts threads when it forks
        for _ in range(5):
            in_child(child)
            cache.get(next(iter(cache)))
            assert threads_of_the_kernel() == threads


def test_no_descriptor_is_inherited(write, in_child, descriptors):
    before = descriptors()
    with AutoUpdatingCache() as cache:
        cache.add(write("page.html"))

        def child():
            found = set(descriptors().values()) - set(before.values())
            assert not [place for place in found if "inotify" in place or "event" in place]

        in_child(child)


def test_several_caches_and_several_forks(make_cache, write, save, in_child, eventually):
    caches = [make_cache() for _ in range(3)]
    path = write("page.html", "0")
    for cache in caches:
        cache.add(path)

    def grandchild():
        save(path, "2")
        for cache in caches:
            eventually(lambda: cache[path].content == b"2")  # noqa: B023

    def child():
        save(path, "1")
        for cache in caches:
            eventually(lambda: cache[path].content == b"1")  # noqa: B023
        in_child(grandchild)
        for cache in caches:
            assert cache[path].content == b"2"

    in_child(child)
    for cache in caches:
        assert cache[path].content == b"2"


@pytest.mark.usefixtures("quick_switches")
def test_forks_while_other_threads_use_the_cache(cache, write, save, eventually):
    path = write("page.html", "0")
    cache.add(path)
    done = threading.Event()
    failures = []

    def use():
        try:
            while not done.is_set():
                assert (cache.get(path) or cache.add(path)).content.isdigit()
        except BaseException as error:
            failures.append(error)

    users = [threading.Thread(target=use) for _ in range(2)]
    for user in users:
        user.start()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of our own threads
            for version in range(10):
                pid = os.fork()
                if pid == 0:
                    os._exit(0 if cache[path].content == str(version).encode() else 1)
                assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
                save(path, str(version + 1))
                eventually(lambda: cache[path].content == str(version + 1).encode())  # noqa: B023
    finally:
        done.set()
        for user in users:
            user.join()
    assert not failures


def test_a_closed_cache_stays_closed(write, in_child):
    cache = AutoUpdatingCache()
    cache.add(write("page.html"))
    cache.close()

    def child():
        try:
            cache.get("/x")
        except ValueError:
            return
        raise AssertionError("open again")

    in_child(child)


def test_closing_in_the_child_leaves_the_parent_alone(cache, write, save, in_child, eventually):
    path = write("page.html", "one")
    cache.add(path)
    in_child(cache.close)
    save(path, "two")
    eventually(lambda: cache[path].content == b"two")


def test_multiprocessing(cache, write, save):
    path = write("page.html", "one")
    cache.add(path)
    save(path, "two")
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    with receiver, sender:
        child = context.Process(target=lambda: sender.send(cache[path].content))
        child.start()
        assert receiver.poll(20)
        assert receiver.recv() == b"two"
        child.join()
        child.close()
