"""Where the kernel reports nothing, or too much: slower, never stale."""

import errno
import logging
import os
import subprocess
import sys
import threading

import pytest
from inotify_simple import Event, INotify, flags

from rush_loader import changes, epochs, filesystems


class NoMoreWatches(INotify):
    """As if fs.inotify.max_user_watches were reached after `left` more."""

    left = 0

    def add_watch(self, path, mask):
        if type(self).left <= 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        type(self).left -= 1
        return super().add_watch(path, mask)


def no_instances():
    raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))


def unreadable_directories():
    class Unreadable(INotify):
        def add_watch(self, path, mask):
            raise OSError(errno.EACCES, os.strerror(errno.EACCES))

    return Unreadable()


REFUSALS = [
    (NoMoreWatches, "fs.inotify.max_user_watches"),
    (no_instances, "fs.inotify.max_user_instances"),
    (unreadable_directories, "permission to read"),
]


@pytest.mark.parametrize(("inotify", "words"), REFUSALS, ids=[words for _, words in REFUSALS])
def test_without_watches_every_use_is_checked(make_cache, write, save, caplog, inotify, words):
    cache = make_cache(inotify=inotify)
    path, other = write("page.html", "0"), write("other.html", "0")
    cache.add(path)
    cache.add(other)
    for version in "123":
        save(path, version)
        assert cache[path].content == version.encode()
        save_in_place(path, version * 2)
        assert cache[path].content == version.encode() * 2
    os.unlink(path)
    assert cache.get(path) is None
    assert path not in cache
    assert cache[other].content == b"0"
    assert len(caplog.records) == 1
    assert caplog.records[0].name == "rush_loader"
    assert caplog.records[0].levelno == logging.WARNING
    assert words in caplog.text


def save_in_place(path, content):
    with open(path, "w") as file:
        file.write(content)


def test_the_same_size_within_one_tick_is_seen(make_cache, write):
    # Time stamps are as coarse as the kernel's tick, so a stat alone would be fooled.
    cache = make_cache(inotify=no_instances)
    path = write("page.html", "000")
    cache.add(path)
    for version in range(1, 200):
        save_in_place(path, f"{version:03}")
        assert cache[path].content == f"{version:03}".encode()


def test_a_silent_file_system(make_cache, write, save, caplog, monkeypatch):
    monkeypatch.setattr(filesystems, "_magic", lambda directory: 0x6969)
    cache = make_cache()
    path = write("page.html", "one")
    cache.add(path)
    save(path, "two")
    assert cache[path].content == b"two"
    assert "file system (nfs)" in caplog.text
    assert len(cache._upkeep._epochs.watches) == 0


def test_real_file_systems_are_told_apart(tmp_path):
    assert filesystems.silent("/proc") == "proc"
    assert filesystems.silent("/sys") == "sysfs"
    with pytest.raises(FileNotFoundError):
        filesystems.silent(f"{tmp_path}/missing")


LINES = [
    ("upperdir=/up,lowerdir=/a:/b,workdir=/w", ["/up", "/a", "/b"]),
    ("lowerdir+=/a,lowerdir+=/b,datadir+=/c", ["/a", "/b"]),
    ("lowerdir=/a::/data", ["/a", "/data"]),
    (r"lowerdir=/lo\040wer:/lo\134:2,userxattr", ["/lo wer", "/lo:2"]),
    ("size=1024k", []),
]


@pytest.mark.parametrize(("options", "found"), LINES)
def test_layers_of_an_overlay(options, found):
    line = f"67 63 0:40 / /merged rw,relatime - overlay overlay rw,{options}\n"
    assert filesystems.layers(line) == found


# In a mount namespace of its own; what it prints is compared.
OVERLAY = """
import os, subprocess, sys
from rush_loader import AutoUpdatingCache
top = sys.argv[1]
subprocess.run(["mount", "-t", "tmpfs", "tmpfs", top], check=True)
os.chdir(top)
for name in ("lower", "upper", "work", "merged"):
    os.mkdir(name)
open("lower/page.html", "w").write("one")
options = f"lowerdir={top}/lower,upperdir={top}/upper,workdir={top}/work"
subprocess.run(["mount", "-t", "overlay", "overlay", "-o", options, "merged"], check=True)
print("mounted")
with AutoUpdatingCache() as cache:
    path = f"{top}/merged/page.html"
    print(cache.add(path).content.decode())
    for place in ("lower", "merged", "upper"):
        open(f"{place}/page.html", "w").write(place)
        print(cache[path].content.decode())
"""


