import random
import re

import pytest

from rush_web import Request, Route, WebServer
from rush_web.routing import Router


def request_of(method, path, query=""):
    request = Request(None, None)
    request.method, request.path, request.query = method, path, query
    return request


def named(name):
    def handler(request):
        raise AssertionError("routing calls no handler")

    handler.name = name
    return handler


def route(name, path, methods="GET", filter=None):
    return Route(path, named(name), frozenset(methods.split()), filter)


def picked(router, method, path, query=""):
    """Name and parameters of what is picked: by the short way if it knows, as the manager does."""
    request = request_of(method, path, query)
    found = router.find(request)
    params = dict(request.params)
    short = router.plain.get(path, {}).get(method)
    if short is not None:
        assert short is found
        assert params == {}
    return (found.name, params) if found else (None, params)


def no(request):
    return False


def asks(word):
    return lambda request: request.query == word


ROUTES = [
    route("root", "/"),
    route("hello", "/hello"),
    route("hello/", "/hello/"),
    route("post", "/hello", "POST PUT"),
    route("head itself", "/head", "HEAD"),
    route("get beside it", "/head", "GET"),
    route("head says no", "/head2", "HEAD", no),
    route("get is there", "/head2", "GET HEAD"),
    route("head says no", "/head3", "HEAD", no),
    route("get alone", "/head3"),
    route("a", "/filtered", filter=asks("a")),
    route("b", "/filtered", filter=asks("b")),
    route("both", "/filtered", filter=lambda request: request.query in ("a", "c")),
    route("never", "/never", filter=no),
    route("user", "/user/<name>"),
    route("me", "/user/me"),
    route("delete", "/user/<who>", "DELETE"),
    route("me no", "/user/me2", filter=no),
    route("deep", "/a/<x>/c/<y>"),
    route("deeper", "/a/<x>/<z>/d"),
    route("literal first", "/a/b/<z>/d"),
    route("filtered parameter", "/even/<n>", filter=lambda request: request.params["n"] == "2"),
    route("other parameter", "/even/<m>"),
    route("top", "/<anything>", "POST"),
    route("any method", "/odd", "PROPFIND M-SEARCH"),
    route("not ASCII", "/größe/<a_>"),
]

PICKED = [
    # method, path, query, name and parameters
    ("GET", "/", "", "root", {}),
    ("GET", "/hello", "", "hello", {}),
    ("GET", "/hello/", "", "hello/", {}),
    ("HEAD", "/hello", "", "hello", {}),
    ("POST", "/hello", "", "post", {}),
    ("PUT", "/hello", "", "post", {}),
    ("PATCH", "/hello", "", None, {}),
    ("get", "/hello", "", None, {}),
    ("GET", "/Hello", "", None, {}),
    ("GET", "//hello", "", None, {}),
    ("HEAD", "/head", "", "head itself", {}),
    ("GET", "/head", "", "get beside it", {}),
    ("HEAD", "/head2", "", "get is there", {}),
    ("HEAD", "/head3", "", "get alone", {}),
    ("GET", "/filtered", "a", "a", {}),
    ("GET", "/filtered", "b", "b", {}),
    ("GET", "/filtered", "c", "both", {}),
    ("GET", "/filtered", "d", None, {}),
    ("GET", "/never", "", None, {}),
    ("GET", "/user/bill", "", "user", {"name": "bill"}),
    ("HEAD", "/user/bill", "", "user", {"name": "bill"}),
    ("GET", "/user/me", "", "me", {}),
    ("DELETE", "/user/me", "", "delete", {"who": "me"}),
    ("GET", "/user/me2", "", "user", {"name": "me2"}),
    ("GET", "/user/", "", None, {}),
    ("GET", "/user", "", None, {}),
    ("GET", "/user/a/b", "", None, {}),
    ("GET", "/user/<name>", "", "user", {"name": "<name>"}),
    ("GET", "/a/1/c/2", "", "deep", {"x": "1", "y": "2"}),
    ("GET", "/a/1/c/d", "", "deep", {"x": "1", "y": "d"}),
    ("GET", "/a/1/2/d", "", "deeper", {"x": "1", "z": "2"}),
    ("GET", "/a/b/2/d", "", "literal first", {"z": "2"}),
    ("GET", "/a/b/c/e", "", "deep", {"x": "b", "y": "e"}),
    ("GET", "/even/2", "", "filtered parameter", {"n": "2"}),
    ("GET", "/even/3", "", "other parameter", {"m": "3"}),
    ("POST", "/x", "", "top", {"anything": "x"}),
    ("POST", "/", "", None, {}),
    ("POST", "/odd", "", "top", {"anything": "odd"}),
    ("PROPFIND", "/odd", "", "any method", {}),
    ("M-SEARCH", "/odd", "", "any method", {}),
    ("OPTIONS", "*", "", None, {}),
    ("GET", "/größe/süß", "", "not ASCII", {"a_": "süß"}),
]


@pytest.mark.parametrize(("method", "path", "query", "name", "params"), PICKED)
def test_picked(method, path, query, name, params):
    assert picked(Router(ROUTES), method, path, query) == (name, params)


