"""Time limits of connections: found by one sweep a second, never by a timer for each.

An event pays one stored flag, ``conn._touched``.  The sweep turns a flag that is set into the
time of the sweep and takes it down again.  So a limit may be met up to two seconds late, and never
early.  There is no sweep while no connection has a limit.
"""

import logging
import math
import socket
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from .checks import check_seconds
from .events import Reason
from .loop import Loop, Timer

if TYPE_CHECKING:
    from .connection import Connection
    from .outbox import Outbox
    from .server import EpollServer

_log = logging.getLogger("epollserver")

_SWEEP_SECONDS = 1.0


class TimeLimits:
    """The limits of one connection, and since when they run."""

    __slots__ = ("_drain_since", "_goal", "_idle_since", "_out", "drain_seconds", "idle_seconds")

    def __init__(self, idle_seconds: float | None, drain_seconds: float | None) -> None:
        self.idle_seconds = idle_seconds
        self.drain_seconds = drain_seconds
        self._idle_since = math.inf  # not yet: the first sweep begins
        self._out: Outbox | None = None  # what waited at the last sweep
        self._goal = 0  # how much of it has to be sent in time, counted as Outbox.sent
        self._drain_since = math.inf

    def exceeded(self, conn: "Connection", now: float) -> str:
        """Say which limit `conn` has gone past; empty if it has not."""
        if conn._touched:
            conn._touched = False
            self._idle_since = now
        if self.idle_seconds is not None and now - self._idle_since > self.idle_seconds:
            return f"idle for {now - self._idle_since:.1f} s (idle_seconds={self.idle_seconds:g})"
        out = conn._out
        if out is None:
            self._out = None
        elif out is not self._out or out.sent >= self._goal:
            # What waits now has to be out in time.  What is written meanwhile has the next term:
            # a connection that is never empty, and moves, is not late.
            self._out = out
            self._goal = out.sent + out.queued
            self._drain_since = now
        elif self.drain_seconds is not None and now - self._drain_since > self.drain_seconds:
            return (
                f"{out.queued} bytes still wait after {now - self._drain_since:.1f} s"
                f" (drain_seconds={self.drain_seconds:g})"
            )
        return ""


class Limited(socket.socket):
    """The part of a `Connection` that its time limits are."""

    __slots__ = ("_limits", "_server", "_touched")

    _limits: TimeLimits | None
    _server: "EpollServer"
    _touched: bool

    @property
    def idle_seconds(self) -> float | None:
        """After how long without anything read or written the connection is closed.

        ``None``: never.  The reason is ``TIMEOUT``.  Looked at once a second: what is late is
        closed at most two seconds later.  Setting it begins anew.
        """
        return None if self._limits is None else self._limits.idle_seconds

    @idle_seconds.setter
    def idle_seconds(self, seconds: float | None) -> None:
        self._limit(seconds, self.drain_seconds)

    @property
    def drain_seconds(self) -> float | None:
        """How long what was written may wait for a peer that does not read.

        ``None``: for ever.  What waits at one time has to be out after so many seconds, then what
        was written meanwhile; if not, the connection is closed as for `idle_seconds`.
        """
        return None if self._limits is None else self._limits.drain_seconds

    @drain_seconds.setter
    def drain_seconds(self, seconds: float | None) -> None:
        self._limit(self.idle_seconds, seconds)

    def _limit(self, idle_seconds: float | None, drain_seconds: float | None) -> None:
        check_seconds(idle_seconds=idle_seconds, drain_seconds=drain_seconds)
        self._limits = self._server._time_limits(idle_seconds, drain_seconds)
        self._touched = True


class Sweeper:
    """Looks once a second for connections that are late, while any has a limit.

    `connections()` are those to look at.
    """

    def __init__(self, loop: Loop, connections: Callable[[], Iterable["Connection"]]) -> None:
        self._loop = loop
        self._connections = connections
        self._timer: Timer | None = None

    def start(self) -> None:
        """Begin, as a connection has a limit now; does nothing while at it."""
        if self._timer is None:
            self._timer = self._loop.call_later(_SWEEP_SECONDS, self._sweep)

    def _sweep(self) -> None:
        self._timer = None
        now = self._loop.now
        for conn in list(self._connections()):
            limits = conn._limits
            if limits is None:
                continue
            late = limits.exceeded(conn, now)
            if late:
                _log.debug("a connection is closed: %s", late)
                conn._end(Reason.TIMEOUT)
            else:
                self.start()
