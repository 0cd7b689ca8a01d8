"""Routes: a path, methods, perhaps a filter, and the handler; all work is done up front.

A request finds its handler by path, then method, then filter.  The order is total:

1. a literal path, one dictionary look-up however many there are;
2. paths with parameters, compared segment by segment from the left; at the first segment where
   two of them differ in kind goes first: literal text, ``int``, ``uuid``, own converters in the
   order they were added, text, ``path``;
3. handlers for any path.

Routes of one path and method are tried in the order they were added; for HEAD, those that name
it go before those for GET.  Where the method, or every filter, says no, the next matching path is
tried.  `Router.candidates` is this order, said plainly; `Router.find` is the fast way through it.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from rush_http import HttpError

from .converters import CONVERTERS, TEXT, Convert, Converter
from .values import Returned

if TYPE_CHECKING:
    from .hooks import Hooks
    from .request import Request

Handler = Callable[["Request"], Returned]
"""What answers a request: it gets the `Request`, and may return what its answer is made of."""
Filter = Callable[["Request"], bool]
"""What says whether a handler is for a request."""

ANY_PATH: Final = "*"
"""The path of a route for whatever no other route takes."""

_PARAMETER = re.compile(r"<(?:([A-Za-z_][A-Za-z0-9_]*):)?([A-Za-z_][A-Za-z0-9_]*)>")
_METHOD = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Z]+")


_NOTHING: Final[frozenset[str]] = frozenset()


class MethodNotAllowed(HttpError):
    """The path is there, and not for this method (RFC 9110, 15.5.6).

    `allow` is the value of the header that the answer must have.
    """

    status = 405

    def __init__(self, message: str = "", *, allow: str = "") -> None:
        super().__init__(message, headers={"Allow": allow})
        self.allow = allow


@dataclass(frozen=True)
class Parameter:
    """A segment that matches what its converter takes, under a name."""

    name: str
    converter: Converter


@dataclass(frozen=True)
class Route:
    """Which requests a handler is for.

    `path` is matched whole against the decoded path.  A segment ``<name>`` matches any one segment
    that is not empty, ``<int:name>`` one that the converter takes, ``<path:name>`` at the end all
    that is left (not empty, and no slash at its front).  The path ``*`` is any path, after all
    others.  `methods` are upper case.  `filter` gets the request and says yes or no.
    `body_limit` is in bytes.
    Raises `ValueError` or `TypeError` with what is wrong.
    """

    path: str
    handler: Handler
    methods: frozenset[str] = frozenset({"GET"})
    filter: Filter | None = None
    converters: Mapping[str, Converter] = field(
        default_factory=lambda: CONVERTERS, repr=False, compare=False
    )
    """The kinds of parameters that the path may have, by name."""
    hooks: "Hooks | None" = field(default=None, repr=False, compare=False)
    """The functions of its group that run before and after the handler."""
    stream: bool = field(default=False, kw_only=True)
    """Whether the handler is called as soon as the head is there, before the body."""
    body_limit: int | None = field(default=None, kw_only=True)
    """How many bytes a body may have, in place of ``Limits.body_bytes``."""
    segments: "tuple[str | Parameter, ...]" = field(init=False, repr=False, compare=False)
    """The segments of the path, the literal ones as text."""

    def __post_init__(self) -> None:
        if not isinstance(self.path, str) or not (
            self.path.startswith("/") or self.path == ANY_PATH
        ):
            raise ValueError(f"a route's path begins with '/': {self.path!r:.80}")
        if not callable(self.handler):
            raise TypeError(f"handler of {self.path!r} is not callable: {self.handler!r:.80}")
        if self.filter is not None and not callable(self.filter):
            raise TypeError(f"filter of {self.path!r} is not callable: {self.filter!r:.80}")
        if not self.methods:
            raise ValueError(f"route {self.path!r} has no methods")
        if not isinstance(self.body_limit, int | None):
            raise TypeError(f"body_limit of {self.path!r} is in bytes, not {self.body_limit!r:.80}")
        if not (self.body_limit is None or self.body_limit > 0):
            raise ValueError(f"body_limit of {self.path!r} is not above 0: {self.body_limit!r}")
        for method in self.methods:
            if not _METHOD.fullmatch(method):
                raise ValueError(f"method of {self.path!r} is not upper case: {method!r:.80}")
        segments = tuple(self._segment(text) for text in self.path.split("/")[1:])
        object.__setattr__(self, "segments", segments)
        if len(set(self.names())) != len(self.names()):
            raise ValueError(f"a parameter comes twice in {self.path!r}")
        if any(isinstance(one, Parameter) and one.converter.rest for one in segments[:-1]):
            raise ValueError(f"<path:...> takes the rest: it is the last in {self.path!r}")

    def names(self) -> tuple[str, ...]:
        """The names of the parameters, from the left."""
        return tuple(one.name for one in self.segments if isinstance(one, Parameter))

    def _segment(self, text: str) -> "str | Parameter":
        match = _PARAMETER.fullmatch(text)
        if match is None:
            if "<" in text or ">" in text:
                raise ValueError(
                    f"a parameter is a whole segment, as in '/user/<name>': {self.path!r:.80}"
                )
            return text
        converter = self.converters.get(match[1]) if match[1] else TEXT
        if converter is None:
            known = ", ".join(self.converters)
            raise ValueError(f"no converter {match[1]!r} for {self.path!r:.80}: there are {known}")
        return Parameter(match[2], converter)


Step = tuple[Handler, Filter | None, tuple[str, ...], Route]
"""What it takes to try a route: its handler, its filter, the names of its parameters, itself."""


class Endpoint:
    """What one path offers: for each method, the routes in the order they are tried."""

    def __init__(self) -> None:
        self.routes: list[Route] = []
        self._steps: dict[str, tuple[Step, ...]] = {}

    def add(self, route: Route) -> None:
        """Take one more route."""
        self.routes.append(route)
        step = (route.handler, route.filter, route.names(), route)
        for method in route.methods:
            self._steps[method] = (*self._steps.get(method, ()), step)

    def steps(self, method: str) -> tuple[Step, ...]:
        """The routes for a method; HEAD is answered where GET is (RFC 9110, 9.3.2)."""
        steps = self._steps.get(method, ())
        if method == "HEAD":
            gets = self._steps.get("GET", ())
            return steps + tuple(step for step in gets if "HEAD" not in step[3].methods)
        return steps

    def methods(self) -> set[str]:
        """The methods that are answered here, OPTIONS and HEAD by us if by no route."""
        head = {"HEAD"} if "GET" in self._steps else set()
        return {*self._steps, "OPTIONS", *head}

    def plain(self) -> dict[str, Step]:
        """The methods whose first route has no filter: path and method decide."""
        firsts = {method: self.steps(method)[:1] for method in (*self._steps, "HEAD")}
        return {
            method: step for method, first in firsts.items() for step in first if step[1] is None
        }


@dataclass
class _Node:
    """One segment in the tree of the paths with parameters."""

    literal: dict[str, "_Node"] = field(default_factory=dict)
    parameters: "list[tuple[Converter, _Node]]" = field(default_factory=list)
    """The kinds of parameters, in the order they are tried."""
    rest: Endpoint | None = None
    endpoint: Endpoint | None = None

    def parameter(self, converter: Converter) -> "_Node":
        for known, node in self.parameters:
            if known == converter:
                return node
        node = _Node()
        self.parameters.append((converter, node))
        self.parameters.sort(key=lambda pair: pair[0].rank)
        return node


class Router:
    """Finds the handler of a request; made once, when all routes are known."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._literal: dict[str, Endpoint] = {}
        self._tree = _Node()
        self._any: Endpoint | None = None
        self._by_front: dict[str, dict[str, tuple[Handler, str, Convert | None]]] = {}
        for route in routes:
            if route.path == ANY_PATH:
                self._any = self._any or Endpoint()
                self._any.add(route)
            elif route.names():
                self._grow(route)
            else:
                self._literal.setdefault(route.path, Endpoint()).add(route)
        self._note_fronts(self._tree, "")
        self.plain: dict[str, dict[str, Handler]] = {
            path: {method: step[0] for method, step in endpoint.plain().items()}
            for path, endpoint in self._literal.items()
        }
        """Handlers by path and method, where these two decide: the short way of `find`."""

    @property
    def all_plain(self) -> bool:
        """Whether a path that is not in `plain` has no route."""
        tree = self._tree
        return self._any is None and not (tree.literal or tree.parameters or tree.rest)

    def find(self, request: "Request") -> Handler | None:
        """Return the handler, with the parameters in ``request.params``, or ``None``."""
        path, method = request.path, request.method
        if path not in self._literal:
            # '/user/<id>' without a filter: in a third of the time of `_find_below`
            # (tests/bench/rush-web/routes.py).
            front, slash, last = path.rpartition("/")
            methods = self._by_front.get(front)
            found = methods.get(method) if methods is not None and slash and last else None
            if found is not None:
                handler, name, convert = found
                try:
                    request.params = {name: last if convert is None else convert(last)}
                    return handler
                except ValueError:
                    pass  # another kind of parameter may take it
            if path.startswith("/"):
                return _find_below(self._tree, path.split("/"), 1, (), request) or self._find_any(
                    request
                )
        for endpoint, values in self.candidates(path):
            if (picked := _find_at(endpoint, values, request)) is not None:
                return picked
        return None

    def _find_any(self, request: "Request") -> Handler | None:
        return None if self._any is None else _find_at(self._any, (), request)

    def candidates(self, path: str) -> Iterator[tuple[Endpoint, tuple[object, ...]]]:
        """Every endpoint that matches `path` and the values of its parameters, in order."""
        if (literal := self._literal.get(path)) is not None:
            yield literal, ()
        if path.startswith("/"):
            yield from _matches(self._tree, path.split("/"), 1, ())
        if self._any is not None:
            yield self._any, ()

    def allowed(self, path: str) -> frozenset[str]:
        """The methods that are answered at `path`, filters aside; empty if there is no such path.

        Routes for any path make no path be there: a catch-all for OPTIONS does not turn every
        404 into a 405.  ``*`` is the whole server (RFC 9110, 9.3.7).
        """
        if path == ANY_PATH:
            endpoints = [*self._literal.values(), *_endpoints(self._tree)]
        elif not self._may_have(path):
            return _NOTHING  # as of most that scanners ask for
        else:
            endpoints = [one for one, _ in self.candidates(path) if one is not self._any]
        if endpoints and self._any is not None:
            endpoints.append(self._any)
        return frozenset().union(*(one.methods() for one in endpoints))

    def may_match(self, path: str) -> bool:
        """Whether there is a route for `path`, or may be: own converters are not asked."""
        return self._any is not None or self._may_have(path)

    def _may_have(self, path: str) -> bool:
        """The same without the routes for any path."""
        return path in self._literal or (
            path.startswith("/") and _may_match(self._tree, path.split("/"), 1)
        )

    def ordered(self) -> Iterator[Endpoint]:
        """Every endpoint: literal paths as they were added, the others in the order of picking."""
        yield from self._literal.values()
        yield from _endpoints(self._tree)
        if self._any is not None:
            yield self._any

    def _grow(self, route: Route) -> None:
        node = self._tree
        for segment in route.segments:
            if isinstance(segment, str):
                node = node.literal.setdefault(segment, _Node())
            elif segment.converter.rest:
                node.rest = node.rest or Endpoint()
                node.rest.add(route)
                return
            else:
                node = node.parameter(segment.converter)
        node.endpoint = node.endpoint or Endpoint()
        node.endpoint.add(route)

    def _note_fronts(self, node: _Node, front: str) -> None:
        """Note the paths that end with their only parameter: what is before it decides.

        Literal segments go first, so nothing else can be picked for such a path, but a literal
        path, or another kind of parameter where the first one does not take the text.
        """
        for converter, below in node.parameters[:1]:
            if below.endpoint is not None:
                self._by_front[front] = {
                    method: (handler, names[0], converter.convert)
                    for method, (handler, _, names, _) in below.endpoint.plain().items()
                }
        for text, below in node.literal.items():
            self._note_fronts(below, f"{front}/{text}")


