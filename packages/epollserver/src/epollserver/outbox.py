"""Outbox: what was written to a connection and has not gone out yet, in order."""

import logging
import os
import socket
from collections import deque
from typing import Protocol

_log = logging.getLogger("epollserver")

# One turn of the loop sends at most about this much of what waits: somebody who fetches a large
# file as fast as we can send does not hold up the others for much longer than a millisecond.
# 100 MiB by sendfile cost a tenth less CPU time so than by 1 MiB a turn, and by 4 MiB not less
# (tests/bench/epollserver/large_file.py).
TURN_BYTES = 2 << 20


class SendableFile(Protocol):
    """What `Connection.sendfile` takes: an open binary file with a descriptor."""

    def fileno(self) -> int:
        """Return the descriptor, for sendfile(2)."""
        ...

    def close(self) -> None:
        """Close the file; called once it is sent, or when it never will be."""
        ...


class FilePart:
    """A part of a file that waits to be sent."""

    __slots__ = ("count", "file", "offset")

    def __init__(self, file: SendableFile, offset: int, count: int) -> None:
        self.file = file
        self.offset = offset
        self.count = count

    @classmethod
    def of(cls, file: SendableFile, offset: int, count: int | None) -> "FilePart":
        """The part from `offset`; `count` is to the end of the file if it is ``None``.

        Raises `ValueError` if one of them is negative, and as ``file.fileno()`` does; the file is
        closed then.
        """
        try:
            if count is None:
                count = max(0, os.fstat(file.fileno()).st_size - offset)
            if offset < 0 or count < 0:
                raise ValueError(f"offset {offset}, count {count}: neither may be negative")
        except BaseException:
            file.close()
            raise
        return cls(file, offset, count)

    def advance(self, count: int) -> None:
        """Be shorter by `count` bytes that were sent; closed when nothing is left.

        Raises `OSError` if `count` is 0: the file has ended.
        """
        if not count:
            raise OSError(f"file ended {self.count} bytes before what was promised of it")
        self.offset += count
        self.count -= count
        if not self.count:
            self.close()

    def close(self) -> None:
        """Close the file, whatever it thinks of that: the connection goes on."""
        try:
            self.file.close()
        except Exception:
            _log.exception("cannot close a file that was sent: %r", self.file)


class Outbox:
    """Parts that wait to be sent; its length is their number.

    A connection makes one when something has to wait, and drops it when all is out: most never
    have one.
    """

    __slots__ = ("_corked", "_parts", "in_files", "queued", "sent")

    def __init__(self) -> None:
        self._parts: deque[bytes | memoryview | FilePart] = deque()
        self._corked = False
        self.queued = 0
        """How many bytes wait."""
        self.in_files = 0
        """How many of them are in files."""
        self.sent = 0
        """How many went out of here."""

    def __len__(self) -> int:
        return len(self._parts)

    @property
    def in_memory(self) -> int:
        """How many of the bytes that wait are in memory."""
        return self.queued - self.in_files

    def add(self, data: bytes) -> None:
        """Put `data` behind the rest."""
        self._parts.append(data)
        self.queued += len(data)

    def add_file(self, part: FilePart) -> None:
        """Put a part of a file, which is not empty, behind the rest."""
        self._parts.append(part)
        self.queued += part.count
        self.in_files += part.count

    def send(self, sock: socket.socket) -> None:
        """Send what waits, or this turn's share of it.

        Raises `BlockingIOError` when the socket is full, and `OSError` or `ValueError` if the
        connection or a file is broken.
        """
        budget = TURN_BYTES
        parts = self._parts
        while parts and budget > 0:
            part = parts[0]
            if isinstance(part, FilePart):
                count = min(part.count, TURN_BYTES)
                if part.count > count and not self._corked:
                    self._cork(sock, True)
                sent = os.sendfile(sock.fileno(), part.file.fileno(), part.offset, count)
                part.advance(sent)
                self.in_files -= sent
                done = part.count == 0
            else:
                sent = socket.socket.send(sock, part)
                done = sent == len(part)
                if not done:
                    parts[0] = memoryview(part)[sent:]
            if done:
                parts.popleft()
            self.queued -= sent
            self.sent += sent
            budget -= sent
        if not parts:
            self.uncork(sock)

    def uncork(self, sock: socket.socket) -> None:
        """Let the rest leave at once, be it less than a segment."""
        if self._corked:
            self._cork(sock, False)

    def _cork(self, sock: socket.socket, corked: bool) -> None:
        """Let only full segments leave, or all again (tcp(7), TCP_CORK).

        100 MiB by sendfile cost a sixth to a third less CPU time so
        (tests/bench/epollserver/large_file.py).
        """
        if sock.family in (socket.AF_INET, socket.AF_INET6):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, corked)
            self._corked = corked

    def close(self) -> None:
        """Drop what waits, and close its files."""
        for part in self._parts:
            if isinstance(part, FilePart):
                part.close()
        self._parts.clear()
        self.queued = self.in_files = 0
