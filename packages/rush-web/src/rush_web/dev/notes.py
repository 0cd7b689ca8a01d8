"""Notes: the log as a terminal shows it: the time, what happened, and where in the application."""

import logging
import time

from ..paint import BOLD, DIM, RED, YELLOW, Paint, width_of
from ..ring import printable
from .told import told

_MARGIN = " " * 10  # below what follows the time
_COLOURS = {logging.WARNING: (YELLOW,), logging.ERROR: (BOLD, RED), logging.CRITICAL: (BOLD, RED)}


def colour_logs() -> None:
    """Let the handlers of the root logger, which write to the terminal, write so."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, logging.StreamHandler):
            handler.setFormatter(NotesFormatter(Paint(handler.stream)))


class NotesFormatter(logging.Formatter):
    """Shows exceptions by the application's own lines; no byte of a message moves the cursor."""

    def __init__(self, paint: Paint) -> None:
        super().__init__()
        self._paint = paint

    def format(self, record: logging.LogRecord) -> str:
        """The lines of a record."""
        paint = self._paint
        first, *rest = record.getMessage().splitlines() or [""]
        when = paint(time.strftime("%H:%M:%S", time.localtime(record.created)), DIM)
        colours = _COLOURS.get(record.levelno)
        level = paint(record.levelname.lower(), *colours) if colours else ""
        lines = ["  ".join(part for part in (when, level, printable(first)) if part)]
        lines += [f"{_MARGIN}{printable(line)}" for line in rest]
        if record.exc_info and record.exc_info[1] is not None:
            width = width_of(None) - len(_MARGIN)
            lines += (_MARGIN + line for line in told(record.exc_info[1], paint, width))
        return "\n".join(line.rstrip() for line in lines)
