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
# Heads that are ready with the line of this second.
_MOST_STARTS = 1024


class Ready:
    """What answers without a `Request`, by path: redirects, and files that were found before.

    A sender returns ``False`` if it cannot, and then the request goes the usual way.  To fill in a
    `Request` would take 2,300 instructions more (tests/bench/instructions.py).
    """

    def __init__(self, http_server: HttpServer) -> None:
        self.senders: dict[str, Sender] = {}
        self.starts: dict[bytes, bytes] = {}
        """`start` of heads, by head; of this second."""
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
        loop, send, starts = self._http_server.epoll.loop, self._http_server.send, self.starts
        at_once = self.writes_at_once

        def send_head(conn: "Connection", method: str, headers: Headers) -> bool:
            exchange: Exchange = conn.data
            line = exchange.connection_line
            if line:
                send(conn, b"%b%b%b\r\n" % (head, date_line(), line))
                return True
            if loop.now >= self.second_ends:
                self.begin_second()
            data = starts.get(head) or self.start(head)
            if at_once and exchange.together is None:
                conn.write(data)
                exchange.head = None
            else:
                send(conn, data)
            return True

        self._fixed[path] = self.senders[path] = send_head

    def begin_second(self) -> None:
        """Forget the starts of the second before."""
        self.starts.clear()
        self.second_ends = monotonic() + 1.0 - time() % 1.0

    def start(self, head: bytes) -> bytes:
        """All that goes before a body, for a connection that goes on."""
        if len(self.starts) >= _MOST_STARTS:
            self.starts.clear()
        start = self.starts[head] = head + date_line() + b"\r\n"
        return start
