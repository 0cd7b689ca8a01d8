"""Running: a run of a server, from its on_startup callbacks to its on_shutdown ones."""

import contextlib
import logging
import os
import resource
from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, cast

from rush_loader import Loader, Mounts

from .access_log import AccessLog
from .banner import Banner, facts_of
from .logs import also_reopened
from .pidfile import PidFile
from .prefork import Prefork
from .privileges import Owner
from .reload import Upstream
from .serving import serve
from .sockets import Sockets, addresses_of
from .titles import set_title
from .tls import make_context

if TYPE_CHECKING:
    from .server import WebServer

_log = logging.getLogger("rush_web")

OnStartup = Callable[[Loader], object] | Callable[[Mounts], object]


class Run:
    """One run of `server`: what its processes have in common.

    `loader` is the one that was given to the server, or one for its root.
    """

    def __init__(
        self,
        server: "WebServer",
        on_startup: Iterable[OnStartup],
        on_shutdown: Iterable[Callable[[], object]],
    ) -> None:
        self._server = server
        self._on_startup = on_startup
        self._on_shutdown = on_shutdown
        self._ended = False
        root = "." if server.root is None else server.root
        given = server.loader
        self.loader = Loader(root, fallback=server.fallback) if given is None else given

    def begin(self) -> None:
        """Call those who prepare it; raises what they raise."""
        for startup in self._on_startup:
            cast(Callable[[Loader | Mounts], object], startup)(self.loader)

    def end(self, *, keep_given: bool = False) -> None:
        """All workers have ended: close the loader, and call those who want to know; once.

        With `keep_given` a loader that was given to the server stays open.
        """
        if self._ended:
            return
        self._ended = True
        if not keep_given or self.loader is not self._server.loader:
            self.loader.close()
        for shutdown in self._on_shutdown:
            try:
                shutdown()
            except Exception:  # the others are to be called as well
                _log.exception("an on_shutdown callback failed: %r", shutdown)

    def serve(
        self, owner: Owner, upstream: Upstream | None, on_ready: Callable[[str], object]
    ) -> int:
        """Have everything that the processes need, and run them; returns the exit status."""
        server = self._server
        context = None if server.certfile is None else make_context(server.certfile, server.keyfile)
        if owner != Owner():
            from .provisions import load_provisions  # for nobody else

            load_provisions(tls=context is not None, development=server.development)
        if server.umask is not None:
            os.umask(server.umask)
        sockets = self._sockets(owner, upstream)
        with contextlib.ExitStack() as stack:
            stack.callback(sockets.files.remove)
            stack.callback(sockets.close)
            access_log = self._access_log(stack, owner, is_reload=upstream is not None)
            banner = Banner(facts_of(server, sockets, self.loader))
            if server.pid_file is not None and upstream is None:
                stack.enter_context(PidFile(server.pid_file))
            _raise_descriptor_limit(server.max_conns)
            set_title("parent" if upstream is None else "program")
            return Prefork(
                partial(serve, server, sockets, self.loader, owner, context, access_log),
                server.workers,
                sockets=sockets,
                grace=server.grace + 1,
                on_ready=partial(on_ready, banner),
                on_gone=self.end,
                owner=owner,
                upstream=upstream,
                timeout=server.worker_timeout,
                lifetime=server.recycle_seconds,
                changes=server.changes,
            ).run()

    def _sockets(self, owner: Owner, upstream: Upstream | None) -> Sockets:
        server = self._server
        host = "127.0.0.1" if server.host.startswith("unix:") else server.host
        return Sockets(
            addresses_of(server.bind, server.host, server.port),
            server.workers,
            shared=server.listen == "shared",
            status=None if server.status_port is None else (host, server.status_port),
            handed=() if upstream is None else upstream.sockets,
            owner=owner[:2],
        )

    def _access_log(
        self, stack: contextlib.ExitStack, owner: Owner, *, is_reload: bool
    ) -> AccessLog | None:
        server = self._server
        if not server.access_log:
            return None
        access_log = AccessLog(
            server.access_log, server.access_format, owner[:2], in_need=is_reload
        )
        stack.callback(access_log.close)
        also_reopened.append(access_log.reopen)
        stack.callback(also_reopened.remove, access_log.reopen)
        return access_log


def _raise_descriptor_limit(max_conns: int) -> None:
    """Raise the soft limit of descriptors as far as it may go, and say so if that is not enough."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):  # a hard limit above fs.nr_open
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if hard != resource.RLIM_INFINITY and hard < max_conns:
        _log.warning(
            "only %d descriptors are allowed (ulimit -Hn): fewer than max_conns=%d", hard, max_conns
        )
