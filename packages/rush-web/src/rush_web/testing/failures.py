"""Failures: what the log of the server says went wrong."""

import logging
import threading

_LOGGERS = [logging.getLogger(name) for name in ("rush_web", "rush_http", "epollserver")]


class Failures(logging.Handler):
    """The exceptions that this thread logs as errors, from ``with failures:`` to its end.

    The log is where every failure ends up, be it of a handler, of an error handler, or of what
    streams an answer.  An error without an exception becomes a `RuntimeError` with its words.
    """

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self._found: list[Exception] = []
        self._thread = threading.get_ident()

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the exception of a record."""
        if record.thread != self._thread:
            return  # of another client
        error = record.exc_info[1] if record.exc_info else None
        self._found.append(
            error if isinstance(error, Exception) else RuntimeError(record.getMessage())
        )

    def take(self) -> list[Exception]:
        """What was found since the last time, in order."""
        found, self._found = self._found, []
        return found

    def __enter__(self) -> None:
        for logger in _LOGGERS:
            logger.addHandler(self)

    def __exit__(self, *error: object) -> None:
        for logger in _LOGGERS:
            logger.removeHandler(self)
