"""Peer: who is at the other end of a connection."""

import socket
from typing import NamedTuple


class Peer(NamedTuple):
    """The address of a client: ``host, port = server.peer(conn)``."""

    host: str
    """An IP address as text, without a scope."""
    port: int


def peer_of(sock: socket.socket) -> Peer | None:
    """The peer of a connection; ``None`` of a UNIX socket, and if the peer has gone."""
    try:
        name = sock.getpeername()
    except OSError:
        return None
    # A UNIX socket's is text or bytes; that of IPv6 has four items.
    return Peer(name[0].partition("%")[0], name[1]) if isinstance(name, tuple) else None
