"""The terminal that a program was started from, and whether it has been closed."""

import os


class Terminal:
    """SIGHUP has two meanings: the terminal is closed, or (kill(1)) something is to be read anew.

    A process whose terminal was closed has none any more (credentials(7), tty(4)).
    """

    def __init__(self) -> None:
        self._was_there = _is_there()

    def was_closed(self) -> bool:
        """Whether there was one at the start, and is none now."""
        return self._was_there and not _is_there()


def _is_there() -> bool:
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK))
    except OSError:
        return False
    return True
