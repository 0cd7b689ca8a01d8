"""One connection: a socket that keeps what did not fit.

    OPEN ──── recv() met the end, finish() ────▶ ENDING ──── everything is out ────▶ CLOSED
      └────────────── close(), the peer is gone, its handler raised ─────────────────▶ CLOSED

OPEN: read and written.  ENDING: read no more; what was written still goes out.  CLOSED: the
descriptor is gone; ``DISCONNECT`` fires at the end of this turn of the loop.

What epoll(7) is asked for follows from the state and from two more facts: whether somebody holds
reading (the owner by `pause`, or the write buffer past its high-water mark), and whether
output waits.
"""

import logging
import os
import select
import socket
from typing import TYPE_CHECKING, Any

from .descriptors import LOST, DescriptorLost
from .events import Handler, Reason
from .loop import READ, WRITE
from .outbox import FilePart, Outbox, SendableFile
from .states import CLOSED, ENDING, OPEN, State
from .timeouts import Limited

if TYPE_CHECKING:
    from .server import EpollServer

_log = logging.getLogger("epollserver")

# Neither reading nor writing.  Hang-ups are always reported, and that of a paused connection waits
# until `resume`: edge-triggered it is reported once, not in every turn.
_NOTHING = select.EPOLLET

# What a handler for DATA gets at a time.  recv(2) of 64 KiB costs the same as of 1 KiB; from
# 256 KiB on the allocation costs more than it.
DATA_BYTES = 65536

# 2 % of the instructions of an echo less than by socket.socket (tests/bench/epollserver).
_recv, _send = socket.socket.recv, socket.socket.send


