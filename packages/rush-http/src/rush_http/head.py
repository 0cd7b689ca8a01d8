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
    # of a request.  No __init__: a call of it takes 1,200 of them (tests/bench/instructions.py).
    __slots__ = (
        *("connection_line", "framing", "headers", "method", "note", "path", "protocol", "query"),
    )

    protocol: Protocol
    method: str
    path: str
    query: str
    headers: Headers
    framing: "Framing"
    """What `headers` say of the body, and of the connection."""
    note: object
    """For whoever is told of the answers: what he has made of this head; ``None`` at first."""
    connection_line: bytes
    """The ``Connection`` line of the answer as the client wants it: ready bytes, or none."""

    @staticmethod
    def of(
        protocol: Protocol,
        method: str,
        path: str,
        query: str,
        headers: Headers,
        framing: "Framing",
    ) -> "Head":
        """Make a head of its parts; ``Head()`` has none."""
        head = Head()
        head.protocol = protocol
        head.method = method
        head.path = path
        head.query = query
        head.headers = headers
        head.framing = framing
        head.connection_line = framing[3]
        head.note = None
        return head

    @property
    def message(self) -> tuple[Protocol, str, str, str, Headers]:
        """Protocol, method, path, query, headers: what a callback on whole messages gets of it."""
        return self.protocol, self.method, self.path, self.query, self.headers

    def copy(self) -> "Head":
        """An equal head that no other request shares."""
        return Head.of(*self.message, self.framing)

    @property
    def content_length(self) -> int:
        """Bytes of body to come; 0 if there is none, or if it is chunked."""
        return self.framing[0]

    @property
    def chunked(self) -> bool:
        """Whether the body comes in chunks."""
        return self.framing[1]

    @property
    def expects_continue(self) -> bool:
        """Whether the client waits for ``100 Continue`` before it sends the body."""
        return self.framing[2]

    @property
    def has_body(self) -> bool:
        """Whether a body follows, be it empty and chunked."""
        return self.framing[1] or self.framing[0] > 0

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Head) and self._values() == other._values()

    def __hash__(self) -> int:
        return hash(self._values())

    def __repr__(self) -> str:
        return f"<Head {self.method} {self.path!r:.200} {self.headers!r}>"

    def _values(self) -> tuple[object, ...]:
        return *self.message, self.framing


Framing = tuple[int, bool, bool, bytes]
"""Content length, chunked, expects continue, connection line: what the fields of a head decide."""


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
    return Head.of(protocol, method, path, query, headers, framing)


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
