"""Ready: answers that are sent as soon as their path is known."""

from collections.abc import Callable
from time import monotonic, time
from typing import TYPE_CHECKING

from rush_http import Exchange, Headers, HttpServer, date_line

if TYPE_CHECKING:
    from epollserver import Connection

Sender = Callable[["Connection", str, Headers], bool]
"""``sender(conn, method, headers)``: whether that was all."""

# Paths that `Ready.add` has made ready.
_MOST_ADDED = 4096
# Answers that are kept whole for a second, and bytes of a body that is worth it: 8 MiB together.
_MOST_WHOLE = 1024
_LONGEST_BODY = 8192


class Ready:
    """What answers without a `Request`, by path: redirects, and files that were found before.

    A sender returns ``False`` if it cannot, and then the request goes the usual way.  To fill in a
    `Request` would take 2,300 instructions more (tests/bench/instructions.py).
    """

    def __init__(self, http_server: HttpServer) -> None:
        self.senders: dict[str, Sender] = {}
        self.wholes: dict[object, bytes] = {}
        """What `whole` has made in this second, by its key."""
        self.second_ends = 0.0
        """When that is to begin anew, by the clock of the loop."""
        self.writes_at_once = type(http_server).send is HttpServer.send
        """Whether a sender may write to its connection itself, as nobody observes that: it takes
        700 instructions less than `HttpServer.send` if ``conn.data.together`` is ``None``."""
        self._http_server = http_server
        self._fixed: dict[str, Sender] = {}

    def add(self, path: str, sender: Sender) -> None:
        """Let it answer for a path; it is forgotten when there are too many."""
        if len(self.senders) >= len(self._fixed) + _MOST_ADDED:
            self.senders.clear()
            self.senders.update(self._fixed)
        self.senders[path] = sender

    def add_head(self, path: str, head: bytes) -> None:
        """Let a path be answered with a rendered head that has no body, whatever the method is."""
        loop, send, wholes = self._http_server.epoll.loop, self._http_server.send, self.wholes
        at_once = self.writes_at_once

        def send_head(conn: "Connection", method: str, headers: Headers) -> bool:
            exchange: Exchange = conn.data
            if loop.now >= self.second_ends:
                self.begin_second()
            data = wholes.get(head) or self.whole(head, head)
            line = exchange.connection_line
            if line:
                send(conn, b"%b%b\r\n" % (data[:-2], line))
            elif at_once and exchange.together is None:
                conn.write(data)
                exchange.head = None
            else:
                send(conn, data)
            return True

        self._fixed[path] = self.senders[path] = send_head

    def begin_second(self) -> None:
        """Forget the answers of the second before."""
        self.wholes.clear()
        self.second_ends = monotonic() + 1.0 - time() % 1.0

    def whole(self, key: object, head: bytes, body: bytes = b"") -> bytes:
        """An answer on a connection that goes on; kept in `wholes` until the second is over.

        To join head and body anew takes a tenth of what a file of 4 KiB takes here.
        """
        data = b"".join((head, date_line(), b"\r\n", body))
        if len(body) <= _LONGEST_BODY:
            if len(self.wholes) >= _MOST_WHOLE:
                self.wholes.clear()
            self.wholes[key] = data
        return data
