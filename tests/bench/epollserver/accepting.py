"""What a connection costs that asks once: accepted, read, answered and closed.

python tests/bench/epollserver/accepting.py [rounds]

A queue of clients that have asked already is served by a loop in this process.  Printed is the
CPU time of the loop for one connection, in microseconds: the best round and the median.  For an A/B
test run two versions by turns (PYTHONPATH): other load disturbs the best round least.
"""

import socket
import statistics
import sys
import time

from epollserver import DISCONNECT, RECEIVE, Connection, EpollServer, Reason

CLIENTS = 400
ANSWER = b"x" * 100


def receive(conn: Connection) -> None:
    if conn.recv(65536):
        conn.write(ANSWER)
        conn.finish()


def one_round() -> float:
    """Serve `CLIENTS` of them; returns microseconds of CPU time for each."""
    left = CLIENTS
    with EpollServer(("127.0.0.1", 0)) as server:

        def gone(conn: Connection, reason: Reason) -> None:
            nonlocal left
            left -= 1
            if not left:
                server.stop()

        server.add_handler(receive, RECEIVE)
        server.add_handler(gone, DISCONNECT)
        clients = [socket.create_connection(server.address) for _ in range(CLIENTS)]
        for client in clients:
            client.sendall(b"?" * 100)
        began = time.thread_time()
        server.start()
        spent = time.thread_time() - began
        for client in clients:
            client.close()
    return spent / CLIENTS * 1e6


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 40
    found = [one_round() for _ in range(rounds)]
    print(f"best {min(found):.1f} us, median {statistics.median(found):.1f} us")


if __name__ == "__main__":
    main()
