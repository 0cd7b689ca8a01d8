"""Hooks: functions that run before and after the handlers of a server, or of a group.

They cost nothing where there are none: handlers are wrapped, and ready-made answers given up, only
when a `HandlersManager` is made that has some.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import wraps
from typing import TYPE_CHECKING

from .values import Returned, answer_with

if TYPE_CHECKING:
    from .request import Request
    from .routing import Handler, Route


@dataclass(frozen=True)
class Answer:
    """What is about to be sent: its status, and the headers that somebody has named.

    An ``after_request`` function may add to `headers`, a list of pairs, or change it.
    ``Content-Length``, ``Connection`` and ``Date``, a type that nobody named, and what a file
    brings with it are not among them.
    """

    code: int
    """The status, three digits."""
    headers: list[tuple[str, str]]
    """Pairs of name and value; yours to change."""

    def set_header(self, name: str, value: str) -> None:
        """Send this header once, with this value, whatever was there before."""
        lower = name.lower()
        self.headers[:] = [line for line in self.headers if line[0].lower() != lower]
        self.headers.append((name, value))


After = Callable[["Request", Answer], object]
"""What is called before an answer is sent."""


class Hooks:
    """The functions of a group, and of those above it."""

    def __init__(self, above: "Hooks | None" = None) -> None:
        self.above = above
        self.before: list[Handler] = []
        self.after: list[After] = []

    def chain(self) -> "Iterator[Hooks]":
        """The hooks from the outermost group to this one."""
        if self.above is not None:
            yield from self.above.chain()
        yield self


class Chosen:
    """The functions of a server as they are when it starts.

    It is false if nothing but handlers is concerned: if there are none, or only some that run
    before those of a group.
    """

    def __init__(self, hooks: Hooks | None, routes: "Iterable[Route]") -> None:
        self._top = hooks
        self.before: tuple[Handler, ...] = () if hooks is None else tuple(hooks.before)
        self.after: tuple[After, ...] = () if hooks is None else tuple(hooks.after)
        self._any = bool(self.before or self.after)
        self.routes = [self._around(route) for route in routes]
        """The routes, with the functions of their groups around their handlers."""

    def __bool__(self) -> bool:
        return self._any

    def _around(self, route: "Route") -> "Route":
        if route.hooks is None or route.hooks is self._top:
            return route
        groups = [one for one in route.hooks.chain() if one is not self._top]
        before = functions_before(route, self._top)
        after = self.after + tuple(function for group in groups for function in group.after)
        if not before and after == self.after:
            return route
        self._any = self._any or bool(after)
        handler = route.handler

        @wraps(handler)
        def hooked(request: "Request") -> Returned:
            if after:
                request.after = after
            return None if ended(request, before) else handler(request)

        return replace(route, handler=hooked)


def functions_before(route: "Route", top: Hooks | None) -> "tuple[Handler, ...]":
    """The ``before_request`` functions of a route's groups, the outermost first, without `top`."""
    groups = () if route.hooks is None else route.hooks.chain()
    return tuple(function for one in groups if one is not top for function in one.before)


def ended(request: "Request", before: "Iterable[Handler]") -> bool:
    """Call ``before_request`` functions until one has answered, and say whether one has."""
    for function in before:
        value = function(request)
        if value is not None:
            answer_with(request, value, function)
        if request.answered or request.comes_later(function):
            return True
    return False
