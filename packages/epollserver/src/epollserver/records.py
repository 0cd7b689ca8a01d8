"""Records: where those of TLS begin and end in what is received.

OpenSSL takes in a part of a record without a word, and epoll has nothing more to report.  So who
sends a request in half a record seems to be idle.  Every record says its length: here they are
counted.  What TLS sends of its own accord (a new key, RFC 8446, 4.6.3) comes in whole records, and
leaves nothing partial.
"""

# RFC 8446, 5.1: one byte of type, two of version, two of length.
_HEADER_BYTES = 5


class Records:
    """Follows the records of one connection from its first byte."""

    __slots__ = ("_header", "_left", "partial_since")

    def __init__(self) -> None:
        self._header = b""  # a part of one
        self._left = 0  # bytes that the record still misses
        self.partial_since: float | None = None
        """When the record began that is not complete; ``None`` if there is none."""

    def feed(self, raw: bytes, now: float) -> None:
        """Go on with what has arrived `now`."""
        if len(raw) < self._left:
            self._left -= len(raw)
            return
        data = self._header + raw[self._left :]
        is_new = not self._header  # the record that is partial at the end
        end, at = len(data), 0
        while end - at >= _HEADER_BYTES:
            at += _HEADER_BYTES + int.from_bytes(data[at + 3 : at + _HEADER_BYTES], "big")
            is_new = is_new or at <= end
        self._header, self._left = data[at:], max(0, at - end)
        if at == end:
            self.partial_since = None
        elif is_new:
            self.partial_since = now
