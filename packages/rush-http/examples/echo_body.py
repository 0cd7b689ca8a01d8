"""Send back what is posted: ``python echo_body.py 8000``, then ``curl -d hi localhost:8000``."""

import sys

from epollserver import Connection
from rush_http import Headers, HttpServer, Limits, Protocol


def main() -> None:
    def echo(
        body: bytes,
        conn: Connection,
        protocol: Protocol,
        method: str,
        path: str,
        query: str,
        headers: Headers,
    ) -> None:
        if method == "POST":
            kind = headers.get("content-type", "application/octet-stream")
            server.respond(conn, body, content_type=kind)
        else:
            server.respond(conn, b"Only POST.\n", 405, [("Allow", "POST")])

    port = int(sys.argv[1]) if len(sys.argv) > 1 else 8000
    server = HttpServer(
        ("127.0.0.1", port), on_message_complete=echo, limits=Limits(body_bytes=1 << 20)
    )
    print("http://{}:{}/".format(*server.address), flush=True)
    server.run()


if __name__ == "__main__":
    main()