def _matches(
    node: _Node, segments: list[str], depth: int, values: tuple[object, ...]
) -> Iterator[tuple[Endpoint, tuple[object, ...]]]:
    """Every endpoint of the tree that matches, in order.  `depth` segments are done."""
    if depth == len(segments):
        if node.endpoint is not None:
            yield node.endpoint, values
        return
    segment = segments[depth]
    if (literal := node.literal.get(segment)) is not None:
        yield from _matches(literal, segments, depth + 1, values)
    if not segment:
        return  # no parameter takes nothing, and no rest begins with a slash
    for converter, below in node.parameters:
        value: Any = segment
        if converter.convert is not None:
            try:
                value = converter.convert(segment)
            except ValueError:
                continue
        yield from _matches(below, segments, depth + 1, (*values, value))
    if node.rest is not None:
        yield node.rest, (*values, "/".join(segments[depth:]))


def _may_match(node: _Node, segments: list[str], depth: int) -> bool:
    """Whether `_matches` gives anything, if every own converter says yes."""
    if depth == len(segments):
        return node.endpoint is not None
    segment = segments[depth]
    if (literal := node.literal.get(segment)) and _may_match(literal, segments, depth + 1):
        return True
    return bool(segment) and (
        node.rest is not None
        or any(
            (converter.own or converter.takes(segment)) and _may_match(below, segments, depth + 1)
            for converter, below in node.parameters
        )
    )


