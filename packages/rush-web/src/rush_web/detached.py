"""Detached: the answer to one request, given later, also from another thread."""

import logging
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING

from rush_http import TEXT, Deferred, Exchange, HeaderLines, ResponseStream, render

from .answering import Answering, checked_body
from .failures import answer_status
from .names import named
from .snapshot import Snapshot
from .streaming import Streaming

if TYPE_CHECKING:
    from epollserver import Connection, Loop
    from rush_loader import Loader, Mounts, Reply

Failed = Callable[[Answering, Exception], object]
"""What answers for a handler that has failed, in the server's thread."""

_log = logging.getLogger("rush_web")


class Later:
    """That a request is answered later, and by whom: what its handler has left us with."""

    __slots__ = ("handler", "head")

    def __init__(self, head: object, handler: object) -> None:
        self.head = head
        self.handler = handler  # if not said, known when it has returned


class Detached(Snapshot, Streaming):
    """A request that is answered later; made by `Request.detach`.

    It reads as a `Snapshot`, and answers as a `Request`: once, from any thread.  Its connection's
    next request waits for that.  Answering twice is a `RuntimeError`, what cannot be sent a
    `ValueError`; a client that has gone is no error.

    Let go of without an answer, it is answered by the ``internal-error`` handler, with a line in
    the log that names the handler: no client waits for ever.  `error` and `code` can be set, and
    are by error handlers.
    """

    __slots__ = (
        "__weakref__",
        "_conn",
        "_deferred",
        "_exchange",
        "_failed",
        "_later",
        "_left",
        "_loop",
        "_stream",
    )

    _changeable = Snapshot._changeable | {"after", "code", "encode_json", "error", "pending"}

    _conn: "Connection"
    _deferred: Deferred
    _exchange: Exchange
    _failed: Failed
    _later: Later
    _left: Later | None  # who has it, if it was detached again
    _loop: "Loop"
    _stream: ResponseStream | None  # the answer, if it is one

    def __init__(
        self,
        request: Streaming,
        loader: "Loader | Mounts",
        conn: "Connection",
        deferred: Deferred,
        later: Later,
        failed: Failed,
    ) -> None:
        Snapshot.__init__(self, request)
        self.code = request.code
        self.pending, self.after = request.pending, request.after
        self.encode_json = request.encode_json
        if request.known is not None and self.known is not None:
            # Its form goes along, with its files.
            self.known.form, request.known.form = request.known.form, None
        put = object.__setattr__
        put(self, "params", dict(request.params))  # a dict, as a handler is used to
        put(self, "_loader", loader)
        put(self, "common", request.common)
        put(self, "conn", conn)
        put(self, "handler", request.handler)
        put(self, "_conn", conn)
        put(self, "_exchange", conn.data)
        put(self, "_loop", conn.data.server.epoll.loop)
        put(self, "_later", later)
        put(self, "_failed", failed)
        put(self, "_left", None)
        put(self, "_stream", None)
        put(self, "_deferred", deferred)  # the last one: from here on it must be answered

    # The client

    @property
    def gone(self) -> bool:
        """Whether the client has gone, or has said that it sends no more (see `on_gone`)."""
        return self._deferred.gone

    def on_gone(self, callback: Callable[[], object]) -> None:
        """Call `callback` once, in the server's thread, if the client goes before the answer.

        Also if it has only shut down its side, which looks the same at first: it may still read,
        and gets the answer if there is one.  If it is gone already, `callback` is called soon.
        """
        self._deferred.on_gone(callback)

    # Answers

    def detach(self, handler: object = None) -> "Detached":
        """As `Request.detach`: what this returns is to answer, and this object no more.

        So that handlers that run in threads, and error handlers, need not know what they get.
        """
        deferred = self._carrier()
        later = Later(self._later.head, handler)
        detached = Detached(self, self._loader, self._conn, deferred, later, self._failed)
        object.__setattr__(self, "_left", later)
        return detached

    def is_detached(self) -> bool:
        """As `Request.is_detached`: whether it was detached once more."""
        return self._left is not None

    def comes_later(self, handler: object) -> bool:
        """As `Request.comes_later`."""
        if self._left is None:
            return False
        self._left.handler = self._left.handler or handler
        return True

    def abandon(self) -> None:
        """End the stream of events that was begun by this; the connection may have gone on."""
        if self._stream is not None:
            self.common.event_streams.abandon(self._conn, self._stream)

    @property
    def answered(self) -> bool:
        """Whether no answer is waited for; that of another thread may be on its way."""
        return self._exchange.head is not self._deferred.head or self._conn.fileno() < 0

    def response(
        self,
        body: str | bytes = b"",
        code: int | None = None,
        headers: HeaderLines | Mapping[str, str] = (),
        content_type: str = TEXT,
    ) -> None:
        """As `Request.response`."""
        if code is None:
            code = self.code
        self._carrier().send(
            render(
                code,
                body.encode() if isinstance(body, str) else checked_body(body),
                self.lines(code, headers) if headers or self.pending is not None else (),
                content_type=content_type,
                connection_line=self._exchange.connection_line,
                head_only=self.method == "HEAD",
            )
        )

    def raw_response(self, data: bytes) -> None:
        """As `Request.raw_response`."""
        self._carrier().send(data)

    def send_reply(
        self, reply: "Reply", code: int = 200, headers: HeaderLines | Mapping[str, str] = ()
    ) -> None:
        """As `Request.send_reply`."""
        head = self._head_of_reply(reply, code, headers, self._exchange.connection_line)
        if self.method == "HEAD":
            self._carrier().send(head)
        elif reply.file is None:
            self._carrier().send(head + reply.body)
        else:
            self._carrier().send_parts(head, reply.file.open(), reply.parts)

    def send_stream(
        self,
        pieces: Iterable[bytes],
        code: int,
        headers: HeaderLines,
        *,
        content_type: str,
        length: int | None,
    ) -> None:
        """As `Request.send_stream`; pieces are made in the server's thread."""
        self._carrier().stream(pieces, code, headers, content_type=content_type, length=length)

    def start_stream(self, code: int, headers: HeaderLines, *, content_type: str) -> ResponseStream:
        """As `Request.start_stream`."""
        stream = self._carrier().start_stream(code, headers, content_type=content_type)
        object.__setattr__(self, "_stream", stream)
        return stream

    def _carrier(self) -> Deferred:
        """Who carries an answer to the client; raises `RuntimeError` if another one has it."""
        if self._left is not None:
            raise RuntimeError(f"{self!r} is detached already: what has detached it answers")
        if self.answered and self._conn.fileno() >= 0:
            raise RuntimeError(f"{self!r} was answered already")
        return self._deferred

    # Ends

    def fail(self, error: Exception) -> None:
        """Let the error handlers answer, in the server's thread: as if a handler had raised."""
        if not self._loop.call_soon_threadsafe(partial(self._failed, self, error)):
            _log.error("%r failed after the end: %s", self, error, exc_info=error)

    def __del__(self) -> None:
        # A caller on its way out lives on until that is done; this is not called again.
        if (
            not hasattr(self, "_deferred")
            or self._left is not None
            or self.answered
            or not self._loop.call_soon_threadsafe(self._dropped)
        ):
            super().__del__()

    def _dropped(self) -> None:
        try:
            if self.answered:  # it was on its way
                return
            problem = f"{named(self._later.handler)} let go of it without an answer"
            if self.error is None:
                self._failed(self, RuntimeError(problem))
            else:  # an error handler has done so: it would do it again, for ever
                _log.error("%s: %r is answered with a plain 500", problem, self)
                self.code, self.after, self.pending = 500, (), None
                answer_status(self)
        finally:
            super().__del__()
