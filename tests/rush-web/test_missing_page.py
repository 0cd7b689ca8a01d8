"""The page of what is not found: each route, and why it was not picked."""

import json

import pytest

from rush_web import Route
from rush_web.converters import CONVERTERS, own_converter
from rush_web.dev.missing import misses
from rush_web.dev.missing_page import missing_data, missing_page, missing_text


def handler(request):
    raise AssertionError("nobody calls it")


def no(request):
    raise AssertionError("nobody calls it")


def hexadecimal(text):
    return int(text, 16)


KINDS = {**CONVERTERS, "hex": own_converter("hex", hexadecimal, CONVERTERS)}

WHY = [
    # route, methods, asked, why not
    ("/user/<int:id>", "GET", "GET /user/ann", "'ann' is no int for <id>"),
    ("/user/<int:id>", "GET", "GET /usr/7", "'usr' is not 'user'"),
    ("/user/<int:id>", "GET", "GET /user", "the path ends where <id> is expected"),
    ("/user/<int:id>", "GET", "GET /user/", "nothing is there for <id>"),
    ("/user/<int:id>", "GET", "GET /user/7/x", "it ends before '/x'"),
    ("/user/<int:id>", "GET", "GET /user/7/", "it has no slash at its end"),
    ("/user/<int:id>", "GET", "PUT /user/7", "the path fits, but it is for GET, not PUT"),
    ("/user/<id>/x", "GET", "GET /user/7", "the path ends where '/x' is expected"),
    ("/a/", "GET", "GET /a", "it has a slash at its end"),
    ("/a", "GET", "GET /a/", "it has no slash at its end"),
    ("/files/<path:rest>", "GET", "GET /files/", "nothing is there for <rest>"),
    ("/c/<hex:n>", "GET", "GET /c/xyz", "'xyz' is no hex for <n>"),
    ("*", "POST", "GET /x", "the path fits, but it is for POST, not GET"),
]


@pytest.mark.parametrize(("path", "methods", "asked", "why"), WHY)
def test_why_not(path, methods, asked, why):
    route = Route(path, handler, frozenset(methods.split()), converters=KINDS)
    (miss,) = misses([route], *asked.split())
    assert miss.reason == why


def test_a_filter_is_named_and_not_called():
    (miss,) = misses([Route("/x", handler, filter=no)], "GET", "/x")
    assert miss.reason.startswith("the path fits, but its filter no (")
    assert miss.reason.endswith("says no")


def test_the_nearest_comes_first():
    paths = ["/about", "/user/<int:id>", "/users", "/user/<int:id>/posts"]
    routes = [Route(path, handler) for path in paths]
    assert misses(routes, "GET", "/user/ann")[0].path == "/user/<int:id>"
    routes.append(Route("/user/<name>", handler, frozenset({"PUT"})))
    assert misses(routes, "GET", "/user/ann")[0].path == "/user/<name>"


def test_the_three_forms():
    html5lib = pytest.importorskip("html5lib")
    found = misses([Route("/<b>", handler), Route("/x", handler)], "GET", "/<script>/y")
    page = missing_page(404, "GET /<script>/y HTTP/1.1", found, "no file below /static/")
    html5lib.HTMLParser(strict=True).parse(page.text)
    assert "<script>" not in page.text
    for form in (
        page.text,
        missing_text(404, "GET /y", found),
        json.dumps(missing_data(404, "GET /y", found)),
    ):
        assert "/x" in form
    assert "There are no routes" in missing_page(404, "GET /", []).text
    assert "There are no routes" in missing_text(404, "GET /", [])


def test_of_very_many_routes_the_nearest_are_shown():
    routes = [Route(f"/{number}/x", handler) for number in range(3000)]
    found = misses(routes, "GET", "/777/y")
    assert len(found) == 200
    assert found[0].path == "/777/x"
