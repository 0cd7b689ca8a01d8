"""Answers in pieces: ``python stream.py 8000``, then ``curl -N localhost:8000/ticks?3``.

``/ticks?N``  a line every tenth of a second, N times: pushed by a timer until the client goes
``/lines?N``  N lines, made as the client reads them: pulled, and no memory however many
"""

import sys
from collections.abc import Iterator

from epollserver import Connection
from rush_http import Headers, HttpServer, NotFound, Protocol, ResponseStream


class Ticker:
    """Writes to a stream now and then."""

    def __init__(self, server: HttpServer, stream: ResponseStream, count: int) -> None:
        self._server = server
        self._stream = stream
        self._left = count
        self._tick()

    def _tick(self) -> None:
        if self._stream.gone:
            return
        if not self._left:
            self._stream.finish()
            return
        self._stream.write(b"%d more\n" % self._left)
        self._left -= 1
        self._server.epoll.loop.call_later(0.1, self._tick)


def lines(count: int) -> Iterator[bytes]:
    for number in range(count):
        yield b"line %d\n" % number


def main() -> None:
    def callback(
        body: bytes,
        conn: Connection,
        protocol: Protocol,
        method: str,
        path: str,
        query: str,
        headers: Headers,
    ) -> None:
        count = int(query) if query.isdecimal() else 3
        if path == "/ticks":
            Ticker(server, server.start_stream(conn), count)
        elif path == "/lines":
            server.stream(conn, lines(count))
        else:
            raise NotFound(f"nothing at {path!r:.80}")

    port = int(sys.argv[1]) if len(sys.argv) > 1 else 8000
    server = HttpServer(("127.0.0.1", port), on_message_complete=callback)
    print("http://{}:{}/".format(*server.address), flush=True)
    server.run()


if __name__ == "__main__":
    main()
