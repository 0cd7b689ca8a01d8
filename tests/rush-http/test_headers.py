import copy
import pickle

import pytest

from rush_http import Headers

LINES = (("host", "a"), ("x", "1"), ("cookie", "c=1"), ("x", "2"), ("cookie", "d=2"), ("e", ""))


@pytest.fixture
def headers():
    return Headers(LINES)


def test_case_of_a_name_does_not_matter(headers):
    assert headers["host"] == headers["Host"] == headers["HOST"] == "a"
    assert headers.get("HOST") == "a"
    assert "hOsT" in headers
    assert headers.getlist("HOST") == ["a"]


def test_several_lines_are_one_value(headers):
    assert headers["X"] == "1, 2"  # RFC 9110, 5.2
    assert headers["Cookie"] == "c=1; d=2"  # RFC 9113, 8.2.3
    assert headers.getlist("x") == ["1", "2"]
    assert headers.getlist("cookie") == ["c=1", "d=2"]


def test_many_lines_of_one_name():
    assert Headers((("x", "1"),) * 3)["x"] == "1, 1, 1"
    assert Headers((("x", ""), ("x", ""), ("y", "z")))["x"] == ", "


def test_missing(headers):
    assert headers.get("nope") is None
    assert headers.get("nope", "default") == "default"
    assert headers.getlist("nope") == []
    assert "nope" not in headers
    assert 5 not in headers
    with pytest.raises(KeyError, match="nope"):
        headers["Nope"]


def test_empty_value_is_a_value(headers):
    assert headers["e"] == ""
    assert headers.get("E", "default") == ""


def test_is_a_mapping(headers):
    assert list(headers) == ["host", "x", "cookie", "e"]
    assert len(headers) == 4
    assert dict(headers) == {"host": "a", "x": "1, 2", "cookie": "c=1; d=2", "e": ""}
    assert headers.lines() == LINES
    assert not Headers()


def test_equal_by_lines(headers):
    assert headers == Headers(LINES)
    assert hash(headers) == hash(Headers(LINES))
    assert headers != Headers(LINES[:-1])
    assert headers != dict(headers)


def test_frozen(headers):
    with pytest.raises(TypeError):
        headers["x"] = "3"
    with pytest.raises(TypeError):
        del headers["x"]
    with pytest.raises(AttributeError):
        headers.more = 1


def test_repr_hides_values():
    assert repr(Headers((("cookie", "secret"), ("x", "y")))) == "<Headers cookie, x>"


def test_copies(headers):
    assert copy.deepcopy(headers) == headers
    assert pickle.loads(pickle.dumps(headers)) == headers
