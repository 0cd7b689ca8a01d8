"""Without a thread: a descriptor for a loop of one's own."""

import asyncio
import os
import select
import threading

import pytest

from epollserver import READ, Loop
from rush_loader import changes


@pytest.fixture
def cache(make_cache):
    return make_cache(threaded=False)


def ready(cache, seconds=20.0):
    poller = select.poll()
    poller.register(cache.fileno(), select.POLLIN)
    return bool(poller.poll(seconds * 1000))


def process_until(cache, condition):
    while not condition():
        assert ready(cache)
        cache.process_events()


def test_no_thread_and_fresh_when_told(cache, write, save):
    threads = threading.active_count()
    path = write("page.html", "one")
    assert cache.add(path).content == b"one"
    while ready(cache, 0):
        cache.process_events()
    save(path, "two")
    process_until(cache, lambda: cache[path].content == b"two")
    os.unlink(path)
    process_until(cache, lambda: cache.get(path) is None)
    assert threading.active_count() == threads


def test_the_descriptor_can_be_asked_for_first(cache, write, save):
    descriptor = cache.fileno()
    assert not ready(cache, 0)
    cache.process_events()
    path = write("page.html", "one")
    cache.add(path)
    assert cache.fileno() == descriptor
    save(path, "two")
    process_until(cache, lambda: cache[path].content == b"two")


def test_it_is_readable_when_a_writer_was_silent_for_long_enough(cache, write):
    path = write("log.txt", "a")
    cache.add(path)
    with open(path, "a") as log:
        log.write("b")
        log.flush()
        process_until(cache, lambda: cache[path].content == b"ab")
    assert changes.QUIET_SECONDS == 0.1


def test_who_uses_it_then_need_not_wait_for_the_loop(cache, write, eventually):
    path = write("log.txt", "a")
    cache.add(path)
    with open(path, "a") as log:
        log.write("b")
        log.flush()
        process_until(cache, lambda: path not in cache._upkeep.store.hot)
        assert cache[path].content == b"a"
        eventually(lambda: cache[path].content == b"ab")  # without another call of process_events
        assert path in cache._upkeep.store.hot


def test_it_waits_no_longer_than_that(cache, write, eventually):
    path = write("log.txt", "a")
    cache.add(path)
    with open(path, "a") as log:

        def less_than_half_the_silence():
            if cache._upkeep.step() is None:
                log.write("b")
                log.flush()
            seconds = cache._upkeep.step()
            return seconds is not None and seconds < changes.QUIET_SECONDS / 2

        eventually(less_than_half_the_silence)


def test_it_is_quiet_when_nothing_happens(cache, write, eventually):
    cache.add(write("sub/page.html"))
    # Not at once: others may write to /tmp, which is on the way.
    eventually(lambda: not ready(cache, 0.02) or cache.process_events())


def test_callbacks_and_prepare_are_called_by_process_events(make_cache, write, save):
    calls = []

    def prepare(file):
        calls.append(("prepare", threading.current_thread()))
        return file

    cache = make_cache(threaded=False, prepare=prepare)
    cache.on_change(lambda paths, kind: calls.append((kind, threading.current_thread())))
    path = write("page.html", "one")
    cache.add(path)
    assert not calls
    process_until(cache, lambda: calls)
    save(path, "two")
    process_until(cache, lambda: len(calls) == 3)
    me = threading.current_thread()
    assert calls == [("prepare", me), ("changed", me), ("prepare", me)]


def test_it_is_readable_when_there_is_something_to_prepare(make_cache, write):
    prepared = []
    cache = make_cache(threaded=False, prepare=lambda file: prepared.append(file) or file)
    files = [cache.add(write(f"{number}.html")) for number in range(3)]
    process_until(cache, lambda: prepared == files)


def test_where_nothing_is_watched_news_come_by_the_loop_as_well(make_cache, write, save):
    def no_instances():
        raise OSError(24, "Too many open files")

    cache = make_cache(threaded=False, inotify=no_instances)
    told = []
    cache.on_change(lambda paths, kind: told.append((paths, kind)))
    path = write("page.html", "one")
    cache.add(path)
    save(path, "two")
    assert cache[path].content == b"two"
    process_until(cache, lambda: told == [([path], "changed")])


def test_a_callback_may_close_the_cache(cache, write, save):
    path = write("page.html", "one")
    cache.add(path)
    closed = []

    @cache.on_change
    def end(paths, kind):
        cache.close()
        closed.append(kind)

    save(path, "two")
    process_until(cache, lambda: closed)
    for use in (cache.fileno, cache.process_events):
        with pytest.raises(ValueError, match="closed"):
            use()


def test_forks(cache, write, save, in_child):
    path = write("page.html", "one")
    cache.add(path)
    descriptor = cache.fileno()

    def child():
        assert cache[path].content == b"one"
        save(path, "two")
        process_until(cache, lambda: cache[path].content == b"two")

    in_child(child)
    assert cache.fileno() == descriptor
    assert cache[path].content == b"two"
    save(path, "three")
    process_until(cache, lambda: cache[path].content == b"three")


def test_a_parent_that_is_told_of_changes_goes_on_after_a_fork(cache, write, save, in_child):
    path = write("page.html", "one")
    cache.add(path)
    told = []
    cache.on_change(lambda paths, kind: told.extend(paths))
    in_child(lambda: None)
    save(path, "two")
    process_until(cache, lambda: told == [path])


def test_a_failure_leaves_it_checked_with_every_use(cache, write, save, caplog, monkeypatch):
    path = write("page.html", "one")
    cache.add(path)

    def broken():
        raise RuntimeError("broken on purpose")

    monkeypatch.setattr(cache._upkeep._epochs.watches, "read", broken)
    save(path, "two")
    assert ready(cache)
    cache.process_events()
    assert "broken on purpose" in caplog.text
    for version in "345":
        save(path, version)
        assert cache[path].content == version.encode()


def test_asyncio(cache, write, save):
    path = write("page.html", "one")
    cache.add(path)

    async def main():
        changed = asyncio.Event()
        cache.on_change(lambda paths, kind: changed.set())
        loop = asyncio.get_running_loop()
        loop.add_reader(cache.fileno(), cache.process_events)
        save(path, "two")
        await asyncio.wait_for(changed.wait(), 20)
        loop.remove_reader(cache.fileno())

    asyncio.run(main())
    assert cache[path].content == b"two"


def test_the_loop_of_epollserver(cache, write, save):
    path = write("page.html", "one")
    cache.add(path)
    with Loop() as loop:
        cache.on_change(lambda paths, kind: loop.stop())
        loop.watch(cache.fileno(), READ, lambda ready: cache.process_events())
        loop.call_later(0.0, lambda: save(path, "two"))
        loop.run()
        loop.unwatch(cache.fileno())
    assert cache[path].content == b"two"


def test_with_a_thread_there_is_nothing_to_wait_for(make_cache):
    cache = make_cache()
    for use in (cache.fileno, cache.process_events):
        with pytest.raises(ValueError, match="threaded=False"):
            use()
