"""Development: what tells of a mistake, at a price that only a developer pays."""

import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NoReturn

from rush_http import Headers, HttpServer, Protocol
from rush_loader import Loader

from .failures import ErrorKind
from .handlers import HandlersManager
from .names import named
from .receiving import Kept
from .redirects import Redirect
from .request import Request
from .routing import Handler, Route

if TYPE_CHECKING:
    from epollserver import Connection
    from rush_http import Exchange
    from rush_loader import Mounts

    from .dev.lines import RequestLines


class StaleRequest(RuntimeError):
    """A `Request` was used after its handler had ended: it serves another request by then.

    Raised with ``WebServer(development=True)``; a server that is not in development has no time
    to look.  Keep `Request.snapshot`, or answer later by `Request.detach`.
    """


class DevelopmentManager(HandlersManager):
    """A `HandlersManager` with a `Request` for each request, which is of no use afterwards.

    For development: it takes longer, and raises `StaleRequest` where another one would mix up two
    requests.  Where no error handler is, clients on this machine get pages that explain: what
    failed, where, with which values, or why no route was picked.  With `live`, pages hear of saved
    files and of restarts, by a script that is put into them.  `lines` is told who has answered.
    """

    def __init__(
        self,
        handlers: Iterable[Route],
        err_handlers: Mapping[ErrorKind, Handler],
        redirects: Mapping[str, Redirect],
        loader: "Loader | Mounts",
        http_server: HttpServer,
        live: bool = False,
        lines: "RequestLines | None" = None,
        **options: Any,
    ) -> None:
        from .dev.answers import Explanations  # production never needs it
        from .dev.viewers import Viewers

        viewers = Viewers(http_server)
        routes = list(handlers)
        self._kind = _Fresh
        self._live = live
        self._lines = lines
        more: list[Route] = []
        version = ""
        if live:
            from .dev.live import VERSION, Live
            from .dev.scripted import with_scripts

            self._kind = with_scripts(_Fresh)
            version = VERSION
            self._pages = Live(loader, viewers)
            more = self._pages.routes()
        super().__init__([*more, *routes], err_handlers, redirects, loader, http_server, **options)
        files: str | None = options.get("files")
        where = f": {os.path.relpath(loader.root)} is served" if isinstance(loader, Loader) else ""
        self._failures.built_in = Explanations(
            viewers,
            routes,
            "" if files is None else f"There is no such file either{where} below {files}.",
            version=version,
        )
        self._loader = loader
        self._encode_json = self._request.encode_json
        self._asked = None
        self._plain.clear()
        self._picks.clear()
        self._senders.clear()  # so that each handler comes by `_find_named`
        self._unnamed, self._pick = self._pick, self._find_named

    def __call__(
        self,
        body: bytes,
        conn: "Connection",
        protocol: Protocol,
        method: str,
        path: str,
        query: str,
        headers: Headers,
        kept: Kept | None = None,
    ) -> None:
        """Answer one request, and make its `Request` a stale one."""
        # If nothing is found
        handled_by = "an error handler" if kept is None else named(kept.handler)
        request = self._request = self._fresh(handled_by)
        exchange: Exchange = conn.data
        head = exchange.head
        if kept is not None:
            request.source = self._short_name(kept.handler)
        lines = self._lines
        missed = None if lines is None else _misses(self._loader)
        try:
            super().__call__(body, conn, protocol, method, path, query, headers, kept)
        finally:
            if lines is not None:
                on_disk = None if missed is None else _misses(self._loader) != missed
                lines.handled(conn, head, request.source, on_disk=on_disk)
            request.__class__ = _Stale

    def tell_trouble(self, text: str) -> None:
        """Let the pages show what is wrong with a newer version of the program."""
        if self._live:
            self._pages.tell_trouble(text)

    def _is_free(self, path: str) -> bool:
        return not self._live and super()._is_free(path)  # else pages are sent without the script

    def _fresh(self, handled_by: str) -> "_Fresh":
        request = self._kind(
            self._http_server,
            self._loader,
            self._failures.answer,
            self._common,
            encode_json=self._encode_json,
        )
        request.handled_by, request.source = handled_by, ""
        return request

    def _find_named(self, request: Request) -> Handler:
        redirect = None if self._hooks else self._redirects.get(request.path)
        handler = redirect or self._unnamed(request) or self._find(request)
        if handler is self._not_found:
            return handler  # no more than an error handler has it
        assert isinstance(request, _Fresh)
        request.handled_by = named(handler)
        request.source = self._short_name(handler)
        return handler

    def _short_name(self, handler: Handler) -> str:
        return "" if self._lines is None else self._lines.short_name(handler)


class _Fresh(Request):
    """A request whose handler has not ended."""

    __slots__ = ("handled_by", "source")

    handled_by: str
    source: str
    """In a word: who answers."""


def _misses(loader: "Loader | Mounts") -> int | None:
    """How often its caches had to look on the disk, if they count that."""
    with suppress(TypeError):
        return loader.stats().misses
    return None


class _Stale(_Fresh):
    """A request whose handler has ended."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"<stale {_repr(self)[1:]}"

    def __getattribute__(self, name: str) -> Any:
        if not name.startswith("__"):  # that is what Python itself, and a debugger, asks for
            _raise(self, name)
        return _get(self, name)

    def __setattr__(self, name: str, value: object) -> None:
        _raise(self, name)


_get = object.__getattribute__


def _repr(request: Request) -> str:
    return f"<Request {_get(request, 'method')} {_get(request, 'path')!r:.200}>"


def _raise(request: _Stale, name: str) -> NoReturn:
    raise StaleRequest(
        f"{name!r} of {_repr(request)} is used after its handler has ended, which was "
        f"{_get(request, 'handled_by')}: keep request.snapshot() in its place, or answer later by "
        "request.detach()"
    )
