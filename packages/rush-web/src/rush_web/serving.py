"""Serving: what a worker does, from its fork to its end."""

import os
import random
import signal
import socket
from collections.abc import Callable
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any

from rush_http import HttpServer, OnMessageComplete
from rush_loader import Loader, Mounts

from .access_log import AccessLog
from .application import Application
from .crew import JITTER
from .development import DevelopmentManager
from .handlers import HandlersManager
from .logs import reopen_logs
from .privileges import Owner, drop_privileges
from .proxies import proxies_of
from .slots import DRAINING, READY
from .sockets import Sockets
from .titles import set_title
from .watched import Watched
from .worker import Link, News, Order

if TYPE_CHECKING:
    import ssl

    from .server import WebServer

# What SIGTERM leaves to a connection that is idle: a request may be on its way.
_IDLE_GRACE = 0.5
# When one worker retires, nobody waits for its end.
_RETIRED_IDLE_GRACE = 2.0
# What Ctrl-C leaves to answers that are being written.
QUICK_GRACE = 0.2


def serve(
    server: "WebServer",
    sockets: Sockets,
    loader: Loader | Mounts,
    owner: Owner,
    ssl_context: "ssl.SSLContext | None",
    access_log: AccessLog | None,
    link: Link,
) -> None:
    """Be a worker, until its parent or a signal ends that."""
    drop_privileges(owner)
    set_title(f"worker {link.number + 1}")
    first, *others = sockets.of_worker(link.number)
    pages = None
    for _, sock in sockets.status:
        # A copy: these pages are there until the end, when the others have been closed.  By os.dup:
        # that of a socket would let accept(2) block, here and in all other workers.
        pages = socket.socket(fileno=os.dup(sock.fileno()))
    watched = Watched(server, link, access_log, pages)
    http_server, manager = make_worker(
        server, first, loader, ssl_context, exclusive=bool(sockets.shared), watched=watched
    )
    for sock in others:
        http_server.epoll.listen(sock)
    callback = http_server.on_message_complete
    if server.recycle_requests is not None:
        most = server.recycle_requests
        most += int(most * JITTER * random.random())
        callback = _counted(callback, most, partial(link.tell, News.WORN))
    http_server.on_message_complete = callback
    if isinstance(manager, DevelopmentManager):
        link.on_trouble = manager.tell_trouble
    if server.worker_timeout is not None:
        manager.watch_threads(server.worker_timeout, partial(link.tell, News.WORN))
    serving = _Serving(http_server, sockets, link, server.grace, watched)
    watched.run()
    # Those whose clients have gone: the others were waited for.
    manager.close(max(0.0, serving.until - monotonic()))


def make_worker(
    server: "WebServer",
    sock: socket.socket | None,
    loader: Loader | Mounts,
    ssl_context: "ssl.SSLContext | None" = None,
    *,
    exclusive: bool = False,
    watched: Watched | None = None,
) -> tuple[HttpServer, HandlersManager]:
    """The `HttpServer` of a worker, and what calls its handlers; without a socket for tests."""
    make = HttpServer if watched is None else watched.http_server
    http_server = make(
        sock,
        server.max_conns,
        limits=server.limits,
        ssl_context=ssl_context,
        # The client for tests has no proxy in front.
        proxies=proxies_of(server, may_speak=watched is not None),
        exclusive=exclusive,
    )
    kind = DevelopmentManager if server.development else HandlersManager
    more: dict[str, Any] = {}
    if server.development:
        more = {"live": server.live, "lines": watched and watched.lines}
    manager = kind(
        server.routes if watched is None else watched.routes(),
        server.error_handlers,
        server.redirects,
        loader,
        http_server,
        files=server.files,
        listing=server.listing,
        trailing_slash=server.trailing_slash,
        blocking=server.blocking_handlers,
        blocking_threads=server.blocking_threads,
        blocking_queue=server.blocking_queue,
        hooks=server.hooks,
        json=server.json,
        application=server.wsgi and partial(Application, server, http_server),
        **more,
    )
    # Bound, not the object: 1,200 instructions less for each request
    # (tests/bench/rush-loader/instructions.py).
    http_server.on_message_complete = manager.__call__
    if watched is not None:
        callback = manager.watched_by(watched.box, http_server.epoll.loop)
        http_server.on_message_complete = callback
    return http_server, manager


def _counted(
    callback: OnMessageComplete, most: int, worn: Callable[[], object]
) -> OnMessageComplete:
    """The same callback, which calls ``worn()`` after so many requests, once."""
    left = most

    def counted(*message: object) -> None:
        nonlocal left
        callback(*message)  # type: ignore[arg-type]
        left -= 1
        if not left:
            worn()

    return counted


class _Serving:
    """Does what the parent and signals want of a worker's `HttpServer`."""

    def __init__(
        self,
        http_server: HttpServer,
        sockets: Sockets,
        link: Link,
        grace: float,
        watched: Watched,
    ) -> None:
        self._http_server = http_server
        self._watched = watched
        self._sockets = sockets
        self._taken: dict[int, list[socket.socket]] = {}  # queues of others
        self._stopping = False
        self.until = 0.0
        """That much of the monotonic clock is left to handlers, once it is stopped."""
        loop = http_server.epoll.loop
        loop.on_signal(signal.SIGTERM, partial(self._stop, grace, _IDLE_GRACE))
        loop.on_signal(signal.SIGINT, partial(self._stop, QUICK_GRACE, 0.0))
        watched.box.phase(READY)
        loop.call_soon(partial(link.ready, loop, self._obey))
        self._retire = partial(self._stop, grace, _RETIRED_IDLE_GRACE)

    def _obey(self, order: Order, queue: int, sockets: list[socket.socket]) -> None:
        if order is Order.REOPEN:
            reopen_logs()
        elif order is Order.RETIRE:
            self._watched.retire()
            self._retire()
        elif order is Order.TAKE and not self._stopping:
            self._taken[queue] = sockets
            for sock in sockets:
                self._http_server.epoll.listen(sock)
        else:
            for sock in self._taken.pop(queue, sockets):
                if not self._stopping and order is Order.LEAVE:
                    self._http_server.epoll.unlisten(sock)
                sock.close()

    def _stop(self, grace: float, idle_grace: float) -> None:
        # Once: systemd and Ctrl-C signal every process of a group, and the parent passes it on as
        # well.  That it must end at once is the parent's to say.
        if self._stopping:
            return
        self._stopping = True
        self._watched.box.phase(DRAINING)
        self.until = monotonic() + grace
        # Who waits is accepted; with the last descriptor of its queue closed, here and in the
        # others, who comes later is refused at once.
        self._http_server.epoll.unlisten(accept_waiting=True)
        self._sockets.close()
        for sockets in self._taken.values():
            for sock in sockets:
                sock.close()
        self._http_server.stop(grace, idle_grace=idle_grace)
