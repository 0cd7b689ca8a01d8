"""Input: bodies as files; those that are small are in an `io.BytesIO`.

::

    NO_BODY        for all requests that have none
    SpooledBody    all of it into a temporary file, then the application        threads=0
    BodyFile       the application reads what has come, and waits for more      threads
"""

import io
import logging
import threading
from collections.abc import Callable
from tempfile import TemporaryFile
from typing import IO, TYPE_CHECKING, Final

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


class NoBody(io.BufferedIOBase):
    """An empty file that stays as it is, whatever is done to it: one serves all requests.

    1,300 instructions less for each than one of its own (tests/bench/instructions.py).
    """

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{name} cannot be set: this is the input of other requests as well")

    def readable(self) -> bool:
        """It is."""
        return True

    def read(self, size: int | None = -1, /) -> bytes:
        """Nothing."""
        return b""

    read1 = read

    def readinto(self, buffer: "Buffer", /) -> int:
        """Nothing."""
        return 0

    readinto1 = readinto

    def readline(self, size: int | None = -1, /) -> bytes:
        """Nothing."""
        return b""

    def close(self) -> None:
        """Stay as it is."""


NO_BODY: Final = NoBody()


class SpooledBody(BodyReceiver):
    """Keeps a body in a temporary file, and calls `on_complete` with that, which owns it then."""

    def __init__(self, limit_bytes: int, on_complete: Callable[[IO[bytes], int], object]) -> None:
        """`on_complete` gets the file, and how many bytes it has."""
        self.limit_bytes = limit_bytes
        self._on_complete = on_complete
        self._size = 0
        # Not a SpooledTemporaryFile: before Python 3.11 that is no file as others are.
        self._file: IO[bytes] | None = io.BytesIO()

    def on_piece(self, data: bytes) -> None:
        """As `BodyReceiver.on_piece`."""
        assert self._file is not None
        if self._size <= SPOOL_BYTES < self._size + len(data):
            memory, self._file = self._file, TemporaryFile()  # noqa: SIM115
            memory.seek(0)
            self._file.write(memory.read())
        self._file.write(data)
        self._size += len(data)

    def on_end(self) -> None:
        """As `BodyReceiver.on_end`."""
        file, self._file = self._file, None
        assert file is not None
        file.seek(0)
        self._on_complete(file, self._size)

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
            if size >= MOST_BYTES:
                self.pause()  # before it is read: who takes all of it, resumes
            self._changed.notify()
        if size >= START_BYTES:
            self.begin()

    def on_end(self) -> None:
        """As `BodyReceiver.on_end`."""
        with self._changed:
            self._ended = True
            self._changed.notify()
        self.begin()

    def on_lost(self, reason: Reason | Exception) -> None:
        """As `BodyReceiver.on_lost`."""
        with self._changed:
            self._lost = str(reason)
            self._start = None
            self._changed.notify()

    def begin(self) -> None:
        """Let it be read from now on; again does nothing."""
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
        if self._paused and not self._data:
            self.resume()  # nothing was asked for yet
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

    @property
    def size(self) -> int | None:
        """How many bytes there are, if all of them have come."""
        return len(self._data) if self._ended else None

    @property
    def lost(self) -> bool:
        """Whether its end will never come."""
        return self._lost is not None

    def let_go(self) -> None:
        """Drop what has not been read: the application has ended."""
        with self._changed:
            self._unwanted = True
            self._data.clear()
        self.resume()


class ArrivingBody(io.BufferedReader):
    """A body that is arriving, with lines; closing it lets the rest go."""

    def __init__(self, reader: BodyFile) -> None:
        super().__init__(reader)
        self._reader = reader

    @property
    def lost(self) -> bool:
        """Whether its end will never come."""
        return self._reader.lost

    def close(self) -> None:
        """As `BodyFile.let_go`."""
        self._reader.let_go()