def test_what_path_and_method_decide_is_found_by_the_short_way():
    plain = Router(ROUTES).plain
    assert set(plain["/hello"]) == {"GET", "HEAD", "POST", "PUT"}
    assert plain["/filtered"] == {}
    assert set(plain["/head2"]) == {"GET"}  # the first for HEAD has a filter
    assert "/user/<name>" not in plain


def test_a_filter_that_raises_is_not_no():
    def broken(request):
        raise KeyError("x")

    with pytest.raises(KeyError):
        Router([route("x", "/x", filter=broken)]).find(request_of("GET", "/x"))


BAD = [
    # path, methods, words
    ("hello", ["GET"], ValueError, "begins with '/': 'hello'"),
    ("", ["GET"], ValueError, "begins with '/'"),
    (None, ["GET"], ValueError, "begins with '/'"),
    ("/a<b>", ["GET"], ValueError, "whole segment, as in '/user/<name>': '/a<b>'"),
    ("/<a", ["GET"], ValueError, "whole segment"),
    ("/a>", ["GET"], ValueError, "whole segment"),
    ("/<>", ["GET"], ValueError, "whole segment"),
    ("/<1>", ["GET"], ValueError, "whole segment"),
    ("/<a b>", ["GET"], ValueError, "whole segment"),
    ("/<a>/<a>", ["GET"], ValueError, "parameter comes twice in '/<a>/<a>'"),
    ("/a", [], ValueError, "'/a' has no methods"),
    ("/a", ["G T"], ValueError, "method of '/a' is not upper case: 'G T'"),
    ("/a", [""], ValueError, "not upper case"),
    ("/a", ["GET", "P\nST"], ValueError, "not upper case"),
    ("/a", "GET", TypeError, "a set of names, such as {'GET'}, not 'GET'"),
]


@pytest.mark.parametrize(("path", "methods", "kind", "words"), BAD)
def test_bad_routes(path, methods, kind, words):
    with pytest.raises(kind, match=re.escape(words)):
        WebServer().route(path, methods)(named("x"))


def test_what_cannot_be_called():
    with pytest.raises(TypeError, match="handler of '/a' is not callable: 'x'"):
        Route("/a", "x")
    with pytest.raises(TypeError, match="filter of '/a' is not callable: True"):
        Route("/a", named("x"), filter=True)
    with pytest.raises(ValueError, match="not upper case: 'get'"):
        Route("/a", named("x"), frozenset({"get"}))


def test_the_decorators():
    server = WebServer()
    for name in ("get", "post", "put", "patch", "delete"):
        handler = named(name)
        assert getattr(server, name)(f"/{name}", asks("x"))(handler) is handler
        assert server.routes[-1] == Route(
            f"/{name}", handler, frozenset({name.upper()}), server.routes[-1].filter
        )
        assert server.routes[-1].filter is not None
    server.route("/lower", ["get", "Post"])(named("x"))
    assert server.routes[-1].methods == {"GET", "POST"}


# The rules once more, as plainly as they can be said: try every route.


def oracle(routes, method, path, query):
    segments = path.split("/")[1:]
    candidates = []
    for number, route in enumerate(routes):
        wanted = route.path.split("/")[1:]
        takes = method in route.methods
        if not takes and not (method == "HEAD" and "GET" in route.methods):
            continue
        if len(wanted) == len(segments) and all(
            segment if want.startswith("<") else want == segment
            for want, segment in zip(wanted, segments, strict=True)
        ):
            shape = [want.startswith("<") for want in wanted]  # literal before parameter
            candidates.append((shape, not takes, number, route))
    for _, _, _, route in sorted(candidates, key=lambda candidate: candidate[:3]):
        pairs = zip(route.path.split("/")[1:], segments, strict=True)
        params = {want[1:-1]: segment for want, segment in pairs if want.startswith("<")}
        request = request_of(method, path, query)
        request.params = params
        if route.filter is None or route.filter(request):
            return route.handler.name, params
    return None, {}


FILTERS = [None, None, None, no, asks("a"), asks("b"), lambda request: "a" in request.params]


def generated(rng):
    routes = []
    for number in range(rng.randrange(1, 16)):
        words = [rng.choice(["a", "b", "c", "", "*"]) for _ in range(rng.randrange(1, 4))]
        names = rng.sample(["a", "b", "c"], len(words))
        path = "".join(
            f"/<{name}>" if word == "*" else f"/{word}"
            for word, name in zip(words, names, strict=True)
        )
        methods = rng.sample(["GET", "HEAD", "POST"], rng.randrange(1, 4))
        routes.append(Route(path, named(number), frozenset(methods), rng.choice(FILTERS)))
    return routes


def test_the_same_pick_as_trying_every_route():
    rng = random.Random(2026)
    found = 0
    for _ in range(3000):
        routes = generated(rng)
        router = Router(routes)
        for _ in range(8):
            segments = rng.choices(["a", "b", "c", "x", ""], [4, 4, 4, 2, 1], k=rng.randrange(1, 4))
            path = "".join(f"/{segment}" for segment in segments)
            asked = rng.choice(["GET", "HEAD", "POST", "PUT"]), path, rng.choice(["", "a", "b"])
            expected = oracle(routes, *asked)
            assert picked(router, *asked) == expected, (asked, routes)
            found += expected[0] is not None
    assert found > 2000  # it is no test of finding nothing
