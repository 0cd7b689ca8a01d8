"""An echo server: everybody gets back what they send.

$ python echo.py 7000
echo at 127.0.0.1:7000

$ echo hello | nc -N 127.0.0.1 7000
hello
"""

import sys

from epollserver import RECEIVE, Connection, EpollServer


def echo(conn: Connection) -> None:
    # A client that sends and never reads is held by TCP: while too much waits for it, the
    # connection is not read.
    conn.write(conn.recv(65536))


def main() -> None:
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 7000
    server = EpollServer(("127.0.0.1", port))
    server.add_handler(echo, RECEIVE)
    print("echo at {}:{}".format(*server.address), flush=True)
    server.start()


if __name__ == "__main__":
    main()
