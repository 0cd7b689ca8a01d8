"""A function that makes more of each version, in the background."""

import gzip
import threading
from dataclasses import replace

import pytest

from rush_http import Headers
from rush_loader import TWINS, answer, compressed
from rush_loader.store import ENTRY_BYTES, FORM_BYTES


def zipped(file):
    return replace(file, encodings={"gzip": gzip.compress(file.content)})


def test_each_version_is_prepared_once_and_not_by_its_user(make_cache, write, save, eventually):
    calls = []

    def prepare(file):
        calls.append((file.content, threading.current_thread().name))
        return zipped(file)

    cache = make_cache(prepare=prepare)
    path = write("page.html", "one")
    assert cache.add(path).content == b"one"
    eventually(lambda: "gzip" in cache[path].encodings)
    assert gzip.decompress(cache[path].encodings["gzip"]) == b"one"
    save(path, "two")
    eventually(lambda: cache[path].content == b"two" and "gzip" in cache[path].encodings)
    assert gzip.decompress(cache[path].encodings["gzip"]) == b"two"
    assert calls == [(b"one", "rush-loader-errands"), (b"two", "rush-loader-errands")]
    assert cache.stats().reloads == 1


def test_the_plain_version_is_there_meanwhile(make_cache, write, save, eventually):
    begun, go_on = threading.Semaphore(0), threading.Semaphore(0)

    def prepare(file):
        begun.release()
        assert go_on.acquire(timeout=60)
        return zipped(file)

    cache = make_cache(prepare=prepare)
    path, other = write("page.html", "one"), write("other.html", "one")
    cache.add(path)
    try:
        assert begun.acquire(timeout=20)
        assert cache[path].content == b"one"
        save(path, "two")
        eventually(lambda: cache[path].content == b"two")
        assert cache.add(other).content == b"one"
    finally:
        go_on.release(9)
    eventually(lambda: "gzip" in cache[path].encodings and "gzip" in cache[other].encodings)
    assert gzip.decompress(cache[path].encodings["gzip"]) == b"two"  # not that of "one"


def test_a_twin_is_looked_at_in_the_background(make_cache, write, eventually):
    """Until then the file is sent as it is, with the line that says that this may change."""
    go_on = threading.Event()

    def prepare(file):
        assert go_on.wait(timeout=60)
        return compressed(file)

    def sent():
        reply = answer(cache[path], "GET", Headers((("accept-encoding", "gzip"),)))
        assert b"Vary: Accept-Encoding\r\n" in reply.head
        return reply.body

    cache = make_cache(companions=tuple(TWINS), prepare=prepare)
    path, content = write("picture.png", "o" * 100), b"o" * 100
    twin = gzip.compress(content)
    with open(path + ".gz", "wb") as file:
        file.write(twin)
    try:
        assert cache.add(path).companions
        assert sent() == content
    finally:
        go_on.set()
    eventually(lambda: sent() == twin)


def test_its_bytes_count(make_cache, write, eventually):
    cache = make_cache(
        max_bytes=2 * ENTRY_BYTES + FORM_BYTES + 500,
        prepare=lambda file: replace(file, encodings={"br": b"x" * 400}),
    )
    one, two = write("one.html", ""), write("two.html", "")
    cache.add(one)
    eventually(lambda: cache.stats().bytes == ENTRY_BYTES + FORM_BYTES + 400)
    cache.add(two)
    eventually(lambda: list(cache) == [two])
    assert cache.stats().bytes == ENTRY_BYTES + FORM_BYTES + 400
    cache.discard(two)
    assert cache.stats().bytes == 0


@pytest.mark.parametrize("outcome", ["raises", "gives nothing"])
def test_a_failure_leaves_the_plain_version(make_cache, write, save, caplog, eventually, outcome):
    def prepare(file):
        if file.content == b"good":
            return zipped(file)
        if outcome == "raises":
            raise RuntimeError("broken on purpose")
        return None

    cache = make_cache(prepare=prepare)
    path = write("page.html", "bad")
    cache.add(path)
    eventually(lambda: "is kept as it is" in caplog.text)
    assert cache[path].content == b"bad"
    save(path, "good")
    eventually(lambda: "gzip" in cache[path].encodings)


def test_what_is_discarded_is_not_prepared(make_cache, write, eventually):
    begun, go_on = threading.Semaphore(0), threading.Semaphore(0)
    seen = []

    def prepare(file):
        begun.release()
        assert go_on.acquire(timeout=60)
        seen.append(file.path)
        return file

    cache = make_cache(prepare=prepare)
    paths = [write(f"{number}.html") for number in range(3)]
    try:
        for path in paths:
            cache.add(path)
        assert begun.acquire(timeout=20)
        cache.discard(paths[1])
    finally:
        go_on.release(9)
    eventually(lambda: len(seen) == 2)
    assert seen == [paths[0], paths[2]]


def test_a_child_prepares_what_its_parent_had_not(make_cache, write, in_child, eventually):
    allowed = threading.Event()
    first = threading.Event()

    def prepare(file):
        first.set()
        return zipped(file)

    cache = make_cache(prepare=prepare)
    paths = [write(f"{number}.html") for number in range(50)]
    for path in paths:
        cache.add(path)
    assert first.wait(20)

    def child():
        assert threading.active_count() == 1
        for path in paths:
            assert cache[path].content == b"one"
        eventually(lambda: all(cache[path].encodings for path in paths))

    in_child(child)
    allowed.set()
    eventually(lambda: all(cache[path].encodings for path in paths))


def test_close_does_not_wait_for_the_rest(make_cache, write):
    calls = []
    go_on = threading.Event()

    def prepare(file):
        calls.append(file)
        go_on.wait(60)
        return file

    cache = make_cache(prepare=prepare)
    for number in range(20):
        cache.add(write(f"{number}.html"))
    closer = threading.Thread(target=cache.close)
    closer.start()
    go_on.set()
    closer.join()
    assert len(calls) < 20
