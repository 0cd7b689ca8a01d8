"""Request: what a handler sees, and what it says.

There is one `Request` in a worker, filled anew for each request: nothing is allocated for it, and
what a handler does not ask for (arguments, say) is never worked out.
"""

import json
from collections.abc import Mapping
from time import sleep
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from rush_http import (
    TEXT,
    HeaderLines,
    Headers,
    HttpServer,
    Protocol,
    ServiceUnavailable,
    date_line,
    header_line,
    render,
    render_head,
)
from rush_loader import FileNotFound

from .args import Args

if TYPE_CHECKING:
    from epollserver import Connection
    from rush_http import Exchange
    from rush_loader import File, Loader

JSON = "application/json"

# Read only: it is the same object for every request whose path has no parameters.
NO_PARAMS: Final[Mapping[str, str]] = MappingProxyType({})

REDIRECTS: Final = (301, 302, 303, 307, 308)

# What decides where a message ends, and what becomes of the connection, is written by us alone.
_OURS = frozenset({"content-length", "transfer-encoding", "connection", "date"})
_WITHOUT_BODY = (204, 304)

# A large file that was replaced just now is loaded again after a pause that doubles: the cache
# hears of it within a third of a millisecond, or as soon as a busy machine lets its thread run.
_FILE_PAUSES = [0.001 * 2**doubled for doubled in range(5)]


