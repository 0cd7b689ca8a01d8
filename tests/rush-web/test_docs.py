"""Every program of the manual and every example runs, and prints what they say."""

import ast
import dataclasses
import inspect
import json
import re
import shutil
from pathlib import Path

import pytest

import rush_web
from manuals import Reader
from rawclient import request
from rush_web.__main__ import main
from tables import wrong_in

PACKAGE = Path(__file__).parents[2] / "packages" / "rush-web"
README = (PACKAGE / "README.md").read_text()
# The program of the other page is one of Flask: tests/system does it.
PAGES = [
    PACKAGE / "README.md",
    *sorted({*PACKAGE.glob("docs/*.md")} - {PACKAGE / "docs" / "coming-from.md"}),
]
EXAMPLES = PACKAGE / "examples"


@pytest.mark.once
@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_the_programs_of_a_page(tmp_path, path):
    """Each program of a page runs, and answers as the page says."""
    page = path.read_text()
    with Reader(tmp_path) as reader:
        assert reader.follow(page) >= page.count("```python")


def on_a_free_port(source):
    """The same program, with port 0."""
    source = re.sub(r"port=\d+(, )?", "", source)
    assert "server = WebServer(" in source
    return source.replace("server = WebServer(", "server = WebServer(port=0, ")


def test_the_program_in_the_docstring(launch, tmp_path):
    """The manual's first program; its root is there."""
    manual = inspect.getdoc(rush_web)
    lines = manual.partition("\n\n")[2].split("\n\n`WebServer`")[0]
    (tmp_path / "app.py").write_text(on_a_free_port(inspect.cleandoc(lines)))
    (tmp_path / "public").mkdir()
    (tmp_path / "public" / "a.txt").write_text("a file")
    program = launch("app.py").ready()
    assert program.get("/hello?name=Ann").body == b"Hello, Ann!"
    assert program.get("/hello").body == b"Hello, world!"
    assert program.get("/static/a.txt").body == b"a file"
    assert program.stop() == 0


def test_the_readme_has_the_commands_and_their_options(capsys):
    section = README.partition("## Configuration and command line")[2].partition("\n## ")[0]
    block = section.split("```")[1]
    for command in re.findall(r"^rush (\w+)", block, re.MULTILINE):
        with pytest.raises(SystemExit):
            main([command, "--help"])
    with pytest.raises(SystemExit):
        main(["--help"])
    listed = re.findall(r"^    (\w+)  ", capsys.readouterr().out.split("usage: rush [-h]")[1], re.M)
    assert listed == re.findall(r"^rush (\w+)", block, re.MULTILINE)
    assert "`--show-config`" in section
    assert "`--limit " in section


def test_the_tables_of_the_readme_have_every_public_name():
    assert wrong_in(README, "rush_web", "rush_web.testing") == []


def test_the_options_of_the_readme_and_their_defaults():
    section = README.partition("\n## Options\n")[2].partition("\n## ")[0]
    listed = {}
    for names, defaults in re.findall(r"^\| (`.*?) \| (.*?) \|", section, re.MULTILINE):
        names, defaults = re.findall("`(.*?)`", names), re.findall("`(.*?)`", defaults)
        listed |= zip(names, map(ast.literal_eval, defaults), strict=True)
    parameters = inspect.signature(rush_web.WebServer).parameters
    assert listed == {name: parameter.default for name, parameter in parameters.items()}


def test_the_limits_of_forms_in_the_readme():
    section = README.partition("\n## Forms and large bodies\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \| ([\w,]+)(?: (KiB|MiB|bytes))? \|", section, re.MULTILINE)
    units = {"": 1, "bytes": 1, "KiB": 1 << 10, "MiB": 1 << 20}
    listed = {
        name: None if value == "none" else int(value.replace(",", "")) * units[unit]
        for name, value, unit in rows
    }
    assert listed == dataclasses.asdict(rush_web.FormLimits())


# The examples


