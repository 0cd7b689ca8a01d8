"""Ask a million times on one connection, and say what that left in the server's memory.

python tests/bench/million.py [REQUESTS]
"""

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from crowd import ask_pipelined, serving
from rawclient import RawClient


def main():
    requests = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with serving() as server, RawClient(server.address) as client:
        ask_pipelined(client, 10_000)
        before, began = server.rss_bytes(), time.perf_counter()
        ask_pipelined(client, requests)
        more, took = server.rss_bytes() - before, time.perf_counter() - began
    print(f"{requests} requests in {took:.1f} s: {more / 1024:+.0f} KiB of {before / 1024:.0f}")


if __name__ == "__main__":
    main()
