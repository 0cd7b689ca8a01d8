"""How a cache ends: abandoned, or closed and forked from where that is awkward."""

import gc
import subprocess
import sys
import textwrap
import threading

import pytest

from rush_loader import AutoUpdatingCache, Loader

PRELUDE = """
import os, signal, sys, threading, warnings
from rush_loader import AutoUpdatingCache
from inotify_simple import INotify

warnings.simplefilter("ignore", DeprecationWarning)  # forks beside threads of the program
path = sys.argv[1]

def save(content):
    with open(path + "~", "w") as draft:
        draft.write(content)
    os.replace(path + "~", path)

def fork():
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
"""


def run(program, path):
    """Run a program that may hang; returns what it printed."""
    code = PRELUDE + textwrap.dedent(program)
    done = subprocess.run(
        [sys.executable, "-c", code, path], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_abandoned_it_warns_and_gives_back_everything(write, descriptors, eventually):
    path = write("page.html")
    threads, before = threading.active_count(), descriptors()

    def use():
        AutoUpdatingCache(prepare=lambda file: file).add(path)
        gc.collect()

    with pytest.warns(ResourceWarning, match="close"):
        use()
    eventually(lambda: threading.active_count() == threads)
    eventually(lambda: descriptors() == before)


def test_an_abandoned_loader_too(write, tmp_path, descriptors, eventually):
    write("page.html")
    threads, before = threading.active_count(), descriptors()

    def use():
        Loader(tmp_path).load("/page.html")
        gc.collect()

    with pytest.warns(ResourceWarning, match="close"):
        use()
    eventually(lambda: threading.active_count() == threads and descriptors() == before)


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_an_abandoned_one_without_thread(write, descriptors):
    path = write("page.html")
    before = descriptors()

    def use():
        cache = AutoUpdatingCache(threaded=False)
        cache.add(path)

    use()
    gc.collect()
    assert descriptors() == before


def test_one_that_did_nothing_may_go_in_silence():
    AutoUpdatingCache()
    gc.collect()


@pytest.mark.parametrize("act", ["AutoUpdatingCache().close()", "fork()"])
def test_a_fork_while_a_callback_makes_a_cache_or_forks(act, write):
    program = f"""
    begun, forking = threading.Event(), threading.Event()
    os.register_at_fork(before=forking.set)  # called before ours
    save("1")
    cache = AutoUpdatingCache()
    cache.add(path)

    @cache.on_change
    def change(paths, kind):
        begun.set()
        forking.wait(10)
        {act}

    save("2")
    begun.wait(10)
    fork()
    cache.close()
    print("done", threading.active_count())
    """
    assert run(program, write("page.html")) == "done 1\n"


@pytest.mark.parametrize("act", ["cache.close()", "fork()"])
def test_a_signal_whose_handler_ends_the_epoch(act, write):
    program = f"""
    class Interrupted(INotify):
        armed = False

        def add_watch(self, *args):
            if Interrupted.armed:
                Interrupted.armed = False
                save("2")  # the thread of the cache wakes up, and waits for the lock
                threading.Event().wait(0.1)
                os.kill(os.getpid(), signal.SIGUSR1)
            return super().add_watch(*args)

    cache = AutoUpdatingCache(inotify=Interrupted)
    cache.add(path)
    other = path + ".d/other"
    os.mkdir(path + ".d")
    open(other, "w").close()
    signal.signal(signal.SIGUSR1, lambda *_: {act})
    Interrupted.armed = True
    try:
        cache.add(other)
        save("3")
        print(cache[path].content, cache[other].content)
    except ValueError as error:
        print(error)
    cache.close()
    """
    said = run(program, write("page.html"))
    assert said == ("the cache is closed\n" if "close" in act else "b'3' b''\n")


def test_callbacks_of_several_caches_that_fork_at_the_same_moment(write):
    program = """
    together = threading.Barrier(3)
    over = threading.Semaphore(0)

    def forks(paths, kind):
        together.wait(10)
        for _ in range(3):
            fork()
        over.release()

    with AutoUpdatingCache() as one, AutoUpdatingCache() as two:
        for cache in one, two:
            save("1")
            cache.add(path)
            cache.on_change(forks)
        save("2")
        together.wait(10)
        fork()
        for _ in range(2):
            assert over.acquire(timeout=20)
        one.off_change(forks)
        two.off_change(forks)
        save("3")
        while one[path].content != b"3" or two[path].content != b"3":
            pass
    print("done", threading.active_count())
    """
    assert run(program, write("page.html")) == "done 1\n"
