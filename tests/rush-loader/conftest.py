"""Fixtures: a cache that is closed and leaves nothing behind, waiting, and forking."""

import os
import sys
import threading
import time
import traceback

import pytest

from rush_loader import AutoUpdatingCache

DEADLINE_SECONDS = 20.0  # never waited for unless something is broken


@pytest.fixture
def eventually():
    """Wait until `condition()` is true; fails if it never is."""

    def wait(condition, seconds=DEADLINE_SECONDS):
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, "it never came true"
            time.sleep(0.0005)

    return wait


@pytest.fixture
def make_cache():
    """Make caches that are closed at the end; no thread or descriptor may be left then."""
    threads, descriptors = threading.active_count(), open_descriptors()
    caches = []

    def make(**options):
        caches.append(AutoUpdatingCache(**options))
        return caches[-1]

    yield make
    for cache in caches:
        cache.close()
    assert threading.active_count() == threads
    assert open_descriptors() == descriptors


@pytest.fixture
def cache(make_cache):
    return make_cache()


@pytest.fixture
def quick_switches():
    """Let threads that never wait give way sooner than after 5 ms, so that others get on."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(0.0001)
    yield
    sys.setswitchinterval(before)


@pytest.fixture
def write(tmp_path):
    """Write a file below `tmp_path` in place; returns its path."""

    def write_one(name, content="one"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        return str(path)

    return write_one


@pytest.fixture
def save(tmp_path):
    """Save a file by rename, as editors do."""

    def save_one(path, content):
        draft = tmp_path / "draft~"
        draft.write_text(content)
        os.replace(draft, path)

    return save_one


@pytest.fixture
def in_child():
    """Run a function in a forked child, and fail with its traceback."""

    def run(function):
        reader, writer = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                function()
            except BaseException:
                os.write(writer, traceback.format_exc().encode()[-4000:])
            finally:
                os._exit(0)
        os.close(writer)
        with open(reader, "rb") as report:
            said = report.read().decode()
        os.waitpid(pid, 0)
        assert not said, said

    return run


@pytest.fixture
def descriptors():
    return open_descriptors


def open_descriptors():
    """The open descriptors of this process, and what they are."""
    found = {}
    for name in os.listdir("/proc/self/fd"):
        try:
            found[name] = os.readlink(f"/proc/self/fd/{name}")
        except FileNotFoundError:  # the one that listed them
            continue
    return found
