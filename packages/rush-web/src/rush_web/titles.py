"""What ps(1) shows of a process, if the package `setproctitle` is there."""

import importlib
from contextlib import suppress


def set_title(what: str) -> None:
    """Call this process ``rush: `` and what it is; without the package nothing happens."""
    with suppress(ImportError):
        importlib.import_module("setproctitle").setproctitle(f"rush: {what}")
