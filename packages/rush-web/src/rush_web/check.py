"""Problem: what can never work, or hardly as it was meant, in what was registered.

The order of picking is total (see `routing`), so all of it can be told before a request comes.
"""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote, urljoin, urlsplit

from .explain import described
from .files import has_file
from .redirects import other_slash
from .routing import ANY_PATH, Parameter, Route, Router

if TYPE_CHECKING:
    from .server import WebServer

_HERE = "http://here.invalid"  # what a location that names no host is joined to


@dataclass(frozen=True)
class Problem:
    """One thing that `WebServer.check` found.

    `kind` is one of:

    - ``duplicate``: a route whose path and methods another one before it has, without a filter;
    - ``shadowed``: a route that is never picked, for another reason: a redirect of its path, or
      several routes before it;
    - ``unreachable-method``: a route of which some methods are never picked;
    - ``no-fallback``: a path and method with filters only: where all say no, it is 404;
    - ``encoded-path``: a path with ``%41`` or ``?``: paths are compared decoded, without the query;
    - ``redirect-to-nowhere``, ``redirect-loop``;
    - ``hidden-file``: a file of the root that a route or a redirect answers for.

    `message` says it in words; `routes` are those it is about.
    """

    kind: str
    message: str
    routes: tuple[Route, ...] = ()

    def __str__(self) -> str:
        return f"{self.kind}: {self.message}"


def find_problems(server: "WebServer") -> list[Problem]:
    """What `WebServer.check` returns."""
    router = Router(server.routes)
    return [
        *_about_routes(server, router),
        *_without_fallback(server, router),
        *_about_redirects(server, router),
        *_hidden_files(server, router),
    ]


# Routes


def _about_routes(server: "WebServer", router: Router) -> Iterator[Problem]:
    for endpoint in router.ordered():
        before: dict[str, Route] = {}  # by method: who takes all
        for route in endpoint.routes:
            yield from _about_route(server, route, before)
            if route.filter is None:
                before = dict.fromkeys(route.methods, route) | before


def _about_route(server: "WebServer", route: Route, before: dict[str, Route]) -> Iterator[Problem]:
    shown = described(route)
    if route.path in server.redirects:
        to = server.redirects[route.path][0]
        yield Problem("shadowed", f"{shown} is behind the redirect to {to}", (route,))
    taken = sorted(route.methods & before.keys())
    others = tuple(dict.fromkeys(before[method] for method in taken))
    by = "; ".join(map(described, others))
    if taken and len(taken) < len(route.methods):
        message = f"{shown} is never picked for {', '.join(taken)}, but {by}"
        yield Problem("unreachable-method", message, (route, *others))
    elif taken:
        same = len(others) == 1 and route.filter is None
        kind = "duplicate" if same and others[0].methods == route.methods else "shadowed"
        yield Problem(kind, f"{shown} is never picked, but {by}", (route, *others))
    literal = "/".join(segment for segment in route.segments if isinstance(segment, str))
    if "?" in literal or unquote(literal) != literal:
        message = f"{shown}: paths are compared decoded, and without the query"
        yield Problem("encoded-path", message, (route,))


def _without_fallback(server: "WebServer", router: Router) -> Iterator[Problem]:
    endpoints = list(router.ordered())
    wide = [one for one in endpoints if _is_wide(one.routes[0])]
    for endpoint in endpoints:
        route = endpoint.routes[0]
        if route.path in server.redirects:
            continue
        for method in sorted(endpoint.methods()):
            steps = endpoint.steps(method)
            if not steps or method in endpoint.plain() or any(one[1] is None for one in steps):
                continue
            if any(
                one is not endpoint and method in one.plain() and _covers(one.routes[0], route)
                for one in wide
            ):
                continue
            if method == "HEAD" and not any("HEAD" in step[3].methods for step in steps):
                continue  # it is said for GET
            if server.files and method in ("GET", "HEAD") and route.path.startswith(server.files):
                continue
            routes = tuple(step[3] for step in steps)
            shown = "; ".join(map(described, routes))
            message = f"{method} {route.path} is 404 where the filter says no: {shown}"
            yield Problem("no-fallback", message, routes)


