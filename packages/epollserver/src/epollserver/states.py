"""The states of a `Connection`; the picture is in connection.py."""

import enum
from typing import Final


class State(enum.Enum):
    """How far a connection is from its end."""

    OPEN = "open"
    ENDING = "ending"
    CLOSED = "closed"


OPEN: Final = State.OPEN
ENDING: Final = State.ENDING
CLOSED: Final = State.CLOSED
