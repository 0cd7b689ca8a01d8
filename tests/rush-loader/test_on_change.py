"""Callbacks: which changes, in which thread, and what they may do."""

import os
import threading
import warnings

import pytest

from rush_loader.store import ENTRY_BYTES


@pytest.fixture
def news(cache):
    """What was told, one pair of path and kind after the other."""
    told = []
    cache.on_change(lambda paths, kind: told.extend((path, kind) for path in paths))
    return told


def test_versions_and_ends(cache, news, write, save, eventually):
    path, other = write("page.html", "one"), write("other.html", "one")
    cache.add(path)
    cache.add(other)
    save(path, "two")
    eventually(lambda: news == [(path, "changed")])
    assert cache[path].content == b"two"
    os.chmod(other, 0o600)
    eventually(lambda: news[1:] == [(other, "changed")])
    os.unlink(path)
    eventually(lambda: news[2:] == [(path, "gone")])
    assert path not in cache
    os.rename(other, other + "~")
    eventually(lambda: news[3:] == [(other, "gone")])


def test_it_is_current_when_it_is_told(cache, write, save, eventually):
    path = write("page.html", "0")
    cache.add(path)
    seen = []
    cache.on_change(lambda paths, kind: seen.append(cache[path].content))
    for version in "123":
        save(path, version)
        eventually(lambda: seen[-1:] == [version.encode()])  # noqa: B023


def test_nobody_has_to_ask(cache, news, write, tmp_path, eventually):
    path = write("a/b/page.html", "one")
    cache.add(path)
    os.rename(tmp_path / "a", tmp_path / "away")
    eventually(lambda: news == [(path, "gone")])


def test_what_the_user_does_is_no_news(make_cache, write, eventually):
    cache = make_cache(max_bytes=ENTRY_BYTES + 1000)
    told = []
    cache.on_change(lambda paths, kind: told.append(paths))
    one, two, three = (write(f"{n}.txt", "x") for n in range(3))
    cache.add(one)
    cache.add(two)  # one has to go
    cache.discard(two)
    cache.add(three)
    os.unlink(three)
    eventually(lambda: told == [[three]])


def test_one_that_raises_is_logged_and_called_again(cache, write, save, caplog, eventually):
    path = write("page.html", "0")
    cache.add(path)
    calls = []

    @cache.on_change
    def broken(paths, kind):
        calls.append(paths)
        raise RuntimeError("broken on purpose")

    cache.on_change(lambda paths, kind: calls.append(kind))
    save(path, "1")
    eventually(lambda: calls == [[path], "changed"])
    assert "broken on purpose" in caplog.text
    save(path, "2")
    eventually(lambda: calls[2:] == [[path], "changed"])


def test_a_slow_one_keeps_nothing_stale(cache, write, save, eventually):
    path = write("page.html", "0")
    cache.add(path)
    begun, go_on = threading.Event(), threading.Event()

    @cache.on_change
    def slow(paths, kind):
        begun.set()
        assert go_on.wait(60)

    try:
        save(path, "1")
        assert begun.wait(60)
        for version in "234":
            save(path, version)
            eventually(lambda: cache[path].content == version.encode())  # noqa: B023
    finally:
        go_on.set()


def test_it_may_use_the_cache_and_end_itself(cache, write, save, eventually):
    path, log = write("page.html", "0"), write("log.txt", "")
    cache.add(path)
    calls = []

    @cache.on_change
    def once(paths, kind):
        cache.discard(path)
        cache.add(log)
        cache.off_change(once)
        calls.append(cache.add(path).content)

    save(path, "1")
    eventually(lambda: calls == [b"1"])
    told = []
    cache.on_change(lambda paths, kind: told.extend(paths))
    save(path, "2")
    eventually(lambda: path in told)
    assert calls == [b"1"]
    with pytest.raises(ValueError, match="not in list"):
        cache.off_change(once)


def test_it_may_close_the_cache(make_cache, write, save, eventually):
    cache = make_cache()
    path = write("page.html", "0")
    cache.add(path)
    closed = threading.Event()

    @cache.on_change
    def end(paths, kind):
        cache.close()
        closed.set()

    save(path, "1")
    assert closed.wait(60)
    eventually(lambda: not any("errands" in thread.name for thread in threading.enumerate()))


def test_one_call_at_a_time_also_after_a_fork_in_one(make_cache, write, save, eventually):
    cache = make_cache()
    path, other = write("page.html", "0"), write("other.html", "0")
    cache.add(path)
    cache.add(other)
    calls, second = [], threading.Event()

    @cache.on_change
    def forks(paths, kind):
        calls.append("begin")
        if len(calls) == 1:
            pid = os.fork()
            if pid == 0:
                os._exit(0)
            os.waitpid(pid, 0)
            save(other, "1")
            second.wait(0.3)  # in vain
        else:
            second.set()
        calls.append("end")

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # beside the thread of the test
        save(path, "1")
        eventually(lambda: len(calls) == 4)
    assert calls == ["begin", "end"] * 2


def test_a_thread_that_has_forked_ends_with_the_cache(make_cache, write, save):
    cache = make_cache()
    path = write("page.html", "0")
    cache.add(path)
    forked, ended = threading.Event(), threading.Event()

    @cache.on_change
    def forks(paths, kind):
        pid = os.fork()
        if pid == 0:
            os._exit(0)
        os.waitpid(pid, 0)
        forked.set()
        ended.wait(0.2)
        ended.set()

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        save(path, "1")
        assert forked.wait(60)
    cache.close()
    assert ended.is_set()


def test_after_an_overflow_only_what_has_changed(cache, news, write, save, eventually):
    paths = [write(f"{number}.txt", "old") for number in range(10)]
    for path in paths:
        cache.add(path)
    upkeep = cache._upkeep
    with upkeep.lock:
        save(paths[3], "new")
        os.unlink(paths[4])
        upkeep._epochs.watches.read()  # lost
        upkeep._reports.suspect_all()
        upkeep._epochs.wake()
    eventually(lambda: sorted(news) == [(paths[3], "changed"), (paths[4], "gone")])


def test_the_parent_is_told_after_a_fork_without_asking(cache, news, write, save, in_child):
    path = write("page.html", "0")
    cache.add(path)
    in_child(lambda: None)
    told = threading.Event()
    cache.on_change(lambda paths, kind: told.set())
    save(path, "1")
    assert told.wait(20)
    assert news == [(path, "changed")]


def test_the_child_is_told_once_it_uses_the_cache(cache, news, write, save, in_child, eventually):
    path, other = write("page.html", "0"), write("other.html", "0")
    cache.add(path)
    cache.add(other)

    def child():
        cache.get(other)
        save(path, "1")
        eventually(lambda: news == [(path, "changed")])

    in_child(child)


def test_where_nothing_is_watched_it_is_told_on_use(make_cache, write, save, eventually):
    def no_instances():
        raise OSError(24, "Too many open files")

    cache = make_cache(inotify=no_instances)
    told = []
    cache.on_change(lambda paths, kind: told.append((paths, kind)))
    path = write("page.html", "0")
    cache.add(path)
    save(path, "1")
    assert cache[path].content == b"1"
    eventually(lambda: told == [([path], "changed")])
