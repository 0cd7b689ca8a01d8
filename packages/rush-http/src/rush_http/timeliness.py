"""Who is late: the time limits of each phase of an `Exchange`, looked at by each sweep."""

from typing import TYPE_CHECKING

from epollserver import Connection

from .errors import RequestTimeout
from .phases import BODY, HEAD, IDLE, LINGER, NOW, UPGRADED

if TYPE_CHECKING:
    from .exchange import Exchange


def check(exchange: "Exchange", conn: Connection, now: float) -> None:
    """Close a connection, or refuse its request, if it has passed one of its time limits."""
    phase, limits = exchange.phase, exchange.server.limits
    if phase is UPGRADED:
        return
    if exchange.since == NOW:
        exchange.since = now
    if conn.queued:
        _check_reading(exchange, conn, now)
        return
    age = now - exchange.since
    if phase is IDLE:
        if age > exchange.server.idle_seconds:
            exchange.finish_idle(conn)
    elif phase is HEAD:
        if age > limits.head_seconds:
            _too_late(exchange, conn, f"no complete head after {age:.0f} s (Limits.head_seconds)")
    elif phase is BODY:
        upload = exchange.upload
        if upload is not None and not upload.held:
            message = upload.lateness(limits, age, now)
            if message is not None:
                _too_late(exchange, conn, message)
    elif phase is LINGER and age > limits.linger_seconds:
        conn.close()


def _check_reading(exchange: "Exchange", conn: Connection, now: float) -> None:
    """An answer waits: see whether the client has read anything since the last time."""
    stream = exchange.stream
    sent = (0 if stream is None else stream.accepted_bytes) - conn.queued
    if sent != exchange.sent_mark:
        exchange.sent_mark = sent
        exchange.since = now
    elif now - exchange.since > exchange.server.limits.write_seconds:
        conn.close()


def _too_late(exchange: "Exchange", conn: Connection, message: str) -> None:
    exchange.refuse(conn, RequestTimeout(message))
    exchange.end(conn)
