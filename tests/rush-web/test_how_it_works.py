"""The page on how it works: its names are those of the code, and the order is what happens."""

import importlib
import pkgutil
import re
import runpy
import sys
from pathlib import Path

import pytest

from rush_web import WebServer

PACKAGES = Path(__file__).parents[2] / "packages"
DOCS = PACKAGES / "rush-web" / "docs"
PAGE = (DOCS / "how-it-works.md").read_text()
PICTURE = (DOCS / "request.svg").read_text()
FIELDS = {"Authorization", "Cookie"}
IMPORTED = ["epollserver", "rush_http", "rush_loader", "rush_web"]


def modules():
    for name in IMPORTED:
        package = importlib.import_module(name)
        yield package
        for found in pkgutil.walk_packages(package.__path__, f"{name}."):
            if not found.name.endswith("__main__"):
                yield importlib.import_module(found.name)


NAMES = {name: thing for module in modules() for name, thing in vars(module).items()}


def resolved(name):
    """What a name such as ``Loop.run`` stands for, or ``None``."""
    first, *others = name.split(".")
    thing = NAMES.get(first)
    for other in others:
        thing = getattr(thing, other, None)
    return thing


def quoted():
    for text in re.findall(r"`([^`\n]+)`", PAGE):
        if re.fullmatch(r"[A-Z]\w+(\.\w+)*", text) and text not in FIELDS:
            yield text


def test_the_names_of_the_page_are_there():
    names = set(quoted())
    assert len(names) > 30
    assert [name for name in sorted(names) if resolved(name) is None] == []


def test_the_names_of_the_picture_are_there():
    names = re.findall(r'class="name"[^>]*>([\w.]+)<', PICTURE)
    assert len(names) > 6
    assert [name for name in names if resolved(name) is None] == []


def test_the_files_of_the_page_are_there():
    files = re.findall(r"`((?:\w+/)?\w+\.py)`", PAGE)
    assert len(files) > 8
    assert [file for file in files if not list(PACKAGES.glob(f"*/src/**/{file}"))] == []


@pytest.mark.once
def test_a_request_takes_the_way_of_the_page():
    server = WebServer(workers=1)

    @server.get("/hello")
    def hello(request):
        request.response("Hello!")

    steps = re.findall(r"^\| \d+ \| `([\w.]+)`", PAGE, re.MULTILINE)
    assert len(steps) > 8
    expected = [(hello if name == "hello" else resolved(name)).__code__ for name in steps]
    called = []

    def note(frame, event, _):
        if event == "call" and frame.f_code in expected:
            called.append(frame.f_code)

    with server.test_client() as client:
        client.get("/hello")
        sys.setprofile(note)
        try:
            client.get("/hello")
        finally:
            sys.setprofile(None)
    # The loop of a test client runs more than once.
    last = len(called) - 1 - called[::-1].index(expected[0])
    assert [code.co_name for code in called[last:]] == [code.co_name for code in expected]


def test_the_picture_is_what_its_program_draws():
    drawn = runpy.run_path(str(DOCS / "draw_request.py"))["lines"]()
    assert "\n".join(drawn) + "\n" == PICTURE


def test_the_picture_tells_those_who_do_not_see_it():
    assert "<title" in PICTURE
    assert "aria-labelledby" in PICTURE
