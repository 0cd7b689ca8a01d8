"""Events: an answer to which something is added whenever there is news.

The format is that of WHATWG HTML, 9.2 (server-sent events); a browser reads it with `EventSource`,
and asks again by itself when it ends::

    OPEN ──▶ ENDED        close(); the client is gone, or too slow; the server stops
"""

import json
import logging
import re
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from rush_http import Headers, HttpServer, ResponseStream

if TYPE_CHECKING:
    from epollserver import Connection, Loop, Timer

_log = logging.getLogger("rush_web")

EVENT_STREAM = "text/event-stream"

_LINE_END = re.compile(r"\r\n|\r|\n")

# How much later than it says a keep-alive comment may come: one timer looks after all streams.
_LOOKS = 4
_LEAST_SECONDS = 0.05


class EventStream:
    """Server-sent events to one client, made by `Request.events`.

    Its methods may be called from any thread, after the handler has returned as well.  It ends by
    `close`, and by itself when the client goes, when more than ``Limits.write_buffer_bytes`` wait
    for it, and when the server stops; a browser asks again then, with the last id it has seen.
    """

    __slots__ = (
        "_callbacks",
        "_ended",
        "_lock",
        "_news_at",
        "_others",
        "conn",
        "keep_alive",
        "last_event_id",
        "wire",
    )

    def __init__(
        self,
        others: "EventStreams",
        stream: ResponseStream,
        conn: "Connection",
        last_event_id: str,
        keep_alive: float | None,
    ) -> None:
        """Write to `stream`, as one of all streams of the worker."""
        self.last_event_id = last_event_id
        """The `id` of the last event that the client has had, or an empty text: go on after it."""
        self.keep_alive = keep_alive
        """Seconds of silence after which a comment is sent; ``None``: none is."""
        self.conn = conn
        self._others = others
        self.wire = stream
        self._callbacks: list[Callable[[], object]] = []
        self._ended = False
        self._news_at = others.loop.now
        # Held while something is written: a `ResponseStream` is written to by one at a time.
        self._lock = threading.RLock()
        stream.on_gone(lambda: self._end(stream.finish))
        stream.on_stop(lambda: self._end(stream.finish))
        if stream.has_body:
            others.add(self)
        else:
            self._end(stream.finish)  # to HEAD

    def send(
        self,
        data: object,
        event: str | None = None,
        id: str | None = None,
        retry: int | None = None,
    ) -> bool:
        """Send an event; returns whether it is on its way, or ``False``: the stream has ended.

        `data` is text of one or more lines; anything else but ``None`` is sent as JSON.  `event` is
        its type, a browser's ``addEventListener(event, ...)``; without it ``onmessage`` is called.
        `id` is what the client tells in `last_event_id` when it comes again, `retry` after how many
        milliseconds it does so.  With ``None`` for `data` these two are set, and nothing happens.

        Who is so slow that more than ``Limits.write_buffer_bytes`` wait is dropped; for much at
        once see `wait`.
        Raises `ValueError` for line ends in `event` or `id`, and for a negative `retry`;
        `TypeError` or `ValueError` for what JSON cannot say.
        """
        return self._write(render_event(data, event, id, retry))

    def comment(self, text: str = "") -> bool:
        """Send what clients ignore, and proxies do not; returns what `send` does."""
        lines = "\n".join(f": {line}" for line in _LINE_END.split(text))
        return self._write(f"{lines}\n\n".encode())

    def close(self) -> None:
        """End the stream; what was sent before still goes out.  A second call does nothing.

        A browser asks again; it stops for good when it is answered with 204.
        """
        with self._lock:
            self._callbacks.clear()
            self._end(self.wire.finish)

    def wait(self, timeout: float | None = None) -> bool:
        """Block until the client has room for more; not in the server's thread.

        Returns whether to go on: ``False`` if the stream has ended or `timeout` seconds are over.
        Raises `RuntimeError` in the server's thread: it would wait for itself.
        """
        return self.wire.wait(timeout) and not self._ended

    @property
    def gone(self) -> bool:
        """Whether the stream has ended, however that came: nothing reaches the client any more."""
        return self._ended

    def on_gone(self, callback: Callable[[], object]) -> None:
        """Call `callback` once, in the server's thread, if the stream ends without `close`.

        If it has ended already, `callback` is called soon.
        """
        with self._lock:
            self._callbacks.append(callback)
            if self._ended:
                self._others.soon(self._tell)

    # From here on: called by those who look after all streams.

    def beat(self, now: float) -> None:
        """Send a comment if nothing was sent for so long that a proxy may think it is over.

        `now` is the loop's clock, in seconds.
        """
        if self.keep_alive is not None and now - self._news_at >= self.keep_alive:
            self.comment()

    def abandon(self) -> None:
        """End what nobody would end, so that the client notices."""
        self._end(self.wire.abort)

    def _write(self, wire: bytes) -> bool:
        with self._lock:
            if self._ended:
                return False
            if not self.wire.write(b""):
                if not self.wire.gone:
                    _log.info("a client of events is too slow, and dropped (write_buffer_bytes)")
                self._end(self.wire.abort)
                return False
            self.wire.write(wire)
            self._news_at = self._others.loop.now
            return True

    def _end(self, end: Callable[[], object]) -> None:
        with self._lock:
            if self._ended:
                return
            self._ended = True
            self._others.discard(self)
            end()
            if self._callbacks:
                self._others.soon(self._tell)

    def _tell(self) -> None:
        with self._lock:
            callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            try:
                callback()
            except Exception:
                _log.exception("a callback of a stream of events failed: %r", callback)