class Connection(Limited):
    """A connected, non-blocking socket of an `EpollServer`, with a write buffer.

    Everything of `socket.socket` is there.  Read with `recv` or `recv_into`: these two notice
    the end.  `data` is the owner's: the server never looks at it (``None`` at first).
    """

    __slots__ = (
        *("_drained_bytes", "_held", "_interest", "_on_peer_closed", "_out", "_paused"),
        *("_reading", "_reason", "_state", "data"),
    )

    def __init__(self, server: "EpollServer", fd: int, kind: tuple[int, int, int]) -> None:
        """Own `fd`, the descriptor of a socket of this `kind`: its family, type and protocol."""
        super().__init__(*kind, fileno=fd)
        self.setblocking(False)
        self.data: Any = None
        self._server = server
        self._state: State = OPEN
        self._reason = Reason.OWN_CLOSE
        self._paused = False
        self._held = False
        self._on_peer_closed: Handler | None = None
        self._out: Outbox | None = None  # when nothing waits
        self._drained_bytes = 0  # what went out of the outboxes before this one
        self._limits = server._time_limits(server.idle_seconds, server.drain_seconds)
        self._touched = True  # read or written since the last sweep
        self._interest = READ  # what epoll waits for
        self._reading = READ  # the part of it that is reading: READ or 0

    # Reading

    def recv(self, bufsize: int, flags: int = 0) -> bytes:
        """Up to `bufsize` bytes of what has arrived; ``b""`` when the peer sends no more.

        After ``b""``, ``RECEIVE`` is not called again; what was written is still sent, then the
        connection ends.  Raises `BlockingIOError` if nothing has arrived, and `OSError` if the
        connection is broken (it is closed then, and the handler need not catch that).
        """
        try:
            data = _recv(self, bufsize, flags)
        except OSError as error:
            self._lost(error)
            raise
        if not data and bufsize:
            self._end_of_file()
        return data

    def recv_into(self, buffer: Any, nbytes: int = 0, flags: int = 0) -> int:
        """As `recv`, into a writable `buffer`; returns how many bytes."""
        try:
            count = socket.socket.recv_into(self, buffer, nbytes, flags)
        except OSError as error:
            self._lost(error)
            raise
        if not count and memoryview(buffer).nbytes:
            self._end_of_file()
        return count

    def pause(self, on_peer_closed: Handler | None = None) -> None:
        """Stop reading until `resume`: ``RECEIVE`` is not called, the peer is slowed by TCP.

        A reset closes it at once; the end of a peer that closes is met after `resume`.  But
        ``on_peer_closed(conn)`` is called once if the peer closes, or shuts down its side only, or
        has done so already.  Nothing else changes: what came before is still read, what is written
        is still sent.  Of two calls the last counts.
        """
        self._paused = True
        self._on_peer_closed = on_peer_closed
        self._rewatch()

    def resume(self) -> None:
        """Read on after `pause`, whose `on_peer_closed` is forgotten."""
        self._paused = False
        self._on_peer_closed = None
        self._rewatch()

    @property
    def is_read(self) -> bool:
        """Whether it is read now: not paused, not past the high-water mark, not at its end."""
        return bool(self._reading)

    @property
    def partial_since(self) -> float | None:
        """Since when a TLS record is there in part, by `Loop.now`; ``None`` if none is.

        Nothing of it can be read before it is complete.
        """
        return None

    # Writing

    @property
    def drained_bytes(self) -> int:
        """How many bytes have gone out of those that waited: it grows while the peer reads."""
        return self._drained_bytes + (0 if self._out is None else self._out.sent)

    @property
    def queued(self) -> int:
        """How many bytes of what was written wait to be sent."""
        return 0 if self._out is None else self._out.queued

    def write(self, data: bytes | bytearray | memoryview) -> bool:
        """Send `data`: at once what the socket takes, the rest as the peer reads.

        Never blocks and never raises for what the peer does.  Returns whether to write on:
        ``False`` while more than the server's `high_water` bytes wait; the connection is not
        read then.  ``RESPONSE`` fires when what had to wait is out.  A write that would bring
        more than `max_queued` bytes of memory to wait above that mark closes the connection.
        Ignored after `finish` and `close` (``False``).
        """
        self._touched = True
        if self._out is not None:
            return self._keep(data)
        try:
            sent = _send(self, data)
        except BlockingIOError:
            sent = 0
        except OSError as error:  # closed by us (EBADF): then there is nothing left to lose
            self._lost(error)
            return False
        if sent != len(data):
            return self._keep(memoryview(data).cast("B")[sent:])
        return True

    def sendfile(self, file: SendableFile, offset: int = 0, count: int | None = None) -> int:  # type: ignore[override]
        """Send `count` bytes of `file` from `offset`, after what was written before.

        `count` is to the end of the file if it is ``None``.  The connection owns the file from
        here on and closes it, also when this raises.  Returns how many bytes will be sent.
        A file that turns out to be shorter costs the connection: the peer was promised more.
        Raises `ValueError` if `offset` or `count` is negative, and as ``file.fileno()`` does.
        """
        part = FilePart.of(file, offset, count)
        self._touched = True
        if self._finished() or not part.count:
            part.close()
            return 0
        count = part.count
        waiting = self._out is not None
        self._outbox().add_file(part)
        if not waiting:
            self._send_queued()
        self._rewatch()
        return count

    def finish(self) -> None:
        """Close as soon as everything written is out; read no more."""
        if self._state is CLOSED:
            return
        self._state = ENDING
        self._reason = Reason.OWN_CLOSE
        self._settle()
        self._rewatch()

    # Closing

    def close(self) -> None:
        """Close at once; what waits to be sent is dropped.  Closing twice does nothing."""
        self._end(Reason.OWN_CLOSE)

    def detach(self) -> int:
        """Take the connection away from the server: returns its descriptor, now the caller's.

        What waits to be sent is dropped; ``DISCONNECT`` fires.
        """
        fd = self.fileno()
        if self._out is not None:
            self._out.uncork(self)
        self._leave(Reason.OWN_CLOSE)
        super().detach()
        return fd

    def dup(self) -> socket.socket:  # type: ignore[override]
        """The caller's own, plain socket of this connection; the peer's end comes after both."""
        sock = socket.socket(self.family, self.type, self.proto, fileno=os.dup(self.fileno()))
        sock.setblocking(False)
        return sock

    # From here on: called by the loop and by the server.

    def _begin(self) -> None:
        self._server._enter(self)

    def _ready(self, ready: int) -> None:
        # Not equal: there is something to write, something is wrong, or the event is older than
        # the end of reading: a handler of the same batch has paused or finished this connection.
        if ready != self._reading and not self._prepare(ready):
            return
        self._touched = True
        # Not by _call(): 5 % of the instructions of an echo less (tests/bench/epollserver).
        server = self._server
        on_data = server._on_data
        try:
            if on_data is None:
                handler = server._on_receive
                handler(self)
                return
            # As recv() does it: 4 % of the instructions of an HTTP request less without its frame.
            try:
                data = _recv(self, DATA_BYTES)
            except OSError as error:
                self._lost(error)
                return
            if not data:
                self._end_of_file()
            on_data(self, data)
        except Exception as error:
            self._server._failed(self, error)

    def _prepare(self, ready: int) -> bool:
        """Do what `ready` asks for beside reading; return whether to read now."""
        if ready & WRITE:
            self._flush()
        if self._reading:
            return bool(ready & ~WRITE)
        if ready & select.EPOLLERR:
            self._end(Reason.RESET)  # no recv() would meet it now
        elif ready & select.EPOLLRDHUP:
            self._peer_closed()
        return False

    def _peer_closed(self) -> None:
        callback, self._on_peer_closed = self._on_peer_closed, None
        if callback is not None:
            self._rewatch()
            self._server._call(callback, self)

    def _flush(self) -> None:
        self._touched = True
        self._send_queued()
        if self._out is None and self._state is not CLOSED:
            if self._server._on_response is not None:
                self._server._call(self._server._on_response, self)
            self._settle()
        self._rewatch()

    def _send_queued(self) -> None:
        """Send what waits until the socket is full, or this turn's share is spent."""
        out = self._out
        if out is None:
            return
        try:
            out.send(self)
        except (OSError, ValueError) as error:  # ValueError: somebody has closed the file
            self._lost(error)
        if not out and self._out is out:
            self._out = None
            self._drained_bytes += out.sent

    def _outbox(self) -> Outbox:
        if self._out is None:
            self._out = Outbox()
        return self._out

    def _keep(self, data: bytes | bytearray | memoryview) -> bool:
        """Let `data` wait; return whether to write on."""
        view = memoryview(data)  # bytes(5) would be five NULs where send(5) is a TypeError
        if self._finished() or (view.nbytes and not self._has_room(view.nbytes)):
            return False
        if view.nbytes:
            self._outbox().add(data if isinstance(data, bytes) else bytes(view))
            self._rewatch()
        return not self._held

    def _has_room(self, size: int) -> bool:
        """Whether `size` bytes more may wait in memory; closes the connection if not.

        One write is always taken whole, however long: only who goes on above the mark is at fault.
        """
        out = self._out
        limit = self._server.max_queued
        if not self._held or out is None or out.in_memory + size <= limit:
            return True
        words = "a peer does not read, its writer goes on: %d and %d bytes are past max_queued=%d"
        _log.error(words, out.in_memory, size, limit)
        self._end(Reason.ERROR)
        return False

    def _finished(self) -> bool:
        """Whether the owner has said that no more will be written."""
        return self._state is CLOSED or (self._state is ENDING and self._reason is Reason.OWN_CLOSE)

    def _rewatch(self) -> None:
        """Ask epoll for what the state calls for, if that is not what it waits for already."""
        if self._state is CLOSED:
            return
        mark = self._server.high_water
        self._held = self.queued > (mark // 4 if self._held else mark)
        readable = self._state is OPEN and not self._paused and not self._held
        self._reading = READ if readable else 0
        told = 0 if self._on_peer_closed is None else select.EPOLLRDHUP
        interest = self._reading | (0 if self._out is None else WRITE) | told
        if not interest & (READ | WRITE):
            interest |= _NOTHING
        if interest != self._interest:
            self._interest = interest
            try:
                self._server.loop.rewatch(self.fileno(), interest)
            except OSError:
                self._check()
                raise

    def _check(self) -> None:
        """Raise `DescriptorLost` if this socket was closed by somebody else."""
        self._server.loop.check(self.fileno())

    def _end_of_file(self) -> None:
        if self._state is OPEN:
            self._state = ENDING
            self._reason = Reason.PEER_CLOSED
            self._rewatch()
            # Not now: the handler that has met the end may still be about to answer.
            self._server.loop.call_soon(self._settle)

    def _settle(self) -> None:
        if self._state is ENDING and self._out is None:
            self._end(self._reason)

    def _lost(self, error: OSError | ValueError) -> None:
        """Close as the error says; that the socket is empty or full is none."""
        if isinstance(error, BlockingIOError):
            pass
        elif isinstance(error, ConnectionError):
            self._end(Reason.RESET)
        elif isinstance(error, TimeoutError):
            self._end(Reason.TIMEOUT)
        elif self._state is not CLOSED:
            if isinstance(error, OSError) and error.errno in LOST:
                self._check()
            _log.warning("a connection failed, it is closed: %s", error)
            self._end(Reason.ERROR)

    def _end(self, reason: Reason) -> None:
        if self._state is not CLOSED:
            self._leave(reason)
            super().close()

    def _leave(self, reason: Reason) -> None:
        """Be forgotten by the loop and by the server; the descriptor is still open."""
        if self._state is CLOSED:
            return
        self._state = CLOSED
        self._reason = reason
        self._reading = 0
        self._on_peer_closed = None
        if not self._server.loop.unwatch(self.fileno()):
            fd = super().detach()  # its number may be somebody else's
            raise DescriptorLost(fd, "a connection")
        if self._out is not None:
            self._out.close()
            self._drained_bytes += self._out.sent
            self._out = None
        self._server._left(self, reason)
