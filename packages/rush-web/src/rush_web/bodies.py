"""Bodies: what becomes of a body is decided when the head is there, by the route."""

from collections.abc import Callable, Container
from typing import TYPE_CHECKING

from rush_http import BodyReceiver, Exchange, Head, OnMessageComplete

from .common import Common
from .receiving import Coming, Resume
from .request import Request
from .routing import Route, Router

if TYPE_CHECKING:
    from epollserver import Connection

    from .blackbox import BlackBox


class Bodies:
    """The ``on_head_complete`` of an `HttpServer` with routes that have their own way with bodies.

    A route with ``stream=True`` has its handler called now; one with a ``body_limit`` has that
    limit.  All other requests come whole, as always, and so do those that nothing answers.
    """

    def __init__(
        self,
        router: Router,
        redirects: Container[str],
        common: Common,
        handle: OnMessageComplete,
        resume: Resume,
        new_request: Callable[[], Request],
    ) -> None:
        self._router = router
        self._redirects = redirects
        self._common = common
        self._handle = handle
        self._resume = resume
        self._new_request = new_request
        self._box: BlackBox | None = None

    def watched_by(self, box: "BlackBox", handle: OnMessageComplete) -> None:
        """Call `handle`, which tells `box` of each request; and tell it of what comes later."""
        self._box = box
        self._handle = handle

    def __call__(self, conn: "Connection", head: Head) -> BodyReceiver | int | None:
        """Say how a body is taken."""
        route = self._route(conn, head)
        if route is None or not route.stream:
            return None if route is None else route.body_limit
        receiver = self._handled(conn, head)
        if receiver is not None:
            receiver.limit_bytes = route.body_limit
        return receiver

    def _route(self, conn: "Connection", head: Head) -> Route | None:
        """The route that takes a request, if it may be one with a way of its own."""
        if head.path in self._redirects or not any(
            has_own_way(step[3])
            for endpoint, _ in self._router.candidates(head.path)
            for step in endpoint.steps(head.method)
        ):
            return None
        asked = self._new_request()  # for the filters
        asked.conn = conn
        asked.protocol, asked.method, asked.path, asked.query, asked.headers = head.message
        try:
            return _pick(self._router, asked)
        except Exception:
            return None  # the usual way meets it as well, and the error handlers answer

    def _handled(self, conn: "Connection", head: Head) -> BodyReceiver | None:
        """Call the handler; returns who takes the body."""
        coming = self._common.coming = Coming(self._resume, self._box)
        try:
            self._handle(b"", conn, *head.message)
        finally:
            self._common.coming = None
        exchange: Exchange = conn.data
        if exchange.head is not None:
            # Without a receiver it is answered later, by somebody who has no use for the body.
            return coming.receiver or BodyReceiver()
        if coming.receiver is not None:
            coming.receiver.give_up(RuntimeError("answered before its body was there"))
        return None


def has_own_way(route: Route) -> bool:
    """Whether a route has its own way with bodies."""
    return route.stream or route.body_limit is not None


def _pick(router: Router, asked: Request) -> Route | None:
    """The route whose handler `Router.find` gives."""
    for endpoint, values in router.candidates(asked.path):
        for _, accepts, names, route in endpoint.steps(asked.method):
            if names:
                asked.params = dict(zip(names, values, strict=True))
            if accepts is None or accepts(asked):
                return route
    return None
