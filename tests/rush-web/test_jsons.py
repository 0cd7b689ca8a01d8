"""What makes JSON: each encoder, and what JSON cannot say."""

import dataclasses
import json
import sys

import pytest

from rush_web import WebServer
from rush_web.jsons import encode_json, encode_plainly

VALUES = [
    {"a": 1, "b": [True, False, None], "ü": "<é>", "f": 1.5, "e": 1e300},
    [],
    {},
    [{"nested": {"deep": [1, [2, [3]]]}}],
    {"quotes": '"\\\b\f\n\r\t\x00\x7f\u2028'},
    list(range(1000)),
    None,
    "text",
    (1, 2),
    2**53,
    -1,
]
NAN, INFINITY = float("nan"), float("inf")


@pytest.fixture(params=["json", "plain", "msgspec", "orjson"])
def name(request):
    """What ``json=`` is told; plain: the twin of the first one, by documented means only."""
    if request.param == "plain":
        return encode_plainly
    if request.param != "json":
        pytest.importorskip(request.param)
    return request.param


def test_every_encoder_says_the_same(app, name):
    app.route("/<int:at>")(lambda request: request.response_json(VALUES[request.params["at"]]))
    client = app.start(json=name)
    for at, value in enumerate(VALUES):
        answer = client.get(f"/{at}")
        expected = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        assert json.loads(answer.body) == json.loads(expected)
        assert len(answer.body) <= len(expected.encode()) + 8  # 1e+300, \u007f
        assert answer.headers["content-type"] == "application/json"


@dataclasses.dataclass
class Point:
    x: float


CIRCULAR: list[object] = [1]
CIRCULAR.append({"again": CIRCULAR})

REFUSED = [
    {"a": NAN},
    [None, INFINITY],
    [[-INFINITY]],
    {"a": {"b": (NAN,)}},
    NAN,
    object(),
    {"a": object()},
    "\ud800",
    CIRCULAR,
]


def test_the_twin_says_the_very_same():
    for value in (*VALUES, 1.0, -0.0, 1e22, 1e-7, 2**70, {1: {True: 2, None: 3, 1.5: 4}}, ((),)):
        assert encode_json(value) == encode_plainly(value)
    for value in (REFUSED[0], CIRCULAR, object(), {(): 1}):
        for encode in (encode_json, encode_plainly, encode_json):
            with pytest.raises((TypeError, ValueError)):
                encode(value)
    assert encode_json([1, {}]) == "[1,{}]"  # nothing is left of what failed


@pytest.mark.parametrize("value", REFUSED)
def test_what_json_cannot_say(app, name, value):
    @app.route("/")
    def handler(request):
        with pytest.raises((TypeError, ValueError)):
            request.response_json(value)
        return "refused"

    assert app.start(json=name).get().body == b"refused"


@pytest.mark.parametrize("name", ["msgspec", "orjson"])
def test_nan_in_what_only_the_others_know(app, name):
    pytest.importorskip(name)
    app.route("/nan")(lambda request: [Point(NAN)])
    app.route("/null")(lambda request: [Point(1.5), None])
    client = app.start(json=name)
    assert client.get("/null").body == b'[{"x":1.5},null]'
    assert client.get("/nan").status == 500
    assert "JSON has no word for nan" in app.logged()[0]


def test_a_struct_of_msgspec(app):
    msgspec = pytest.importorskip("msgspec")
    struct = msgspec.defstruct("struct", [("x", float)])
    app.route("/nan")(lambda request: [struct(NAN)])
    app.route("/")(lambda request: [struct(1.5), None])
    client = app.start(json="msgspec")
    assert client.get("/").body == b'[{"x":1.5},null]'
    assert client.get("/nan").status == 500


def test_a_function_of_ones_own(app):
    app.route("/")(lambda request: {"a": {1, 2}})
    assert app.start(json=lambda value: json.dumps(value, default=sorted)).get().body == (
        b'{"a": [1, 2]}'
    )


def test_what_is_no_encoder():
    with pytest.raises(ValueError, match="'json', 'msgspec', 'orjson' or a function, not 'ujson'"):
        WebServer(json="ujson")


@pytest.mark.parametrize("name", ["msgspec", "orjson"])
def test_what_is_not_installed(name, monkeypatch):
    monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, f"{name}.json", None)
    words = rf"needs the package {name}: pip install 'rush-web\[{name}\]'"
    with pytest.raises(RuntimeError, match=words):
        WebServer(json=name)
