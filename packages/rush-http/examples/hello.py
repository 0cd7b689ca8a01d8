"""Answer every request with a greeting: ``python hello.py 8000``."""

import sys

from epollserver import Connection
from rush_http import Headers, HttpServer, Protocol


def main() -> None:
    def hello(
        body: bytes,
        conn: Connection,
        protocol: Protocol,
        method: str,
        path: str,
        query: str,
        headers: Headers,
    ) -> None:
        server.respond(conn, f"Hello from {path}!\n".encode())

    port = int(sys.argv[1]) if len(sys.argv) > 1 else 8000
    server = HttpServer(("127.0.0.1", port), on_message_complete=hello)
    print("http://{}:{}/".format(*server.address), flush=True)
    server.run()


if __name__ == "__main__":
    main()
