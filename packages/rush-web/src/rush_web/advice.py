"""Advice: what to say where a command names something that is not there."""

import inspect
import os
import pkgutil
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from .config import nearest
from .server import WebServer

_MOST_NAMES = 8
_MOST_FOLDERS = 200


def no_file(path: Path, asked: str, *, by_name: bool = True) -> str:
    """There is no file at `path`, or none that can be imported; `by_name`: it was asked for."""
    if path.is_file():
        return f"{asked!r} cannot be imported, with a dot in its name: call it {_without_dot(path)}"
    names = [file.name for file in path.parent.glob("*.py")] if path.parent.is_dir() else []
    if not by_name:
        there = f": there are {_listed(names)}" if names else ""
        return f"name a program, such as app.py; there is none of that name in {os.getcwd()}{there}"
    near = _elsewhere(path) or nearest(path.stem, [name[:-3] for name in names], ".py")
    there = f"; there are {_listed(names)}" if names else ": is it the right folder?"
    return f"no file {asked!r} in {os.getcwd()}{near or there}"


def no_name(asked: str, usual: str) -> str:
    """`asked` is neither a module nor a file of Python."""
    if os.path.isdir(asked):
        names = [file.name for file in Path(asked).glob("*.py")]
        which = f": name one of its files, such as {asked.rstrip('/')}/{names[0]}" if names else ""
        files = f"; for its files: rush serve {shlex.quote(asked)}"
        return f"{asked!r} is a folder{which}{files}"
    if os.path.isfile(asked):
        return (
            f"{asked!r} is no file of Python, which ends with .py; "
            "for a folder of files: rush serve DIR"
        )
    return f"{asked!r} is no name of a module: write app:{usual} for app.py"


def no_module(missing: str, folder: str) -> str:
    """There is no module `missing`, which was looked for in `folder` first."""
    said = f"no module {missing!r} in {folder}"
    if "." in missing:
        return said
    names = sorted(module.name for module in pkgutil.iter_modules([folder]))
    near = _elsewhere(Path(folder, f"{missing}.py")) or nearest(missing, names)
    there = f"; there are {_listed(names)}" if names else ": is it the right folder?"
    return f"{said}{near or there}"


def no_server(module: ModuleType, name: str) -> str:
    """There is no `WebServer` of that name in a module; what it has instead."""
    said = f"{name!r} is no WebServer of module {module.__name__!r}"
    servers = _names(module, WebServer)
    if servers:
        near = nearest(name, servers) or f"; it has {_listed(servers)}"
        return f"{said}{near}"
    applications = [key for key, value in vars(module).items() if _kind(value) == "WSGI"]
    if applications:
        one = name if name in applications else applications[0]
        other = "it" if one == name else repr(one)
        return f"{said}; {other} is a WSGI application: rush wsgi {module.__name__}:{one} runs it"
    if any(_kind(value) == "ASGI" for value in vars(module).values()):
        return f"{said}; it has an ASGI application, which Rush does not run"
    value = getattr(module, name, None)
    if inspect.isfunction(value):
        return f"{said} but a function: give what it returns a name, server = {name}()"
    if inspect.isclass(value):
        return f"{said} but a class: server = {name}() makes one"
    below = [one.name for one in pkgutil.iter_modules(getattr(module, "__path__", ()))]
    if below:
        modules = [f"{module.__name__}.{one}" for one in below if one != "__main__"]
        return f"{said}, which is a folder; its modules are {_listed(modules)}"
    return f"{said}; it has none: server = WebServer() makes one"


def no_application(module: ModuleType, names: list[str]) -> str:
    """There is no WSGI application of these names in a module; what it has instead."""
    what = " or ".join(map(repr, names))
    said = f"{what} is no WSGI application of module {module.__name__!r}"
    servers = _names(module, WebServer)
    if servers:
        return f"{said}; {servers[0]!r} is a WebServer: rush run {module.__name__}:{servers[0]}"
    found = [key for key, value in vars(module).items() if _kind(value) == "WSGI"]
    return f"{said}; it has {_listed(found) if found else 'none'}"


def no_folder(asked: str) -> str:
    """There is no folder of that name."""
    if os.path.isfile(asked):
        if asked.endswith(".py"):
            return f"no folder {asked!r} in {os.getcwd()}: it is a program: rush dev {asked}"
        above = os.path.dirname(asked) or "."
        return f"no folder {asked!r} in {os.getcwd()}: it is a file: rush serve {above}"
    above, name = os.path.split(asked.rstrip("/"))
    names: list[str] = []
    if os.path.isdir(above or "."):
        names = [one.name for one in os.scandir(above or ".") if one.is_dir()]
    return f"no folder {asked!r} in {os.getcwd()}{nearest(name, names)}"


def missing_help(name: str) -> Iterator[str]:
    """What may help where a program imports a module that is not there."""
    top = name.partition(".")[0]
    near = nearest(top, [module.name for module in pkgutil.iter_modules([sys.path[0]])])
    if near:
        yield f"There is no such module here{near}"
        return
    yield f"It is neither in {sys.path[0]} nor installed for {sys.executable}."
    for folder in (".venv", "venv"):
        python = os.path.abspath(os.path.join(folder, "bin", "python"))
        if os.path.exists(python) and os.path.realpath(folder) != os.path.realpath(sys.prefix):
            yield f"There is another Python in {folder}: source {folder}/bin/activate"
            return
    yield f"If it is a package: {sys.executable} -m pip install {top}"


def _names(module: ModuleType, kind: type) -> list[str]:
    return [key for key, value in vars(module).items() if isinstance(value, kind)]


def _kind(value: object) -> str:
    """``WSGI`` or ``ASGI`` for what can be called as such an application, by its arguments."""
    if inspect.isclass(value) or not callable(value):
        return ""
    try:
        names = list(inspect.signature(value).parameters)
    except (TypeError, ValueError):
        return ""
    if len(names) == 2 and names[1] == "start_response":
        return "WSGI"
    return "ASGI" if names == ["scope", "receive", "send"] else ""


def _elsewhere(path: Path) -> str:
    """Where there is a file of that name: in a folder below, or in the one above."""
    here = Path.cwd()
    folders = [one for one in _folders(here) if (one / path.name).is_file()]
    if folders:
        return f": there is {os.path.relpath(folders[0] / path.name)}"
    return ""


def _folders(here: Path) -> Iterator[Path]:
    yield here.parent
    try:
        with os.scandir(here) as entries:
            for _, entry in zip(range(_MOST_FOLDERS), entries, strict=False):
                if entry.is_dir() and not entry.name.startswith("."):
                    yield Path(entry.path)
    except OSError:
        return


def _without_dot(path: Path) -> str:
    return f"{path.stem.replace('.', '_')}.py"


def _listed(names: list[str]) -> str:
    names = sorted(names)
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    return ", ".join(names[:_MOST_NAMES]) + more
