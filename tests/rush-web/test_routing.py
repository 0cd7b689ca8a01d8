import os
import random
import re
import sys
from uuid import UUID

import pytest

from rush_http import Forbidden
from rush_web import Request, Route, WebServer
from rush_web.converters import CONVERTERS, own_converter
from rush_web.routing import Router

KEY = "12345678-1234-5678-1234-567812345678"


def hexadecimal(text):
    return int(text, 16)


def short(text):
    if len(text) > 3:
        raise ValueError(text)
    return text


OWN = dict(CONVERTERS)
OWN["hex"] = own_converter("hex", hexadecimal, OWN)
OWN["short"] = own_converter("short", short, OWN)


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
    return Route(path, named(name), frozenset(methods.split()), filter, OWN)


def picked(router, method, path, query=""):
    """Name and parameters of what is picked: by the short way if it knows, as the manager does."""
    request = request_of(method, path, query)
    found = router.find(request)
    params = dict(request.params)
    assert (found, params) == plainly(router, request_of(method, path, query))
    short = router.plain.get(path, {}).get(method)
    if short is not None:
        assert short is found
        assert params == {}
    return (found.name, params) if found else (None, params)


def plainly(router, request):
    """The same by the order as `candidates` says it."""
    for endpoint, values in router.candidates(request.path):
        for handler, accepts, names, _ in endpoint.steps(request.method):
            request.params = dict(zip(names, values, strict=True))
            if accepts is None or accepts(request):
                return handler, request.params
    return None, {}


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
    route("int", "/typed/<int:id>"),
    route("uuid", "/typed/<uuid:key>"),
    route("hex", "/typed/<hex:number>"),
    route("short", "/typed/<short:word>"),
    route("text", "/typed/<text:name>", "GET POST"),
    route("int post", "/typed/<int:id>/x", "POST"),
    route("rest", "/typed/<path:rest>"),
    route("rest post", "/files/<path:rest>", "POST"),
    route("rest of", "/files/<user>/<path:rest>"),
    route("typed filter", "/pick/<int:id>", filter=asks("a")),
    route("typed other", "/pick/<name>"),
    route("any", "*", "LINK"),
    route("any", "*", "HEAD", asks("any")),
    route("any", "*", "HEAD", asks("any")),
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
    ("GET", "/typed/007", "", "int", {"id": 7}),
    ("HEAD", "/typed/7", "", "int", {"id": 7}),
    ("POST", "/typed/7", "", "text", {"name": "7"}),
    ("GET", "/typed/" + "9" * 18, "", "int", {"id": 10**18 - 1}),
    ("GET", "/typed/" + "9" * 19, "", "hex", {"number": int("9" * 19, 16)}),
    ("GET", "/typed/-7", "", "hex", {"number": -7}),  # int(text, 16) takes it
    ("GET", "/typed/٣", "", "hex", {"number": 3}),
    ("GET", "/typed/ff", "", "hex", {"number": 255}),
    ("GET", "/typed/xy", "", "short", {"word": "xy"}),
    ("GET", "/typed/wxyz", "", "text", {"name": "wxyz"}),
    ("GET", f"/typed/{KEY}", "", "uuid", {"key": UUID(KEY)}),
    ("GET", f"/typed/{KEY}".upper().lower(), "", "uuid", {"key": UUID(KEY)}),
    ("GET", f"/typed/{{{KEY}}}", "", "text", {"name": f"{{{KEY}}}"}),
    ("GET", f"/typed/urn:uuid:{KEY}", "", "text", {"name": f"urn:uuid:{KEY}"}),
    ("GET", "/typed/7/x", "", "rest", {"rest": "7/x"}),
    ("POST", "/typed/7/x", "", "int post", {"id": 7}),
    ("GET", "/typed/a//b/", "", "rest", {"rest": "a//b/"}),
    ("GET", "/typed/", "", None, {}),
    ("GET", "/typed//a", "", None, {}),
    ("GET", "/typed", "", None, {}),
    ("GET", "/typed/../x", "", "rest", {"rest": "../x"}),
    ("POST", "/files/a/b", "", "rest post", {"rest": "a/b"}),
    ("GET", "/files/a/b/c", "", "rest of", {"user": "a", "rest": "b/c"}),
    ("GET", "/files/a", "", None, {}),
    ("GET", "/pick/7", "a", "typed filter", {"id": 7}),
    ("GET", "/pick/7", "", "typed other", {"name": "7"}),
    ("LINK", "/nowhere", "", "any", {}),
    ("LINK", "/user/bill", "", "any", {}),
    ("LINK", "*", "", "any", {}),
    ("HEAD", "/nowhere", "any", "any", {}),
    ("HEAD", "/nowhere", "", None, {}),
    ("GET", "/größe/süß", "", "not ASCII", {"a_": "süß"}),
]


