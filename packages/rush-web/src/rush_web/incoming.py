"""Incoming: what a client has asked, and what can be worked out of it."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from rush_http import Forwarded, Headers, Peer, Protocol

from .args import MAX_COUNT, Args
from .cookies import parse_cookies
from .forms import Form, FormLimits, read_form
from .json_body import read_json

# Read only: it is the same object for every request whose path has no parameters.
NO_PARAMS: Final[Mapping[str, Any]] = MappingProxyType({})


class Known:
    """What was worked out of one request; made for those of which something is asked.

    One object for all, since each that is to be cleared costs every request 60 instructions.
    """

    __slots__ = ("args", "client", "context", "cookies", "form", "forwarded")

    def __init__(self) -> None:
        self.args: Args | None = None
        self.client: Peer | None = None
        self.forwarded: Forwarded | None = None
        self.context: dict[str, Any] = {}
        self.cookies: Mapping[str, str] | None = None
        self.form: Form | None = None

    def close(self) -> None:
        """Close the files of the form."""
        if self.form is not None:
            self.form.close()


class Incoming:
    """The reading half of a request: its fields, and its arguments, form and cookies on demand."""

    __slots__ = (
        "_last_args",
        "_last_query",
        "body",
        "error",
        "headers",
        "known",
        "method",
        "params",
        "path",
        "protocol",
        "query",
    )

    def __init__(self) -> None:
        self._last_query = ""
        self._last_args = Args()  # of that query, for this request or one before
        self.known: Known | None = None  # what was worked out for this one
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
        self.params: Mapping[str, Any] = NO_PARAMS
        """The parameters of the path: ``{"id": 7}`` for ``/user/<int:id>``."""
        self.error: Exception | None = None
        """In an error handler: what was raised; ``None`` if nothing was."""

    def parse_args(self, *, max_count: int = MAX_COUNT, max_length: int | None = None) -> Args:
        """The arguments of the query, name to text; worked out on the first call.

        Percent-decoded as HTML forms do it (``+`` is a blank), as UTF-8.  Of a name that comes
        several times the first value counts; ``args.getlist(name)`` has all of them.
        More than `max_count` arguments are refused with 400, a query of more than `max_length`
        characters with 414, on every call.
        """
        if max_count != MAX_COUNT or max_length is not None:
            return self._parse_args_within(max_count, max_length)
        if self.known is not None and self.known.args is not None:
            return self.known.args
        query = self.query
        if query != self._last_query:  # else 0.1 us, not 1; Args cannot be changed
            self._last_args = Args.parse(query)
            self._last_query = query
        return self._last_args

    def _parse_args_within(self, max_count: int, max_length: int | None) -> Args:
        """The same with other limits; what they let pass, later calls give as well."""
        args = Args.parse(self.query, max_count=max_count, max_length=max_length)
        known = self.known or self._begin()
        if known.args is None:
            known.args = self._last_args if self.query == self._last_query else args
        return known.args

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
        known = self.known or self._begin()
        if known.form is None:
            content_type = self.headers.get("content-type")
            known.form = read_form(self.body, content_type, limits or FormLimits())
        return known.form

    def take_form(self, form: Form) -> None:
        """Let `form` be the form of this request, which is closed with it."""
        known = self.known or self._begin()
        known.form = form

    @property
    def cookies(self) -> Mapping[str, str]:
        """The cookies that the client sent, name to value; of two of one name the first."""
        known = self.known or self._begin()
        if known.cookies is None:
            known.cookies = parse_cookies(self.headers.get("cookie") or "")
        return known.cookies

    def json(self, *, any_type: bool = False) -> Any:
        """What the body says in JSON: a new value at each call.

        Refused with 415 if ``Content-Type`` is not ``application/json`` or ``...+json``: a page of
        another site can send any other type without asking.  With `any_type` that is not looked at.
        Refused with 400 if the body is no JSON in UTF-8 (RFC 8259), or has NaN or Infinity.
        """
        return read_json(self.body, self.headers.get("content-type"), any_type=any_type)

    @property
    def client(self) -> Peer | None:
        """Host and port of who has sent this; ``None`` on a UNIX socket.

        Behind a proxy it is the proxy's, unless that is one of ``trusted_proxies``; the port is 0
        if no proxy has told it.  Who knows better sets it, for this request.
        """
        known = self.known or self._begin()
        if known.client is None:
            known.client = self._client()
        return known.client

    @client.setter
    def client(self, client: Peer) -> None:
        known = self.known or self._begin()
        known.client = client

    @property
    def scheme(self) -> str:
        """``"https"`` or ``"http"``: how the client has asked, as far as a trusted proxy says."""
        return self.told().scheme

    @property
    def host(self) -> str:
        """The host that the client has asked for, with its port if that is an unusual one.

        What it says in ``Host``, or what a trusted proxy has passed on; empty if HTTP/1.0 says
        nothing.
        """
        return self.told().host or self.headers.get("host") or ""

    def told(self) -> Forwarded:
        """Client, scheme and host, as the connection and trusted proxies tell them."""
        known = self.known or self._begin()
        if known.forwarded is None:
            known.forwarded = self._forwarded()
        return known.forwarded

    def _client(self) -> Peer | None:
        return self.told().client

    def _forwarded(self) -> Forwarded:
        """What is told of this request, by whoever knows its connection."""
        return Forwarded(None, "http", None)

    @property
    def context(self) -> dict[str, Any]:
        """Yours: what filters and handlers of this request want to tell each other.

        Empty at first for each request.
        """
        known = self.known or self._begin()
        return known.context

    def take_over(self, other: "Incoming") -> None:
        """Know what was noted of `other`, which was the same request."""
        if self.known is None or other.known is None:
            self.known = self.known or other.known
            return
        self.known.context.update(other.known.context)
        self.known.client = other.known.client or self.known.client

    def _begin(self) -> Known:
        known = self.known = Known()
        return known
