"""Request: what a handler sees, and what it says.

There is one `Request` in a worker, filled anew for each request: nothing is allocated for it, and
what a handler does not ask for (arguments, say) is never worked out.
"""

import json
from collections.abc import Mapping
from datetime import datetime
from time import sleep
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from rush_http import (
    TEXT,
    HeaderLines,
    Headers,
    HttpServer,
    Protocol,
    ServiceUnavailable,
    date_line,
    render,
)
from rush_loader import FileNotFound, answer

from .args import MAX_COUNT, Args
from .cookies import SameSite, cookie_line, parse_cookies
from .forms import Form, FormLimits, read_form
from .heads import changed_head
from .redirects import REDIRECTS

if TYPE_CHECKING:
    from epollserver import Connection
    from rush_http import Exchange
    from rush_loader import File, Loader, Mounts, Reply

JSON = "application/json"

# Read only: it is the same object for every request whose path has no parameters.
NO_PARAMS: Final[Mapping[str, Any]] = MappingProxyType({})

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
        "_last_args",
        "_last_query",
        "_loader",
        "body",
        "code",
        "conn",
        "error",
        "headers",
        "known_args",
        "known_cookies",
        "known_form",
        "method",
        "new_cookies",
        "params",
        "path",
        "protocol",
        "query",
    )

    def __init__(self, http_server: HttpServer, loader: "Loader | Mounts") -> None:
        self._http_server = http_server
        self._loader = loader
        self._last_query = ""
        self._last_args = Args()
        # What was worked out for this request, and what is to be sent with its answer.
        self.known_args: Args | None = None
        self.known_cookies: Mapping[str, str] | None = None
        self.known_form: Form | None = None
        self.new_cookies: list[tuple[str, str]] | None = None
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
        self.params: Mapping[str, Any] = NO_PARAMS
        """The parameters of the path: ``{"id": 7}`` for ``/user/<int:id>``."""
        self.error: Exception | None = None
        """In an error handler: what was raised; ``None`` if nothing was."""
        self.code = 200
        """The status of an answer that names none: 404 and 500 in the error handlers."""

    def __repr__(self) -> str:
        return f"<Request {self.method} {self.path!r:.200}>"

    # Questions

    def parse_args(self, *, max_count: int = MAX_COUNT, max_length: int | None = None) -> Args:
        """The arguments of the query, name to text; worked out on the first call.

        Percent-decoded as HTML forms do it (``+`` is a blank), as UTF-8.  Of a name that comes
        several times the first value counts; ``args.getlist(name)`` has all of them.
        More than `max_count` arguments are refused with 400, a query of more than `max_length`
        characters with 414, on every call.
        """
        args = self.known_args
        query = self.query
        if args is not None:
            if max_count != MAX_COUNT or max_length is not None:
                Args.parse(query, max_count=max_count, max_length=max_length)
            return args
        if max_count != MAX_COUNT or max_length is not None:
            args = Args.parse(query, max_count=max_count, max_length=max_length)
        elif query == self._last_query:
            args = self._last_args  # 0.1 us, not 1; Args cannot be changed
        else:
            args = Args.parse(query)
            self._last_query, self._last_args = query, args
        self.known_args = args
        return args

    @property
    def args(self) -> Args:
        """The same as `parse_args()`."""
        return self.parse_args()

    def parse_form(self, limits: FormLimits | None = None) -> Form:
        """The form in the body: its fields as a mapping, and its ``files``; on the first call.

        For ``application/x-www-form-urlencoded`` and ``multipart/form-data`` (which needs the
        package `multipart`: ``pip install "rush-web[forms]"``).  Files are closed, and gone, when
        the handler has ended: save what is to stay.
        Refused with 400 if it is no such form, with 413 past `limits`, with 415 if the body is of
        another type.  The limits of the first call count, which may be that of a filter.
        """
        form = self.known_form
        if form is None:
            content_type = self.headers.get("content-type")
            form = self.known_form = read_form(self.body, content_type, limits or FormLimits())
        return form

    @property
    def cookies(self) -> Mapping[str, str]:
        """The cookies that the client sent, name to value; of two of one name the first."""
        cookies = self.known_cookies
        if cookies is None:
            cookies = self.known_cookies = parse_cookies(self.headers.get("cookie") or "")
        return cookies

    # Answers

    def set_cookie(
        self,
        name: str,
        value: str,
        *,
        max_age: int | None = None,
        expires: datetime | float | None = None,
        path: str = "/",
        domain: str | None = None,
        secure: bool = False,
        httponly: bool = True,
        samesite: SameSite | None = "Lax",
    ) -> None:
        """Send a cookie with the answer that follows (RFC 6265, 4.1).

        It ends with the browser, or after `max_age` seconds, or when it `expires` (a `datetime` or
        seconds since the epoch).  By default no script sees it (`httponly`), and other sites' forms
        do not send it (`samesite`).  The answer to an error does not have it.
        Raises `ValueError` for what browsers would drop, for control characters, and for a value
        with characters beyond U+00FF; `http.cookies` puts others in quotes, and `cookies` reads
        them so.
        """
        line = cookie_line(
            name,
            value,
            max_age=max_age,
            expires=expires,
            path=path,
            domain=domain,
            secure=secure,
            httponly=httponly,
            samesite=samesite,
        )
        self.new_cookies = [*(self.new_cookies or ()), ("Set-Cookie", line)]

    def delete_cookie(
        self,
        name: str,
        *,
        path: str = "/",
        domain: str | None = None,
        secure: bool = False,
        samesite: SameSite | None = "Lax",
    ) -> None:
        """Let the browser forget a cookie; `path` and `domain` must be those it was set with."""
        self.set_cookie(
            name,
            "",
            max_age=0,
            expires=0,
            path=path,
            domain=domain,
            secure=secure,
            samesite=samesite,
        )

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
                self._lines(headers) if headers or self.new_cookies else (),
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

        Conditions, ranges and content codings are seen to, if the status is 200 and the method GET
        or HEAD.  A header given here goes before the file's own, names in ``Vary`` beside them.
        With a ``Content-Type``, who asks for several ranges gets the whole: each of them would
        have the file's own.  From memory if the cache holds it, else by sendfile(2).

        Raises `FileNotFoundError` (which is `rush_http.NotFound` as well) if there is no such file,
        `rush_http.ServiceUnavailable` if a large one is written faster than it can be sent, as
        `response` does, and `ValueError` for ``ETag``, ``Content-Range`` and ``Content-Encoding``.
        """
        status = self.code if code is None else code
        if headers:
            headers = tuple(_pairs(headers))
        for pause in _FILE_PAUSES:
            method, asked = self._asked_of_file(status, headers)
            reply = self._loader.answer(path, method, asked)
            try:
                self.send_reply(reply, status, headers)
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

        For what was rendered before (`rush_http.render`); it is not checked, and no cookie that was
        set goes with it.
        """
        self._http_server.send(self.conn, data)

    def send_file(
        self,
        file: "File",
        code: int | None = None,
        headers: HeaderLines | Mapping[str, str] = (),
    ) -> None:
        """Answer with a `File` of a loader, as `response_file` does.

        Raises `FileNotFound` if a large file is another version by now, and as `response` does.
        """
        status = self.code if code is None else code
        if headers:
            headers = tuple(_pairs(headers))
        method, asked = self._asked_of_file(status, headers)
        self.send_reply(answer(file, method, asked), status, headers)

    def send_reply(
        self, reply: "Reply", code: int = 200, headers: HeaderLines | Mapping[str, str] = ()
    ) -> None:
        """Answer with what a loader has planned; see `send_file`.

        `code` is sent in place of a 200.
        """
        if code in _WITHOUT_BODY:
            raise ValueError(f"status {code} has no body (RFC 9110, 6.4.1): a file cannot have it")
        exchange: Exchange = self.conn.data
        status, head, body, file, parts = reply
        if self.new_cookies:
            headers = self._lines(headers)
        if (code != 200 and status == 200) or headers:
            head = changed_head(head, code if status == 200 else status, _pairs(headers))
        head = b"%b%b%b\r\n" % (head, date_line(), exchange.connection_line)
        if self.method == "HEAD":
            self._http_server.send(self.conn, head)
        elif file is None:
            self._http_server.send(self.conn, head + body)
        else:
            self._http_server.send_parts(self.conn, head, file.open(), parts)

    def _lines(self, headers: HeaderLines | Mapping[str, str]) -> HeaderLines:
        """The header lines of an answer: the caller's, then the new cookies."""
        return [*_pairs(headers), *(self.new_cookies or ())]

    def _asked_of_file(
        self, status: int, headers: HeaderLines | Mapping[str, str]
    ) -> tuple[str, Headers]:
        """The method and the headers that a file is to answer.

        Conditions and ranges are for what would be a 200 (RFC 9110, 13.2.1 and 14.2), and come too
        late where a handler has acted already.
        """
        if status == 200 and self.method in ("GET", "HEAD"):
            if (
                headers
                and "," in self.headers.selectors.get("range", "")
                and any(name.lower() == "content-type" for name, _ in _pairs(headers))
            ):
                lines = tuple(line for line in self.headers.items() if line[0] != "range")
                return self.method, Headers(lines)
            return self.method, self.headers
        accepted = self.headers.get("accept-encoding")
        return "GET", Headers((("accept-encoding", accepted),) if accepted is not None else ())


def _checked(body: bytes) -> bytes:
    if not isinstance(body, bytes):
        raise TypeError(f"a body is str or bytes, not {body!r:.80}; see response_json()")
    return body


def _pairs(headers: HeaderLines | Mapping[str, str]) -> HeaderLines:
    return headers.items() if isinstance(headers, Mapping) else headers
