"""Input: bodies that are too large to be taken whole, as files.

::

    SpooledBody    all of it into a temporary file, then the application        threads=0
    BodyFile       the application reads what has come, and waits for more      threads
"""

import io
import logging
import threading
from collections.abc import Callable
from tempfile import SpooledTemporaryFile
from typing import TYPE_CHECKING

from epollserver import Reason

from ..uploads import BodyReceiver

if TYPE_CHECKING:
    from collections.abc import Buffer  # type: ignore[attr-defined]

SPOOL_BYTES = 1 << 20
"""What a spooled body keeps in memory; the rest of it is on disk."""

START_BYTES = 65536
"""What has to be there before a thread is taken: a client that drips must not hold one."""

MOST_BYTES = 256 * 1024
"""What is read ahead of the application."""

_log = logging.getLogger("rush_http")


class SpooledBody(BodyReceiver):
    """Keeps a body in a temporary file, and calls `on_complete` with that, which owns it then."""

    def __init__(
        self, limit_bytes: int, on_complete: Callable[["SpooledTemporaryFile[bytes]"], object]
    ) -> None:
        self.limit_bytes = limit_bytes
        self._on_complete = on_complete
        self._file: SpooledTemporaryFile[bytes] | None
        self._file = SpooledTemporaryFile(max_size=SPOOL_BYTES)  # noqa: SIM115

    def on_piece(self, data: bytes) -> None:
        """As `BodyReceiver.on_piece`."""
        assert self._file is not None
        self._file.write(data)

    def on_end(self) -> None:
        """As `BodyReceiver.on_end`."""
        file, self._file = self._file, None
        assert file is not None
        file.seek(0)
        self._on_complete(file)

    def on_lost(self, reason: Reason | Exception) -> None:
        """As `BodyReceiver.on_lost`."""
        if self._file is not None:
            self._file.close()
            self._file = None


class BodyFile(BodyReceiver, io.RawIOBase):
    """The reading end of a body that is arriving, for one thread; `start` is called once.

    Reading waits for what has not come yet; past `MOST_BYTES` of what nobody has read, the client
    is slowed.  If the client goes before the end, reading raises `ConnectionResetError`.
    Wrap it into `io.BufferedReader` for lines.
    """

    def __init__(self, limit_bytes: int, start: Callable[[], object]) -> None:
        io.RawIOBase.__init__(self)
        self.limit_bytes = limit_bytes
        self._start: Callable[[], object] | None = start
        self._data = bytearray()
        self._changed = threading.Condition()
        self._ended = False
        self._lost: str | None = None
        self._unwanted = False

    # In the server's thread

    def on_piece(self, data: bytes) -> None:
        """As `BodyReceiver.on_piece`."""
        with self._changed:
            if self._unwanted:
                return
            self._data += data
            size = len(self._data)
            self._changed.notify()
        if size >= MOST_BYTES:
            self.pause()
        if size >= START_BYTES:
            self._begin()

    def on_end(self) -> None:
        """As `BodyReceiver.on_end`."""
        with self._changed:
            self._ended = True
            self._changed.notify()
        self._begin()

    def on_lost(self, reason: Reason | Exception) -> None:
        """As `BodyReceiver.on_lost`."""
        with self._changed:
            self._lost = str(reason)
            self._changed.notify()

    def _begin(self) -> None:
        start, self._start = self._start, None
        if start is not None:
            start()

    # In the application's thread

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: "Buffer") -> int:
        """Wait for some bytes, and put them into `buffer`; 0 at the end."""
        view = memoryview(buffer).cast("B")
        with self._changed:
            self._changed.wait_for(lambda: self._data or self._ended or self._lost is not None)
            if not self._data and self._lost is not None:
                raise ConnectionResetError(f"the rest of the body will not come: {self._lost}")
            count = min(len(view), len(self._data))
            view[:count] = self._data[:count]
            del self._data[:count]
            room = len(self._data) < MOST_BYTES
        if room and self._paused:
            self.resume()
        return count

    def let_go(self) -> None:
        """Drop what has not been read: the application has ended."""
        with self._changed:
            self._unwanted = True
            self._data.clear()
        self.resume()
