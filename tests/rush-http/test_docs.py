"""What the documents say is true: programs, tables, docstrings, examples."""

import ast
import contextlib
import dataclasses
import doctest
import inspect
import itertools
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping

import pytest

import rush_http
from rawclient import RawClient, request
from rush_http import Limits, conditional, negotiation, wsgi
from tables import wrong_in

PACKAGE = pathlib.Path(__file__).parents[2] / "packages/rush-http"
README = (PACKAGE / "README.md").read_text()
PAGES = "".join([README, *(page.read_text() for page in sorted(PACKAGE.glob("docs/*.md")))])
PROGRAMS = re.findall(r"```python\n(.*?)```\n\n```console\n(.*?)```", PAGES, re.DOTALL)
DOORS = [rush_http, conditional, negotiation, wsgi]
PUBLIC = [(name, getattr(door, name)) for door in DOORS for name in door.__all__]
SECONDS = 20


@contextlib.contextmanager
def process(*arguments):
    """A Python program that says on its first line where it listens; SIGTERM ends it with 0."""
    with subprocess.Popen(
        [sys.executable, "-W", "error", *map(os.fspath, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as program:
        try:
            yield program.stdout.readline().strip()
            program.send_signal(signal.SIGTERM)
            assert program.communicate(timeout=SECONDS) == ("", "")
            assert program.returncode == 0
        finally:
            program.kill()


@contextlib.contextmanager
def example(name, *arguments):
    with (
        example_url(name, *arguments) as url,
        RawClient((url.split("/")[2].split(":")[0], int(url.split(":")[2][:-1]))) as client,
    ):
        yield client


@contextlib.contextmanager
def example_url(name, *arguments):
    with process(PACKAGE / "examples" / name, "0", *arguments) as url:
        assert re.fullmatch(r"http://([0-9.]+):([0-9]+)/", url)
        yield url


def curl(*arguments, body=b""):
    done = subprocess.run(
        ["curl", "-sS", *arguments], input=body, capture_output=True, timeout=SECONDS, check=True
    )
    assert done.stderr == b""
    return done.stdout


def test_readme_has_programs():
    assert len(PROGRAMS) == PAGES.count("```python") == 9


@pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed")
@pytest.mark.parametrize(("program", "console"), PROGRAMS)
def test_readme_program(tmp_path, program, console):
    assert program.count("server.run()") == 1
    run = r"\1print(server.address[1], flush=True)\n\1server.run()"
    program = re.sub(r"(?m)^( *)server\.run\(\)", run, program.replace("8000", "0"))
    (tmp_path / "program.py").write_text(program)
    command, _, expected = console.removeprefix("$ ").partition("\n")
    with process(tmp_path / "program.py") as port:
        done = subprocess.run(
            command.replace("8000", port).replace("curl", "curl -sS").split(),
            capture_output=True,
            timeout=SECONDS,
            check=True,
        )
    assert undated(done.stdout.decode()) == undated(expected)


def undated(text):
    lines = ["Date" if line.startswith("Date: ") else line for line in text.splitlines()]
    return "\n".join(lines).rstrip()


def test_readme_parser_session():
    results = doctest.testfile(str(PACKAGE / "README.md"), module_relative=False)
    assert (results.failed, results.attempted > 2) == (0, True)


def test_readme_limits_are_the_defaults():
    section = README.partition("\n## Limits\n")[2].partition("\n## ")[0]
    rows = dict(re.findall(r"^\| `(\w+)` \| ([^|]*) \|", section, re.M))
    units = {"KiB": 1 << 10, "MiB": 1 << 20, "s": 1}

    def value(text):
        number, _, unit = text.partition(" ")
        return None if number == "none" else int(number) * units.get(unit, 1)

    assert {name: value(text) for name, text in rows.items()} == dataclasses.asdict(Limits())
    for name in rows:
        text = inspect.getsource(Limits).partition(f"    {name}: ")[2].split("\n")[1]
        assert text.startswith('    """'), f"{name} has no reason"


MODULES = {module.__name__: module for _, p in PUBLIC if (module := inspect.getmodule(p))}


@pytest.mark.parametrize("module", [rush_http, *map(MODULES.get, sorted(MODULES))])
def test_docstring_examples(module):
    if module is not None:
        assert doctest.testmod(module).failed == 0


def documented_assignments():
    """The names at the top of a module that have a string below their assignment."""
    for path in (PACKAGE / "src/rush_http").glob("*.py"):
        body = ast.parse(path.read_text()).body
        for statement, after in itertools.pairwise(body):
            is_text = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
            if is_text and isinstance(statement, ast.Assign):
                yield statement.targets[0].id
            elif is_text and isinstance(statement, ast.AnnAssign):
                yield statement.target.id


@pytest.mark.parametrize(("name", "thing"), PUBLIC)
def test_public_names_have_docstrings(name, thing):
    if not (inspect.isfunction(thing) or type(thing) in (type, type(Mapping))):
        assert name in documented_assignments()
        return
    assert inspect.getdoc(thing), name
    for key, value in vars(thing).items():
        if not key.startswith("_") and (inspect.isfunction(value) or isinstance(value, property)):
            assert inspect.getdoc(getattr(thing, key)), f"{name}.{key}"


@pytest.mark.parametrize("door", DOORS)
def test_all_is_sorted_and_complete(door):
    assert sorted(door.__all__) == sorted(set(door.__all__))


def test_the_tables_of_the_readme_have_every_public_name():
    assert wrong_in(README, *(door.__name__ for door in DOORS)) == []


def test_version():
    assert re.fullmatch(r"\d+\.\d+\.\d+", rush_http.__version__)


def test_example_hello():
    with example("hello.py") as client:
        assert client.get("/you").body == b"Hello from /you!\n"
        assert client.get("/you", "Connection: close", method="HEAD").body == b""


def test_example_echo_body():
    with example("echo_body.py") as client:
        client.send(request("/", "Content-Type: a/b", method="POST", body=b"some body"))
        answer = client.response()
        assert (answer.body, answer.headers["content-type"]) == (b"some body", "a/b")
        answer = client.get("/")
        assert (answer.status, answer.headers["allow"]) == (405, "POST")
        client.send(request("/", "Content-Length: 1048577", method="POST"))
        assert client.response().status == 413


@pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed")
def test_example_upload(tmp_path):
    data = os.urandom(1 << 20) * 20
    with example_url("upload.py", tmp_path) as url:
        for framing in ([], ["-H", "Transfer-Encoding: chunked"]):
            said = curl("-T", "-", *framing, f"{url}a.bin", body=data)
            assert said == b"%d bytes\n" % len(data)
            assert (tmp_path / "a.bin").read_bytes() == data
        assert curl("-o", "/dev/null", "-w", "%{http_code}", "-T", "-", f"{url}a/b") == b"404"
        assert b"Send me a file" in curl(url)
    assert [path.name for path in tmp_path.iterdir()] == ["a.bin"]


@pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed")
def test_example_stream():
    with example_url("stream.py") as url:
        assert curl("-N", f"{url}ticks?3") == b"3 more\n2 more\n1 more\n"
        for protocol in ("--http1.1", "--http1.0"):
            lines = curl(protocol, f"{url}lines?100000").splitlines()
            assert (len(lines), lines[-1]) == (100_000, b"line 99999")
        assert curl("-I", f"{url}lines?5").startswith(b"HTTP/1.1 200 OK\r\n")


@pytest.mark.parametrize(
    ("wire", "output", "errors", "status"),
    [
        (b"", b"", b"", 0),
        (
            b"GET /a%20b?c HTTP/1.1\r\nHost: h\r\n\r\n",
            b"GET /a b c\n    host: h\n",
            b"",
            0,
        ),
        (
            b"PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhiGET / HTTP/1.0\r\n\r\nBAD",
            b"PUT / \n    host: h\n    content-length: 2\n    2 bytes of body\nGET / \n",
            b"the input ends in the middle of a request\n",
            1,
        ),
        (b"BAD\r\n", b"", b"400: request line is not 'method target version': b'BAD'\n", 1),
    ],
)
def test_example_parse_only(wire, output, errors, status):
    done = subprocess.run(
        [sys.executable, PACKAGE / "examples/parse_only.py"],
        input=wire,
        capture_output=True,
        timeout=SECONDS,
        check=False,
    )
    assert (done.stdout, done.stderr, done.returncode) == (output, errors, status)


def test_each_example_has_a_test():
    names = {path.stem for path in (PACKAGE / "examples").glob("*.py")}
    assert {f"test_example_{name}" for name in names} <= set(globals())
