"""An echo server for very many connections: `idle_server.py PORT [--trace]`.

SIGUSR1 makes it print a line of JSON: how many connections it has, and with --trace how many
bytes Python has allocated.
"""

import gc
import json
import resource
import signal
import sys
import tracemalloc

from epollserver import RECEIVE, EpollServer


def report():
    gc.collect()
    allocated = tracemalloc.get_traced_memory()[0]
    print(json.dumps({"connections": len(server.connections), "bytes": allocated}), flush=True)


hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
if "--trace" in sys.argv:
    tracemalloc.start()
server = EpollServer(("127.0.0.1", int(sys.argv[1])), max_conns=100_000)
server.add_handler(lambda conn: conn.write(conn.recv(65536)), RECEIVE)
server.loop.on_signal(signal.SIGUSR1, report)
print("echo at {}:{}".format(*server.address), flush=True)
server.start()
