"""Explanation: who would answer a request, and why.

It goes the way of `HandlersManager`, step by step, and says each of them.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from rush_http import (
    Forwarded,
    Head,
    Headers,
    HttpServer,
    NotFound,
    Peer,
    RequestParser,
    header_line,
)
from rush_loader import Loader

from .failures import Failures
from .files import OF_FILES, has_file, place_of
from .hooks import functions_before
from .incoming import NO_PARAMS, Known
from .names import named
from .redirects import other_slash, to_other_slash, with_query
from .request import Request
from .routing import ANY_PATH, Handler, MethodNotAllowed, Route, Router

if TYPE_CHECKING:
    from .server import WebServer


@dataclass(frozen=True)
class Explanation:
    """Who answers a request: one line for each thing that was tried, then who it is.

    `kind` is ``"redirect"``, ``"handler"``, ``"options"`` (``Allow``, worked out), ``"slash"`` (a
    redirect to the path with or without a slash at its end), ``"file"``, ``"method"`` (405) or
    ``"nothing"`` (404), or ``"application"`` (WSGI).  `answer` says it in words, `steps` are the
    lines before.  `route`, `handler` and `params` are those of a handler; `location` is that of a
    redirect; `allow` are the methods that are answered.
    """

    method: str
    path: str
    kind: str
    answer: str
    steps: tuple[str, ...]
    route: Route | None = None
    params: Mapping[str, Any] = field(default_factory=lambda: NO_PARAMS)
    location: str | None = None
    allow: frozenset[str] = frozenset()

    @property
    def handler(self) -> Handler | None:
        """The handler that is picked, if it is one."""
        return None if self.route is None else self.route.handler

    def __str__(self) -> str:
        lines = [f"{self.method} {self.path}", *(f"    {step}" for step in self.steps)]
        return "\n".join([*lines, f"  -> {self.answer}"])


def explain(
    server: "WebServer", method: str, target: str, headers: Mapping[str, str], body: bytes
) -> Explanation:
    """What `WebServer.explain` returns."""
    return _Asked(server, method, target, headers, body).explanation()


def described(route: Route) -> str:
    """A route in one line: methods, path, handler, and where that is."""
    path = "any path" if route.path == ANY_PATH else route.path
    filtered = "" if route.filter is None else f" if {named(route.filter)}"
    return f"{','.join(sorted(route.methods))} {path}{filtered}: {named(route.handler)}"


class _Asked:
    """One request, and what is tried for it."""

    def __init__(
        self,
        server: "WebServer",
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: bytes,
    ) -> None:
        head = _head(method, target, headers)
        # Without a server and a connection: a filter has questions only.
        request = Request(cast(HttpServer, None), cast(Loader, None))
        request.method, request.path, request.query = head.method, head.path, head.query
        request.headers, request.body, request.protocol = head.headers, body, head.protocol
        request.known = known = Known()
        known.client = peer = Peer("127.0.0.1", 0)
        known.forwarded = Forwarded(peer, "http", None)
        self._request = request
        self._server = server
        self._router = Router(server.routes)
        self._steps: list[str] = []

    def explanation(self) -> Explanation:
        """Go the way of a request."""
        request, server = self._request, self._server
        for function in server.hooks.before:
            self._steps.append(f"before_request {named(function)}, unless it answers")
        if (redirect := server.redirects.get(request.path)) is not None:
            location = with_query(redirect[0], request.query if len(redirect) > 2 else "")
            return self._end("redirect", f"redirect {redirect[1]} to {location}", location=location)
        if server.redirects:
            self._steps.append("no redirect of this path")
        for route, params in self._tried():
            for function in functions_before(route, server.hooks):
                self._steps.append(f"before_request {named(function)}, unless it answers")
            answer = f"handler {described(route)}" + (f" with {dict(params)}" if params else "")
            return self._end("handler", answer, route=route, params=params)
        allowed = self._router.allowed(request.path)
        is_get = request.method in ("GET", "HEAD")
        if server.wsgi is None and not is_get and has_file(server, request.path):
            allowed |= OF_FILES
        allow = ", ".join(sorted(allowed))
        if allowed and request.method == "OPTIONS":
            return self._end("options", f"204 with Allow: {allow}", allow=allowed)
        if server.trailing_slash == "redirect" and (
            request.method in self._router.allowed(other_slash(request.path))
            and not request.path.startswith("//")
        ):
            location = with_query(to_other_slash(request.path), request.query)
            return self._end("slash", f"redirect 308 to {location}", location=location)
        if server.files is not None and is_get:
            if request.path.startswith(server.files):
                name = request.path[len(server.files) - 1 :]
                return self._end("file", f"file {name}{place_of(server)}, or 404 if there is none")
            self._steps.append(f"no file: the path does not begin with {server.files}")
        if server.wsgi is not None and (not allowed or request.method in allowed):
            return self._end("application", f"application {named(server.wsgi)}")
        if allowed and request.method not in allowed:
            page = self._page(MethodNotAllowed())
            return self._end("method", f"405 with Allow: {allow}{page}", allow=allowed)
        return self._end("nothing", f"404{self._page(NotFound())}")

    def _page(self, error: Exception) -> str:
        kind, handler = Failures(self._server.error_handlers).find(error)
        return ", a plain line" if kind is None else f": error handler {named(handler)}"

    def _end(self, kind: str, answer: str, **more: Any) -> Explanation:
        request = self._request
        return Explanation(request.method, request.path, kind, answer, tuple(self._steps), **more)

    def _tried(self) -> Iterator[tuple[Route, Mapping[str, Any]]]:
        """The route whose filter says yes; what does not comes into the steps."""
        request = self._request
        for endpoint, values in self._router.candidates(request.path):
            steps = endpoint.steps(request.method)
            fitting = [step[3] for step in steps]
            for route in endpoint.routes:
                if route not in fitting:
                    self._steps.append(f"{described(route)}: not for {request.method}")
            for _, accepts, names, route in steps:
                request.params = dict(zip(names, values, strict=True)) if names else NO_PARAMS
                if accepts is None or accepts(request):
                    yield route, request.params
                self._steps.append(f"{described(route)}: its filter says no")
            request.params = NO_PARAMS


def _head(method: str, target: str, headers: Mapping[str, str]) -> Head:
    """What the server would read of such a request."""
    lines = b"".join(header_line(name, value) for name, value in headers.items())
    host = (
        b"" if "host" in Headers(tuple((name.lower(), "") for name in headers)) else b"Host: x\r\n"
    )
    line = f"{method} {target} HTTP/1.1\r\n".encode("latin-1", "replace")
    head = next(iter(RequestParser().feed(line + host + lines + b"\r\n")))
    assert isinstance(head, Head)
    return head
