"""Wire: the client's end of a connection."""

import socket
from collections.abc import Callable

from epollserver import READ, WRITE, Loop

_RECEIVE_BYTES = 65536


class Wire:
    """Sends what it is given and keeps what comes, while the loop runs.

    `sock` is one end of a `socket.socketpair`, and owned from now on.  ``progress()`` is called in
    the loop when something has come.
    """

    def __init__(self, loop: Loop, sock: socket.socket, progress: Callable[[], object]) -> None:
        self.received = b""
        """What came and was not taken yet."""
        self.ended = False
        """Whether nothing more will come."""
        self._loop = loop
        self._sock = sock
        self._progress = progress
        self._unsent = b""
        sock.setblocking(False)
        loop.watch(sock.fileno(), READ, self._ready)

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._sock.fileno() < 0

    @property
    def unsent(self) -> int:
        """How many bytes the server has no room for yet."""
        return len(self._unsent)

    def send(self, data: bytes) -> None:
        """Send `data`, as far as there is room now; the rest as the server reads."""
        self._unsent += data
        self._flush()

    def take(self) -> bytes:
        """What has come since the last time."""
        data, self.received = self.received, b""
        return data

    def close(self) -> None:
        """Leave.  Closing twice does nothing."""
        if not self.closed:
            self._loop.unwatch(self._sock.fileno())
            self._sock.close()

    def _flush(self) -> None:
        if self._unsent and not self.ended:
            try:
                self._unsent = self._unsent[self._sock.send(self._unsent) :]
            except BlockingIOError:
                pass
            except OSError:  # the server has closed it; perhaps it has said why
                self._unsent = b""
        self._loop.rewatch(self._sock.fileno(), READ | (WRITE if self._unsent else 0))

    def _ready(self, ready: int) -> None:
        if ready & WRITE:
            self._flush()
        if not ready & ~WRITE:
            return
        try:
            data = self._sock.recv(_RECEIVE_BYTES)
        except ConnectionError:
            data = b""
        self.received += data
        if not data:
            self.ended = True
            self._loop.rewatch(self._sock.fileno(), 0)
        self._progress()
