"""Bodies: what becomes of a body is decided when the head is there, by the route."""

from collections.abc import Callable, Container
from typing import TYPE_CHECKING

from rush_http import BodyReceiver, Exchange, Head, OnMessageComplete

from .common import Common
from .incoming import NO_PARAMS
from .receiving import Coming, Resume
from .request import Request
from .routing import Handler, Route, Router

if TYPE_CHECKING:
    from epollserver import Connection

    from .blackbox import BlackBox


class Bodies:
    """The ``on_head_complete`` of an `HttpServer` with routes that have their own way with bodies.

    A route with ``stream=True`` has its handler called now; one with a ``body_limit`` has that
    limit.  All other requests come whole, as always.

    Filters are asked here only where both kinds may be picked; otherwise when the request is
    handled, as always.  What was picked here is not looked for again.
    """

    def __init__(
        self,
        router: Router,
        redirects: Container[str],
        common: Common,
        handle: OnMessageComplete,
        resume: Resume,
        new_request: Callable[[], Request],
        *,
        others: bool = False,
    ) -> None:
        """`others`: somebody else takes the bodies of requests that no route is for."""
        self._router = router
        self._redirects = redirects
        self._common = common
        self._handle = handle
        self._resume = resume
        self._new_request = new_request
        self._others = others
        self._box: BlackBox | None = None

    def watched_by(self, box: "BlackBox", handle: OnMessageComplete) -> None:
        """Call `handle`, which tells `box` of each request; and tell it of what comes later."""
        self._box = box
        self._handle = handle

    def __call__(self, conn: "Connection", head: Head) -> BodyReceiver | int | None:
        """Say how a body is taken."""
        if head.path in self._redirects:
            return None
        try:
            routes = self._routes(head)
            if not any(map(has_own_way, routes)):
                return None
            coming = Coming(self._resume, self._box)
            if routes[0].filter is None:
                coming.route = routes[0]
            elif self._others or not all(route.stream for route in routes):
                coming.asked = asked = self._asked(conn, head)
                coming.route = _pick(self._router, asked)
                if coming.route is None:
                    return None
        except Exception:
            return None  # the usual way meets it as well, and the error handlers answer
        if coming.route is not None and not coming.route.stream:
            return coming.route.body_limit
        return self._handled(conn, head, coming)

    def find(self, request: Request) -> Handler | None:
        """As `Router.find`, for a request of which something may have been picked at the head."""
        coming = self._common.coming
        if coming is None:
            return self._router.find(request)
        if coming.asked is None:
            coming.route = _pick(self._router, request)
        else:
            request.params = coming.asked.params
            request.take_over(coming.asked)
        return None if coming.route is None else coming.route.handler

    def _routes(self, head: Head) -> list[Route]:
        """The routes that may be picked, in their order; none after the first without a filter."""
        routes = []
        for endpoint, _ in self._router.candidates(head.path):
            for _, accepts, _, route in endpoint.steps(head.method):
                routes.append(route)
                if accepts is None:
                    return routes
        return routes

    def _asked(self, conn: "Connection", head: Head) -> Request:
        """A request for the filters."""
        asked = self._new_request()
        asked.conn = conn
        asked.protocol, asked.method, asked.path, asked.query, asked.headers = head.message
        return asked

    def _handled(self, conn: "Connection", head: Head, coming: Coming) -> BodyReceiver | None:
        """Call the handler; returns who takes the body."""
        self._common.coming = coming
        try:
            self._handle(b"", conn, *head.message)
        finally:
            self._common.coming = None
        exchange: Exchange = conn.data
        if exchange.head is not None:
            # Without a receiver it is answered later, by somebody who has no use for the body.
            receiver = coming.receiver or BodyReceiver()
            receiver.limit_bytes = None if coming.route is None else coming.route.body_limit
            return receiver
        if coming.receiver is not None:
            coming.receiver.give_up(RuntimeError("answered before its body was there"))
        return None


def has_own_way(route: Route) -> bool:
    """Whether a route has its own way with bodies."""
    return route.stream or route.body_limit is not None


def _pick(router: Router, request: Request) -> Route | None:
    """The route whose handler `Router.find` gives, with the same ``request.params``."""
    for endpoint, values in router.candidates(request.path):
        for _, accepts, names, route in endpoint.steps(request.method):
            request.params = dict(zip(names, values, strict=True)) if names else NO_PARAMS
            if accepts is None or accepts(request):
                return route
    request.params = NO_PARAMS
    return None
