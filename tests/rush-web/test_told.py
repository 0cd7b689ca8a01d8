"""Why a program cannot start, as a terminal shows it."""

import itertools
import linecache

import pytest

from rush_web.advice import missing_help
from rush_web.dev.told import told
from rush_web.paint import Paint

SYNTAX = [
    # source, what is shown of its line
    ("x = (\n", ["> 1 | x = (", "          ^"]),
    ("def f():\n\treturn 1 +\n", ["> 2 |     return 1 +"]),
    ("x = 'ä€' 1\n", ["> 1 | x = 'ä€' 1"]),
    ("x = '漢字' +* 1\n", ["> 1 | x = '漢字' +* 1", "                  ^"]),
    ("if x:\npass\n", ["> 2 | pass", "      ^^^^"]),
    ("x = 1\n\x0c?\x1b[31m\n", ["> 2 | \\x0c?\\x1b[31m"]),
]


@pytest.mark.parametrize(("source", "shown"), SYNTAX)
def test_syntax_errors(tmp_path, monkeypatch, source, shown):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "app.py").write_text(source)
    with pytest.raises(SyntaxError) as caught:
        compile(source, str(tmp_path / "app.py"), "exec")
    lines = told(caught.value, Paint.plain(), 80)
    assert lines[0].startswith(f"{type(caught.value).__name__}: ")
    assert lines[1].startswith("app.py:")
    at = lines.index(shown[0])
    assert lines[at : at + len(shown)] == shown
    assert all(line.isprintable() for line in lines)


def failed(tmp_path, source, name="app.py"):
    """The exception that a module raises when it is executed."""
    path = tmp_path / name
    path.write_text(source)
    linecache.checkcache(str(path))
    with pytest.raises(Exception) as caught:  # noqa: PT011 - it is what the source raises
        exec(compile(source, str(path), "exec"), {"__name__": "app"})
    return caught.value.with_traceback(caught.tb.tb_next)  # without this frame


def test_exceptions_and_their_causes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    source = (
        "def f(x):\n"
        "    try:\n"
        "        return {}[x]\n"
        "    except KeyError as error:\n"
        "        raise ValueError('one\\n\\x1b[31mtwo ' + 'long ' * 40) from error\n"
        "\n\n\n"
        "f('a')\n"
    )
    lines = told(failed(tmp_path, source), Paint.plain(), 60)
    assert lines[0] == "ValueError: one"
    assert lines[1].startswith("\\x1b[31mtwo long ")
    assert lines[2:4] == ["app.py:9 in <module>", "app.py:5 in f"]
    assert any(line.startswith("> 5 |         raise ValueError('one\\n\\x1b[31m") for line in lines)
    assert "caused by KeyError: 'a'" in lines
    assert "app.py:3 in f" in lines
    assert all(len(line) <= 60 and line.isprintable() for line in lines)
    assert not any(one == two == "" for one, two in itertools.pairwise(lines))


def test_a_long_message_is_not_cut_but_wrapped(tmp_path):
    error = failed(tmp_path, "open('/none/' + 'folder/' * 12 + 'end.txt')")
    lines = told(error, Paint.plain(), 50)
    assert "".join(line.strip() for line in lines[:4]).count("folder/") == 12


def test_modules_that_are_not_there(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "helper.py").touch()
    assert list(missing_help("helpr")) == ["There is no such module here: did you mean helper?"]
    said = " ".join(missing_help("no_such_thing.at_all"))
    assert said.endswith("-m pip install no_such_thing")
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    (tmp_path / ".venv" / "bin" / "python").touch()
    said = " ".join(missing_help("no_such_thing"))
    assert said.endswith("There is another Python in .venv: source .venv/bin/activate")
