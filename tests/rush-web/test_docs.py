"""Every program of the README and every example runs, and prints what they say."""

import inspect
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import rush_web
from programs import PATIENCE
from rawclient import request
from rush_web import testing
from rush_web.__main__ import main

PACKAGE = Path(__file__).parents[2] / "packages" / "rush-web"
README = (PACKAGE / "README.md").read_text()
EXAMPLES = PACKAGE / "examples"
FOUND = re.findall(r"```python\n(.*?)```\n(.*?)(?=```python|\Z)", README, re.DOTALL)
PROGRAMS = [found for found in FOUND if "def test_" not in found[0]]
TESTS = [found for found in FOUND if found not in PROGRAMS]
SERVED = "server = WebServer("


def commands(text):
    """The curl commands of a text, and what follows each."""
    found = []
    for block in re.findall(r"```text\n(.*?)```", text, re.DOTALL):
        for piece in block.split("$ ")[1:]:
            command, _, said = piece.partition("\n")
            if command.startswith("curl"):
                found.append((command, said))
    return found


def on_a_free_port(source):
    """The same program, with port 0."""
    source = re.sub(r"port=\d+(, )?", "", source)
    assert SERVED in source
    return source.replace(SERVED, f"{SERVED}port=0, ")


def test_the_readme_has_programs():
    assert len(PROGRAMS) == 10
    assert sum(len(commands(text)) for _, text in PROGRAMS) == 27
    assert len(TESTS) == 1


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
@pytest.mark.parametrize(("source", "text"), PROGRAMS)
def test_the_programs_of_the_readme(launch, tmp_path, source, text):
    (tmp_path / "public").mkdir()
    (tmp_path / "public" / "a.txt").write_text("a file")
    (tmp_path / "app.py").write_text(on_a_free_port(source))
    program = launch("app.py").ready()
    for command, said in commands(text):
        command = command.replace("127.0.0.1:9090", "{}:{}".format(*program.address))
        done = subprocess.run(
            [*shlex.split(command), "--silent", "--noproxy", "*"],
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
        assert done.stdout.removesuffix("\n") == said.removesuffix("\n")
    if "on_startup" in source:
        assert program.get("/static/a.txt").body == b"a file"
    assert program.stop() == 0
    if "on_startup" in source:
        lines = program.output.end().splitlines()
        assert (lines[0], lines[-1]) == ("loaded: 1", "bye")


@pytest.mark.once
@pytest.mark.parametrize(("source", "text"), TESTS)
def test_the_tests_of_the_readme(tmp_path, source, text):
    (tmp_path / "app.py").write_text(source)
    command, said = re.search(r"\$ pytest (.*?)\n(.*?)in [\d.]+s\n```", text, re.DOTALL).groups()
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *shlex.split(command)],
        cwd=tmp_path,
        env=os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        stdout=subprocess.PIPE,
        text=True,
        timeout=3 * PATIENCE,
    )
    assert done.returncode == 0, done.stdout
    assert done.stdout.startswith(said)


def test_the_banner_of_the_readme(launch, tmp_path):
    """Word for word, but for the port."""
    said = re.search(r"\$ python hello.py\n(.*)\n", README)[1]
    (tmp_path / "hello.py").write_text(on_a_free_port(PROGRAMS[0][0]))
    program = launch("hello.py").ready()
    assert str(program.output) == said.replace(":9090/", f":{program.address[1]}/") + "\n"
    assert program.stop() == 0


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


def test_every_public_name_is_documented():
    table = README.partition("## The whole of it")[2]
    for name in rush_web.__all__:
        assert f"`{name}" in table, name
    names = {name: getattr(door, name) for door in (rush_web, testing) for name in door.__all__}
    for name, value in names.items():
        if type(value) is not type:
            continue  # Handler, Filter
        assert inspect.getdoc(value), name
        for member, thing in vars(value).items():
            if not member.startswith("_") and (callable(thing) or isinstance(thing, property)):
                assert inspect.getdoc(getattr(value, member)), f"{name}.{member}"


def test_every_option_is_in_the_readme():
    for name in inspect.signature(rush_web.WebServer).parameters:
        assert name in README, name


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
