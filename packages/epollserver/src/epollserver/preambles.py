"""Preambles: what a connection brings before anything else, before TLS as well.

A header of the PROXY protocol, with which a proxy tells for whom it has connected, is one.  It is
taken out of the kernel's queue to its last byte and no further (``MSG_PEEK``, then as many bytes as
were its own), so that what follows is read by whose it is: TLS and handlers never see that
something was in front.

    accepted ──▶ preamble (`EpollServer.entering`) ──▶ TLS handshake (the same) ──▶ CONNECT
"""

import logging
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, Protocol

from .events import Reason
from .loop import READ

if TYPE_CHECKING:
    from .connection import Connection
    from .server import EpollServer

_log = logging.getLogger("epollserver")

_recv = socket.socket.recv


class Preamble(Protocol):
    """Reads what comes first on one connection; what ``EpollServer(preamble=...)`` makes."""

    wanted: int
    """How many bytes more may be its own; 0 when it is complete."""

    def feed(self, data: bytes) -> int:
        """Take what has arrived, `wanted` bytes at most; returns how many of them were its own.

        All of them, unless it is complete.  Raises `OSError` to refuse the connection, which is
        closed then.
        """


MakePreamble = Callable[["Connection"], Preamble | Literal[False] | None]
"""Makes the preamble of a connection that was accepted; ``None``: it has none; ``False``: close it.

It may look at the connection, and keep what it likes in ``conn.data``."""


def begin(server: "EpollServer", conn: "Connection") -> None:
    """Let a connection begin: by its preamble, if it has one."""
    make = server._preamble
    if make is None:
        conn._begin()
        return
    try:
        preamble = make(conn)
    except Exception as error:
        server._failed(conn, error)
    else:
        if preamble is None:
            conn._begin()
        elif preamble is False:
            conn._end(Reason.OWN_CLOSE)
        else:
            _Entrance(server, conn, preamble)


class _Entrance:
    """A connection whose preamble is coming."""

    __slots__ = ("_conn", "_deadline", "_preamble", "_server")

    def __init__(self, server: "EpollServer", conn: "Connection", preamble: Preamble) -> None:
        self._server = server
        self._conn = conn
        self._preamble = preamble
        server.entering.add(conn)
        server.loop.rewatch(conn.fileno(), READ, self._ready)
        self._deadline = server.loop.call_later(server._preamble_seconds, self._too_slow)

    def _ready(self, ready: int) -> None:
        conn = self._conn
        try:
            self._read()
        except BlockingIOError:
            pass
        except OSError as error:
            _log.debug("a peer is closed in its preamble: %s", error)
            conn._end(Reason.ERROR)
        except Exception as error:
            self._server._failed(conn, error)
        if conn.fileno() < 0:
            self._deadline.cancel()

    def _read(self) -> None:
        conn, preamble = self._conn, self._preamble
        data = _recv(conn, preamble.wanted, socket.MSG_PEEK)
        if not data:
            raise ConnectionResetError("it has left")
        own = preamble.feed(data)
        if own:
            _recv(conn, own)
        if not preamble.wanted:
            self._deadline.cancel()
            self._server.entering.discard(conn)
            self._server.loop.rewatch(conn.fileno(), READ, conn._ready)
            conn._begin()

    def _too_slow(self) -> None:
        _log.debug("a peer has not sent its preamble in time (preamble_seconds)")
        self._conn._end(Reason.TIMEOUT)
