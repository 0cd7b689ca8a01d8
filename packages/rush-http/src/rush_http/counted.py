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
from .responses import LENGTHS, SECOND, TEXT, HeaderLines
from .server import HttpServer, OnHeadComplete, OnMessageComplete
from .streams import ResponseStream
from .upgrades import Upgraded

if TYPE_CHECKING:
    import ssl

_STATUS_AT: Final = 9  # the first digit of it: ``HTTP/1.1 200``
_CLASSES: Final = range(ord("1"), ord("6"))
_FIRST_DIGITS: Final = bytes([_CLASSES.start - 1 + status // 100 for status in range(600)])
_GONE: Final = ord("4")  # 499 is what nginx calls a request whose client has not waited


class CountedExchange(Exchange):
    """An exchange whose other answers are counted: those that `HttpServer.send` does not see."""

    server: "CountedServer"

    def stream_began(self, stream: ResponseStream) -> None:
        """Count a stream."""
        self.server.count(stream.status)
        super().stream_began(stream)

    def stream_unheard(self, stream: ResponseStream) -> None:
        """Count a stream whose client has not waited for it."""
        self.server.count(499)
        super().stream_unheard(stream)

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
        self._sent = 0  # by `send`

    @property
    def answers(self) -> list[int]:
        """How many there were: five numbers, from 1xx to 5xx."""
        return [self._counts[first] for first in _CLASSES]

    def count(self, status: int) -> None:
        """Count an answer."""
        self._counts[_FIRST_DIGITS[status]] += 1

    def send(self, conn: Connection, data: bytes) -> None:
        """As `HttpServer.send`."""
        exchange: Exchange = conn.data
        gone = exchange.phase is not IDLE and conn.fileno() < 0
        HttpServer.send(self, conn, data)
        self._sent += 1
        self._counts[_GONE if gone else data[_STATUS_AT]] += 1

    def respond(
        self,
        conn: Connection,
        body: bytes,
        status: int = 200,
        headers: HeaderLines = (),
        content_type: str | None = TEXT,
    ) -> None:
        """As `HttpServer.respond`."""
        exchange: Exchange = conn.data
        head = exchange.head
        if (
            self._loop.now < SECOND.ends
            and exchange.phase is IDLE
            and exchange.together is None
            and head is not None
            and head.method != "HEAD"
            and not headers
        ):
            # What `HttpServer.respond` does then, without a call of it: 1,500 instructions less.
            try:
                start, length = SECOND.starts[content_type][status], LENGTHS[len(body)]
            except KeyError:
                pass
            else:
                conn.write(b"".join((start, exchange.connection_line, length, body)))
                exchange.head = None
                self._counts[_FIRST_DIGITS[status]] += 1
                return
        sent = self._sent
        HttpServer.respond(self, conn, body, status, headers, content_type)
        if self._sent == sent:  # else it went by `send`
            self.count(status)

    def send_parts(
        self, conn: Connection, head: bytes, file: SendableFile, parts: Iterable[Part]
    ) -> None:
        """As `HttpServer.send_parts`."""
        gone = conn.fileno() < 0
        HttpServer.send_parts(self, conn, head, file, parts)
        self._counts[_GONE if gone else head[_STATUS_AT]] += 1
