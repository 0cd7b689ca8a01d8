"""Streaming: answers that come in pieces, pulled as the client reads or pushed as events."""

from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from rush_http import TEXT, HeaderLines

from .answering import Answering
from .common import Common
from .events import EVENT_STREAM, EventStream, last_event_id, render_event
from .jsons import EncodeJson, encode_json
from .names import named

if TYPE_CHECKING:
    from epollserver import Connection
    from rush_http import ResponseStream
    from rush_loader import Loader, Mounts

# Seconds; proxies give up after 60 without a byte, if nobody has told them another time.
_KEEP_ALIVE = 15.0

# nginx would keep events until it has a buffer full of them.
_EVENT_HEADERS = (("Cache-Control", "no-cache"), ("X-Accel-Buffering", "no"))


class Streaming(Answering):
    """A request that can be answered in pieces as well; a subclass says how they go out."""

    __slots__ = ("common", "conn", "handler")

    def __init__(
        self, loader: "Loader | Mounts", common: Common, *, encode_json: EncodeJson = encode_json
    ) -> None:
        super().__init__(loader, encode_json=encode_json)
        self.common = common
        self.conn: Connection
        """The client's connection, a `socket.socket`."""
        # Who answers, for the log
        self.handler: Callable[..., object] | None = None

    # What carries an answer to the client; `Request` says what each does.

    @abstractmethod
    def send_stream(
        self,
        pieces: Iterable[bytes],
        code: int,
        headers: HeaderLines,
        *,
        content_type: str,
        length: int | None,
    ) -> None:
        """Answer with pieces, taken as the client reads."""

    @abstractmethod
    def start_stream(
        self, code: int, headers: HeaderLines, *, content_type: str
    ) -> "ResponseStream":
        """Begin an answer that is written piece by piece."""

    # What ends in them

    def abandon(self) -> None:
        """End the streams of events that were begun for this request."""
        self.common.event_streams.abandon(self.conn)

    def stream(
        self,
        pieces: Iterable[str] | Iterable[bytes] | Iterable[str | bytes],
        code: int | None = None,
        headers: HeaderLines | Mapping[str, str] = (),
        *,
        content_type: str = TEXT,
        length: int | None = None,
    ) -> None:
        """Answer with the pieces of an iterable, each taken when the client has read those before.

        Text is sent as UTF-8.  `length`, if it is known, is announced as ``Content-Length``: in
        bytes, and exactly.  Pieces are made after the handler has returned: a generator takes what
        it needs of the request before, as arguments.  It holds its worker while it makes one.

        The iterable's ``close()``, if it has one, is called in any case: at the end, when the
        client goes, for HEAD, if this raises.  If it fails, the log names the handler, and the
        connection is closed, so that the client does not take a part for the whole.
        Raises `TypeError` for what is no iterable, and as `response` does.
        """
        encoded = Pieces(pieces, f"{self!r}, {named(self.handler)}, {named(pieces)}")
        try:
            if isinstance(pieces, str | bytes) or not hasattr(pieces, "__iter__"):
                raise TypeError(f"pieces come from an iterable, not {pieces!r:.80}; see response()")
            status = self.code if code is None else code
            lines = self.lines(status, headers)
        except BaseException:
            encoded.close()
            raise
        self.send_stream(encoded, status, lines, content_type=content_type, length=length)

    def events(
        self,
        headers: HeaderLines | Mapping[str, str] = (),
        *,
        retry: int | None = None,
        keep_alive: float | None = _KEEP_ALIVE,
    ) -> EventStream:
        """Answer with server-sent events: keep what this returns, and `EventStream.send`, for ever.

        `retry` is after how many milliseconds a client that was cut off shall ask again.  After
        `keep_alive` seconds without an event a comment is sent, at most a quarter later, so that no
        proxy takes the silence for an end; ``None`` for never.  HEAD gets a stream that has ended.
        Raises as `response` does, and `ValueError` for times that are none.
        """
        if keep_alive is not None and not keep_alive > 0:
            raise ValueError(f"keep_alive is {keep_alive!r}: it must be above 0 seconds, or None")
        first = None if retry is None else render_event(None, retry=retry)
        lines = [*self.lines(self.code, headers)]
        given = {name.lower() for name, _ in lines}
        lines += [line for line in _EVENT_HEADERS if line[0].lower() not in given]
        stream = self.start_stream(self.code, lines, content_type=EVENT_STREAM)
        if first is not None:
            stream.write(first)
        last = last_event_id(self.headers)
        return EventStream(self.common.event_streams, stream, self.conn, last, keep_alive)


class Pieces:
    """The pieces of an iterable as bytes; `what` names them in the log."""

    __slots__ = ("_iterator", "_pieces", "_what")

    def __init__(self, pieces: Iterable[str | bytes], what: str) -> None:
        self._pieces = pieces
        self._what = what
        self._iterator: Iterator[str | bytes] | None = None

    def __iter__(self) -> "Pieces":
        self._iterator = iter(self._pieces)
        return self

    def __next__(self) -> bytes:
        assert self._iterator is not None
        piece = next(self._iterator)
        return piece.encode() if isinstance(piece, str) else piece

    def __repr__(self) -> str:
        return f"<pieces for {self._what}>"

    def close(self) -> None:
        """Close the iterable, and its iterator if that is another object."""
        try:
            if self._iterator is not self._pieces:
                _close(self._iterator)
        finally:
            _close(self._pieces)


def _close(pieces: object) -> None:
    close = getattr(pieces, "close", None)
    if close is not None:
        close()
