"""How long after a writer's close() the cache gives the new content: p50 and p99.

    python tests/bench/rush-loader/latency.py
    python tests/bench/rush-loader/latency.py --busy --writes 2000

The writer is a process of its own, which notes the time when its close(), rename or unlink has
returned; the reader asks the cache again and again, with a short sleep in between (0.05 ms, which
is part of what is measured), or with none: then the cache's thread has to wait for the interpreter
too (`sys.getswitchinterval`, 5 ms).  ``kept open`` is a file that is written to and not closed: it
is given 100 ms of silence, counted from the write.
"""

import argparse
import os
import statistics
import tempfile
import time

from rush_loader import AutoUpdatingCache, FileNotFound


def rename(path, content):
    with open(path + "~", "wb") as file:
        file.write(content)
    os.replace(path + "~", path)


def in_place(path, content):
    with open(path, "wb") as file:
        file.write(content)


def delete(path, content):
    os.unlink(path)


opened = {}


def kept_open(path, content):
    file = opened.get(path) or opened.setdefault(path, open(path, "wb", 0))  # noqa: SIM115
    os.pwrite(file.fileno(), content, 0)


# Name: what the writer does, and how many times fewer than asked for.
KINDS = {
    "save by rename": (rename, 1),
    "in place": (in_place, 1),
    "delete": (delete, 1),
    "kept open": (kept_open, 20),
}


def writer(write, path, orders, times):
    """In a child: a write for each line of orders; its time to `times`."""
    for number in orders:
        write(path, number.strip().encode())
        times.write(f"{time.monotonic_ns()}\n")
        times.flush()


def latencies(cache, path, write, count, pause):
    """Seconds, one for each write."""
    (order, orders), (times, time_of) = os.pipe(), os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(orders)
        with open(order) as lines, open(time_of, "w") as answers:
            writer(write, path, lines, answers)
        os._exit(0)
    os.close(order)
    os.close(time_of)
    found = []
    with open(orders, "w") as to_writer, open(times) as from_writer:
        for number in range(1000, 1000 + count):
            if write is delete:
                in_place(path, b"old")
            settle(cache, path)
            to_writer.write(f"{number}\n")
            to_writer.flush()
            seen_at = wait(cache, path, None if write is delete else b"%d" % number, pause)
            found.append((seen_at - int(from_writer.readline())) / 1e9)
    os.waitpid(pid, 0)
    return sorted(found)


def settle(cache, path):
    """Until the cache has what is on disk."""
    while True:
        with open(path, "rb") as file:
            current = file.read()
        try:
            if cache.add(path).content == current:
                return
        except FileNotFound:
            pass
        time.sleep(0.001)


def wait(cache, path, content, pause):
    """Until the cache has this content; the time then."""
    deadline = time.monotonic() + 20
    while True:
        file = cache.get(path)
        if (file.content if file else None) == content:
            return time.monotonic_ns()
        assert time.monotonic() < deadline, f"{content!r} never came"
        if pause:
            time.sleep(pause)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--writes", type=int, default=500, help="of each kind")
    parser.add_argument("--busy", action="store_true", help="a reader that never sleeps")
    options = parser.parse_args()
    pause = 0.0 if options.busy else 0.00005
    print(f"{'milliseconds':20}{'p50':>10}{'p99':>10}{'most':>10}")
    with tempfile.TemporaryDirectory() as folder:
        for name, (write, fewer) in KINDS.items():
            path = f"{folder}/{write.__name__}"
            in_place(path, b"old")
            with AutoUpdatingCache() as cache:
                found = latencies(cache, path, write, options.writes // fewer, pause)
            figures = statistics.median(found), found[int(len(found) * 0.99)], found[-1]
            print(f"{name:20}" + "".join(f"{1000 * figure:10.2f}" for figure in figures))


if __name__ == "__main__":
    main()
