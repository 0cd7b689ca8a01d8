"""Programs: the `WebServer` that a command names, by its module or its file."""

import importlib
import os
import pkgutil
import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import cast

from .application import WsgiCallable
from .config import nearest
from .server import WebServer


class Mistake(Exception):
    """The command line asks for something that is not there."""


class LoadFailed(Exception):
    """The user's own module raised, which is the cause; `text` is its traceback."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


def load_server(target: str) -> WebServer:
    """Import what ``app:server``, ``app.py`` or ``folder/app.py:server`` names.

    Raises `Mistake` if there is no such module, or no server in it, and `LoadFailed` for what the
    module itself raises.
    """
    module, name = _module(target, "server")
    server = getattr(module, name or "server", None)
    if not isinstance(server, WebServer):
        servers = [key for key, value in vars(module).items() if isinstance(value, WebServer)]
        has = f"it has {', '.join(servers)}" if servers else "it has none"
        raise Mistake(f"{name or 'server'!r} is no WebServer of module {module.__name__!r}; {has}")
    return server


def load_application(target: str) -> WsgiCallable:
    """Import the WSGI application that ``shop.wsgi:application`` names, or ``app.py``.

    Without a name it is ``application`` or ``app``.  Raises as `load_server` does.
    """
    module, name = _module(target, "app")
    names = [name] if name else ["application", "app"]
    found = next((getattr(module, one) for one in names if hasattr(module, one)), None)
    if found is None or not callable(found):
        what = " or ".join(map(repr, names))
        raise Mistake(f"{what} is no WSGI application of module {module.__name__!r}")
    return cast(WsgiCallable, found)


def _module(target: str, usual: str) -> tuple[ModuleType, str]:
    """The module or file of ``module:name``, and the name.

    A module is looked for in the current folder, a file's neighbours in its own.
    """
    module_name, _, name = target.partition(":")
    folder = os.getcwd()
    if module_name.endswith(".py"):
        path = Path(module_name).absolute()
        if not path.is_file():
            raise Mistake(_no_file(path, module_name))
        folder, module_name = str(path.parent), path.stem
    elif "/" in module_name or not all(module_name.split(".")):
        raise Mistake(f"{module_name!r} is no name of a module: write app:{usual} for app.py")
    sys.path.insert(0, folder)
    try:
        module = importlib.import_module(module_name)
    except Exception as error:
        missing = error.name if isinstance(error, ModuleNotFoundError) else None
        if not f"{module_name}.".startswith(f"{missing}."):  # or one that the module itself imports
            raise LoadFailed(traceback.format_exc()) from error
        raise Mistake(_no_module(str(missing), folder)) from error
    return module, name


def _no_file(path: Path, asked: str) -> str:
    names = [file.name for file in path.parent.glob("*.py")] if path.parent.is_dir() else []
    return f"no file {asked!r} in {os.getcwd()}{nearest(path.name, names)}"


def _no_module(missing: str, folder: str) -> str:
    if "." in missing:
        return f"no module {missing!r} in {folder}"
    names = [module.name for module in pkgutil.iter_modules([folder])]
    near = nearest(missing, names)
    if not near:
        near = f"; there are {', '.join(sorted(names)[:8])}" if names else ": is it the right one?"
    return f"no module {missing!r} in {folder}{near}"