@pytest.fixture
def example(launch, tmp_path):
    """Run a copy of an example by ``rush run``, on a free port."""

    def example(name):
        shutil.copy(EXAMPLES / f"{name}.py", tmp_path)
        return launch("-m", "rush_web", "run", name, "--port", "0").ready()

    return example


def test_every_example_is_tested():
    tested = {name[5:] for name in globals() if name.startswith("test_")}
    assert {path.stem for path in EXAMPLES.glob("*.py")} <= tested


@pytest.mark.parametrize("name", ["hello", "api"])
def test_examples_run_by_themselves(launch, tmp_path, name):
    source = (EXAMPLES / f"{name}.py").read_text()
    (tmp_path / f"{name}.py").write_text(on_a_free_port(source))
    program = launch(f"{name}.py").ready()
    banner = re.search(r"^Rush serves .*$", source, re.MULTILINE)[0]
    assert str(program.output) == banner.replace(":9090/", f":{program.address[1]}/") + "\n"
    assert program.stop() == 0


def test_hello(example):
    program = example("hello")
    assert program.get("/hello").body == b"Hello, world!\n"
    assert program.get("/hello?name=J%C3%BCrgen").body == "Hello, Jürgen!\n".encode()
    assert program.get("/").status == 404
    assert program.stop() == 0


NOT_NOTES = [
    # body, what the answer says of it
    (b"", "the body is no JSON: "),
    (b"{", "the body is no JSON: "),
    (b"\xff", "the body is no JSON: "),
    (b"[]", "the body is a JSON object"),
    (b'"x"', "the body is a JSON object"),
    (b"{}", "'text' is text of 1 to 1000 characters"),
    (b'{"text": 1}', "'text' is text of 1 to 1000 characters"),
    (b'{"text": ""}', "'text' is text of 1 to 1000 characters"),
    (b'{"text": "x", "tags": [1]}', "'tags' is a list of text"),
    (b'{"text": "x", "id": 7}', "no 'id' here: there are text, tags"),
]


def test_api(example):
    program = example("api")
    with program.client() as client:

        def ask(method, path, body=b""):
            client.send(request(path, method=method, body=body))
            response = client.response()
            assert response.headers["access-control-allow-origin"] == "*"
            return response.status, json.loads(response.body or b"null")

        milk = {"id": 1, "text": "milk", "tags": []}
        bread = {"id": 2, "text": "bread", "tags": ["shop"]}
        assert ask("GET", "/notes") == (200, [])
        assert ask("POST", "/notes", b'{"text": "milk"}') == (201, milk)
        assert ask("POST", "/notes", b'{"text": "bread", "tags": ["shop"]}') == (201, bread)
        assert ask("GET", "/notes/2") == (200, bread)
        assert ask("GET", "/notes?contains=il") == (200, [milk])
        assert ask("GET", "/notes?limit=1") == (200, [milk])
        assert ask("GET", "/") == (200, {"notes": "/notes", "count": 2})
        changed = {**milk, "text": "oat milk"}
        assert ask("PATCH", "/notes/1", b'{"text": "oat milk"}') == (200, changed)
        assert ask("PATCH", "/notes/1", b'{"text": 7}')[0] == 400
        assert ask("GET", "/notes/1") == (200, changed)
        assert ask("DELETE", "/notes/1") == (204, None)
        for method in ("GET", "DELETE"):
            assert ask(method, "/notes/1") == (404, {"error": "there is no note 1"})
        assert ask("GET", "/notes/x") == (404, {"error": "there is no /notes/x"})
        assert ask("PUT", "/notes") == (405, {"error": "/notes is not for PUT"})
        assert client.get("/notes", method="PUT").headers["allow"] == "GET, HEAD, OPTIONS, POST"
        assert ask("GET", "/notes?limit=x") == (400, {"error": "'limit' is a number"})
        for body, words in NOT_NOTES:
            status, answer = ask("POST", "/notes", body)
            assert status == 400
            assert answer["error"].startswith(words)
        assert ask("GET", "/notes") == (200, [bread])
    assert program.stop() == 0
    assert "Traceback" not in str(program.log)
