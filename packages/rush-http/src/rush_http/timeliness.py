"""Who is late: the time limits of each phase of an `Exchange`, looked at by each sweep."""

import fcntl
import termios
from sys import byteorder
from typing import TYPE_CHECKING

from epollserver import Connection

from .errors import RequestTimeout
from .phases import BODY, HEAD, IDLE, LINGER, NOW, UPGRADED

if TYPE_CHECKING:
    from .exchange import Exchange

# Values of `Exchange.read_mark` beside how many bytes have gone out of those that waited.
_UNKNOWN, _ALL_OUT, _UNSENT = -1, -2, -3  # the last one, less the bytes that the kernel has


def check(exchange: "Exchange", conn: Connection, now: float) -> None:
    """Close a connection, or refuse its request, if it has passed one of its time limits."""
    phase = exchange.phase
    if phase is UPGRADED:
        return
    if exchange.since == NOW:
        exchange.since = now
    if _does_not_read(exchange, conn, now):
        conn.close()
    elif phase is HEAD:
        _check_head(exchange, conn, now)
    elif phase is BODY:
        _check_body(exchange, conn, now)
    elif conn.queued:
        pass  # it is reading
    elif phase is IDLE:
        if _is_idle_too_long(exchange, conn, now):
            exchange.finish_idle(conn)
    elif phase is LINGER and now - exchange.since > exchange.server.limits.linger_seconds:
        conn.close()


def _does_not_read(exchange: "Exchange", conn: Connection, now: float) -> bool:
    """Whether an answer has waited too long without anything of it having gone out.

    What the client sends meanwhile, and what it is answered, changes nothing.  An answer that the
    kernel has taken whole is looked for there when nothing has come since the last sweep, and until
    it is out.
    """
    if conn.queued:
        mark = conn.drained_bytes
    elif exchange.phase is not IDLE or exchange.since == now:
        mark = _UNKNOWN
    elif exchange.read_mark == _ALL_OUT:
        return False
    else:
        unsent = _unsent_bytes(conn)
        mark = _UNSENT - unsent if unsent else _ALL_OUT
    if mark != exchange.read_mark or mark == _UNKNOWN:
        exchange.read_mark, exchange.read_since = mark, now
        return False
    return now - exchange.read_since > exchange.server.limits.write_seconds


def _unsent_bytes(conn: Connection) -> int:
    """What the other side's kernel has not taken: only who does not read leaves that for long."""
    try:
        # SIOCOUTQ of tcp(7) and unix(7)
        return int.from_bytes(fcntl.ioctl(conn.fileno(), termios.TIOCOUTQ, bytes(4)), byteorder)
    except (OSError, ValueError):  # a socket of another kind, or closed
        return 0


def _is_idle_too_long(exchange: "Exchange", conn: Connection, now: float) -> bool:
    """Whether no request has come for too long, or too little of the TLS record that has one.

    A record whose part is here counts as the beginning of a head, and is waited for while the
    server drains.  Those that are no data (a new key) come whole, and change nothing.
    """
    server, idle = exchange.server, now - exchange.since
    if conn.partial_since is None:
        return idle > server.idle_seconds
    limits = server.limits
    return now - conn.partial_since > limits.head_seconds or idle > limits.idle_seconds


def _check_head(exchange: "Exchange", conn: Connection, now: float) -> None:
    limits = exchange.server.limits
    if not conn.is_read:  # before it has read more of its answers we do not look
        exchange.since = now
    elif now - exchange.since > limits.head_seconds:
        age = now - exchange.since
        _too_late(exchange, conn, f"no complete head after {age:.0f} s (Limits.head_seconds)")


def _check_body(exchange: "Exchange", conn: Connection, now: float) -> None:
    upload = exchange.upload
    if upload is None or upload.held:
        return
    if not conn.is_read:  # as above
        upload.began += now - exchange.since
        exchange.since = now
        return
    message = upload.lateness(exchange.server.limits, now - exchange.since, now)
    if message is not None:
        _too_late(exchange, conn, message)


def _too_late(exchange: "Exchange", conn: Connection, message: str) -> None:
    exchange.refuse(conn, RequestTimeout(message))
    exchange.end(conn)