class EventStreams:
    """All open streams of events of a worker, and the one timer that keeps them alive.

    Without a stream there is no timer.
    """

    def __init__(self, http_server: HttpServer) -> None:
        self._http_server = http_server
        self._open: dict[EventStream, None] = {}
        self._timer: Timer | None = None
        self._seconds = 0.0  # between two looks

    def __len__(self) -> int:
        return len(self._open)

    @property
    def loop(self) -> "Loop":
        """The loop of the server."""
        return self._http_server.epoll.loop

    def add(self, stream: EventStream) -> None:
        """Look after a stream until it is discarded.  From any thread, as all of these."""
        self._open[stream] = None
        if stream.keep_alive is not None:
            seconds = max(stream.keep_alive / _LOOKS, _LEAST_SECONDS)
            self.soon(lambda: self._look_every(seconds))

    def discard(self, stream: EventStream) -> None:
        """Forget a stream; one that is not known is ignored."""
        self._open.pop(stream, None)

    def abandon(self, conn: "Connection", only: ResponseStream | None = None) -> None:
        """End the streams of a connection, or `only` one: who has opened it has failed."""
        for stream in list(self._open):
            if stream.conn is conn and only in (None, stream.wire):
                stream.abandon()

    def soon(self, function: Callable[[], object]) -> None:
        """Call `function` in the server's thread; at once if that has ended."""
        if not self.loop.call_soon_threadsafe(function):
            function()

    def _look_every(self, seconds: float) -> None:
        if self._timer is not None:
            if seconds >= self._seconds:
                return
            self._timer.cancel()
        self._seconds = seconds
        self._timer = self.loop.call_later(seconds, self._look)

    def _look(self) -> None:
        self._timer = None
        if self._open:
            self._timer = self.loop.call_later(self._seconds, self._look)
        now = self.loop.now
        for stream in list(self._open):
            stream.beat(now)


def last_event_id(headers: Headers) -> str:
    """The id of the last event that a client has had, as it tells when it asks again."""
    # A header is Latin-1 to us; browsers send UTF-8 (WHATWG HTML, 9.2.3).
    return (headers.get("last-event-id") or "").encode("latin-1").decode("utf-8", "replace")


def render_event(
    data: object, event: str | None = None, id: str | None = None, retry: int | None = None
) -> bytes:
    """The bytes of one event; see `EventStream.send`."""
    lines = []
    if event is not None:
        lines.append(f"event: {_one_line('event', event)}")
    if id is not None:
        lines.append(f"id: {_one_line('id', id)}")
    if retry is not None:
        if not isinstance(retry, int) or retry < 0:
            raise ValueError(f"retry is a number of milliseconds, 0 or more, not {retry!r:.80}")
        lines.append(f"retry: {retry:d}")
    if data is not None:
        if not isinstance(data, str):
            data = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        lines += [f"data: {line}" for line in _LINE_END.split(data)]
    return ("\n".join(lines) + "\n\n").encode()


def _one_line(what: str, text: str) -> str:
    if "\n" in text or "\r" in text or "\0" in text:
        raise ValueError(f"{what} is one line, and without NUL: {text!r:.80}")
    return text
