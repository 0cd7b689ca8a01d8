"""What a handler can be called for, why connections end, and what handlers look like."""

import enum
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from .connection import Connection


class Event(enum.Enum):
    """What a handler can be called for."""

    CONNECT = "connect"
    RECEIVE = "receive"
    DATA = "data"
    RESPONSE = "response"
    DISCONNECT = "disconnect"


class Reason(enum.Enum):
    """Why a connection ended; the second argument of a ``DISCONNECT`` handler."""

    PEER_CLOSED = "peer closed"
    RESET = "reset"
    TIMEOUT = "timeout"
    ERROR = "error"
    SERVER_STOP = "server stop"
    OWN_CLOSE = "own close"


CONNECT: Final = Event.CONNECT
RECEIVE: Final = Event.RECEIVE
DATA: Final = Event.DATA
RESPONSE: Final = Event.RESPONSE
DISCONNECT: Final = Event.DISCONNECT

Handler = Callable[["Connection"], object]
"""What is called for ``CONNECT``, ``RECEIVE`` and ``RESPONSE``: ``handler(conn)``."""
DataHandler = Callable[["Connection", bytes], object]
"""What is called for ``DATA``: ``handler(conn, data)``."""
DisconnectHandler = Callable[["Connection", Reason], object]
"""What is called for ``DISCONNECT``: ``handler(conn, reason)``."""
