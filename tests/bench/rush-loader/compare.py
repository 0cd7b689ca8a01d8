"""Hits per second of CPU time: the cache beside other ways to have a file's current content.

    python tests/bench/rush-loader/compare.py
    python tests/bench/rush-loader/compare.py --files 1000 --size 16384

One thread, 4 KiB files, all of them used in turn; interleaved rounds, the median of each.  What
each of them does for one use:

    cache.get            the cache: a look-up, no system call
    loader.load          the same by the path of a request
    stat cache           a dict, and an os.stat to see whether its entry still is current
    open().read()        no cache
    whitenoise           its WSGI application: finds the file in its table made at start, opens it,
                         makes the headers; changes are not seen.  If it is installed
    whitenoise autorefresh   the same, with the disk searched each time; changes are seen
"""

import argparse
import os
import statistics
import tempfile
import time

from rush_loader import AutoUpdatingCache, Loader


class StatCache:
    """What is usually written: asks the disk with every use, and is wrong within one clock tick."""

    def __init__(self):
        self._files = {}

    def get(self, path):
        now = os.stat(path)
        version = now.st_mtime_ns, now.st_size, now.st_ino
        known = self._files.get(path)
        if known is None or known[0] != version:
            with open(path, "rb") as file:
                known = self._files[path] = version, file.read()
        return known[1]


def read(path):
    with open(path, "rb") as file:
        return file.read()


def whitenoise(folder, *, autorefresh):
    """A function from path to content, or `None`."""
    try:
        from whitenoise import WhiteNoise
    except ImportError:
        return None
    application = WhiteNoise(None, root=folder, autorefresh=autorefresh)

    def get(path):
        environ = {"REQUEST_METHOD": "GET", "PATH_INFO": path.removeprefix(folder)}
        body = application(environ, lambda status, headers: None)
        content = b"".join(body)
        body.close()
        return content

    return get


def contenders(folder, paths, cache, loader):
    for path in paths:
        cache.add(path)
    by_request = {path: path.removeprefix(folder) for path in paths}
    found = {
        "cache.get": (paths, cache.get),
        "loader.load": ([by_request[path] for path in paths], loader.load),
        "stat cache": (paths, StatCache().get),
        "open().read()": (paths, read),
        "whitenoise": (paths, whitenoise(folder, autorefresh=False)),
        "whitenoise autorefresh": (paths, whitenoise(folder, autorefresh=True)),
    }
    return {name: pair for name, pair in found.items() if pair[1] is not None}


def hits_per_second(names, get, seconds):
    """Uses in a second of CPU time, in rounds through all names."""
    for name in names:
        get(name)
    uses, began = 0, time.process_time()
    while (spent := time.process_time() - began) < seconds:
        for name in names:
            get(name)
        uses += len(names)
    return uses / spent


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--files", type=int, default=200)
    parser.add_argument("--size", type=int, default=4096, help="bytes of each file")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.3, help="of each in each round")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, AutoUpdatingCache() as cache:
        paths = [f"{folder}/{number}.html" for number in range(options.files)]
        for path in paths:
            with open(path, "wb") as file:
                file.write(os.urandom(options.size))
        with Loader(folder) as loader:
            results = measure(contenders(folder, paths, cache, loader), options)
    best = results["cache.get"]
    print(f"{options.files} files of {options.size} bytes")
    for name, rate in results.items():
        print(f"{name:24}{rate:>14,.0f} hits/s {1e6 / rate:8.2f} us {best / rate:8.1f}")


def measure(ways, options):
    """Name to the median of its rounds."""
    rates = {name: [] for name in ways}
    for _ in range(options.rounds):
        for name, (names, get) in ways.items():
            rates[name].append(hits_per_second(names, get, options.seconds))
    return {name: statistics.median(found) for name, found in rates.items()}


if __name__ == "__main__":
    main()
