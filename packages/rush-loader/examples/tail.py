"""Print what is added to files, as ``tail -f`` does: ``python tail.py access.log error.log``."""

import os
import signal
import sys

from rush_loader import AutoUpdatingCache

cache = AutoUpdatingCache(max_file_bytes=0)  # contents are not read into memory
seen = {path: cache.add(path).size for path in map(os.path.abspath, sys.argv[1:])}


@cache.on_change
def show(paths: list[str], kind: str) -> None:
    for path in paths if kind == "changed" else ():
        with open(path, "rb") as file:
            start = file.seek(seen[path] if seen[path] <= os.path.getsize(path) else 0)
            seen[path] = start + os.write(1, file.read())


print(*seen, sep="\n", flush=True)
signal.pause()
