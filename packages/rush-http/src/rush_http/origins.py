"""Origins: who has sent what comes by a connection, and whether he is believed about others.

    by the PROXY protocol     the source that its header tells; believed if that is a proxy itself
    otherwise                 the peer of the socket; believed if that is a trusted proxy

So a chain of proxies is followed back from here, by whichever way each of them tells, as far as
each is trusted.  A proxy that speaks for itself (LOCAL), or does not say for whom (UNKNOWN), stands
for its peer; what a header says then may be anybody's, and is not believed.
"""

import logging
import socket
from typing import TYPE_CHECKING, Literal

from epollserver import Connection, MakePreamble

from .forwarded import Forwarded
from .peer import peer_of
from .proxies import UNIX, TrustedProxies
from .proxy_header import BadProxyHeader, ProxyHeader

if TYPE_CHECKING:
    from .exchange import Exchange
    from .server import HttpServer

_log = logging.getLogger("rush_http")


def preambles(proxies: TrustedProxies) -> MakePreamble | None:
    """What makes the preambles of a server's connections; ``None`` if they have none."""
    if proxies.proxy_protocol == "off":
        return None
    refuses = proxies.proxy_protocol == "required"

    def preamble(conn: Connection) -> ProxyHeader | Literal[False] | None:
        name = _name(conn)
        if proxies.trusts(name):
            conn.data = header = _LoggedHeader()
            header.sender = name
            return header
        if refuses:
            _log.info("refused: %s is no trusted proxy (proxy_protocol='required')", name)
            return False
        return None

    return preamble


class _LoggedHeader(ProxyHeader):
    """A header whose refusal is logged."""

    __slots__ = ("sender",)

    sender: str

    def feed(self, data: bytes) -> int:
        try:
            return super().feed(data)
        except BadProxyHeader as error:
            _log.info("refused: %s: %s", self.sender, error)
            raise


def origin_of(server: "HttpServer", conn: Connection) -> tuple[Forwarded, bool]:
    """The origin of a connection that has brought no header."""
    peer = server.peer(conn)
    proxies = server.proxies
    is_believed = False
    if proxies is not None and proxies.headers:
        is_believed = proxies.trusts(_name(conn) if peer is None else peer.host)
    return Forwarded(peer, _scheme(server.is_tls), None), is_believed


def origin_told(server: "HttpServer", conn: Connection, header: ProxyHeader) -> None:
    """Note the origin of a connection that has brought a header."""
    exchange: Exchange = conn.data
    source, proxies = header.source, server.proxies
    assert proxies is not None
    if source is not None:
        exchange.peer = source
    sender = Forwarded(server.peer(conn), _scheme(server.is_tls or header.is_tls), None)
    is_believed = source is not None and bool(proxies.headers) and proxies.trusts(source.host)
    exchange.origin = sender, is_believed


def _name(conn: Connection) -> str:
    """The address of who has connected, by which he is trusted."""
    if conn.family == socket.AF_UNIX:
        return UNIX
    peer = peer_of(conn)
    return "somebody who has gone" if peer is None else peer.host


def _scheme(is_tls: bool) -> str:
    return "https" if is_tls else "http"
