"""Incoming: what a client has asked, and what can be worked out of it."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from rush_http import Headers, Protocol

from .args import MAX_COUNT, Args
from .cookies import parse_cookies
from .forms import Form, FormLimits, read_form

# Read only: it is the same object for every request whose path has no parameters.
NO_PARAMS: Final[Mapping[str, Any]] = MappingProxyType({})


class Incoming:
    """The reading half of a request: its fields, and its arguments, form and cookies on demand."""

    __slots__ = (
        "_last_args",
        "_last_query",
        "body",
        "error",
        "headers",
        "known_args",
        "known_cookies",
        "known_form",
        "method",
        "params",
        "path",
        "protocol",
        "query",
    )

    def __init__(self) -> None:
        self._last_query = ""
        self._last_args = Args()
        # What was worked out for this request
        self.known_args: Args | None = None
        self.known_cookies: Mapping[str, str] | None = None
        self.known_form: Form | None = None
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
