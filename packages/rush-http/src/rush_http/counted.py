"""CountedServer: an `HttpServer` that counts its answers by the class of their status.

For metrics.  It costs 350 instructions a request, where `ObservedServer`, which also knows whose
answers they were and how long they took, costs 4,900 (tests/bench/instructions.py).
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from epollserver import Address, Connection, SendableFile

from .errors import HttpError
from .exchange import Exchange
from .limits import Limits
from .parts import Part
from .phases import IDLE
from .proxies import TrustedProxies
from .responses import TEXT, HeaderLines, render
from .server import HttpServer, OnHeadComplete, OnMessageComplete
from .streams import ResponseStream
from .upgrades import Upgraded

if TYPE_CHECKING:
    import ssl

_STATUS_AT: Final = 9  # the first digit of it: ``HTTP/1.1 200``
_CLASSES: Final = range(ord("1"), ord("6"))
_GONE: Final = ord("4")  # 499 is what nginx calls a request whose client has not waited


class CountedExchange(Exchange):
    """An exchange whose other answers are counted: those that `HttpServer.send` does not see."""

    server: "CountedServer"

    def stream_began(self, stream: ResponseStream) -> None:
        """Count a stream."""
        self.server.count(stream.status)
        super().stream_began(stream)

    def switch(self, conn: Connection, upgraded: Upgraded, data: bytes) -> None:
        """Count a 101."""
        self.server.count(101)
        super().switch(conn, upgraded, data)

    def answer_refused(self, conn: Connection, error: HttpError, *, head_only: bool) -> bytes:
        """Count a refusal."""
        self.server.count(error.status)
        return super().answer_refused(conn, error, head_only=head_only)


class CountedServer(HttpServer):
    """`HttpServer`, which has counted its answers: see `answers`.

    An answer counts when it is handed over, a stream when it begins.  A request whose client has
    gone before its answer came counts as 499.
    """

    exchange_class = CountedExchange

    def __init__(
        self,
        sock: Address | None,
        max_conns: int = 10_000,
        on_message_complete: OnMessageComplete | None = None,
        *,
        on_head_complete: OnHeadComplete | None = None,
        limits: Limits | None = None,
        ssl_context: "ssl.SSLContext | None" = None,
        proxies: TrustedProxies | None = None,
        exclusive: bool = False,
    ) -> None:
        super().__init__(
            sock,
            max_conns,
            on_message_complete,
            on_head_complete=on_head_complete,
            limits=limits,
            ssl_context=ssl_context,
            proxies=proxies,
            exclusive=exclusive,
        )
        # By the character of the first digit, which an answer has at hand.
        self._counts = [0] * _CLASSES.stop

    @property
    def answers(self) -> list[int]:
        """How many there were: five numbers, from 1xx to 5xx."""
        return [self._counts[first] for first in _CLASSES]

    def count(self, status: int) -> None:
        """Count an answer."""
        self._counts[_CLASSES.start - 1 + status // 100] += 1

    def send(self, conn: Connection, data: bytes) -> None:
        """As `HttpServer.send`."""
        exchange: Exchange = conn.data
        if exchange.together is None and exchange.phase is IDLE and exchange.head is not None:
            # What `HttpServer.send` does then, without a call of it.
            conn.write(data)
            exchange.head = None
            self._counts[data[_STATUS_AT]] += 1
        else:
            gone = conn.fileno() < 0
            HttpServer.send(self, conn, data)
            self._counts[_GONE if gone else data[_STATUS_AT]] += 1

    def respond(
        self,
        conn: Connection,
        body: bytes,
        status: int = 200,
        headers: HeaderLines = (),
        content_type: str | None = TEXT,
    ) -> None:
        """As `HttpServer.respond`, which has a shorter way than by `send`."""
        exchange: Exchange = conn.data
        head = exchange.head
        if head is None:
            raise RuntimeError("no request awaits an answer on this connection")
        line, head_only = exchange.connection_line, head.method == "HEAD"
        data = render(
            status,
            body,
            headers,
            content_type=content_type,
            connection_line=line,
            head_only=head_only,
        )
        if exchange.together is None and exchange.phase is IDLE:
            conn.write(data)
            exchange.head = None
            self._counts[_CLASSES.start - 1 + status // 100] += 1
        else:
            self.send(conn, data)

    def send_parts(
        self, conn: Connection, head: bytes, file: SendableFile, parts: Iterable[Part]
    ) -> None:
        """As `HttpServer.send_parts`."""
        HttpServer.send_parts(self, conn, head, file, parts)
        self._counts[head[_STATUS_AT]] += 1
