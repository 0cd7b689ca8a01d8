"""StaticFiles: the files of a loader, sent to who asks for them below a prefix."""

from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from rush_http import Exchange, Headers, HttpServer, date_line
from rush_loader import FileNotFound, Listing, SlashMissing

from .ready import Ready, Sender
from .redirects import with_query
from .request import Request
from .routing import Handler

if TYPE_CHECKING:
    from epollserver import Connection
    from rush_loader import Loader, Mounts


# Of replies that are the same object for many requests: not of ranges.
_SHARED: Final = (200, 304)


class StaticFiles:
    """The files of `loader` below the prefix `files`; none if that is `None`.

    `methods` has the handlers; a file that was found before is put into `ready`.
    ``is_free(path)`` tells whether no route may be at a path.
    With `listing`, a folder without an index is answered with a page that lists it.
    """

    def __init__(
        self,
        loader: "Loader | Mounts",
        http_server: HttpServer,
        files: str | None,
        is_free: Callable[[str], bool],
        ready: Ready,
        listing: bool = False,
    ) -> None:
        self.methods: dict[str, Handler] = dict.fromkeys(("GET", "HEAD"), self._static_file)
        self._loader = loader
        self._http_server = http_server
        self._files = files
        self._below = len(files) - 1 if files else 0  # where the path for the loader begins
        self._is_free = is_free
        self._listing = listing
        self._ready = ready

    def covers(self, path: str) -> bool:
        """Whether a file would be looked for at `path`."""
        return self._files is not None and path.startswith(self._files)

    def has(self, path: str) -> bool:
        """Whether there is a file at `path`."""
        if not self.covers(path):
            return False
        try:
            self._loader.load(path[self._below :])
        except FileNotFoundError:
            return self._find_listing(path) is not None
        return True

    def _find_listing(self, path: str) -> Listing | None:
        """What is in the folder at `path`, if it may be listed."""
        if self._listing and path.endswith("/"):
            with suppress(FileNotFound):
                return self._loader.listing(path[self._below :])
        return None

    def _list(self, request: Request, listing: Listing) -> None:
        from .pages import HTML, listing_page  # few servers list anything

        args = request.parse_args()
        page = listing_page(
            listing,
            args.get("sort", "name"),
            descending=args.get("order") == "desc",
        )
        headers = (*page.headers, ("Cache-Control", "no-cache"))
        request.response(page.text, headers=headers, content_type=HTML)

    def _static_file(self, request: Request) -> None:
        """Answer with the file at the path of the request: a handler."""
        path = request.path
        try:
            request.response_file(path[self._below :])
        except SlashMissing as error:
            location = quote(path[: self._below]) + error.location
            request.redirect(with_query(location, request.query), 301)
            return
        except FileNotFound:
            listing = self._find_listing(path)
            if listing is None:
                raise
            self._list(request, listing)
            return
        if path not in self._ready.senders and self._is_free(path):
            self._ready.add(path, self._sender(path))

    def _sender(self, path: str) -> Sender:
        """What answers requests for the file at `path`, with what can be known beforehand.

        Whether it is still there, and what it is, the loader says each time.
        """
        answer = self._loader.answerer(path[self._below :])
        loop, send = self._http_server.epoll.loop, self._http_server.send
        ready, wholes, at_once = self._ready, self._ready.wholes, self._ready.writes_at_once

        def send_file(conn: "Connection", method: str, headers: Headers) -> bool:
            if method != "GET":
                return False
            try:
                reply = answer(method, headers)
            except Exception:
                return False  # the usual way meets it as well, and sees to it
            if loop.now >= ready.second_ends:
                ready.begin_second()
            exchange: Exchange = conn.data
            data = wholes.get(reply)
            if data is None:
                if reply.file is not None or reply.status not in _SHARED:
                    return False
                data = ready.whole(reply, reply.head, reply.body)
            line = exchange.connection_line
            if line:
                send(conn, b"".join((reply.head, date_line(), line, b"\r\n", reply.body)))
            elif at_once and exchange.together is None:
                conn.write(data)
                exchange.head = None
            else:
                send(conn, data)
            return True

        return send_file