def _find_at(endpoint: Endpoint, values: tuple[object, ...], request: "Request") -> Handler | None:
    """The first route there for the request's method whose filter says yes."""
    for handler, accepts, names, _ in endpoint.steps(request.method):
        if names:
            request.params = dict(zip(names, values, strict=True))
        if accepts is None or accepts(request):
            return handler
    if values:
        request.params = {}
    return None


def _find_below(
    node: _Node, segments: list[str], depth: int, values: tuple[object, ...], request: "Request"
) -> Handler | None:
    """The first handler of what `_matches` gives, in two thirds of its time.

    (tests/bench/rush-web/routes.py)
    """
    if depth == len(segments):
        return None if node.endpoint is None else _find_at(node.endpoint, values, request)
    segment = segments[depth]
    handler = None
    if (literal := node.literal.get(segment)) is not None:
        handler = _find_below(literal, segments, depth + 1, values, request)
    if handler is not None or not segment:
        return handler
    for converter, below in node.parameters:
        value: Any = segment
        if converter.convert is not None:
            try:
                value = converter.convert(segment)
            except ValueError:
                continue
        handler = _find_below(below, segments, depth + 1, (*values, value), request)
        if handler is not None:
            return handler
    if node.rest is not None:
        return _find_at(node.rest, (*values, "/".join(segments[depth:])), request)
    return None


def _endpoints(node: _Node) -> Iterator[Endpoint]:
    """Every endpoint of the tree, in the order of picking."""
    if node.endpoint is not None:
        yield node.endpoint
    for below in node.literal.values():
        yield from _endpoints(below)
    for _, below in node.parameters:
        yield from _endpoints(below)
    if node.rest is not None:
        yield node.rest
