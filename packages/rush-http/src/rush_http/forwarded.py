"""What proxies write into a request of who has asked: `Forwarded` (RFC 7239), ``X-Forwarded-For``.

Each proxy adds an element at the end, about who has connected to it.  So they are read from the
end, and what is in front of one that cannot be read is nobody's.
"""

import re
import socket
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from . import grammar
from .errors import BadRequest
from .peer import Peer
from .proxy_header import text_of


class Forwarded(NamedTuple):
    """For whom a request was forwarded: what a client has asked, wherever it has connected to."""

    client: Peer | None
    """Who asks; ``None`` over a UNIX socket.  The port is 0 if no proxy has told it."""
    scheme: str
    """How: ``"http"`` or ``"https"``."""
    host: str | None
    """What it has asked for, with the port, if a proxy says so; ``None``: as in ``Host``."""


class Hop(NamedTuple):
    """One element: what a proxy says of who has connected to it."""

    client: Peer | None
    """``None`` if it keeps that to itself."""
    scheme: str | None = None
    host: str | None = None


NO_HOP: Final = Hop(None)

_SCHEMES: Final = {"http": "http", "https": "https", "ws": "http", "wss": "https"}
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}

# RFC 7239, 4: with blanks around the semicolon, which many a configuration has.
_PAIR: Final = re.compile(
    r"([!#$%&'*+\-.^_`|~0-9A-Za-z]+)="
    r"(?:([!#$%&'*+\-.^_`|~0-9A-Za-z]+)|\"((?:[\t !#-\[\]-~\x80-\xff]|\\[\t -~\x80-\xff])*)\")"
)
_ELEMENT: Final = re.compile(rf"[ \t]*{_PAIR.pattern}(?:[ \t]*;[ \t]*{_PAIR.pattern})*[ \t]*")
_ESCAPE: Final = re.compile(r"\\(.)")
# RFC 7239, 6: a node, and the port that it may have.
_NODE: Final = re.compile(
    r"(?:([0-9.]+)|\[([0-9A-Fa-f:.]+)\]|unknown|_[0-9A-Za-z._-]+)"
    r"(?::(?:([0-9]{1,5})|_[0-9A-Za-z._-]+))?",
    re.IGNORECASE,
)
# As above, and an IPv6 address without brackets, which cannot have a port then.
_X_NODE: Final = re.compile(
    r"(?:([0-9.]+)|\[([0-9A-Fa-f:.]+)\])(?::([0-9]{1,5}))?|([0-9A-Fa-f:.]+)"
)


def walk(hops: Iterator[Hop | None], trusts: Callable[[str], bool]) -> Hop:
    """Follow the elements from the last one on, as long as trusted proxies have written them.

    The result is the first client that is no trusted proxy; the farthest one that can be read, if
    there is none.
    """
    reached = NO_HOP
    for hop in hops:
        if hop is None:
            break  # cannot be read
        if hop.client is None:
            return Hop(reached.client, hop.scheme, hop.host)
        reached = hop
        if not trusts(hop.client.host):
            break
    return reached


def x_hops(value: str) -> Iterator[Hop | None]:
    """The elements of ``X-Forwarded-For`` from the last one on; ``None`` cannot be read."""
    rest, comma = value, ","
    while comma:
        rest, comma, element = rest.rpartition(",")
        element = element.strip(" \t")
        match = _X_NODE.fullmatch(element)
        if match is None:
            yield NO_HOP if element == "unknown" else None
        else:
            client = _client(match[1], match[2] or match[4], match[3])
            yield None if client is None else Hop(client)


def hops(value: str) -> Iterator[Hop | None]:
    """The elements of ``Forwarded`` from the last one on; ``None`` cannot be read.

    What a client has sent in front, with quotes that nobody closes, does not reach into what a
    proxy has added.
    """
    end = len(value)
    while end >= 0:
        comma = value.rfind(",", 0, end)
        quoted = value.find('"', comma + 1, end) >= 0
        while _ELEMENT.fullmatch(value, comma + 1, end) is None:
            if comma < 0 or not quoted:
                yield None
                return
            comma = value.rfind(",", 0, comma)  # that one may have been in quotes
        yield _hop(value[comma + 1 : end])
        end = comma


def _hop(element: str) -> Hop | None:
    said: dict[str, str] = {}
    for name, token, quoted in _PAIR.findall(element):
        name = name.lower()
        if name in said:
            return None  # RFC 7239, 4: each at most once
        said[name] = token or _ESCAPE.sub(r"\1", quoted)
    client = None
    node = said.get("for")
    if node is not None:
        match = _NODE.fullmatch(node)
        if match is None:
            return None
        if match[1] or match[2]:
            client = _client(match[1], match[2], match[3])
            if client is None:
                return None
    return Hop(client, scheme_of(said.get("proto")), host_of(said.get("host")))


def _client(inet: str | None, inet6: str | None, port: str | None) -> Peer | None:
    """An address and its port; ``None`` if they are none."""
    try:
        packed = (
            socket.inet_pton(socket.AF_INET6, inet6 or "")
            if inet is None
            else socket.inet_pton(socket.AF_INET, inet)
        )
    except OSError:
        return None
    number = int(port or 0)
    return None if number > 65535 else Peer(text_of(packed), number)


def scheme_of(proto: str | None) -> str | None:
    """``"http"`` or ``"https"``, if it is one of these, or of WebSockets."""
    return None if proto is None else _SCHEMES.get(proto.lower())


def host_of(host: str | None) -> str | None:
    """A host with its port, if it is one that ``Host`` may have."""
    if not host:
        return None
    try:
        return grammar.host(host)
    except BadRequest:
        return None


def with_port(host: str | None, port: str, scheme: str) -> str | None:
    """A host with this port in place of the one that it has; that of the scheme is left out."""
    number = int(port) if port.isdecimal() and port.isascii() and len(port) <= 5 else 0
    if host is None or not 0 < number <= 65535:
        return host
    end = host.rfind("]") + 1
    name = host[:end] + host[end:].partition(":")[0]
    return name if number == _DEFAULT_PORTS[scheme] else f"{name}:{number}"
