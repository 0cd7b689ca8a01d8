"""StaticFiles: the files of a loader, sent to who asks for them below a prefix."""

from collections.abc import Callable
from contextlib import suppress
from time import monotonic, time
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from rush_http import Exchange, Headers, HttpServer, date_line
from rush_loader import FileNotFound, Listing, SlashMissing

from .redirects import with_query
from .request import Request
from .routing import Handler

if TYPE_CHECKING:
    from epollserver import Connection
    from rush_loader import Loader, Mounts

SendFile = Callable[["Connection", str, Headers], bool]
"""``send_file(conn, method, headers)``: whether that was all."""

# Paths of files that are found without a look at the routes.
_MOST_READY = 4096

# Heads that are ready with the line of this second.
_MOST_STARTS = 1024

# A `Reply` is a named tuple: by name, a field of it takes twice as long.
_HEAD: Final = 1
_BODY: Final = 2
_FILE: Final = 3


class StaticFiles:
    """The files of `loader` below the prefix `files`; none if that is `None`.

    ``ready[path](conn, method, headers)`` answers for a file that was found before.  It returns
    ``False`` if it cannot, and then the request goes the usual way, as for a path that is not
    there: `methods` has the handlers.  ``is_free(path)`` tells whether no route may be at a path.
    With `listing`, a folder without an index is answered with a page that lists it.
    """

    # A request for 4 KiB that is ready takes 19,900 instructions, and 2,300 more if a Request is
    # filled in and five pieces are joined (tests/bench/rush-loader/instructions.py).

    def __init__(
        self,
        loader: "Loader | Mounts",
        http_server: HttpServer,
        files: str | None,
        is_free: Callable[[str], bool],
        listing: bool = False,
    ) -> None:
        self.ready: dict[str, SendFile] = {}
        self.methods: dict[str, Handler] = dict.fromkeys(("GET", "HEAD"), self._answer)
        self._loader = loader
        self._http_server = http_server
        self._files = files
        self._below = len(files) - 1 if files else 0  # where the path for the loader begins
        self._is_free = is_free
        self._listing = listing
        self._starts: dict[bytes, bytes] = {}  # by head: with the Date line of this second
        self._second_ends = 0.0  # by the clock of the loop

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

    def _answer(self, request: Request) -> None:
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
        if path not in self.ready and self._is_free(path):
            if len(self.ready) >= _MOST_READY:
                self.ready.clear()
            self.ready[path] = self._sender(path)

    def _sender(self, path: str) -> SendFile:
        """What answers requests for the file at `path`, with what can be known beforehand.

        Whether it is still there, and what it is, the loader says each time.
        """
        answer = self._loader.answerer(path[self._below :])
        loop, send = self._http_server.epoll.loop, self._http_server.send
        starts = self._starts

        def send_file(conn: "Connection", method: str, headers: Headers) -> bool:
            if method != "GET" and method != "HEAD":
                return False
            try:
                reply = answer(method, headers)
            except Exception:
                return False  # the usual way meets it as well, and sees to it
            if reply[_FILE] is not None:
                return False  # too large for memory
            if loop.now >= self._second_ends:
                self._begin_second()
            head = reply[_HEAD]
            exchange: Exchange = conn.data
            line = exchange.connection_line
            if line:
                send(conn, b"".join((head, date_line(), line, b"\r\n", reply[_BODY])))
            else:
                send(conn, (starts.get(head) or self._start(head)) + reply[_BODY])
            return True

        return send_file

    def _begin_second(self) -> None:
        self._starts.clear()
        self._second_ends = monotonic() + 1.0 - time() % 1.0

    def _start(self, head: bytes) -> bytes:
        """All that goes before a body, for a connection that goes on."""
        if len(self._starts) >= _MOST_STARTS:
            self._starts.clear()
        start = self._starts[head] = head + date_line() + b"\r\n"
        return start