@pytest.mark.parametrize(("method", "path", "query", "name", "params"), PICKED)
def test_picked(method, path, query, name, params):
    assert picked(Router(ROUTES), method, path, query) == (name, params)


@pytest.mark.parametrize("path", ["*", "x", ""])
def test_what_has_no_slash_is_no_segment(path):
    router = Router([route("any text", "/<name>", "OPTIONS GET"), route("any", "*", "LINK")])
    for method in ("OPTIONS", "GET"):
        assert picked(router, method, path) == (None, {})
    assert picked(router, "LINK", path) == ("any", {})


ALLOWED = [
    # path, methods
    ("/hello", "GET HEAD OPTIONS POST PUT LINK"),
    ("/user/me", "GET HEAD OPTIONS DELETE LINK"),
    ("/user/bill", "GET HEAD OPTIONS DELETE LINK"),
    ("/x", "POST OPTIONS HEAD LINK"),
    ("/odd", "PROPFIND M-SEARCH POST OPTIONS HEAD LINK"),
    ("/nowhere/at/all", ""),  # a route for any path makes no path be there
    ("/user/", ""),
    ("", ""),
]


@pytest.mark.parametrize(("path", "methods"), ALLOWED)
def test_allowed(path, methods):
    assert Router(ROUTES).allowed(path) == set(methods.split())


def test_allowed_on_the_whole_server():
    assert Router(ROUTES).allowed("*") == {
        *("DELETE", "GET", "HEAD", "LINK", "M-SEARCH", "OPTIONS", "POST", "PROPFIND", "PUT")
    }
    assert Router([]).allowed("*") == set()
    assert Router([route("any", "*")]).allowed("*") == set()


def test_a_converter_that_fails_in_another_way_is_no_no():
    def broken(text):
        raise ArithmeticError("reason")

    converters = {**CONVERTERS, "broken": own_converter("broken", broken, CONVERTERS)}
    words = r"converter 'broken' failed for '7': ArithmeticError\('reason'\).*a ValueError says no"
    for path in ("/<broken:x>", "/<broken:x>/y"):
        router = Router([Route(path, named("x"), converters=converters)])
        with pytest.raises(RuntimeError, match=words) as caught:
            router.find(request_of("GET", path.replace("<broken:x>", "7")))
        assert isinstance(caught.value.__cause__, ArithmeticError)


def test_a_converter_may_refuse():
    def secret(text):
        raise Forbidden(text)

    converters = {**CONVERTERS, "secret": own_converter("secret", secret, CONVERTERS)}
    with pytest.raises(Forbidden):
        Router([Route("/<secret:x>", named("x"), converters=converters)]).find(
            request_of("GET", "/7")
        )


def test_own_converters():
    server = WebServer()
    with pytest.raises(ValueError, match="no converter 'hex' for '/<hex:a>': there are int, uuid"):
        server.get("/<hex:a>")(named("x"))
    server.add_converter("hex", hexadecimal)
    group = server.group("/group")
    group.add_converter("short", short)
    server.get("/<hex:a>/<short:b>")(named("x"))
    group.get("/<hex:a>")(named("y"))
    router = Router(server.routes)
    assert picked(router, "GET", "/ff/xy") == ("x", {"a": 255, "b": "xy"})
    assert picked(router, "GET", "/group/ff") == ("y", {"a": 255})
    for name, convert, kind, words in (
        ("hex", int, ValueError, "there is a converter 'hex' already"),
        ("int", int, ValueError, "there is a converter 'int' already"),
        ("a-b", int, ValueError, "has a name such as 'hex', not 'a-b'"),
        ("other", 1, TypeError, "converter 'other' is not callable: 1"),
    ):
        with pytest.raises(kind, match=words):
            server.add_converter(name, convert)
    assert "hex" not in WebServer().converters


