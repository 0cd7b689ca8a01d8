"""ProxyHeader: what a proxy says of a connection before anything else, the PROXY protocol.

HAProxy's proxy-protocol.txt has the rules, of version 1 (a line of text) and of version 2 (binary);
"section" means its sections.  No I/O.  What is not exactly as they say ends the connection: nobody
guesses whether a header is there.
"""

import re
import socket
from collections.abc import Iterator
from typing import Final

from .crc32c import crc32c
from .peer import Peer

MOST_BYTES: Final = 16 * 1024
"""The longest header of version 2 that is taken; its own limit is 65,551 bytes."""

# Section 2.1: the line with its line end.
_LINE_BYTES: Final = 107
_BEGIN: Final = b"PROXY "
_LINE: Final = re.compile(
    rb"PROXY (?:UNKNOWN(?: [^\r\n]*)?"
    rb"|(TCP4|TCP6) ([0-9A-Fa-f.:]+) ([0-9A-Fa-f.:]+)"
    rb" (0|[1-9][0-9]{0,4}) (0|[1-9][0-9]{0,4}))"
)

# Section 2.2.
_SIGNATURE: Final = b"\r\n\r\n\x00\r\nQUIT\n"
_FIXED_BYTES: Final = 16
_LOCAL, _PROXY = 0x20, 0x21  # with the version
_INET, _INET6, _UNIX = 1, 2, 3
_ADDRESS_BYTES: Final = {_INET: 12, _INET6: 36, _UNIX: 216}
_CRC32C, _SSL = 0x03, 0x20
_CLIENT_SSL: Final = 0x01


class BadProxyHeader(ConnectionError):
    """What came first is no header of the PROXY protocol; the connection is closed."""


