import copy
import pickle
import random
from urllib.parse import parse_qs, unquote, urlencode

import pytest

from rush_http import BadRequest, UriTooLong
from rush_web import Args, MissingArgument, Request, WebServer
from rush_web.args import MAX_COUNT, percent_decoded

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
    with pytest.raises(KeyError, match="no argument 'x'") as raised:
        args["x"]
    assert isinstance(pickle.loads(pickle.dumps(raised.value)), MissingArgument)


@pytest.mark.parametrize("mapping", ["args", "parse_form()"])
def test_an_argument_that_is_missing_is_the_clients_mistake(mapping):
    server = WebServer()
    server.post("/")(lambda request: eval(f"request.{mapping}")["name"])
    with server.test_client() as client:
        assert client.post("/?name=Ann", form={"name": "Ann"}).text == "Ann"
        assert client.post("/?nam=Ann", form={"nam": "Ann"}).status == 400


def test_getlist_gives_a_list_of_ones_own():
    args = Args.parse("a=1&a=2")
    args.getlist("a").append("3")
    assert args.getlist("a") == ["1", "2"]
    assert args.getlist("x") == []


def test_limits():
    assert Args.parse("a=1&b=2", max_count=2, max_length=7) == {"a": "1", "b": "2"}
    for query in ("a=1&b=2&", "a=1&a=2&a=3", "&&", "%26&&", "a=1&b&c"):
        with pytest.raises(BadRequest, match=r"a query of 3 arguments \(max_count=2\)"):
            Args.parse(query, max_count=2)
    with pytest.raises(UriTooLong, match=r"a query of 7 characters \(max_length=6\)"):
        Args.parse("a=1&b=2", max_length=6)
    assert len(Args.parse("&".join(f"a{number}" for number in range(1000)))) == 1000
    with pytest.raises(BadRequest, match="max_count=1000"):
        Args.parse("&" * 1000)


def test_limits_of_a_request():
    request = Request(None, None)
    request.query = "a=1&b=2"
    with pytest.raises(BadRequest) as many:
        request.parse_args(max_count=1)
    with pytest.raises(UriTooLong) as long:
        request.parse_args(max_length=3)
    assert (many.value.status, long.value.status) == (400, 414)
    assert request.parse_args() == {"a": "1", "b": "2"}
    assert request.args is request.parse_args()
    with pytest.raises(BadRequest):  # also where a filter has asked before, with other limits
        request.parse_args(max_count=1)
    with pytest.raises(UriTooLong):
        request.parse_args(max_length=3)
    assert request.parse_args(max_count=2, max_length=7) is request.args


def test_the_same_query_again():
    request = Request(None, None)
    known = []
    for query, max_count in (("a=1&b=2", 1000), ("a=1&b=2", 1000), ("a=3", 1000), ("a=1&b=2", 5)):
        request.forget()
        request.query = query
        known.append(request.parse_args(max_count=max_count))
    assert [dict(args) for args in known] == [{"a": "1", "b": "2"}] * 2 + [
        {"a": "3"},
        {"a": "1", "b": "2"},
    ]
    for max_count, query in ((1001, "&" * 1000), (1000, "&" * 1000), (1, "a=3&"), (0, "a=3")):
        request.forget()
        request.query = query
        if max_count == 1001:
            assert request.parse_args(max_count=max_count) == {}
        else:  # also a query that was taken apart before
            with pytest.raises(BadRequest):
                request.parse_args(max_count=max_count)


def test_read_only():
    args = Args.parse("a=1&b=2&a=3")
    for change in (
        lambda: args.update(c="1"),
        lambda: args.__setitem__("a", "2"),
        lambda: args.__delitem__("a"),
        lambda: args.pop("a"),
        lambda: args.popitem(),
        lambda: args.clear(),
        lambda: args.setdefault("c", "1"),
        lambda: args.__ior__({"c": "1"}),
    ):
        with pytest.raises(TypeError, match=r"read only: dict\(args\) is a copy to change"):
            change()
    assert args == {"a": "1", "b": "2"}
    assert type(args | {"c": "3"}) is dict


def test_copies():
    args = Args.of([("a", "1"), ("b", "2"), ("a", "3")])
    for same in (copy.copy(args), copy.deepcopy(args), pickle.loads(pickle.dumps(args))):
        assert lists(same) == {"a": ["1", "3"], "b": ["2"]}
        assert type(same) is Args


def test_a_long_value_takes_no_longer_for_each_byte():
    """Quadratic time would be minutes."""
    assert Args.parse("a=" + "%20" * 1_000_000)["a"] == " " * 1_000_000


# There is no list of differences from urllib.parse: nothing differs, with keep_blank_values=True;
# but of lone surrogates, which no request has, it makes one thing, and this here "?".
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


# What could be taken for something else while escapes are decoded.
ODD = [
    *PIECES,
    "\0",
    "\1",
    "\n",
    "\r",
    "%00",
    "%01",
    "%0A",
    "%0d",
    "%3D",
    "%%",
    "%=",
    "%&",
    "%+",
    "%\n",
]


class Counted(Args):
    """Counts the queries that were for the plain way."""

    plainly = 0

    @classmethod
    def _parse_one_by_one(cls, query, max_count):
        Counted.plainly += 1
        return super()._parse_one_by_one(query, max_count)


def test_the_fast_way_is_the_plain_way():
    rng = random.Random(2031)
    escapes = 0
    for _ in range(20_000):
        query = "".join(rng.choices(ODD, k=rng.randrange(1, 10)))
        expected = lists(Args._parse_one_by_one(query, MAX_COUNT))
        assert lists(Counted.parse(query)) == expected == parse_qs(query, keep_blank_values=True), (
            query
        )
        escapes += "%" in query
    assert escapes - Counted.plainly > 500


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


def lists(args):
    return {name: args.getlist(name) for name in args}


def test_the_same_as_werkzeug():
    """But for what is not UTF-8: it stays percent-encoded there; WHATWG (URL, 5.1) replaces it."""
    request_class = pytest.importorskip("werkzeug.wrappers").Request
    rng = random.Random(2028)
    for _ in range(2000):
        query = "".join(rng.choices(PIECES, k=rng.randrange(12)))
        ours = lists(Args.parse(query))
        if "é" in query or "\ufffd" in str(ours):
            continue  # the first no request has
        theirs = request_class({"QUERY_STRING": query, "REQUEST_METHOD": "GET"}).args
        assert ours == dict(theirs.lists()), query
    theirs = request_class({"QUERY_STRING": "a=%ff", "REQUEST_METHOD": "GET"}).args
    assert (theirs["a"].lower(), Args.parse("a=%ff")["a"]) == ("%ff", "\ufffd")


def test_percent_decoded_as_unquote():
    rng = random.Random(2029)
    for _ in range(2000):
        text = "".join(rng.choices([*PIECES, "漢", "%e6%bc", "%C3%", "%%41"], k=rng.randrange(9)))
        assert percent_decoded(text) == unquote(text), text


def test_whatever_comes():
    """Found by hypothesis, where it is installed."""
    hypothesis = pytest.importorskip("hypothesis")
    text = hypothesis.strategies.text
    asked = text(alphabet="ab=&+%;0123cCfF\u00e9") | text(
        alphabet=hypothesis.strategies.characters(blacklist_categories=["Cs"])
    )

    @hypothesis.settings(database=None, deadline=None, max_examples=300)
    @hypothesis.given(asked)
    def same(query):
        expected = parse_qs(query, keep_blank_values=True, max_num_fields=1000)
        assert lists(Args.parse(query)) == expected

    same()
