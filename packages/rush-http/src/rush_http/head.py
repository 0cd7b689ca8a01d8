"""Head: request line and fields, and what they mean together."""

from . import grammar
from .errors import BadRequest
from .grammar import HTTP_1_0, Field, Protocol, RequestLine
from .headers import Headers
from .memo import Memo
from .responses import CLOSE, KEEP_ALIVE


class Head:
    """The head of one request.  Equal requests may share it: it is not to be changed."""

    # No named tuple: to take that apart, and to look at its method, were 5 % of the instructions
    # of a request (tests/bench/instructions.py).
    __slots__ = (
        "chunked",
        "connection_line",
        "content_length",
        "expects_continue",
        "headers",
        "method",
        "path",
        "protocol",
        "query",
    )

    def __init__(
        self,
        protocol: Protocol,
        method: str,
        path: str,
        query: str,
        headers: Headers,
        framing: "Framing",
    ) -> None:
        self.protocol = protocol
        self.method = method
        self.path = path
        self.query = query
        self.headers = headers
        self.content_length: int
        """Bytes of body to come; 0 if there is none, or if it is chunked."""
        self.chunked: bool
        self.expects_continue: bool
        """Whether the client waits for ``100 Continue`` before it sends the body."""
        self.connection_line: bytes
        """The ``Connection`` line of the answer as the client wants it: ready bytes, or none."""
        self.content_length, self.chunked, self.expects_continue, self.connection_line = framing

    @property
    def message(self) -> tuple[Protocol, str, str, str, Headers]:
        """Protocol, method, path, query, headers: what a callback on whole messages gets of it."""
        return self.protocol, self.method, self.path, self.query, self.headers

    def copy(self) -> "Head":
        """An equal head that no other request shares."""
        return Head(*self.message, self.framing)

    @property
    def has_body(self) -> bool:
        """Whether a body follows, be it empty and chunked."""
        return self.chunked or self.content_length > 0

    @property
    def framing(self) -> "Framing":
        """The part that the fields decide."""
        return self.content_length, self.chunked, self.expects_continue, self.connection_line

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Head) and self._values() == other._values()

    def __hash__(self) -> int:
        return hash(self._values())

    def __repr__(self) -> str:
        return f"<Head {self.method} {self.path!r:.200} {self.headers!r}>"

    def _values(self) -> tuple[object, ...]:
        return *self.message, *self.framing


Framing = tuple[int, bool, bool, bytes]
"""The part of a `Head` that its fields decide: from `content_length` to `connection_line`."""


def head_of(line: RequestLine, fields: tuple[Field, ...], memo: Memo | None) -> Head:
    """Return what a request line and its fields say: who is asked, and how the body is framed.

    Raises `BadRequest` and `NotImplementedHere` for what could be read in two ways.
    """
    method, path, query, protocol, authority = line
    headers = Headers(fields)
    framing = framing_of(headers, protocol, memo)
    if authority is not None:
        others = tuple(field for field in fields if field[0] != "host")
        headers = Headers((("host", authority), *others))
    return Head(protocol, method, path, query, headers, framing)


def framing_of(headers: Headers, protocol: Protocol, memo: Memo | None) -> Framing:
    """Return how the body is framed and what becomes of the connection.

    Of all fields these count: Host, Transfer-Encoding, Content-Length, Connection and Expect.
    """
    get = headers.values_by_name.get
    host = get("host")
    if host is not None:
        if "," in host and len(headers.getlist("host")) > 1:
            raise BadRequest("two Host headers (RFC 9112, 3.2)")
        (grammar.host if memo is None else memo.host)(host)
    elif protocol != HTTP_1_0:
        raise BadRequest("no Host header (RFC 9112, 3.2)")
    coding, length = get("transfer-encoding"), get("content-length")
    if coding is not None:
        if length is not None:
            raise BadRequest("Content-Length beside Transfer-Encoding (RFC 9112, 6.1)")
        grammar.transfer_coding(coding, protocol)
    keeps_alive = grammar.keeps_alive if memo is None else memo.keeps_alive
    if keeps_alive(get("connection"), protocol):
        connection_line = b"" if protocol != HTTP_1_0 else KEEP_ALIVE
    else:
        connection_line = CLOSE
    expect = get("expect")
    return (
        0 if length is None else grammar.content_length(length),
        coding is not None,
        expect is not None and protocol != HTTP_1_0 and expect.lower() == "100-continue",
        connection_line,
    )