def test_groups():
    server = WebServer()
    api = server.group("/api")
    user = api.group("/user/<int:id>")
    api.get("")(named("api"))
    api.get("/")(named("api/"))
    api.route("/x", {"PUT"})(named("x"))
    user.get("/name")(named("name"))
    user.delete("")(named("delete"))
    api.add_redirect("/old", "/api/new")
    assert [route.path for route in server.routes] == [
        *("/api", "/api/", "/api/x", "/api/user/<int:id>/name", "/api/user/<int:id>")
    ]
    assert picked(Router(server.routes), "DELETE", "/api/user/7") == ("delete", {"id": 7})
    assert server.redirects == {"/api/old": ("/api/new", 301)}
    assert (api.prefix, user.prefix) == ("/api", "/api/user/<int:id>")
    for prefix in ("", "api", "/api/", "/"):
        with pytest.raises(ValueError, match="prefix"):
            server.group(prefix)
    with pytest.raises(ValueError, match="begins with '/': 'x'"):
        api.get("x")(named("x"))
    with pytest.raises(ValueError, match="any_path is of the server: use '/<path:rest>' below"):
        api.route(any_path=True)


def test_any_path():
    server = WebServer()
    server.route(any_path=True, methods={"GET"})(named("any"))
    server.get("/<name>")(named("name"))
    router = Router(server.routes)
    assert picked(router, "GET", "/x") == ("name", {"name": "x"})
    assert picked(router, "GET", "/x/y") == ("any", {})
    assert picked(router, "GET", "/") == ("any", {})
    with pytest.raises(ValueError, match="or it has any_path=True instead: '/x'"):
        server.route("/x", any_path=True)


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
    ("/<int:a>/<a>", ["GET"], ValueError, "parameter comes twice"),
    ("/<path:a>/b", ["GET"], ValueError, "<path:...> takes the rest: it is the last in"),
    ("/<float:a>", ["GET"], ValueError, "no converter 'float' for '/<float:a>': there are int, "),
    ("/<int:>", ["GET"], ValueError, "whole segment"),
    ("/<:a>", ["GET"], ValueError, "whole segment"),
    ("/<int:a:b>", ["GET"], ValueError, "whole segment"),
    ("/a", [], ValueError, "'/a' has no methods"),
    ("/a", ["G T"], ValueError, "method of '/a' is not upper case: 'G T'"),
    ("/a", [""], ValueError, "not upper case"),
    ("/a", ["GET", "P\nST"], ValueError, "not upper case"),
    ("/a", "GET", TypeError, "a set of names, such as {'GET'}, not 'GET'"),
    ("/a", None, TypeError, "a set of names, such as {'GET'}, not None"),
    ("/a", {1}, TypeError, "names, such as 'GET', not [1]"),
]


@pytest.mark.parametrize(("path", "methods", "kind", "words"), BAD)
def test_bad_routes(path, methods, kind, words):
    with pytest.raises(kind, match=re.escape(words)):
        WebServer().route(path, methods)(named("x"))


@pytest.mark.parametrize("limit", ["9", 1.5])
def test_a_body_limit_is_a_number_of_bytes(limit):
    with pytest.raises(TypeError, match=f"body_limit of '/a' is in bytes, not {limit!r}"):
        WebServer().post("/a", body_limit=limit)(named("x"))


def test_a_prefix_is_text():
    with pytest.raises(TypeError, match="a prefix is text such as '/api', not 5"):
        WebServer().group(5)


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
    candidates = []
    for number, route in enumerate(routes):
        takes = method in route.methods
        if not takes and not (method == "HEAD" and "GET" in route.methods):
            continue
        matched = matching(route.path, path)
        if matched is not None:
            ranks, params = matched
            candidates.append((ranks, not takes, number, route, params))
    for _, _, _, route, params in sorted(candidates, key=lambda candidate: candidate[:3]):
        request = request_of(method, path, query)
        request.params = params
        if route.filter is None or route.filter(request):
            return route.handler.name, params
    return None, {}


ORDER = ["literal", "int", "uuid", "hex", "short", "text", "path", "any"]


