"""Print what is added to files, as ``tail -f`` does: ``python tail.py access.log error.log``."""

import os
import signal
import sys

from rush_loader import AutoUpdatingCache


def main() -> None:
    seen: dict[str, int] = {}  # bytes, by path
    cache = AutoUpdatingCache(max_file_bytes=0)  # contents are not read into memory

    @cache.on_change
    def show(paths: list[str], kind: str) -> None:
        for path in paths if kind == "changed" else ():
            with open(path, "rb") as file:
                if os.fstat(file.fileno()).st_size >= seen[path]:  # else it was truncated
                    file.seek(seen[path])
                sys.stdout.buffer.write(file.read())
                seen[path] = file.tell()
            sys.stdout.flush()

    for path in map(os.path.abspath, sys.argv[1:]):
        seen[path] = cache.add(path).size
        print(f"==> {path}", flush=True)
    signal.pause()


if __name__ == "__main__":
    main()
