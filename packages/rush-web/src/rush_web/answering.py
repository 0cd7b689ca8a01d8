"""Answering: what a handler can say, whoever carries it to the client."""

from abc import abstractmethod
from collections.abc import Mapping
from datetime import datetime
from time import sleep
from typing import TYPE_CHECKING, cast

from rush_http import TEXT, HeaderLines, Headers, ServiceUnavailable, date_line
from rush_loader import FileNotFound, answer

from .cookies import SameSite, cookie_line
from .heads import changed_head
from .hooks import After, Answer
from .incoming import Incoming
from .jsons import EncodeJson, encode_json
from .redirects import REDIRECTS, to_uri
from .snapshot import Snapshot

if TYPE_CHECKING:
    from rush_loader import File, Loader, Mounts, Reply

    from .request import Request

JSON = "application/json"

_WITHOUT_BODY = (204, 304)

# A large file that was replaced just now is loaded again after a pause that doubles: the cache
# hears of it within a third of a millisecond, or as soon as a busy machine lets its thread run.
_FILE_PAUSES = [0.001 * 2**doubled for doubled in range(5)]


class Answering(Incoming):
    """A request that can be answered; all ways end in the three that a subclass has to offer."""

    __slots__ = ("_loader", "after", "code", "encode_json", "pending")

    def __init__(self, loader: "Loader | Mounts", *, encode_json: EncodeJson = encode_json) -> None:
        super().__init__()
        self._loader = loader
        self.encode_json = encode_json
        self.code = 200
        """The status of an answer that names none: that of the error in an error handler."""
        # Headers that go with the answer: cookies, and those of an error.  A list, perhaps an empty
        # one, wherever `lines` is to be asked; None on the short way.
        self.pending: list[tuple[str, str]] | None = None
        self.after: tuple[After, ...] = ()  # the `after_request` functions of this answer

    def snapshot(self) -> Snapshot:
        """A copy to keep, which nothing changes: for what is worked on after the answer."""
        return Snapshot(self)

    # What carries an answer to the client; `Request` says what each does.

    def comes_later(self, handler: object) -> bool:
        """Whether somebody else is to answer; `handler` is who has left it to them."""
        return False

    def drop_body(self, error: Exception) -> None:
        """Take no more of a body that is still to come: the handler that was to take it failed."""

    def abandon(self) -> None:
        """Let go of an answer that has begun, and that nobody would end: its handler has failed."""

    @abstractmethod
    def response(
        self,
        body: str | bytes = b"",
        code: int | None = None,
        headers: HeaderLines | Mapping[str, str] = (),
        content_type: str = TEXT,
    ) -> None:
        """Answer with a body; see `Request.response`."""

    @abstractmethod
    def raw_response(self, data: bytes) -> None:
        """Answer with what was rendered before."""

    @abstractmethod
    def send_reply(
        self, reply: "Reply", code: int = 200, headers: HeaderLines | Mapping[str, str] = ()
    ) -> None:
        """Answer with what a loader has planned; see `send_file`."""

    @property
    @abstractmethod
    def answered(self) -> bool:
        """Whether no answer is waited for: it was given, or the connection is closed."""

    # What ends in them

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
        self.pending = [*(self.pending or ()), ("Set-Cookie", line)]

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

    def response_json(
        self,
        value: object,
        code: int | None = None,
        headers: HeaderLines | Mapping[str, str] = (),
    ) -> None:
        """Answer with `value` as JSON (RFC 8259), without blanks.

        `code` is the status, by default 200, in an error handler that of the error.
        By the encoder that the server was given (``WebServer(json=...)``).  Raises `TypeError` or
        `ValueError` if JSON cannot say it (NaN among others), and as `response` does.
        """
        self.response(self.encode_json(value), code, headers, content_type=JSON)

    def response_file(
        self, path: str, code: int | None = None, headers: HeaderLines | Mapping[str, str] = ()
    ) -> None:
        """Answer with a file of the server's root; `path` begins with ``/``, `code` is the status.

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
            headers = tuple(pairs(headers))
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
        """Send the client to `location`; `code` is 301 or 308 for good, 302, 303 or 307 for now.

        What is not ASCII is percent-encoded.  Raises `ValueError` for another status, and as
        `response` does.
        """
        if code not in REDIRECTS:
            raise ValueError(f"a redirect is one of {REDIRECTS}, not {code!r}: {location!r:.80}")
        self.response(b"", code, (("Location", to_uri(location)),))

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
            headers = tuple(pairs(headers))
        method, asked = self._asked_of_file(status, headers)
        self.send_reply(answer(file, method, asked), status, headers)

    def lines(self, status: int, headers: HeaderLines | Mapping[str, str]) -> HeaderLines:
        """The header lines of an answer with this `status`: the caller's, and what goes with it.

        Whoever renders an answer asks for them, once, if there are `headers` or `pending` is not
        ``None``.  The ``after_request`` functions are called here.
        """
        lines = [*pairs(headers)]
        if self.after and not self.answered:
            answer = Answer(status, lines)
            for function in self.after:
                function(cast("Request", self), answer)
            lines = answer.headers
        names = {name.lower() for name, _ in lines} - {"set-cookie"}
        return lines + [line for line in self.pending or () if line[0].lower() not in names]

    def _head_of_reply(
        self,
        reply: "Reply",
        code: int,
        headers: HeaderLines | Mapping[str, str],
        connection_line: bytes,
    ) -> bytes:
        """The whole head of an answer that a loader has planned; see `send_reply`."""
        if code in _WITHOUT_BODY:
            raise ValueError(f"status {code} has no body (RFC 9110, 6.4.1): a file cannot have it")
        status, head = reply.status, reply.head
        if self.pending is not None:
            headers = self.lines(code if status == 200 else status, headers)
        if (code != 200 and status == 200) or headers:
            head = changed_head(head, code if status == 200 else status, pairs(headers))
        return b"%b%b%b\r\n" % (head, date_line(), connection_line)

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
                and any(name.lower() == "content-type" for name, _ in pairs(headers))
            ):
                lines = tuple(line for line in self.headers.items() if line[0] != "range")
                return self.method, Headers(lines)
            return self.method, self.headers
        accepted = self.headers.get("accept-encoding")
        return "GET", Headers((("accept-encoding", accepted),) if accepted is not None else ())


def pairs(headers: HeaderLines | Mapping[str, str]) -> HeaderLines:
    """The pairs of headers, however they were given."""
    return headers.items() if isinstance(headers, Mapping) else headers or ()


def checked_body(body: bytes) -> bytes:
    """The body, if it is one."""
    if not isinstance(body, bytes):
        raise TypeError(f"a body is str or bytes, not {body!r:.80}; see response_json()")
    return body
