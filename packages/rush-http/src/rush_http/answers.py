"""Answers: what a request can be answered with, by `HttpServer` and later by `Deferred`."""

import logging
import threading
from collections.abc import Callable, Iterable

from epollserver import Connection, EpollServer, Loop, Reason, SendableFile

from .deferred import Deferred
from .exchange import Exchange
from .grammar import HTTP_1_0
from .head import Head
from .parts import Part, checked
from .phases import ANSWER, BODY, IDLE
from .pull import Pull
from .pull import close as close_pieces
from .responses import (
    LENGTHS,
    SECOND,
    TEXT,
    HeaderLines,
    framing_line,
    is_bodiless,
    render,
    render_interim,
    render_upgrade,
    stream_start,
)
from .streams import ResponseStream
from .upgrades import Upgraded, check_upgrade

_log = logging.getLogger("rush_http")


class Answers:
    """The ways to answer the present request of a connection: what `HttpServer` inherits.

    Each raises `RuntimeError` if no request of `conn` awaits an answer.  A client that has gone is
    not an error.
    """

    epoll: EpollServer
    draining: bool
    _loop: Loop

    def send(self, conn: Connection, data: bytes) -> None:
        """Answer with exactly one complete, rendered response; that ends the exchange.

        `data` is never looked into: see `render`.  A client that has gone is not an error.
        Raises `RuntimeError` if no request of `conn` awaits an answer, and `TypeError` for what is
        no bytes; the request still awaits its answer then.
        """
        exchange: Exchange = conn.data
        if exchange.head is None:
            raise RuntimeError("no request awaits an answer on this connection")
        if exchange.together is None:
            conn.write(data)
            exchange.head = None  # not before: what is no bytes has raised, and is no answer
            if exchange.phase is ANSWER:
                exchange.answered(conn)
        else:
            exchange.add(data)
            exchange.head = None

    def respond(
        self,
        conn: Connection,
        body: bytes,
        status: int = 200,
        headers: HeaderLines = (),
        content_type: str | None = TEXT,
    ) -> None:
        """Render an answer as the present request needs it (HEAD, ``Connection``), and `send` it.

        `status` has three digits; `headers` are pairs of name and value.
        Raises `ValueError` for what cannot be sent (see `render`), `RuntimeError` if no request
        awaits an answer; nothing is sent then.
        """
        exchange: Exchange = conn.data
        head = exchange.head
        if head is None:
            raise RuntimeError("no request awaits an answer on this connection")
        if (
            self._loop.now < SECOND.ends
            and exchange.phase is IDLE
            and head.method != "HEAD"
            and not headers
        ):
            # What `render` and `send` do then, in one: 10 % of the instructions of a request less
            # (tests/bench/instructions.py).  Date is that of the loop's turn: as late as a handler
            # that blocks.
            try:
                start, length = SECOND.starts[content_type][status], LENGTHS[len(body)]
            except KeyError:
                pass  # not met yet in this second, or it has no body
            else:
                data = b"".join((start, exchange.connection_line, length, body))
                if exchange.together is None:
                    conn.write(data)
                else:
                    exchange.add(data)
                exchange.head = None
                return
        self.send(
            conn,
            render(
                status,
                body,
                headers,
                content_type=content_type,
                connection_line=exchange.connection_line,
                head_only=head.method == "HEAD",
            ),
        )

    def send_file(
        self, conn: Connection, head: bytes, file: SendableFile, offset: int, count: int
    ) -> None:
        """Answer with a rendered `head` and `count` bytes of `file` from `offset`, by sendfile(2).

        The connection owns the open `file` from here on, and closes it.
        Raises `RuntimeError` as `send` does, and `ValueError` if `offset` or `count` is negative;
        nothing is sent then, and the file is closed.
        """
        self.send_parts(conn, head, file, ((offset, count),))

    def send_parts(
        self, conn: Connection, head: bytes, file: SendableFile, parts: Iterable[Part]
    ) -> None:
        """Answer with a rendered `head` and parts: `bytes`, or ``(offset, count)`` of `file`.

        For what is more than one piece of a file, such as ``multipart/byteranges``.  To HEAD the
        head alone is sent.  Owns the file, and raises, as `send_file` does.
        """
        exchange: Exchange = conn.data
        try:
            request = _awaiting(exchange)
            parts = () if request.method == "HEAD" else checked(parts)
            ranges = sum(not isinstance(part, bytes) for part in parts)
            exchange.write_together(conn)
            conn.write(head)
        except BaseException:
            file.close()
            raise
        exchange.head = None
        shared = _Shared(file, ranges)
        for part in parts:
            if isinstance(part, bytes):
                conn.write(part)
            else:
                conn.sendfile(shared, *part)
        if exchange.phase is ANSWER:
            exchange.answered(conn)

    def respond_file(
        self,
        conn: Connection,
        file: SendableFile,
        offset: int,
        count: int,
        status: int = 200,
        headers: HeaderLines = (),
        *,
        content_type: str | None = TEXT,
    ) -> None:
        """Render a head as the present request needs it, and send it with a part of `file`.

        The part has `count` bytes, from the byte `offset` on.
        Owns the file, and raises, as `send_file` does; `ValueError` also for what cannot be sent
        (see `render`), and for a status that has no body.
        """
        exchange: Exchange = conn.data
        try:
            _awaiting(exchange)
            if is_bodiless(status):
                raise ValueError(f"status {status} has no body (RFC 9110, 6.4.1)")
            start = stream_start(status, headers, content_type)
            length = framing_line(status, count, chunked=False)
        except BaseException:
            file.close()
            raise
        head = b"%b%b%b\r\n" % (start, exchange.connection_line, length)
        self.send_file(conn, head, file, offset, count)

    # In pieces, and later

    def start_stream(
        self,
        conn: Connection,
        status: int = 200,
        headers: HeaderLines = (),
        *,
        content_type: str | None = TEXT,
        length: int | None = None,
    ) -> ResponseStream:
        """Begin an answer that is written piece by piece, now and later.

        `length` is announced as ``Content-Length``; without it the body is chunked, to HTTP/1.0 it
        ends with the connection.  The connection's next request waits for `ResponseStream.finish`.
        Raises `ValueError` for what cannot be sent (see `render`); nothing is sent then.
        """
        request, thread = _awaiting(conn.data), threading.get_ident()
        stream = ResponseStream(conn, request, thread, status, headers, content_type, length)
        stream.begin()
        return stream

    def stream(
        self,
        conn: Connection,
        pieces: Iterable[bytes],
        status: int = 200,
        headers: HeaderLines = (),
        *,
        content_type: str | None = TEXT,
        length: int | None = None,
    ) -> None:
        """Answer with `pieces`, taken from the iterable as the client reads them.

        Framed as by `start_stream`; empty pieces are skipped.  The iterable's ``close()``, if it
        has one, is called once, whatever happens.  If it raises, or gives more or less than
        `length`, the connection is closed, so that the client notices; the log has the traceback.
        Raises as `start_stream` does; the iterable is closed then.
        """
        try:
            request, thread = _awaiting(conn.data), threading.get_ident()
            stream = ResponseStream(conn, request, thread, status, headers, content_type, length)
        except BaseException:
            close_pieces(pieces)
            raise
        Pull(stream, pieces).begin()

    def defer(self, conn: Connection) -> Deferred:
        """Return who answers the present request later, from any thread; see `Deferred`.

        Called in the callback.  Without it the callback may return without an answer as well, and
        answer by `conn` in the server's thread; a `Deferred` knows its request from the next one.
        One that was taken in `on_head_complete` may answer before the body is there:
        `on_message_complete` is not called then.
        """
        exchange: Exchange = conn.data
        _awaiting(exchange)
        return exchange.defer(conn)

    def inform(self, conn: Connection, status: int, headers: HeaderLines = ()) -> None:
        """Send an informational response before the answer: 103 Early Hints and the like.

        Nothing is sent to HTTP/1.0, which knows none (RFC 9110, 15.2).  Raises `ValueError` for a
        status that is not 102 to 199 (100 is sent by the server, for 101 see `upgrade`), and for
        headers as `render` does.
        """
        exchange: Exchange = conn.data
        head = _awaiting(exchange)
        data = render_interim(status, headers)
        if head.protocol != HTTP_1_0:
            exchange.write(conn, data)

    def upgrade(
        self,
        conn: Connection,
        protocol: str,
        headers: HeaderLines = (),
        *,
        on_data: Callable[[bytes], object],
        on_gone: Callable[[Reason], object] | None = None,
        on_drain: Callable[[], object] | None = None,
        on_stop: Callable[[], object] | None = None,
    ) -> None:
        """Answer 101, and hand the connection over: it speaks `protocol` from now on.

        `on_data(data)` is called with what arrives, bytes that are here already first; `conn` is
        the caller's to `write`, `pause`, `resume`, `finish` and `close`, and no time limit of HTTP
        counts.  `on_gone(reason)` is called once, after the end; `on_drain()` when what a `write`
        had to keep is out.  When the server stops, `on_stop()` is called, to say goodbye and
        `finish` within the grace; without one the connection is closed as an idle one is.

        Raises `BadRequest` if the client has not asked for it (RFC 9110, 7.8), `ValueError` for
        headers as `render` does, and `RuntimeError` while a body is arriving.
        """
        exchange: Exchange = conn.data
        check_upgrade(_awaiting(exchange), protocol)
        if exchange.phase is BODY or exchange.upload is not None:
            raise RuntimeError("an upgrade has to wait for the end of the request's body")
        data = render_upgrade(protocol, headers)
        exchange.switch(conn, Upgraded(on_data, on_gone, on_drain, on_stop), data)
        if self.draining and on_stop is not None and conn.fileno() >= 0:
            self.epoll.loop.call_soon(on_stop)


class _Shared:
    """A file of which several parts are sent: closed with the last of them."""

    __slots__ = ("_file", "_users")

    def __init__(self, file: SendableFile, users: int) -> None:
        self._file = file
        self._users = users
        if not users:
            file.close()

    def fileno(self) -> int:
        return self._file.fileno()

    def close(self) -> None:
        self._users -= 1
        if not self._users:
            self._file.close()


def _awaiting(exchange: Exchange) -> Head:
    """The head of the request that awaits its answer."""
    if exchange.head is None:
        raise RuntimeError("no request awaits an answer on this connection")
    return exchange.head