def _is_wide(route: Route) -> bool:
    return route.path == ANY_PATH or bool(route.names())


def _covers(wide: Route, narrow: Route) -> bool:
    """Whether `wide` matches every path that `narrow` matches, as far as can be told."""
    if wide.path == ANY_PATH:
        return True
    if narrow.path == ANY_PATH:
        return False
    for at, segment in enumerate(wide.segments):
        if isinstance(segment, Parameter) and segment.converter.rest:
            return at < len(narrow.segments) and narrow.segments[at] != ""
        if at >= len(narrow.segments) or not _takes(segment, narrow.segments[at]):
            return False
    return len(wide.segments) == len(narrow.segments)


def _takes(wide: str | Parameter, narrow: str | Parameter) -> bool:
    if isinstance(wide, str):
        return wide == narrow
    if isinstance(narrow, Parameter):
        one = narrow.converter
        return not one.rest and (wide.converter.convert is None or wide.converter == one)
    return bool(narrow) and wide.converter.takes(narrow)


# Redirects


def _about_redirects(server: "WebServer", router: Router) -> Iterator[Problem]:
    looped: set[str] = set()
    for path in server.redirects:
        chain = [path]
        while (target := _next(server, router, chain[-1])) is not None and target not in chain:
            chain.append(target)
        if target is not None:
            loop = chain[chain.index(target) :]
            if not looped.intersection(loop):
                looped.update(loop)
                yield Problem("redirect-loop", " to ".join([*loop, target]))
        elif len(chain) == 2 and not _is_there(server, router, to := chain[1]):
            yield Problem("redirect-to-nowhere", f"{path} to {to}, where nothing answers")


def _next(server: "WebServer", router: Router, path: str) -> str | None:
    """Where GET of `path` is sent to; ``None`` if nowhere, or to another host."""
    if path in server.redirects:
        return _local_path(path, server.redirects[path][0])
    if server.trailing_slash != "redirect" or path.startswith("//"):
        return None
    if any(endpoint.steps("GET") for endpoint, _ in router.candidates(path)):
        return None
    other = other_slash(path)
    return other if "GET" in router.allowed(other) else None


def _local_path(path: str, location: str) -> str | None:
    """The decoded path of what `location` means at `path`; ``None`` for another host's."""
    try:
        url = urlsplit(urljoin(_HERE + quote(path), location))
    except ValueError:
        return None
    return unquote(url.path) if f"{url.scheme}://{url.netloc}" == _HERE else None


def _is_there(server: "WebServer", router: Router, path: str) -> bool:
    return (
        path in server.redirects
        or any(True for _ in router.candidates(path))
        or has_file(server, path)
    )


# Files


def _hidden_files(server: "WebServer", router: Router) -> Iterator[Problem]:
    if server.files is None or server.root is None:
        return
    hidden: dict[str, tuple[list[str], tuple[Route, ...]]] = {}  # by what hides them
    for path in _paths(os.fspath(server.root), server.files):
        route = _unfiltered(router, path)
        if path in server.redirects:
            by = f"the redirect to {server.redirects[path][0]}"
        elif route is not None:
            by = described(route)
        else:
            continue
        hidden.setdefault(by, ([], () if path in server.redirects or route is None else (route,)))
        hidden[by][0].append(path)
    for by, (paths, routes) in hidden.items():
        more = f" and {len(paths) - 3} more" if len(paths) > 3 else ""
        message = f"{', '.join(paths[:3])}{more}: answered by {by}"
        yield Problem("hidden-file", message, routes)


def _unfiltered(router: Router, path: str) -> Route | None:
    """The route that takes GET of this path from a file, whatever filters say."""
    steps = (step for endpoint, _ in router.candidates(path) for step in endpoint.steps("GET"))
    return next((step[3] for step in steps if step[1] is None), None)


def _paths(root: str, prefix: str) -> Iterable[str]:
    """The request path of each file, as it would be asked for; those with a dot are not served."""
    for place, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        below = os.path.relpath(place, root).replace(os.sep, "/")
        front = prefix if below == "." else f"{prefix}{below}/"
        for name in sorted(names):
            if not name.startswith("."):
                yield front + name
                if name == "index.html":
                    yield front