def matching(wanted, path):
    """The kinds of its segments and the parameters, if a route's path matches; else None."""
    if wanted == "*":
        return [ORDER.index("any")], {}
    ranks, params = [], {}
    segments = path.split("/")[1:]
    for want in wanted.split("/")[1:]:
        if not segments:
            return None
        segment = segments.pop(0)
        kind, _, name = want[1:-1].rpartition(":") if want.startswith("<") else ("literal", "", "")
        kind = kind or "text"
        ranks.append(ORDER.index(kind))
        if kind == "literal":
            if want != segment:
                return None
            continue
        if not segment:
            return None
        if kind == "path":
            params[name] = "/".join([segment, *segments])
            return ranks, params
        try:
            params[name] = CONVERT[kind](segment)
        except ValueError:
            return None
    return None if segments else (ranks, params)


def number(text):
    if re.fullmatch("[0-9]{1,18}", text):
        return int(text)
    raise ValueError(text)


CONVERT = {"int": number, "uuid": UUID, "hex": hexadecimal, "short": short, "text": str}

FILTERS = [None, None, None, no, asks("a"), asks("b"), lambda request: "a" in request.params]


LITERALS = ["a", "b", "7", "", "abcd"]
KINDS = ["<{}>", "<{}>", "<text:{}>", "<int:{}>", "<uuid:{}>", "<hex:{}>", "<short:{}>"]


def generated(rng):
    routes = []
    for number in range(rng.randrange(1, 16)):
        names = rng.sample(["a", "b", "c"], rng.randrange(1, 4))
        words = [rng.choice(LITERALS if rng.random() < 0.5 else KINDS) for _ in names]
        if rng.random() < 0.15:
            words[-1] = "<path:{}>"
        path = "".join(f"/{word.format(name)}" for word, name in zip(words, names, strict=True))
        if rng.random() < 0.05:
            path = "*"
        methods = rng.sample(["GET", "HEAD", "POST"], rng.randrange(1, 4))
        routes.append(Route(path, named(number), frozenset(methods), rng.choice(FILTERS), OWN))
    return routes


# For 10,000 picks.  More, when something has changed: ROUTE_SETS=10000 pytest tests/rush-web/...
ROUTE_SETS = int(os.environ.get("ROUTE_SETS", "1250"))


@pytest.mark.once
def test_the_same_pick_as_trying_every_route():
    rng = random.Random(2026)
    found = 0
    asked_for = ["a", "b", "7", "abcd", "xyzz", KEY, ""]
    for _ in range(ROUTE_SETS):
        routes = generated(rng)
        router = Router(routes)
        for _ in range(8):
            segments = rng.choices(asked_for, [4, 4, 4, 3, 2, 1, 1], k=rng.randrange(1, 5))
            path = "".join(f"/{segment}" for segment in segments)
            asked = rng.choice(["GET", "HEAD", "POST", "PUT"]), path, rng.choice(["", "a", "b"])
            expected = oracle(routes, *asked)
            assert picked(router, *asked) == expected, (asked, routes)
            found += expected[0] is not None
    assert found > ROUTE_SETS  # it is no test of finding nothing


SHAPES = [
    # a route's path, and one that it answers
    ("/part{0}/list", "/part{0}/list"),
    ("/part{0}/<name>", "/part{0}/bill"),
    ("/part{0}/<int:id>", "/part{0}/7"),
    ("/part{0}/<int:id>/edit", "/part{0}/7/edit"),
    ("/part{0}/<a>/<int:b>", "/part{0}/x/7"),
    ("/<name>/part{0}", "/bill/part{0}"),
    ("/part{0}/<path:rest>", "/part{0}/a/b"),
]


def lines_of(function, *arguments):
    """How many lines of Python a call takes."""
    count = 0

    def trace(frame, event, value):
        nonlocal count
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        function(*arguments)
    finally:
        sys.settrace(before)
    return count


@pytest.mark.once
@pytest.mark.parametrize(("path", "asked"), SHAPES)
def test_ten_thousand_routes_cost_no_more_than_a_hundred(path, asked):
    """Counted, not timed: tests/bench/rush-web/routes.py does that."""
    costs = []
    for routes in (100, 10_000):
        router = Router([Route(path.format(at), named(at)) for at in range(routes)])
        found = request_of("GET", asked.format(routes - 1))
        missing = request_of("GET", asked.format("x"))
        assert router.find(found).name == routes - 1
        assert router.find(missing) is None
        costs.append((lines_of(router.find, found), lines_of(router.find, missing)))
    assert costs[0] == costs[1]
    assert min(costs[0]) > 0
