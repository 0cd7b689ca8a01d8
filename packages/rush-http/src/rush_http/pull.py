"""Pull: an answer that is taken from an iterable as the client reads it."""

import logging
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from .phases import TOGETHER_BYTES

if TYPE_CHECKING:
    from .streams import ResponseStream

_log = logging.getLogger("rush_http")

# Taken in one turn of the loop; then the other connections are served.
_TURN_BYTES = 4 * TOGETHER_BYTES

# What a piece counts at least: making it costs time as well, if it is empty or not.
_PIECE_COST = 4096


class Pull:
    """Writes the pieces of an iterable to a stream, and asks for more when the client has read.

    The iterable's ``close()``, if it has one, is called exactly once, whatever happens; its
    iterator's too, if that is another object.
    """

    __slots__ = ("_due", "_iterator", "_pieces", "_stream")

    def __init__(self, stream: "ResponseStream", pieces: Iterable[bytes]) -> None:
        self._stream = stream
        self._pieces: Iterable[bytes] | None = pieces
        self._iterator: Iterator[bytes] | None = None
        self._due = False

    def begin(self) -> None:
        """Begin the stream, and pull."""
        self._stream.pull = self
        self._stream.begin()
        self.go_on()

    def go_on(self) -> None:
        """Pull until the client has to read first, or it is the turn of others."""
        if self._pieces is None or self._due:
            return
        try:
            if not self._stream.has_body or self._write_some():
                self.close()
                self._stream.finish()
        except Exception as error:
            _log.error(
                "a streamed answer failed, its connection is closed: %r",
                self._pieces,
                exc_info=error,
            )
            self._stream.abort()
            self.close()

    def close(self) -> None:
        """Ask for no more."""
        self._stream.pull = None  # no cycle: freed without the collector
        pieces, self._pieces = self._pieces, None
        iterator, self._iterator = self._iterator, None
        if pieces is not None:
            if iterator is not None and iterator is not pieces:
                close(iterator)
            close(pieces)

    def _write_some(self) -> bool:
        """Write the next pieces; return whether these were the last."""
        stream = self._stream
        if self._iterator is None:
            assert self._pieces is not None
            self._iterator = iter(self._pieces)
        taken = 0
        while not stream.behind:
            if stream.ended:
                self.close()
                return False
            try:
                piece = next(self._iterator)
            except StopIteration:
                return True
            stream.write(piece)
            taken += max(len(piece), _PIECE_COST)
            if taken >= _TURN_BYTES:
                self._due = True
                stream.soon(self._turn)
                return False
        return False

    def _turn(self) -> None:
        self._due = False
        self.go_on()


def close(pieces: object) -> None:
    """Call the ``close()`` of an iterable, if it has one; what that raises is logged."""
    function = getattr(pieces, "close", None)
    if function is not None:
        try:
            function()
        except Exception:
            _log.exception("close() of a streamed answer failed: %r", pieces)
