"""The listening sockets of a server: opened before the fork, held by the parent.

With ``SO_REUSEPORT`` every worker has a queue of its own, and the kernel spreads connections over
them; the parent holds them all, so that a worker's death loses nobody who waits (socket(7)).
With one shared socket, whoever is free takes the next connection.
"""

import errno
import socket

_BACKLOG = 1024


class CannotListen(OSError):
    """The address cannot be had; `strerror` names it, and says what to do."""


def open_sockets(host: str, port: int, count: int, *, shared: bool) -> list[socket.socket]:
    """Bind and listen: `count` sockets on one port, or one if it is shared.

    Port 0 takes any free one, the same for all.
    Raises `CannotListen`, which names the address; nothing is left open then.
    """
    opened: list[socket.socket] = []
    try:
        if shared:
            opened.append(_bind(host, port, reuse_port=False))
        else:
            # SO_REUSEPORT would let a second server of the same user in silently: ask without it.
            _bind(host, port, reuse_port=False).close()
            for _ in range(count):
                sock = _bind(host, port, reuse_port=True)
                opened.append(sock)
                port = sock.getsockname()[1]
        for sock in opened:
            sock.listen(_BACKLOG)
    except BaseException:
        for sock in opened:
            sock.close()
        raise
    return opened


def _bind(host: str, port: int, *, reuse_port: bool) -> socket.socket:
    try:
        family, kind, proto, _, address = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except OSError as error:  # socket.gaierror
        raise _explained(error, host, port) from error
    sock = socket.socket(family, kind, proto)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if reuse_port:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.bind(address)
    except OSError as error:
        sock.close()
        raise _explained(error, host, port) from error
    return sock


def _explained(error: OSError, host: str, port: int) -> CannotListen:
    hints = {
        errno.EADDRINUSE: "another program listens there; stop it, or choose another port",
        errno.EACCES: "ports below 1024 need a privilege; choose a higher one",
        errno.EADDRNOTAVAIL: "this machine has no such address",
    }
    hint = hints.get(error.errno or 0, "")
    return CannotListen(
        error.errno,
        f"cannot listen at {host}:{port}: {error.strerror}" + (f" ({hint})" if hint else ""),
    )
