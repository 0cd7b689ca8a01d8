"""Large files: kept open, not in memory; sent from one descriptor by any number of readers."""

import errno
import os
import threading

import pytest

from rush_loader import FileNotFound


@pytest.fixture
def cache(make_cache):
    return make_cache(max_file_bytes=10, max_open_files=3)


def held(descriptors, path):
    return sum(place.removesuffix(" (deleted)") == path for place in descriptors().values())


def test_one_descriptor_for_all_readers(cache, write, descriptors, monkeypatch):
    path = write("large.bin", "0123456789abcdef")
    file = cache.add(path)
    assert file.content is None
    assert held(descriptors, path) == 1

    def nothing_is_opened(*args, **kwargs):
        raise AssertionError(args)

    monkeypatch.setattr(os, "open", nothing_is_opened)
    with cache[path].open() as one, cache[path].open() as other:
        assert one.fileno() == other.fileno()
        assert one.read(4) == b"0123"
        assert other.read(6) == b"012345"
        assert one.read() == b"456789abcdef"
        assert other.seek(-2, os.SEEK_END) == 14
        assert other.read() == b"ef"
        assert other.tell() == 16
        assert os.pread(one.fileno(), 3, 1) == b"123"
    with pytest.raises(ValueError, match="closed"):
        one.fileno()
    assert held(descriptors, path) == 1
    cache.discard(path)
    del file
    assert held(descriptors, path) == 0


def test_a_version_stays_open_while_somebody_sends_it(cache, write, save, descriptors, eventually):
    path = write("large.bin", "old " * 10)
    reader = cache.add(path).open()
    save(path, "new " * 10)
    eventually(lambda: held(descriptors, path) == 2)
    with cache[path].open() as file:
        assert file.read() == b"new " * 10
    assert reader.read() == b"old " * 10
    reader.close()
    eventually(lambda: held(descriptors, path) == 1)
    os.unlink(path)
    eventually(lambda: cache.get(path) is None)
    eventually(lambda: held(descriptors, path) == 0)  # the cache's thread may still look at it


def test_closing_the_cache_leaves_what_is_being_sent(cache, write, descriptors):
    path = write("large.bin", "x" * 20)
    reader = cache.add(path).open()
    cache.close()
    assert reader.read() == b"x" * 20
    del reader
    assert held(descriptors, path) == 0


def test_another_version_is_never_taken_for_this_one(cache, write):
    path = write("large.bin", "x" * 20)
    file = cache.add(path)
    with open(path, "a") as log:
        log.write("y")
    with pytest.raises(FileNotFound, match="load it again"):
        file.open()


def test_a_file_renamed_over_it_leaves_the_old_one_whole(cache, write, save):
    path = write("large.bin", "x" * 20)
    file = cache.add(path)
    save(path, "y" * 20)
    with file.open() as reader:
        assert reader.read() == b"x" * 20


def test_so_many_are_kept_open(cache, write, descriptors):
    paths = [write(f"{number}.bin", "x" * 20) for number in range(5)]
    for path in paths:
        cache.add(path)
    assert [held(descriptors, path) for path in paths] == [1, 1, 1, 0, 0]
    for path in paths:
        with cache[path].open() as file:
            assert file.read() == b"x" * 20
    cache.discard(paths[0])
    cache.discard(paths[4])
    cache.add(paths[4])
    assert [held(descriptors, path) for path in paths] == [0, 1, 1, 0, 1]


def test_a_growing_file_takes_no_more_than_one(cache, write, descriptors, eventually):
    path = write("large.log", "x" * 20)
    cache.add(path)
    with open(path, "a") as log:
        for size in range(21, 40):
            log.write("y")
            log.flush()
            eventually(lambda: cache[path].size == size)  # noqa: B023
    eventually(lambda: held(descriptors, path) == 1)


def test_a_child_has_its_own_share(cache, write, save, in_child, descriptors, eventually):
    path = write("large.bin", "old " * 10)
    cache.add(path)

    def child():
        save(path, "new " * 10)
        with cache[path].open() as file:
            assert file.read() == b"new " * 10
        cache.close()
        assert held(descriptors, path) == 0

    in_child(child)
    with cache[path].open() as file:
        assert file.read() == b"new " * 10


def test_several_threads_read_from_one(cache, write):
    content = "".join(f"{number:07}\n" for number in range(5000))
    path = write("large.txt", content)
    cache.add(path)
    wrong = []

    def read():
        with cache[path].open() as file:
            parts = []
            while part := file.read(777):
                parts.append(part)
        if b"".join(parts) != content.encode():
            wrong.append(parts)

    threads = [threading.Thread(target=read) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_a_socket_gets_it_by_sendfile(cache, write):
    path = write("large.bin", "0123456789abcdef")
    cache.add(path)
    reader, writer = os.pipe()
    try:
        for offset in (0, 8):
            with cache[path].open() as file:
                assert os.sendfile(writer, file.fileno(), offset, 8) == 8
        assert os.read(reader, 100) == b"0123456789abcdef"
    except OSError as error:  # pragma: no cover
        if error.errno == errno.EINVAL:
            pytest.skip("no sendfile to a pipe")
        raise
    finally:
        os.close(reader)
        os.close(writer)
