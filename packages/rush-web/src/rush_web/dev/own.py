"""Own: which files are the application's, which are of libraries, and which are ours."""

import os
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import epollserver
import rush_http
import rush_loader

_OURS: Final = tuple(
    f"{Path(str(module.__file__)).absolute().parent}{os.sep}"
    for module in (epollserver, rush_http, rush_loader, sys.modules[__package__.rpartition(".")[0]])
)
_PATHS = sysconfig.get_paths()
LIBRARIES: Final = tuple(
    os.path.realpath(_PATHS[name]) + os.sep
    for name in ("stdlib", "platstdlib", "purelib", "platlib")
    if name in _PATHS
)


def is_ours(file: str) -> bool:
    """Whether a file is the server's."""
    return file.startswith(_OURS)


def is_own(file: str) -> bool:
    """Whether a file is the application's."""
    if file.startswith("<") or is_ours(file):
        return False
    real = os.path.realpath(file)
    return not real.startswith(LIBRARIES) and f"{os.sep}site-packages{os.sep}" not in real


def own_modules() -> set[str]:
    """The files of the modules of the application."""
    files = {getattr(module, "__file__", None) for module in list(sys.modules.values())}
    return {os.path.abspath(file) for file in files if file and is_own_source(file)}


def is_own_source(file: str) -> bool:
    """Whether a file is a module of the application."""
    return file.endswith(".py") and is_own(os.path.abspath(file))  # not ``<frozen importlib>``


@contextmanager
def noting_reads(folder: str, into: set[str]) -> Iterator[None]:
    """Note what is opened below a folder to be read meanwhile: templates, settings and the like.

    By an audit hook, which Python keeps for good (PEP 578): for development only.
    """
    noting = True
    above = os.path.join(os.path.abspath(folder), "")

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        if not noting or event != "open" or len(into) >= _MOST_READ:
            return
        path, mode, flags = arguments
        if isinstance(path, str | bytes | os.PathLike) and not _writes(mode, flags):
            file = os.path.abspath(os.fsdecode(path))
            if file.startswith(above) and not file.endswith((".py", ".pyc")) and is_own(file):
                into.add(file)

    sys.addaudithook(hook)
    try:
        yield
    finally:
        noting = False


_MOST_READ = 200


def _writes(mode: object, flags: object) -> bool:
    if isinstance(mode, str):
        return not mode.startswith("r") or "+" in mode
    return isinstance(flags, int) and flags & os.O_ACCMODE != os.O_RDONLY
