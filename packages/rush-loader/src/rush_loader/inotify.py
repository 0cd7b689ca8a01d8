"""The kernel's inotify(7), by way of `inotify_simple`, which is a thin layer over it.

Everything else takes it from here, so that elsewhere the first import says what is missing.
"""

import os
import sys

if sys.platform != "linux":
    raise ImportError(f"rush_loader needs inotify, which {sys.platform} does not have: Linux only")

from inotify_simple import Event, INotify, flags, parse_events

__all__ = ["Event", "INotify", "PromptINotify", "flags"]

_AT_ONCE = 8192  # bytes; 200 events as a rule
_LARGEST_EVENT = 16 + 256  # struct inotify_event, and NAME_MAX with its NUL


class PromptINotify(INotify):
    """Its `read` never waits, and is one system call as a rule.

    That of `INotify` is two, and whoever makes one may have to wait for another thread to give
    back the interpreter.
    """

    def __init__(self) -> None:
        super().__init__(nonblocking=True)

    def read(  # type: ignore[override]
        self, timeout: int | None = 0, read_delay: int | None = None
    ) -> list[Event]:
        """What was reported and not read yet, all of it."""
        descriptor = self.fileno()
        events: list[Event] = []
        more = True
        while more:
            try:
                data = os.read(descriptor, _AT_ONCE)
            except BlockingIOError:
                break
            events += parse_events(data)
            more = len(data) > _AT_ONCE - _LARGEST_EVENT
        return events
