"""Routes: a path, methods, perhaps a filter, and the handler; all work is done up front.

A request finds its handler by path, then method, then filter:

1. literal paths, one dictionary look-up however many there are;
2. paths with parameters (``/user/<name>``), segment by segment; a literal segment goes before
   a parameter.

Where the method, or every filter, says no, the next matching path is tried.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .request import Request

Handler = Callable[["Request"], object]
Filter = Callable[["Request"], bool]

_PARAMETER = re.compile(r"<([A-Za-z_][A-Za-z0-9_]*)>")
_METHOD = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Z]+")


@dataclass(frozen=True)
class Route:
    """Which requests a handler is for.

    `path` is matched whole against the decoded path; a segment ``<name>`` matches any one segment
    that is not empty.  `methods` are upper case.  `filter` gets the request and says yes or no.
    Raises `ValueError` or `TypeError` with what is wrong.
    """

    path: str
    handler: Handler
    methods: frozenset[str] = frozenset({"GET"})
    filter: Filter | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.path, str) or not self.path.startswith("/"):
            raise ValueError(f"a route's path begins with '/': {self.path!r:.80}")
        if not callable(self.handler):
            raise TypeError(f"handler of {self.path!r} is not callable: {self.handler!r:.80}")
        if self.filter is not None and not callable(self.filter):
            raise TypeError(f"filter of {self.path!r} is not callable: {self.filter!r:.80}")
        if not self.methods:
            raise ValueError(f"route {self.path!r} has no methods")
        for method in self.methods:
            if not _METHOD.fullmatch(method):
                raise ValueError(f"method of {self.path!r} is not upper case: {method!r:.80}")
        names = [segment.name for segment in self.segments() if isinstance(segment, Parameter)]
        if len(set(names)) != len(names):
            raise ValueError(f"a parameter comes twice in {self.path!r}")

    def segments(self) -> list["str | Parameter"]:
        """The segments of the path, the literal ones as text."""
        found: list[str | Parameter] = []
        for segment in self.path.split("/")[1:]:
            match = _PARAMETER.fullmatch(segment)
            if match is not None:
                found.append(Parameter(match[1]))
            elif "<" in segment or ">" in segment:
                raise ValueError(
                    f"a parameter is a whole segment, as in '/user/<name>': {self.path!r:.80}"
                )
            else:
                found.append(segment)
        return found


@dataclass(frozen=True)
class Parameter:
    """A segment that matches anything, under a name."""

    name: str


class _Routes:
    """What one path offers: for each method, its routes in the order they were added."""

    def __init__(self) -> None:
        self._by_method: dict[str, list[tuple[Route, tuple[str, ...]]]] = {}

    def add(self, route: Route) -> None:
        names = tuple(s.name for s in route.segments() if isinstance(s, Parameter))
        for method in route.methods:
            self._by_method.setdefault(method, []).append((route, names))

    def of(self, method: str) -> list[tuple[Route, tuple[str, ...]]]:
        """The routes and their parameters; HEAD is answered where GET is (RFC 9110, 9.3.2).

        Those for HEAD itself go first.
        """
        found = self._by_method.get(method, [])
        if method == "HEAD":
            gets = self._by_method.get("GET", [])
            found = found + [pair for pair in gets if "HEAD" not in pair[0].methods]
        return found

    def plain(self) -> dict[str, Handler]:
        """The methods whose first route has no filter: path and method decide."""
        firsts = {method: self.of(method)[:1] for method in (*self._by_method, "HEAD")}
        return {
            method: route.handler
            for method, first in firsts.items()
            for route, _ in first
            if route.filter is None
        }


@dataclass
class _Node:
    """One segment in the tree of the paths with parameters."""

    literal: dict[str, "_Node"] = field(default_factory=dict)
    parameter: "_Node | None" = None
    routes: _Routes | None = None


class Router:
    """Finds the handler of a request; made once, when all routes are known."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._literal: dict[str, _Routes] = {}
        self._tree: _Node | None = None
        for route in routes:
            if any(isinstance(segment, Parameter) for segment in route.segments()):
                self._grow(route)
            else:
                self._literal.setdefault(route.path, _Routes()).add(route)
        self.plain: dict[str, dict[str, Handler]] = {
            path: routes.plain() for path, routes in self._literal.items()
        }
        """Handlers by path and method, where these two decide: the short way of `find`."""

    def find(self, request: "Request") -> Handler | None:
        """Return the handler, with the parameters in ``request.params``, or ``None``."""
        routes = self._literal.get(request.path)
        if routes is not None:
            for route, _ in routes.of(request.method):
                if route.filter is None or route.filter(request):
                    return route.handler
        if self._tree is not None:
            for routes, values in _matches(self._tree, request.path.split("/"), 1, ()):
                for route, names in routes.of(request.method):
                    request.params = dict(zip(names, values, strict=True))
                    if route.filter is None or route.filter(request):
                        return route.handler
            request.params = {}
        return None

    def _grow(self, route: Route) -> None:
        node = self._tree = self._tree or _Node()
        for segment in route.segments():
            if isinstance(segment, Parameter):
                node.parameter = node.parameter or _Node()
                node = node.parameter
            else:
                node = node.literal.setdefault(segment, _Node())
        node.routes = node.routes or _Routes()
        node.routes.add(route)


def _matches(
    node: _Node, segments: list[str], depth: int, values: tuple[str, ...]
) -> Iterator[tuple[_Routes, tuple[str, ...]]]:
    """Every path of the tree that matches, literal segments first.  `depth` segments are done."""
    if depth == len(segments):
        if node.routes is not None:
            yield node.routes, values
        return
    segment = segments[depth]
    if (literal := node.literal.get(segment)) is not None:
        yield from _matches(literal, segments, depth + 1, values)
    if node.parameter is not None and segment:
        yield from _matches(node.parameter, segments, depth + 1, (*values, segment))
