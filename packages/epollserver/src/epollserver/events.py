"""What a handler can be called for, and what handlers look like."""

import enum
from collections.abc import Callable
from typing import Final

from .connection import Connection, Reason


class Event(enum.Enum):
    """What a handler can be called for."""

    CONNECT = "connect"
    RECEIVE = "receive"
    RESPONSE = "response"
    DISCONNECT = "disconnect"


CONNECT: Final = Event.CONNECT
RECEIVE: Final = Event.RECEIVE
RESPONSE: Final = Event.RESPONSE
DISCONNECT: Final = Event.DISCONNECT

Handler = Callable[[Connection], object]
DisconnectHandler = Callable[[Connection, Reason], object]
