"""Programs: the `WebServer` that a command names, by its module or its file."""

import importlib
import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import cast

from .application import WsgiCallable
from .server import WebServer

USUAL = "app.py"
"""What is run if nothing is named."""


class Mistake(Exception):
    """The command line asks for something that is not there."""


class LoadFailed(Exception):
    """The user's own module raised, which is the cause; `text` is its traceback."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


def load_server(target: str | None) -> WebServer:
    """Import what ``app:server``, ``app.py`` or ``folder/app.py:server`` names; `USUAL` if nothing.

    Raises `Mistake` if there is no such module, or no server in it, and `LoadFailed` for what the
    module itself raises.
    """
    module, name = _module(target, "server")
    server = getattr(module, name or "server", None)
    if not isinstance(server, WebServer):
        from .advice import no_server

        raise Mistake(no_server(module, name or "server"))
    return server


def load_application(target: str | None) -> WsgiCallable:
    """Import the WSGI application that ``shop.wsgi:application`` names, or ``app.py``.

    Without a name it is ``application`` or ``app``.  Raises as `load_server` does.
    """
    module, name = _module(target, "app")
    names = [name] if name else ["application", "app"]
    found = next((getattr(module, one) for one in names if hasattr(module, one)), None)
    if not callable(found) or isinstance(found, type | WebServer):
        from .advice import no_application

        raise Mistake(no_application(module, names))
    return cast(WsgiCallable, found)


def _module(target: str | None, usual: str) -> tuple[ModuleType, str]:
    """The module or file of ``module:name``, and the name.

    A module is looked for in the current folder, a file's neighbours in its own.
    """
    module_name, _, name = (target or USUAL).partition(":")
    folder, path = os.getcwd(), None
    if module_name.endswith(".py"):
        path = Path(module_name).absolute()
        folder = str(path.parent)
        if not path.is_file() or "." in path.stem:
            from .advice import no_file

            raise Mistake(no_file(path, module_name, by_name=target is not None))
        module_name = path.stem
    elif not _may_be_module(module_name):
        from .advice import no_name

        raise Mistake(no_name(module_name, usual))
    sys.path.insert(0, folder)
    module = _imported(module_name, folder)
    is_at = getattr(module, "__file__", None) or ""
    meant = path or Path(folder, f"{module_name}.py")
    if meant.is_file() and is_at and not os.path.samefile(is_at, meant):
        raise Mistake(
            f"{meant.name} has the name of another module, {is_at}: give the file another name"
        )
    return module, name


def _may_be_module(name: str) -> bool:
    """Whether this is the name of a module, or of a folder that may be a package."""
    if os.path.exists(name):
        return name.isidentifier() and os.path.isdir(name)
    return all(name.split(".")) and os.sep not in name


def _imported(name: str, folder: str) -> ModuleType:
    try:
        with _nobody_runs():
            return importlib.import_module(name)
    except Exception as error:
        missing = error.name if isinstance(error, ModuleNotFoundError) else None
        if not f"{name}.".startswith(f"{missing}."):  # or one that the module itself imports
            raise LoadFailed(_traceback(error)) from error
        from .advice import no_module

        raise Mistake(no_module(str(missing), folder)) from error


@contextmanager
def _nobody_runs() -> Iterator[None]:
    """Let no module serve while it is imported."""
    WebServer.why_not = (
        "this module is imported by the rush command, which runs its server: put server.run() "
        "below if __name__ == '__main__':"
    )
    try:
        yield
    finally:
        WebServer.why_not = ""


def _traceback(error: BaseException) -> str:
    """The usual text, without the frames of the import that led to the module."""
    told = traceback.TracebackException.from_exception(error)
    told.stack = traceback.StackSummary.from_list(
        [frame for frame in told.stack if not _is_of_import(frame.filename)]
    )
    return "".join(told.format())


def _is_of_import(file: str) -> bool:
    return file in (__file__, importlib.__file__) or file.startswith("<frozen importlib")