class Request:
    """One request, as long as its handler runs; the same object serves the next one.

    A handler answers exactly once: `response`, `response_json`, `response_file`, `redirect` or
    `raw_response`.
    """

    __slots__ = (
        "_http_server",
        "_loader",
        "body",
        "code",
        "conn",
        "error",
        "headers",
        "known_args",
        "method",
        "params",
        "path",
        "protocol",
        "query",
    )

    def __init__(self, http_server: HttpServer, loader: "Loader") -> None:
        self._http_server = http_server
        self._loader = loader
        self.known_args: Args | None = None  # what parse_args() has worked out
        self.protocol: Protocol = (1, 1)
        """``(1, 1)`` or ``(1, 0)``."""
        self.method = ""
        self.path = ""
        """Percent-decoded, without the query."""
        self.query = ""
        """What follows the ``?``, as it was sent; `parse_args` takes it apart."""
        self.headers = Headers()
        """A frozen mapping; the case of the names does not matter."""
        self.body = b""
        self.conn: Connection
        """The client's connection, a `socket.socket`."""
        self.params: Mapping[str, str] = NO_PARAMS
        """The parameters of the path: ``{"name": "bill"}`` for ``/user/<name>``."""
        self.error: Exception | None = None
        """In an error handler: what was raised; ``None`` if nothing was."""
        self.code = 200
        """The status of an answer that names none: 404 and 500 in the error handlers."""

    def __repr__(self) -> str:
        return f"<Request {self.method} {self.path!r:.200}>"

    # Questions

    def parse_args(self) -> Args:
        """The arguments of the query, name to text; worked out on the first call.

        Percent-decoded as HTML forms do it (``+`` is a blank), as UTF-8.  Of a name that comes
        several times the first value counts; ``args.getlist(name)`` has all of them.
        """
        args = self.known_args
        if args is None:
            args = self.known_args = Args.parse(self.query)
        return args

    @property
    def args(self) -> Args:
        """The same as `parse_args()`."""
        return self.parse_args()

    # Answers

    def response(
        self,
        body: str | bytes = b"",
        code: int | None = None,
        headers: HeaderLines | Mapping[str, str] = (),
        *,
        content_type: str = TEXT,
    ) -> None:
        """Answer with a body; text is sent as UTF-8.

        The type is plain text, so that what a client sent is never run in a browser by accident:
        pass ``content_type="text/html; charset=utf-8"`` for a page.  The body of an answer to
        HEAD is left out.  Raises `ValueError` for headers that cannot be sent, `RuntimeError` if
        this request was answered already; nothing is sent then.
        """
        exchange: Exchange = self.conn.data
        self._http_server.send(
            self.conn,
            render(
                self.code if code is None else code,
                body.encode() if isinstance(body, str) else _checked(body),
                _pairs(headers) if headers else (),
                content_type=content_type,
                connection_line=exchange.connection_line,
                head_only=self.method == "HEAD",
            ),
        )

    def response_json(
        self,
        value: object,
        code: int | None = None,
        headers: HeaderLines | Mapping[str, str] = (),
    ) -> None:
        """Answer with `value` as JSON (RFC 8259), without blanks.

        Raises `TypeError` or `ValueError` if JSON cannot say it (NaN among others), and as
        `response` does.
        """
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        self.response(text, code, headers, content_type=JSON)

    def response_file(
        self, path: str, code: int | None = None, headers: HeaderLines | Mapping[str, str] = ()
    ) -> None:
        """Answer with a file of the server's root; `path` begins with ``/``.

        From memory if the cache holds it, else by sendfile(2).  Raises `FileNotFoundError` (which
        is `rush_http.NotFound` as well) if there is no such file, `rush_http.ServiceUnavailable` if
        a large one is written faster than it can be sent, and as `response` does.
        """
        for pause in _FILE_PAUSES:
            file = self._loader.load(path)
            try:
                self.send_file(file, code, headers)
                return
            except FileNotFound:  # a large one, which is another version by now
                sleep(pause)
        raise ServiceUnavailable(f"{path!r:.200} is written faster than it can be sent")

    def redirect(self, location: str, code: int = 302) -> None:
        """Send the client elsewhere: 301, 308 for good; 302, 303, 307 for now."""
        if code not in REDIRECTS:
            raise ValueError(f"a redirect is one of {REDIRECTS}, not {code!r}: {location!r:.80}")
        self.response(b"", code, (("Location", location),))

    def raw_response(self, data: bytes) -> None:
        """Answer with `data` as it is: one complete response, head and body.

        For what was rendered before (`rush_http.render`); it is not checked.
        """
        self._http_server.send(self.conn, data)

    def send_file(
        self,
        file: "File",
        code: int | None = None,
        headers: HeaderLines | Mapping[str, str] = (),
    ) -> None:
        """Answer with a `File` of a loader; a header given here goes before the file's own.

        Raises `FileNotFound` if a large file is another version by now, and as `response` does.
        """
        exchange: Exchange = self.conn.data
        status = self.code if code is None else code
        head = file.head
        if status != 200 or headers:
            head = _changed_head(head, status, _pairs(headers))
        head = b"%b%b%b\r\n" % (head, date_line(), exchange.connection_line)
        if self.method == "HEAD":
            self._http_server.send(self.conn, head)
        elif file.content is not None:
            self._http_server.send(self.conn, head + file.content)
        else:
            self._http_server.send_file(self.conn, head, file.open(), 0, file.size)


def _checked(body: bytes) -> bytes:
    if not isinstance(body, bytes):
        raise TypeError(f"a body is str or bytes, not {body!r:.80}; see response_json()")
    return body


def _pairs(headers: HeaderLines | Mapping[str, str]) -> HeaderLines:
    return headers.items() if isinstance(headers, Mapping) else headers


def _changed_head(head: bytes, status: int, headers: HeaderLines) -> bytes:
    """Give the head of a file another status line (a page that says 404) and more headers."""
    if status in _WITHOUT_BODY:
        raise ValueError(f"status {status} has no body (RFC 9110, 6.4.1): a file cannot have it")
    more = b""
    lines = head.splitlines(keepends=True)[1:]
    for name, value in headers:
        more += header_line(name, value)
        lower = name.lower()
        if lower in _OURS:
            raise ValueError(f"header {name} is worked out here: leave it out")
        start = lower.encode() + b":"
        lines = [line for line in lines if not line.lower().startswith(start)]
    return render_head(status) + b"".join(lines) + more
