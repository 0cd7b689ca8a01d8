"""What a cache counts, and that it costs the order of use nothing."""

import gc
import threading
import tracemalloc

import pytest

from rush_http import Headers
from rush_loader import TWINS, AutoUpdatingCache, Loader, Mounts
from rush_loader.store import ENTRY_BYTES


def counts(cache):
    stats = cache.stats()
    return stats.hits, stats.misses, stats.reloads, stats.evictions


def test_hits_and_misses(cache, write, save, eventually):
    path = write("page.html", "one")
    assert counts(cache) == (0, 0, 0, 0)
    assert cache.get(path) is None  # asked, not missed: nothing was looked for on the disk
    assert counts(cache) == (0, 0, 0, 0)
    cache.add(path)
    assert counts(cache) == (0, 1, 0, 0)
    cache.add(path)
    cache.get(path)
    cache[path]
    assert counts(cache) == (3, 1, 0, 0)
    assert counts(cache) == (3, 1, 0, 0)  # to ask does not count
    try:
        cache.add(path + ".missing")
    except FileNotFoundError:
        assert counts(cache) == (3, 2, 0, 0)
    save(path, "two")
    eventually(lambda: cache.stats().reloads == 1)
    assert counts(cache) == (3, 2, 1, 0)


def test_bytes_entries_and_evictions(make_cache, write):
    cache = make_cache(max_bytes=3 * (ENTRY_BYTES + 100))
    for number in range(5):
        cache.add(write(f"{number}.txt", "x" * 100))
    stats = cache.stats()
    assert (stats.entries, stats.evictions) == (3, 2)
    assert stats.bytes == 3 * (ENTRY_BYTES + 100)
    for path in list(cache):
        cache.discard(path)
    stats = cache.stats()
    assert (stats.entries, stats.bytes, stats.evictions) == (0, 0, 2)


@pytest.mark.parametrize("companions", [(), tuple(TWINS)], ids=["alone", "with twins"])
@pytest.mark.parametrize("codings", [(), ("gzip",)], ids=["as it is", "gzip"])
def test_the_memory_in_use_is_what_is_said(make_cache, tmp_path, write, companions, codings):
    """Or a bit less; with all that a server keeps to answer."""
    cache = make_cache(companions=companions)
    loader = Loader(tmp_path, cache)
    names = [f"a/path/of/some/names/picture-{number}.html" for number in range(80)]
    for name in names:
        write(name, "x" * 50)
        if codings:
            write(f"{name}.gz", "z" * 5)

    def serve(name):
        cache.add(str(tmp_path / name))
        for accepted in ("", *codings):
            loader.answer(f"/{name}", "GET", Headers((("accept-encoding", accepted),)))

    for name in names[:10]:
        serve(name)
    gc.collect()
    tracemalloc.start(1)
    try:
        said = cache.stats().bytes
        for name in names[10:]:
            serve(name)
        gc.collect()
        said = cache.stats().bytes - said
        assert said / 2 < tracemalloc.get_traced_memory()[0] < said * 1.1
    finally:
        tracemalloc.stop()


def test_no_hit_of_several_threads_is_lost(cache, write):
    path = write("page.html")
    cache.add(path)
    before = cache.stats().hits

    def use():
        for _ in range(20_000):
            cache.get(path)

    threads = [threading.Thread(target=use) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert cache.stats().hits == before + 60_000


def test_hits_without_watches_count_too(make_cache, write):
    def no_instances():
        raise OSError(24, "Too many open files")

    cache = make_cache(inotify=no_instances)
    path = write("page.html")
    cache.add(path)
    for _ in range(10):
        cache.get(path)
    assert counts(cache) == (10, 1, 0, 0)


def test_the_order_of_use_decides_among_many(make_cache, write):
    """Also when all were used again since the last one had to go."""
    cache = make_cache(max_bytes=100 * ENTRY_BYTES)
    paths = [write(f"{number}.txt", "") for number in range(130)]
    for path in paths[:100]:
        cache.add(path)
    for path in reversed(paths[:100]):
        cache.get(path)
    for path in paths[100:110]:
        cache.add(path)
    assert list(cache) == [*reversed(paths[:90]), *paths[100:110]]
    for path in paths[80:90]:
        cache.get(path)
    for path in paths[110:130]:
        cache.add(path)
    assert list(cache) == [
        *reversed(paths[:60]),
        *paths[100:110],
        *paths[80:90],
        *paths[110:130],
    ]


def test_a_child_counts_on(write, in_child):
    with AutoUpdatingCache() as cache:
        path = write("page.html")
        cache.add(path)
        cache.get(path)

        def child():
            cache.get(path)
            assert counts(cache)[:2] == (2, 1)

        in_child(child)
        assert counts(cache)[:2] == (1, 1)


class Forgetful:
    """A cache of somebody's own, which counts nothing."""

    def get(self, path):
        return None

    def add(self, path):
        raise FileNotFoundError(path)

    def discard(self, path):
        pass

    def close(self):
        pass


def test_loaders_and_mounts_say_what_their_caches_do(tmp_path, write, make_cache):
    write("a.txt", "x" * 100)
    write("b.txt", "x" * 100)
    shared = make_cache()
    with Loader(tmp_path, shared) as loader, Loader(tmp_path, shared) as other:
        loader.load("/a.txt")
        assert loader.stats() == shared.stats()
        assert Mounts({"/": loader, "/o/": other}).stats() == shared.stats()
        with Loader(tmp_path) as own:
            assert own.cache_files("/") == 2
            stats = Mounts({"/": loader, "/own/": own}).stats()
            assert (stats.entries, stats.misses) == (3, 3)
    with Loader(tmp_path, Forgetful()) as loader, pytest.raises(TypeError, match="does not count"):
        loader.stats()
