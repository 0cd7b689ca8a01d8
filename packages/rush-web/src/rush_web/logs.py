"""Log files, opened anew when somebody has moved them away (logrotate(8))."""

import contextlib
import logging
import os
from collections.abc import Callable

_log = logging.getLogger("rush_web")


also_reopened: list[Callable[[int, int], object]] = []
"""Called with a user and a group, -1 for nobody, for log files that are no handler's."""


def reopen_logs(user: int = -1, group: int = -1) -> None:
    """Let every `logging.FileHandler` of this process go on in a new file of its name.

    One that cannot be opened goes on in the old file, with a line in the log.  The files get the
    owner that is given: the workers, who open them as well, may be others than the parent.
    """
    for reopen in also_reopened:
        reopen(user, group)
    manager = logging.Logger.manager
    loggers = [logging.getLogger(), *map(logging.getLogger, list(manager.loggerDict))]
    handlers = {handler for logger in loggers for handler in logger.handlers}
    for handler in handlers:
        if isinstance(handler, logging.FileHandler) and handler.stream is not None:
            try:
                _reopen(handler, user, group)
            except OSError as error:
                _log.error("a log file cannot be opened anew, the old one stays: %s", error)


def _reopen(handler: logging.FileHandler, user: int, group: int) -> None:
    stream = open(  # noqa: SIM115
        handler.baseFilename, "a", encoding=handler.encoding, errors=handler.errors
    )
    if (user, group) != (-1, -1):
        with contextlib.suppress(OSError):
            os.fchown(stream.fileno(), user, group)
    try:
        before = handler.setStream(stream)
    except OSError:  # what was kept for the old file finds no room there
        before, handler.stream = handler.stream, stream
    with contextlib.suppress(OSError):
        if before is not None:
            before.close()
