"""A process that reads files from a cache as fast as it can: ``FOLDER NUMBER FILES``.

It says "ready"; when it is told that the writers have ended, it waits until all it has is what is
on disk, and prints what it saw.
"""

import json
import random
import select
import sys
import time

from rush_loader import AutoUpdatingCache, FileNotFound, changes
from stress_writer import paths, whole

KINDS = {
    0: {},
    1: {"threaded": False},
    2: {"companions": (".gz",), "prepare": lambda file: file},
}
PATIENCE = 30.0  # seconds


class Reader:
    """Looks at each version that the cache gives."""

    def __init__(self, cache):
        self.cache = cache
        self.reads = self.absent = 0
        self.versions = set()
        self.last = {}  # what was seen of each path
        self.torn = []  # what must not be
        self.first_torn = 0  # read by `add` while it was being written: allowed, and corrected

    def read(self, path):
        self.reads += 1
        file, first = self.cache.get(path), False
        if file is None:
            try:
                file, first = self.cache.add(path), True
            except FileNotFound:
                self.absent += 1
                return None
        if self.last.get(path) is not file:
            self.last[path] = file
            self.versions.add(file.etag)
            if not whole(file.content):
                if first and "placed" in path:
                    self.first_torn += 1
                else:
                    self.torn.append((path, len(file.content)))
        return file

    def current(self, path):
        file = self.read(path)
        with open(path, "rb") as now:
            return file is not None and file.content == now.read()


def main(folder, number, files):
    # Only a close ends a writer's work: on a busy machine, 100 ms pass between two lines.
    changes.QUIET_SECONDS = 600.0
    chance = random.Random(number)
    options = KINDS[number]
    with AutoUpdatingCache(**options) as cache:
        reader, names = Reader(cache), paths(folder, files)
        for path in names:
            cache.add(path)
        print("ready", flush=True)
        descriptors = [sys.stdin] + ([] if options.get("threaded", True) else [cache])
        ready = []
        while sys.stdin not in ready:
            for path in chance.sample(names, 20):
                reader.read(path)
            ready = select.select(descriptors, [], [], 0)[0]
            if cache in ready:
                cache.process_events()
        ended = time.monotonic()
        while not all(map(reader.current, names)) and time.monotonic() < ended + PATIENCE:
            if select.select(descriptors[1:], [], [], 0.001)[0]:
                cache.process_events()
        seen = {
            "reads": reader.reads,
            "versions": len(reader.versions),
            "absent": reader.absent,
            "torn": reader.torn,
            "first_torn": reader.first_torn,
            "seconds_to_current": time.monotonic() - ended,
            "reloads": cache.stats().reloads,
        }
    print(json.dumps(seen))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