class ProxyHeader:
    """Reads one header; a `Preamble` of epollserver's.

    ::

        P ──▶ version 1: bytes up to CRLF ─────────────────────────▶ complete: `wanted` is 0
        CR ─▶ version 2: 16 bytes, then as many as these say ──────▶
        anything else ──▶ `BadProxyHeader`
    """

    __slots__ = ("_seen", "is_tls", "source", "wanted")

    def __init__(self) -> None:
        self._seen = bytearray()
        self.wanted = _LINE_BYTES
        """How many bytes more may belong to it; 0 when it is complete."""
        self.source: Peer | None = None
        """Who has connected to the proxy; ``None`` if it does not say, or speaks for itself."""
        self.is_tls = False
        """Whether it says that it was spoken to over TLS (version 2 only)."""

    def feed(self, data: bytes) -> int:
        """Take what has come; returns how many bytes of it belong to the header.

        All of them, unless it is complete; what follows is not the header's.
        Raises `BadProxyHeader`.
        """
        seen, before = self._seen, len(self._seen)
        seen += data
        end = self._line() if seen.startswith(b"P") else self._block()
        return end - before

    # Each returns where the header ends, as far as it is there.

    def _line(self) -> int:
        seen = self._seen
        if not _BEGIN.startswith(seen[: len(_BEGIN)]):
            raise BadProxyHeader(f"no PROXY header, but {bytes(seen[:20])!r}")
        end = seen.find(b"\r\n", 0, _LINE_BYTES) + 2
        line = bytes(seen[: end - 2] if end > 1 else seen[:_LINE_BYTES])
        # A CR that is the last byte may be one half of the end.
        if b"\n" in line or b"\r" in (line if end > 1 else line[:-1]):
            raise BadProxyHeader(f"CR or LF alone in a PROXY line (section 2.1): {line!r}")
        if end > 1:
            self._read_line(line)
            self.wanted = 0
            return end
        if len(seen) >= _LINE_BYTES:
            raise BadProxyHeader(f"a PROXY line of more than {_LINE_BYTES} bytes: {line!r}")
        self.wanted = _LINE_BYTES - len(seen)
        return len(seen)

    def _read_line(self, line: bytes) -> None:
        match = _LINE.fullmatch(line)
        if match is None:
            raise BadProxyHeader(f"a PROXY line that is none (section 2.1): {line!r}")
        kind, source, destination, *ports = match.groups()
        if kind is None:
            return
        family = socket.AF_INET if kind == b"TCP4" else socket.AF_INET6
        try:
            host, _ = [
                socket.inet_pton(family, address.decode("ascii"))
                for address in (source, destination)
            ]
        except OSError:
            raise BadProxyHeader(f"a PROXY line with a bad address: {line!r}") from None
        port, other = map(int, ports)
        if port > 65535 or other > 65535:
            raise BadProxyHeader(f"a PROXY line with a bad port: {line!r}")
        self.source = Peer(text_of(host), port)

    def _block(self) -> int:
        seen = self._seen
        if not _SIGNATURE.startswith(seen[: len(_SIGNATURE)]):
            raise BadProxyHeader(f"no PROXY header, but {bytes(seen[:20])!r}")
        if len(seen) > 12 and seen[12] not in (_LOCAL, _PROXY):
            raise BadProxyHeader(f"version and command are {seen[12]:#04x} (section 2.2)")
        if len(seen) > 13 and seen[12] == _PROXY and (seen[13] >> 4 > _UNIX or seen[13] & 15 > 2):
            raise BadProxyHeader(f"family and protocol are {seen[13]:#04x} (section 2.2)")
        if len(seen) < _FIXED_BYTES:
            self.wanted = _FIXED_BYTES - len(seen)
            return len(seen)
        end = _FIXED_BYTES + int.from_bytes(seen[14:16], "big")
        if end > MOST_BYTES:
            raise BadProxyHeader(f"a PROXY header of {end} bytes: {MOST_BYTES} are taken")
        self.wanted = max(0, end - len(seen))
        if self.wanted:
            return len(seen)
        if seen[12] == _PROXY:
            self._read_block(bytes(seen[:end]))
        return end

    def _read_block(self, block: bytes) -> None:
        """Read what follows the fixed part; of the proxy's own connections that does not count."""
        family, is_told = block[13] >> 4, block[13] & 15
        if not family or not is_told:
            return  # unspecified: all that follows is to be ignored
        at = _FIXED_BYTES + _ADDRESS_BYTES[family]
        if at > len(block):
            raise BadProxyHeader(f"{len(block)} bytes are too few for addresses {block[13]:#04x}")
        self._read_vectors(block, at)
        if family == _INET:
            self.source = Peer(text_of(block[16:20]), int.from_bytes(block[24:26], "big"))
        elif family == _INET6:
            self.source = Peer(text_of(block[16:32]), int.from_bytes(block[48:50], "big"))

    def _read_vectors(self, block: bytes, at: int) -> None:
        found: dict[int, tuple[int, int]] = {}
        for kind, start, end in _vectors(block, at, len(block)):
            if kind in found and kind in (_CRC32C, _SSL):
                raise BadProxyHeader(f"a PROXY header says {kind:#04x} twice")
            found[kind] = start, end
        if _CRC32C in found:
            start, end = found[_CRC32C]
            zeroed = b"%b%b%b" % (block[:start], bytes(end - start), block[end:])
            if end - start != 4 or crc32c(zeroed) != int.from_bytes(block[start:end], "big"):
                raise BadProxyHeader("the checksum of a PROXY header is wrong (section 2.2.3)")
        if _SSL in found:
            start, end = found[_SSL]
            if end - start < 5:
                raise BadProxyHeader(f"{end - start} bytes say nothing of TLS (section 2.2.6)")
            for _ in _vectors(block, start + 5, end):
                pass
            self.is_tls = bool(block[start] & _CLIENT_SSL)


def _vectors(block: bytes, at: int, end: int) -> Iterator[tuple[int, int, int]]:
    """The kinds of what is told beside the addresses, each with where it begins and ends."""
    while at < end:
        start = at + 3
        stop = start + int.from_bytes(block[at + 1 : start], "big")
        if start > end or stop > end:
            raise BadProxyHeader(f"a vector at {at} reaches past {end} bytes (section 2.2)")
        yield block[at], start, stop
        at = stop


def text_of(packed: bytes) -> str:
    """An address of 4 or 16 bytes as text; one of IPv4 in IPv6 as that of IPv4."""
    if packed.startswith(bytes(10) + b"\xff\xff") and len(packed) == 16:
        packed = packed[12:]
    return socket.inet_ntop(socket.AF_INET if len(packed) == 4 else socket.AF_INET6, packed)
