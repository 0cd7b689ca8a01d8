"""Request: what a handler sees, and what it says.

There is one `Request` in a worker, filled anew for each request: nothing is allocated for it, and
what a handler does not ask for (arguments, say) is never worked out.
"""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from rush_http import TEXT, Forwarded, HeaderLines, HttpServer, Peer

from .answering import checked_body
from .common import Common
from .detached import Detached, Failed, Later
from .jsons import EncodeJson, encode_json
from .receiving import Receiving

if TYPE_CHECKING:
    from rush_http import Exchange, ResponseStream
    from rush_loader import Loader, Mounts, Reply


class Request(Receiving):
    """One request, as long as its handler runs; the same object serves the next one.

    A handler answers exactly once: `response`, `response_json`, `response_file`, `redirect`,
    `stream`, `events` or `raw_response`; or it returns what its answer is made of.
    """

    __slots__ = ("_failed", "_http_server", "later")

    def __init__(
        self,
        http_server: HttpServer,
        loader: "Loader | Mounts",
        failed: Failed | None = None,
        common: Common | None = None,
        *,
        encode_json: EncodeJson = encode_json,
    ) -> None:
        """`failed` answers for a `Detached` that is dropped, or whose handler fails."""
        super().__init__(loader, common or Common(http_server), encode_json=encode_json)
        self._http_server = http_server
        self._failed = failed
        self.later: Later | None = None  # since when it is detached

    def __repr__(self) -> str:
        return f"<Request {self.method} {self.path!r:.200}>"

    def detach(self, handler: object = None) -> Detached:
        """Answer later, from any thread, by what this returns: the handler need not answer.

        The connection's next request waits, the others go on.  `handler` is who the log names if no
        answer comes: the present one, if not said.
        Raises `RuntimeError` if the request is answered, or detached, already.
        """
        exchange: Exchange = self.conn.data
        if self._failed is None or self.is_detached():
            raise RuntimeError(f"{self!r} is detached already, or nobody waits for its answer")
        deferred = self._http_server.defer(self.conn)
        self.known = self.known or self._begin()  # so that `later` is forgotten as well
        self.later = Later(exchange.head, handler)
        return Detached(self, self._loader, self.conn, deferred, self.later, self._failed)

    def is_detached(self) -> bool:
        """Whether it is to be answered by what `detach` gave, or was."""
        return self.later is not None and self.later.head is self.conn.data.head

    def comes_later(self, handler: object) -> bool:
        """Whether it is detached; `handler` is who has done it, if nobody was named before."""
        if self.is_receiving:
            return True
        if self.later is None or not self.is_detached():
            return False
        self.later.handler = self.later.handler or handler
        return True

    @property
    def answered(self) -> bool:
        """Whether no answer is waited for: it was given, or the handler closed the connection."""
        exchange: Exchange = self.conn.data
        return exchange.head is None or self.conn.fileno() < 0

    def forget(self) -> None:
        """Close the form, and forget all that was worked out."""
        if self.known is not None:
            self.known.close()
            self.known = self.later = None

    def _client(self) -> Peer | None:
        return self._http_server.forwarded(self.conn, self.headers).client

    def _forwarded(self) -> Forwarded:
        return self._http_server.forwarded(self.conn, self.headers)

    def response(
        self,
        body: str | bytes = b"",
        code: int | None = None,
        headers: HeaderLines | Mapping[str, str] = (),
        content_type: str = TEXT,
    ) -> None:
        """Answer with a body; text is sent as UTF-8.  `code` is the status, by default 200.

        In an error handler the status is by default that of the error.
        The type is plain text, so that what a client sent is never run in a browser by accident:
        pass ``content_type="text/html; charset=utf-8"`` for a page.  The body of an answer to
        HEAD is left out.  Raises `ValueError` for headers that cannot be sent, `RuntimeError` if
        this request was answered already; nothing is sent then.
        """
        # `content_type` may be given by its place as well: a function with keywords only is called
        # with 500 instructions more (tests/bench/instructions.py).
        if code is None:
            code = self.code
        self._http_server.respond(
            self.conn,
            body.encode() if isinstance(body, str) else checked_body(body),
            code,
            self.lines(code, headers) if headers or self.pending is not None else (),
            content_type,
        )

    def raw_response(self, data: bytes) -> None:
        """Answer with `data` as it is: one complete response, head and body.

        For what was rendered before (`rush_http.render`); it is not checked, and no cookie that was
        set goes with it.
        """
        self._http_server.send(self.conn, data)

    def send_reply(
        self, reply: "Reply", code: int = 200, headers: HeaderLines | Mapping[str, str] = ()
    ) -> None:
        """Answer with what a loader has planned; see `send_file`.

        `code` is sent in place of a 200.
        """
        exchange: Exchange = self.conn.data
        head = self._head_of_reply(reply, code, headers, exchange.connection_line)
        if self.method == "HEAD":
            self._http_server.send(self.conn, head)
        elif reply.file is None:
            self._http_server.send(self.conn, head + reply.body)
        else:
            self._http_server.send_parts(self.conn, head, reply.file.open(), reply.parts)

    def send_stream(
        self,
        pieces: Iterable[bytes],
        code: int,
        headers: HeaderLines,
        *,
        content_type: str,
        length: int | None,
    ) -> None:
        """Answer with pieces, which are closed in any case; see `stream`."""
        self._http_server.stream(
            self.conn, pieces, code, headers, content_type=content_type, length=length
        )

    def start_stream(
        self, code: int, headers: HeaderLines, *, content_type: str
    ) -> "ResponseStream":
        """Begin an answer to which the caller writes, now and later; see `events`."""
        return self._http_server.start_stream(self.conn, code, headers, content_type=content_type)
