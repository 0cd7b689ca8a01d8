"""New projects: ``rush new DIR`` copies the folder `template`, with the project's name in it.

Each file of it is a text, whose last suffix goes: so nothing takes the template for a program.
"""

import os
import re
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from shlex import quote

from .programs import Mistake

_NAME = "{{name}}"
_SUFFIX = ".txt"
_PLAIN = re.compile(r"[^\W_](?:[ \w.-]*\w)?")  # letters and digits of any alphabet
# What `git init`, and an editor, have put into a folder that is new all the same.
_NO_CONTENT = frozenset({".git", ".hg", ".idea", ".vscode", ".venv", "venv"})


def make_project(directory: str) -> Iterator[str]:
    """Make a project in a folder that is new, or empty; gives lines on what to do then.

    Nothing that is there is ever written over.  Raises `Mistake` if the folder has anything in it,
    or its name cannot be that of a project; `OSError` if it cannot be made.
    """
    folder = Path(directory)
    name = folder.absolute().resolve().name
    if not _PLAIN.fullmatch(name):
        raise Mistake(f"{name!r} is no name for a project: letters, digits, - and _, such as shop")
    _check_empty(folder, directory)
    made = []
    for path, text in _template():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("x", encoding="utf-8") as file:
            file.write(text.replace(_NAME, name))
        made.append(path)
    width = max(map(len, made))
    yield f"{name} is there:"
    yield ""
    for path in made:
        yield f"  {path.ljust(width)}  {_WHAT[path]}"
    yield ""
    here = folder.resolve() == Path.cwd().resolve()
    yield f"  {'' if here else f'cd {quote(directory)} && '}rush dev"


_WHAT = {
    "app.py": "the application: routes, and what they answer",
    "test_app.py": "its test: python -m pytest",
    "pages/index.html": "a page, filled in by app.py",
    "static/style.css": "how it looks; sent to browsers as it is",
    "README.md": "how to run it, here and elsewhere",
    ".gitignore": "what is not to be kept",
}


def _check_empty(folder: Path, asked: str) -> None:
    if folder.is_dir():
        inside = sorted(set(os.listdir(folder)) - _NO_CONTENT)
        if inside:
            some = ", ".join(inside[:3]) + (" ..." if len(inside) > 3 else "")
            raise Mistake(f"folder {asked!r} is not empty, it has {some}: take another name")
    elif folder.exists() or folder.is_symlink():
        raise Mistake(f"{asked!r} is there already, and no folder: take another name")


def _template() -> Iterator[tuple[str, str]]:
    """The files of the template: path and text."""
    root = files(__package__) / "template"
    for path in _WHAT:
        source = root.joinpath(f"{path.replace('.gitignore', 'gitignore')}{_SUFFIX}")
        yield path, source.read_text(encoding="utf-8")
