"""`rush new`: a project that runs, whose tests pass; and what is refused."""

import importlib.resources
import os
import re
import subprocess
import sys
import zipfile

import pytest

from programs import PATIENCE, eventually
from rush_web.new import make_project
from rush_web.programs import Mistake

FILES = {
    ".gitignore",
    "README.md",
    "app.py",
    "pages/index.html",
    "static/style.css",
    "test_app.py",
}


def files_of(folder):
    found = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)) for path in found}


def test_what_is_made(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    said = list(make_project("my shop"))
    assert said[0] == "my shop is there:"
    assert said[-1] == "  cd 'my shop' && rush dev"
    assert files_of(tmp_path / "my shop") == FILES
    for name in FILES:
        text = (tmp_path / "my shop" / name).read_text()
        assert "{{" not in text
        assert text.endswith("\n")
    assert "<title>my shop</title>" in (tmp_path / "my shop" / "pages/index.html").read_text()
    assert (tmp_path / "my shop" / "README.md").read_text().startswith("# my shop\n")
    made = importlib.resources.files("rush_web") / "template"
    assert len([path for path in made.rglob("*") if path.is_file()]) == len(FILES)


def test_the_page_is_valid_and_the_programs_are_formatted(tmp_path):
    list(make_project(str(tmp_path / "x")))
    html5lib = pytest.importorskip("html5lib")
    html5lib.HTMLParser(strict=True).parse((tmp_path / "x" / "pages/index.html").read_text())


def test_a_folder_that_is_empty_will_do(tmp_path, monkeypatch):
    folder = tmp_path / "here"
    (folder / ".git").mkdir(parents=True)
    monkeypatch.chdir(folder)
    assert list(make_project("."))[-1] == "  rush dev"
    assert files_of(folder) == FILES


REFUSED = [
    # what is there, the name, what is said
    (["x/a"], "x", "folder 'x' is not empty, it has a: take another name"),
    (["x/a", "x/b", "x/c", "x/d"], "x", "it has a, b, c ...: take another name"),
    (["x"], "x", "'x' is there already, and no folder: take another name"),
    ([], "a/<b>", "'<b>' is no name for a project"),
    ([], 'a"b', "'a\"b' is no name for a project"),
    ([], "x\n", "'x\\n' is no name for a project"),
    ([], "-x", "'-x' is no name for a project"),
]


@pytest.mark.parametrize(("there", "name", "words"), REFUSED)
def test_refusals(tmp_path, monkeypatch, there, name, words):
    monkeypatch.chdir(tmp_path)
    for path in there:
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).touch()
    before = set(tmp_path.rglob("*"))
    with pytest.raises(Mistake) as caught:
        list(make_project(name))
    assert words in str(caught.value)
    assert set(tmp_path.rglob("*")) == before


@pytest.mark.once
def test_a_newcomer(launch, tmp_path):
    """As the README says it: make it, test it, run it, save a file of it."""
    new = launch("-m", "rush_web", "new", "x")
    assert new.wait() == 0
    assert "cd x && rush dev" in new.output.end()
    folder = tmp_path / "x"
    tested = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=3 * PATIENCE,
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},  # of plugins that are here
    )
    assert tested.returncode == 0, tested.stdout
    assert "4 passed" in tested.stdout
    program = launch("-m", "rush_web", "dev", "--port", "0", cwd=folder).ready()
    page = program.get("/?name=%3CAnn%3E").body
    assert b"<h1>Hello, &lt;Ann&gt;!</h1>" in page
    assert b'<script src="/_rush/live.js"' in page
    assert program.get("/api/hello/Ann").body == b'{"hello":"Ann"}'
    style = program.get("/static/style.css")
    assert style.headers["content-type"].startswith("text/css")
    template = folder / "pages" / "index.html"
    template.write_text(template.read_text().replace("Hello", "Welcome"))
    eventually(lambda: b"<h1>Welcome, world!</h1>" in program.get().body, "the saved page")
    assert "pages/index.html changed" in str(program.output)
    assert program.stop() == 0
    assert str(program.log) == ""


@pytest.mark.once
def test_it_is_in_the_wheel(tmp_path):
    """In the files that are built: made by what the build makes them with, or those installed."""
    pytest.importorskip("hatchling")
    package = os.path.join(os.path.dirname(__file__), "..", "..", "packages", "rush-web")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path],
        cwd=package,
        check=True,
        capture_output=True,
        timeout=PATIENCE * 3,
    )
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as built:
        names = {name for name in built.namelist() if "/template/" in name}
    told = {re.sub(r".*/template/(.*)\.txt", r"\1", name) for name in names}
    assert told == {name.lstrip(".") for name in FILES}
