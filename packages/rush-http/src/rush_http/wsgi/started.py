"""Started: what an application said in ``start_response``, checked, and ready to be sent again."""

from collections.abc import Sequence
from typing import Any, Final

from ..responses import SECOND, framing_line, is_bodiless, stream_start

# Fields that are about one connection (RFC 9110, 7.6.1): an application may not set them.
_HOP_BY_HOP: Final = frozenset(
    {
        *("connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "te"),
        *("trailer", "trailers", "transfer-encoding", "upgrade", "proxy-connection"),
    }
)
# Whatever carries these is one client's: it is not kept.
_SECRET: Final = frozenset(
    {"set-cookie", "set-cookie2", "authentication-info", "www-authenticate", "location"}
)
# How many are kept, of how many characters at most.
_MOST: Final = 1024
_MOST_CHARS: Final = 1024

HeaderList = list[tuple[str, str]]


class Started:
    """A status and headers, without those that the server has its own word for."""

    __slots__ = ("content_type", "ends", "head", "headers", "length", "quick", "status")

    def __init__(self, status: str, headers: Sequence[tuple[str, str]]) -> None:
        code = status[:3]
        if (
            not (code.isascii() and code.isdigit())
            or status[3:4] not in ("", " ")
            or not status.isprintable()
        ):
            raise ValueError(f"a status is text such as '200 OK', not {status!r:.80}")
        self.status = int(code)
        self.headers: HeaderList = []
        self.content_type: str | None = None
        self.length: int | None = None
        for name, value in headers:
            self._take(name, value)
        self.quick = not is_bodiless(self.status)
        """Whether `head` and a body are a whole answer, for a connection that goes on."""
        self.head = b""
        """All that goes before a body, to the line of `length` and the empty one if there is any.

        As `render` gives it, and raises.
        """
        self.ends = 0.0
        """Until when it has the right date, by the monotonic clock."""

    def _take(self, name: str, value: str) -> None:
        if not isinstance(name, str) or not isinstance(value, str):
            raise TypeError(f"a header is two texts, not {name!r:.80}: {value!r:.80}")
        lower = name.lower()
        if lower == "content-type":
            self.content_type = value
        elif lower == "content-length":
            if not (value.isascii() and value.isdigit()):
                raise ValueError(f"Content-Length is no number: {value!r:.80}")
            if self.length not in (None, int(value)):
                raise ValueError(f"two Content-Lengths: {self.length} and {value!r:.80}")
            self.length = int(value)
        elif lower in _HOP_BY_HOP:
            raise ValueError(f"{name!r:.80} is about one connection: the server sets it (PEP 3333)")
        elif lower != "date":  # the server has its own
            self.headers.append((name, value))

    def begin_second(self) -> None:
        """Set `head`, with the date of now."""
        head = stream_start(self.status, self.headers, self.content_type)
        if self.length is not None:
            head += framing_line(self.status, self.length, chunked=False) + b"\r\n"
        self.head, self.ends = head, SECOND.ends


class StartedMemo:
    """Makes `Started`, and keeps those that an application says again and again.

    7,000 instructions less for a request (tests/bench/instructions.py).  Bounded; what may be
    one client's is never kept.
    """

    def __init__(self) -> None:
        self.known: dict[tuple[object, ...], Started] = {}
        """By status and headers, one after the other."""
        self.last: tuple[str, HeaderList | None, Started | None] = ("", None, None)
        """What was said last, if it is kept: to compare it takes 600 instructions less.

        In one attribute, since threads may set it.
        """

    def started(self, status: str, headers: Sequence[tuple[str, str]]) -> Started:
        """What was said.  Raises `ValueError` or `TypeError` for what no application may say."""
        said: tuple[Any, ...] = (status, *headers)
        try:
            started = self.known[said]
        except (KeyError, TypeError):  # not met before, or no tuples
            started = Started(status, said[1:])
            if not _may_be_kept(status, said[1:]):
                return started
            if len(self.known) >= _MOST:
                self.known.clear()
            self.known[said] = started
        self.last = status, list(said[1:]), started
        return started


def _may_be_kept(status: str, headers: Sequence[tuple[str, str]]) -> bool:
    """Whether it is small, cannot change, and is not one client's."""
    chars = len(status) + sum(len(name) + len(value) for name, value in headers)
    return (
        chars <= _MOST_CHARS
        and all(type(pair) is tuple for pair in headers)
        and _SECRET.isdisjoint(name.lower() for name, _ in headers)
    )
