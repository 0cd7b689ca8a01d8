"""Provisions: what is loaded when it is needed, loaded before the workers become another user.

Few servers need all of it, and none does to begin.  But whom ``WebServer(user=...)`` names may not
be let in where this package is installed.  So what a worker may import within a function is named
here, and the files of pages are read.
"""

from contextlib import suppress
from importlib import import_module
from typing import Final

from .pages.layout import read_parts

_TLS: Final = ("epollserver.tls",)
_DEVELOPMENT: Final = (
    "rush_web.dev.answers",
    "rush_web.dev.lines",
    "rush_web.dev.live",
    "rush_web.dev.scripted",
    "rush_web.dev.viewers",
)
_OPTIONAL: Final = ("itsdangerous", "multipart")


def load_provisions(*, tls: bool, development: bool) -> None:
    """Import and read what workers may need later; what is not installed is left out.

    To be called in the parent: its workers share it.
    """
    for name in (*(_TLS if tls else ()), *(_DEVELOPMENT if development else ())):
        import_module(name)
    for name in _OPTIONAL:
        with suppress(ImportError):
            import_module(name)
    read_parts()
