"""TlsOutbox: what waits to be encrypted and sent; tls.py has the picture."""

import os
import socket
import ssl
from typing import Final

from .outbox import TURN_BYTES, FilePart, Outbox

PIECE_BYTES: Final = 65536  # four records


class TlsOutbox(Outbox):
    """Encrypts what waits, piece by piece, when it can be sent.

    `queued` counts what is encrypted with its overhead.
    """

    __slots__ = ("_outgoing", "_tls", "_wire", "open")

    def __init__(self, tls: ssl.SSLObject, outgoing: ssl.MemoryBIO) -> None:
        super().__init__()
        self._tls = tls
        self._outgoing = outgoing
        self._wire = memoryview(b"")  # encrypted already
        self.open = False
        """Whether the handshake is over: before, only what belongs to it goes out."""

    def __len__(self) -> int:
        return len(self._parts) + self.wire_waits

    @property
    def wire_waits(self) -> bool:
        """Whether encrypted bytes wait."""
        return bool(self._wire) or bool(self._outgoing.pending)

    def send(self, sock: socket.socket) -> None:
        """As `Outbox.send`."""
        budget = TURN_BYTES
        while budget > 0 and (self._wire or self._encrypt()):
            sent = socket.socket.send(sock, self._wire)
            self._wire = self._wire[sent:]
            self.queued -= sent
            self.sent += sent
            budget -= sent

    def _encrypt(self) -> bool:
        """Make the next piece of `_wire`; return whether there is one."""
        if self.open and self._parts:
            self._encrypt_part(self._parts[0])
        if not self._outgoing.pending:
            return False
        self._wire = memoryview(self._outgoing.read())
        self.queued += len(self._wire)
        return True

    def _encrypt_part(self, part: bytes | memoryview | FilePart) -> None:
        if isinstance(part, FilePart):
            count = min(part.count, PIECE_BYTES)
            piece: bytes | memoryview = os.pread(part.file.fileno(), count, part.offset)
            done = part.count == len(piece)
            part.advance(len(piece))
            self.in_files -= len(piece)
        else:
            piece = memoryview(part)[:PIECE_BYTES]
            done = len(piece) == len(part)
            if not done:
                self._parts[0] = memoryview(part)[PIECE_BYTES:]
        if done:
            self._parts.popleft()
        self.queued -= len(piece)
        rest = memoryview(piece)
        while rest:  # a record at a time; there is always room in memory
            rest = rest[self._tls.write(rest) :]

    def close(self) -> None:
        """As `Outbox.close`."""
        super().close()
        self._wire = memoryview(b"")