@pytest.mark.once
def test_what_is_written_to_the_layers_of_an_overlay_is_seen(tmp_path):
    done = subprocess.run(
        ["unshare", "-rm", sys.executable, "-c", OVERLAY, tmp_path],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    if "mounted" not in done.stdout:
        pytest.skip(f"no overlay can be mounted here: {done.stderr[-200:]}")
    assert done.stdout.split() == ["mounted", "one", "lower", "merged", "upper"], done.stderr
    assert "overlay" in done.stderr  # the warning


def test_watching_is_tried_again(make_cache, write, save, monkeypatch, eventually):
    monkeypatch.setattr(NoMoreWatches, "left", 0)
    cache = make_cache(inotify=NoMoreWatches)
    path = write("page.html", "one")
    cache.add(path)
    NoMoreWatches.left = 1000
    cache._upkeep.store.get(path).polled_until = 0.0
    assert cache[path].content == b"one"
    assert path in cache._upkeep.store.hot
    save(path, "two")
    eventually(lambda: cache[path].content == b"two")


def test_half_way_refused_leaves_no_watch(make_cache, write, monkeypatch):
    monkeypatch.setattr(NoMoreWatches, "left", 2)
    cache = make_cache(inotify=NoMoreWatches)
    cache.add(write("a/b/c/page.html"))
    assert len(cache._upkeep._epochs.watches) == 0


class Deaf(INotify):
    """Loses what is reported while `ready` is not set, and then says that it has."""

    ready = threading.Event()

    def read(self, timeout=None, read_delay=None):
        events = super().read(timeout, read_delay)
        if not events or self.ready.is_set():
            return events
        self.ready.wait(60)
        return [Event(-1, flags.Q_OVERFLOW, 0, "")]


def test_after_an_overflow_everything_is_checked(make_cache, write, save, eventually):
    cache = make_cache(inotify=Deaf)
    paths = [write(f"{number}.txt", "old") for number in range(10)]
    for path in paths:
        cache.add(path)
    os.unlink(paths[0])
    for path in paths[1:]:
        save(path, "new")
    Deaf.ready.set()
    eventually(lambda: cache.get(paths[0]) is None)
    for path in paths[1:]:
        eventually(lambda: cache[path].content == b"new")  # noqa: B023
    save(paths[1], "newer")
    eventually(lambda: cache[paths[1]].content == b"newer")


@pytest.mark.once
def test_a_real_overflow(make_cache, write, save, eventually):
    with open("/proc/sys/fs/inotify/max_queued_events") as setting:
        most = int(setting.read())
    if most > 100_000:
        pytest.skip(f"the queue of this machine takes {most} events")
    ready = threading.Event()
    ready.set()

    class Slow(INotify):
        def read(self, timeout=None, read_delay=None):
            events = super().read(timeout, read_delay)
            if events:
                ready.wait(60)
            return events

    cache = make_cache(inotify=Slow)
    one, two = write("one.txt", "old"), write("two.txt", "old")
    cache.add(one)
    cache.add(two)
    ready.clear()  # not before: whoever reads has the lock, and others write to /tmp as well
    for number in range(most):  # two names in turn, or the kernel merges equal ones
        os.utime(one, (0, number))
        os.utime(two, (0, number))
    save(one, "new")
    ready.set()
    eventually(lambda: cache[one].content == b"new")
    save(two, "new")
    eventually(lambda: cache[two].content == b"new")


def test_a_thread_that_fails_is_replaced_by_checks(
    make_cache, write, save, caplog, eventually, monkeypatch
):
    broken = threading.Event()

    class Breaks(INotify):
        def read(self, timeout=None, read_delay=None):
            if broken.is_set():
                raise RuntimeError("broken on purpose")
            return super().read(timeout, read_delay)

    cache = make_cache(inotify=Breaks)
    path = write("page.html", "one")
    cache.add(path)
    broken.set()
    save(path, "two")
    eventually(lambda: "broken on purpose" in caplog.text)
    eventually(lambda: cache[path].content == b"two")
    for version in "345":
        save(path, version)
        assert cache[path].content == version.encode()
    broken.clear()
    monkeypatch.setattr(epochs, "monotonic", lambda: 1e12)
    cache._upkeep.store.get(path).polled_until = 0.0
    assert cache[path].content == b"5"
    assert path in cache._upkeep.store.hot


def test_a_disk_that_fails_is_not_a_missing_file(cache, write, save, monkeypatch, eventually):
    path = write("page.html", "one")
    cache.add(path)
    opened = os.open

    def failing(name, *args, **kwargs):
        if name == path:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return opened(name, *args, **kwargs)

    monkeypatch.setattr(os, "open", failing)
    save(path, "two")
    eventually(lambda: path not in cache)
    with pytest.raises(OSError, match="Input/output") as caught:
        cache.add(path)
    assert not isinstance(caught.value, FileNotFoundError)
    monkeypatch.undo()
    assert cache.add(path).content == b"two"


def test_a_file_that_is_never_whole_keeps_its_last_whole_version(
    cache, write, monkeypatch, eventually
):
    path = write("page.html", "old")
    cache.add(path)
    monkeypatch.setattr(changes, "QUIET_SECONDS", 0.01)
    read, writing = os.read, threading.Event()
    writing.set()
    with open(path, "a") as file:
        tries = []

        def read_while_written(descriptor, size):
            content = read(descriptor, size)
            if writing.is_set() and b"old" in content:
                tries.append(content)
                file.write("x")
                file.flush()
            return content

        monkeypatch.setattr(os, "read", read_while_written)
        file.write("x")
        file.flush()
        eventually(lambda: len(tries) > 20)
        assert cache[path].content == b"old"
        writing.clear()
        eventually(lambda: cache[path].content != b"old")
    eventually(lambda: cache[path].size == os.stat(path).st_size)


def test_what_is_absent_costs_no_watch(make_cache, tmp_path):
    watched = []

    class Counting(INotify):
        def add_watch(self, path, mask):
            watched.append(path)
            return super().add_watch(path, mask)

    cache = make_cache(inotify=Counting)
    with pytest.raises(FileNotFoundError):
        cache.add(str(tmp_path / "absent" / "page.html"))
    assert watched == []
