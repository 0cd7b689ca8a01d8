"""Uploads: a body that is arriving, and who takes it.

A body is taken whole, in pieces by a `BodyReceiver`, or by nobody (it was answered without it)::

    WholeBody       piece, piece ... ──▶ END: the callback gets all of it
    StreamedBody    piece, piece ... ──▶ END: on_end
    DroppedBody     piece, piece ... ──▶ END

Each is made when the head is complete, and is either complete or lost: never both.
"""

import logging
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from epollserver import Connection, Loop, Reason

from .errors import HttpError, ServiceUnavailable
from .limits import Limits

if TYPE_CHECKING:
    from .server import HttpServer

_log = logging.getLogger("rush_http")


class BodyReceiver:
    """Takes the body of one request in pieces, as it comes: a base class for yours.

    Returned by the callback on heads (``HttpServer(on_head_complete=...)``), for one request.
    The methods are called in the server's thread; the answer may be given in any of them, before
    (`HttpServer.defer`) or after.  One that raises costs the request: the client gets the status
    of the `HttpError`, or 500, and the connection ends; after an `on_end` that raises it goes on.
    """

    limit_bytes: int | None = None
    """The most that is taken, past it 413; ``None`` means ``Limits.body_bytes``.

    A ``Content-Length`` beyond it is refused before the body, and before ``100 Continue``.
    """

    _upload: "StreamedBody | None" = None
    _paused = False

    def on_piece(self, data: bytes) -> object:
        """Take a piece of the body: never empty, 64 KiB at most."""

    def on_end(self) -> object:
        """Hear that the body is complete.

        The request awaits its answer now, if it was not given before; ``on_message_complete`` is
        not called.
        """

    def on_lost(self, reason: Reason | Exception) -> object:
        """Hear that the body will never be complete; called instead of `on_end`.

        `reason` says why: a `Reason` if the connection has ended, the `HttpError` that the client
        is answered with if the body is refused (too large, too slow, malformed), or what your own
        method raised.  Of a refusal you may answer here in words of your own, at once and as a
        whole; a stream that begins here is cut, and who defers is overruled.
        """

    def pause(self) -> None:
        """Take no more until `resume`: the client is slowed by TCP.  From any thread.

        In the server's thread, no piece comes after this; in another, one may be on its way.
        The time limits of the body do not count meanwhile.
        """
        self._paused = True

    def resume(self) -> None:
        """Go on after `pause`; the next piece comes soon, not from within.  From any thread."""
        self._paused = False
        upload = self._upload
        if upload is not None:
            upload.wake()


class Upload:
    """What the three kinds have in common; `received_bytes` since `began` is how fast it comes."""

    __slots__ = ("began", "received_bytes")

    held = False
    """Whether nothing more is wanted for now."""

    def __init__(self, now: float) -> None:
        self.began = now
        self.received_bytes = 0

    def piece(self, data: bytes) -> None:
        """Take `data`.  Raises an `HttpError` to refuse the request."""
        self.received_bytes += len(data)

    def lost(self, reason: Reason | Exception) -> None:
        """Let go of it: it will never be complete."""

    def lateness(self, limits: Limits, silence: float, now: float) -> str | None:
        """Why this body is too late after `silence` seconds without a byte, if it is."""
        if silence > limits.body_seconds:
            return f"nothing of a body for {silence:.0f} s (Limits.body_seconds)"
        counted = now - self.began - limits.body_grace_seconds
        if counted * limits.body_bytes_per_second > self.received_bytes:
            return (
                f"{self.received_bytes} bytes of a body in {now - self.began:.0f} s"
                " (Limits.body_bytes_per_second)"
            )
        return None


class DroppedBody(Upload):
    """Nobody wants it: the request was answered without it."""

    __slots__ = ()


class WholeBody(Upload):
    """Keeps all of it, and counts it among the bodies in memory (``Limits.bodies_bytes``)."""

    __slots__ = ("_data", "_server", "awaited")

    def __init__(self, server: "HttpServer", now: float, awaited: bool) -> None:
        super().__init__(now)
        self._server = server
        self.awaited = awaited
        """Whether the request is answered after its body; if not, somebody has deferred it."""
        # Not a list: of a body that drips in, the pieces would be larger than what they hold.
        self._data: bytes | bytearray = b""

    def piece(self, data: bytes) -> None:
        """As `Upload.piece`."""
        server = self._server
        if server.bodies_bytes + len(data) > server.limits.bodies_bytes:
            raise ServiceUnavailable("too many bodies in memory (Limits.bodies_bytes)")
        server.bodies_bytes += len(data)
        self.received_bytes += len(data)
        if not self._data:
            self._data = data
            return
        if isinstance(self._data, bytes):
            self._data = bytearray(self._data)
        self._data += data

    def take(self) -> bytes:
        """Return the complete body."""
        self._server.bodies_bytes -= len(self._data)
        return bytes(self._data)

    def lost(self, reason: Reason | Exception) -> None:
        """As `Upload.lost`."""
        self._server.bodies_bytes -= len(self._data)
        self._data = b""


class StreamedBody(Upload):
    """Hands it on to a `BodyReceiver`; `go_on` is called when that has resumed."""

    __slots__ = (
        "_failure",
        "_go_on",
        "_held_since",
        "_loop",
        "_thread",
        "continue_due",
        "receiver",
    )

    def __init__(self, receiver: BodyReceiver, loop: Loop, go_on: Callable[[], object]) -> None:
        super().__init__(loop.now)
        self.receiver = receiver
        self.continue_due = False
        """Whether the client waits for ``100 Continue``, and the receiver has paused."""
        self._loop = loop
        self._go_on = go_on
        self._thread = threading.get_ident()
        self._held_since: float | None = None
        self._failure: Exception | None = None  # what `on_piece` has raised, if no `HttpError`
        receiver._upload = self

    @property
    def held(self) -> bool:  # type: ignore[override]
        """As `Upload.held`."""
        return self.receiver._paused

    def piece(self, data: bytes) -> None:
        """As `Upload.piece`."""
        self.received_bytes += len(data)
        try:
            self.receiver.on_piece(data)
        except HttpError:
            raise
        except Exception as error:
            _log.error("on_piece failed: %r", self.receiver, exc_info=error)
            self._failure = error
            raise HttpError("on_piece failed") from error

    def end(self) -> None:
        """Tell the receiver that this was all; raises what it raises."""
        self.receiver._upload = None
        self.receiver.on_end()

    def lost(self, reason: Reason | Exception) -> None:
        """As `Upload.lost`."""
        self.receiver._upload = None
        failure, self._failure = self._failure, None
        try:
            self.receiver.on_lost(failure or reason)
        except Exception:
            _log.exception("on_lost failed: %r", self.receiver)

    def hold(self, conn: Connection, on_peer_closed: Callable[[Connection], object]) -> None:
        """Stop reading, and the clock; `on_peer_closed` is told if the client leaves meanwhile."""
        conn.pause(on_peer_closed)
        if self._held_since is None:
            self._held_since = self._loop.now

    def release(self, conn: Connection) -> None:
        """Go on reading; the time that nobody wanted anything does not count."""
        conn.resume()
        if self._held_since is not None:
            self.began += self._loop.now - self._held_since
            self._held_since = None

    def wake(self) -> None:
        """Go on soon, in the server's thread."""
        if threading.get_ident() == self._thread:
            self._loop.call_soon(self._go_on)
        else:
            self._loop.call_soon_threadsafe(self._go_on)
