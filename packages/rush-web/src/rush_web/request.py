"""Request: what a handler sees, and what it says.

There is one `Request` in a worker, filled anew for each request: nothing is allocated for it, and
what a handler does not ask for (arguments, say) is never worked out.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from rush_http import TEXT, HeaderLines, HttpServer, date_line, render

from .answering import Answering, pairs
from .heads import changed_head

if TYPE_CHECKING:
    from epollserver import Connection
    from rush_http import Exchange
    from rush_loader import Loader, Mounts, Reply

_WITHOUT_BODY = (204, 304)


class Request(Answering):
    """One request, as long as its handler runs; the same object serves the next one.

    A handler answers exactly once: `response`, `response_json`, `response_file`, `redirect` or
    `raw_response`.
    """

    __slots__ = ("_http_server", "conn")

    def __init__(self, http_server: HttpServer, loader: "Loader | Mounts") -> None:
        super().__init__(loader)
        self._http_server = http_server
        self.conn: Connection
        """The client's connection, a `socket.socket`."""

    def __repr__(self) -> str:
        return f"<Request {self.method} {self.path!r:.200}>"

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

    def raw_response(self, data: bytes) -> None:
        """Answer with `data` as it is: one complete response, head and body.

        For what was rendered before (`rush_http.render`); it is not checked, and no cookie that was
        set goes with it.
        """
        self._http_server.send(self.conn, data)

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
            head = changed_head(head, code if status == 200 else status, pairs(headers))
        head = b"%b%b%b\r\n" % (head, date_line(), exchange.connection_line)
        if self.method == "HEAD":
            self._http_server.send(self.conn, head)
        elif file is None:
            self._http_server.send(self.conn, head + body)
        else:
            self._http_server.send_parts(self.conn, head, file.open(), parts)


def _checked(body: bytes) -> bytes:
    if not isinstance(body, bytes):
        raise TypeError(f"a body is str or bytes, not {body!r:.80}; see response_json()")
    return body
