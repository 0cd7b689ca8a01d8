"""Missing: why no route has taken a request, route by route, the nearest first."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import SequenceMatcher

from ..names import named
from ..routing import ANY_PATH, Parameter, Route

MOST_ROUTES = 200
"""How many routes are listed."""


@dataclass(frozen=True)
class Miss:
    """A route that was not picked."""

    methods: str
    path: str
    handler: str
    """Its name, and where it is."""
    reason: str
    nearness: float
    """From 0 to 1; 1 is the very path, for another method or refused by a filter."""


def misses(routes: Iterable[Route], method: str, path: str) -> list[Miss]:
    """Say of each route why it does not take ``method path``; the nearest first.

    Filters are not called: they were, and have said no.
    """
    found = [
        Miss(
            ", ".join(sorted(route.methods)),
            "any path" if route.path == ANY_PATH else route.path,
            _place(route.handler),
            *_reason(route, method, path),
        )
        for route in routes
    ]
    return sorted(found, key=lambda miss: -miss.nearness)[:MOST_ROUTES]


def _place(function: object) -> str:
    """Its name, and its place from the current folder on."""
    return named(function).replace(f"({os.getcwd()}{os.sep}", "(")


def _reason(route: Route, method: str, path: str) -> tuple[str, float]:
    refused = None if route.path == ANY_PATH else _path_refused(route, path)
    if refused is not None:
        return refused, 0.9 * _likeness(route, path)
    takes = route.methods | ({"HEAD"} if "GET" in route.methods else set())
    if method not in takes:
        return f"the path fits, but it is for {', '.join(sorted(route.methods))}, not {method}", 1.0
    if route.filter is not None:
        return f"the path fits, but its filter {_place(route.filter)} says no", 1.0
    return "it fits: another one goes first", 1.0


def _path_refused(route: Route, path: str) -> str | None:
    """Why the path is not the route's, or ``None`` if it is."""
    segments = path.split("/")[1:]
    for number, wanted in enumerate(route.segments):
        if number >= len(segments):
            if not wanted:
                return "it has a slash at its end"
            return f"the path ends where {_shown(wanted)} is expected"
        text = segments[number]
        if isinstance(wanted, str):
            if wanted != text:
                return _other_text(route, wanted, text, path)
        elif wanted.converter.rest:
            return None if text else f"nothing is there for <{wanted.name}>"
        elif not text:
            return f"nothing is there for <{wanted.name}>"
        elif not wanted.converter.takes(text):
            return f"{text!r:.60} is no {wanted.converter.name} for <{wanted.name}>"
    if len(segments) > len(route.segments):
        more = "/".join(segments[len(route.segments) :])
        return "it has no slash at its end" if not more else f"it ends before {'/' + more!r:.60}"
    return None


def _other_text(route: Route, wanted: str, text: str, path: str) -> str:
    if path + "/" == route.path:
        return "it has a slash at its end"
    if not wanted:
        return f"it ends before {'/' + text!r:.60}"
    return f"{text!r:.60} is not {wanted!r}"


def _shown(segment: "str | Parameter") -> str:
    return repr(f"/{segment}") if isinstance(segment, str) else f"<{segment.name}>"


def _likeness(route: Route, path: str) -> float:
    """How much of the path is like the route's, segment by segment: 0 to 1."""
    segments = path.split("/")[1:]
    alike = sum(_alike(*pair) for pair in zip(route.segments, segments, strict=False))
    return alike / max(len(segments), len(route.segments))


def _alike(wanted: "str | Parameter", text: str) -> float:
    if isinstance(wanted, str):
        return SequenceMatcher(None, wanted[:80], text[:80]).ratio()
    return 1.0 if text and (wanted.converter.rest or wanted.converter.takes(text)) else 0.6
