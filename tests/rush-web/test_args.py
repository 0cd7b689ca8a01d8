import random
from urllib.parse import parse_qs, urlencode

import pytest

from rush_web import Args

TABLE = [
    # query, every name and its values
    ("", {}),
    ("a=1", {"a": ["1"]}),
    ("a=1&b=2", {"a": ["1"], "b": ["2"]}),
    ("a=1&a=2&b=3&a=", {"a": ["1", "2", ""], "b": ["3"]}),
    ("a", {"a": [""]}),
    ("a=", {"a": [""]}),
    ("=1", {"": ["1"]}),
    ("=", {"": [""]}),
    ("&&a=1&", {"a": ["1"]}),
    ("a=b=c", {"a": ["b=c"]}),
    ("a=1;b=2", {"a": ["1;b=2"]}),
    ("name=J%C3%BCrgen", {"name": ["Jürgen"]}),
    ("a=1+2", {"a": ["1 2"]}),
    ("a=1%2B2", {"a": ["1+2"]}),
    ("a+b=c", {"a b": ["c"]}),
    ("%61=1&a=2", {"a": ["1", "2"]}),
    ("a=%26&b=%3D", {"a": ["&"], "b": ["="]}),
    ("a=%", {"a": ["%"]}),
    ("a=%zz&b=%4", {"a": ["%zz"], "b": ["%4"]}),
    ("a=%ff", {"a": ["\ufffd"]}),
    ("a=%00%0d%0a", {"a": ["\0\r\n"]}),
    ("a=%25zz", {"a": ["%zz"]}),
    ("?a=1", {"?a": ["1"]}),
]


@pytest.mark.parametrize(("query", "expected"), TABLE)
def test_table(query, expected):
    args = Args.parse(query)
    assert {name: args.getlist(name) for name in args} == expected
    assert dict(args) == {name: values[0] for name, values in expected.items()}
    assert list(args) == list(expected)


def test_a_mapping():
    args = Args.parse("a=1&b=2&a=3")
    assert args["a"] == args.get("a") == "1"
    assert args.get("x") is None
    assert args.get("x", "default") == "default"
    assert "b" in args
    assert "x" not in args
    assert len(args) == 2
    with pytest.raises(KeyError):
        args["x"]


def test_getlist_gives_a_list_of_ones_own():
    args = Args.parse("a=1&a=2")
    args.getlist("a").append("3")
    assert args.getlist("a") == ["1", "2"]
    assert args.getlist("x") == []


# There is no list of differences from urllib.parse: nothing differs.
PIECES = [
    "a",
    "b",
    "é",
    "=",
    "=",
    "&",
    "&",
    "+",
    "%",
    "%4",
    "%41",
    "%C3%A9",
    "%ff",
    "%26",
    ";",
    " ",
]


def test_the_same_as_urllib():
    rng = random.Random(2026)
    for _ in range(20_000):
        query = "".join(rng.choices(PIECES, k=rng.randrange(12)))
        args = Args.parse(query)
        expected = parse_qs(query, keep_blank_values=True)
        assert {name: args.getlist(name) for name in args} == expected, query


def test_there_and_back():
    rng = random.Random(2027)
    letters = "ab =&+%;?/#é漢🙂\0\n"
    for _ in range(2000):
        pairs = [
            tuple("".join(rng.choices(letters, k=rng.randrange(4))) for _ in range(2))
            for _ in range(rng.randrange(5))
        ]
        args = Args.parse(urlencode(pairs))
        for name, _ in pairs:
            assert args.getlist(name) == [value for key, value in pairs if key == name]
