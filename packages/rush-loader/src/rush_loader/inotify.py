"""The kernel's inotify(7), by way of `inotify_simple`, which is a thin layer over it.

Everything else takes it from here, so that elsewhere the first import says what is missing.
"""

import sys

if sys.platform != "linux":
    raise ImportError(f"rush_loader needs inotify, which {sys.platform} does not have: Linux only")

from inotify_simple import Event, INotify, flags

__all__ = ["Event", "INotify", "flags"]
