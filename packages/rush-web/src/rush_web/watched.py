"""Watched: a worker's server, with all that says what it does: black box, metrics, access log."""

import contextlib
import socket
from collections.abc import Callable, Iterator
from functools import partial, reduce
from typing import TYPE_CHECKING

from rush_http import (
    Answered,
    CountedServer,
    HttpServer,
    Limits,
    ObservedServer,
    OnAnswers,
    TrustedProxies,
)

from .access_log import AccessLog
from .blackbox import BlackBox
from .metrics import HEALTH, METRICS, Pages, counting_statuses, under
from .routing import Route
from .slots import LOST_LINES, STATUSES

if TYPE_CHECKING:
    import ssl

    from .dev.lines import RequestLines
    from .server import WebServer
    from .worker import Link


class Watched:
    """What says what a worker does; `status` is a socket for pages of their own."""

    def __init__(
        self,
        server: "WebServer",
        link: "Link",
        access_log: AccessLog | None,
        status: socket.socket | None,
    ) -> None:
        self._server = server
        self._access_log = access_log
        self._status = status
        self._http_server: HttpServer | None = None
        self._end_pages: Callable[[], object] = lambda: None
        self.lines: RequestLines | None = None
        """What shows each request in the terminal, in development."""
        if server.development and server.request_lines:
            from .dev import lines

            self.lines = lines.RequestLines()
        self.box = BlackBox(link.slot, link.number)
        self._pages = Pages(link.slots, self._tick)

    def http_server(
        self,
        sock: socket.socket | None,
        max_conns: int,
        *,
        limits: Limits,
        ssl_context: "ssl.SSLContext | None",
        proxies: TrustedProxies | None,
        exclusive: bool,
    ) -> HttpServer:
        """The server, which tells of its answers, or counts them, if anybody wants to know."""
        counted = self._server.metrics is not None or self._status is not None
        kind: Callable[..., HttpServer] = CountedServer if counted else HttpServer
        if self._access_log is not None or self.lines is not None:
            kind = partial(ObservedServer, on_answers=_nobody)
        http_server = self._http_server = kind(
            sock,
            max_conns,
            limits=limits,
            ssl_context=ssl_context,
            proxies=proxies,
            exclusive=exclusive,
        )
        if isinstance(http_server, ObservedServer):
            http_server.on_answers = self._observers(http_server, counted, proxies is not None)
        http_server.on_sweep = self._tick
        return http_server

    def _observers(self, server: ObservedServer, counted: bool, is_behind: bool) -> OnAnswers:
        """All who want to know of answers."""
        loop, observers = server.epoll.loop, list[OnAnswers]()
        if counted:
            # From what the others have to know anyway: one server cannot be of both kinds.
            observers.append(counting_statuses(self.box.slot))
        if self._access_log is not None:
            observers.append(self._access_log.start(loop, self._lost, is_behind=is_behind))
        if self.lines is not None:
            observers.append(self.lines.start(loop))
        return reduce(_both, observers)

    def routes(self) -> list[Route]:
        """Those of the program, and those of the pages."""
        server = self._server
        routes = list(server.routes)
        if self._status is None:
            if server.metrics is not None:
                routes.append(Route(server.metrics, self._pages.metrics))
            if server.health is not None:
                live, ready = under(server.health)
                routes += [Route(path, self._pages.health) for path in (server.health, ready)]
                routes.append(Route(live, self._pages.live))
        return routes

    def run(self) -> None:
        """Serve until the server is stopped."""
        assert self._http_server is not None
        with self._status_pages():
            self._http_server.run()
        self._http_server.close()
        self._tick()
        if self._access_log is not None:
            self._access_log.close()

    def retire(self) -> None:
        """Leave the port of the pages to the other workers, which serve on."""
        self._end_pages()

    def _tick(self) -> None:
        """Write down what was counted."""
        server = self._http_server
        assert server is not None
        if isinstance(server, CountedServer):
            for number, count in enumerate(server.answers, STATUSES):
                self.box.slot.counts[number] = count
        self.box.tick(len(server.epoll.connections))

    def _lost(self, lines: int) -> None:
        self.box.slot.counts[LOST_LINES] += lines

    @contextlib.contextmanager
    def _status_pages(self) -> Iterator[None]:
        if self._status is None:
            yield
            return
        metrics, health = self._server.metrics or METRICS, self._server.health or HEALTH
        with self._pages.served(self._status, metrics, health) as self._end_pages:
            yield


def _both(one: OnAnswers, other: OnAnswers) -> OnAnswers:
    def both(answers: list[Answered]) -> None:
        one(answers)
        other(answers)

    return both


def _nobody(*answer: object) -> None:
    """Stand where the callback will be."""
