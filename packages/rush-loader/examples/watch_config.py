"""Print a configuration file whenever it changes: ``python watch_config.py settings.toml``.

There is no time to live to choose: to ask the cache costs a tenth of a microsecond, so a program
asks it for every piece of work, and has the new settings with the next one.
"""

import os
import sys
import time

from rush_loader import AutoUpdatingCache


def main() -> None:
    path = os.path.abspath(sys.argv[1])
    with AutoUpdatingCache() as cache:
        settings = None
        while True:
            current = cache.get(path) or cache.add(path)
            if current is not settings:
                settings = current
                print((settings.content or b"").decode())
            time.sleep(0.01)  # a piece of work


if __name__ == "__main__":
    main()
