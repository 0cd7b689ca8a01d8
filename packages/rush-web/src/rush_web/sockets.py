"""The listening sockets of a server: opened before the fork, held by the parent.

With ``SO_REUSEPORT`` every worker has a queue of its own, and the kernel spreads connections over
them; the parent holds them all, so that a worker's death loses nobody who waits (socket(7)).
With one shared socket, whoever is free takes the next connection.
"""

import socket

from epollserver import bind

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
            opened.append(bind((host, port)))
        else:
            opened.append(_only_one(host, port))
            port = opened[0].getsockname()[1]
            for _ in range(count - 1):
                opened.append(bind((host, port), reuse_port=True))
        for sock in opened:
            sock.listen(_BACKLOG)
    except BaseException as error:
        for sock in opened:
            sock.close()
        if isinstance(error, OSError):
            raise CannotListen(error.errno, error.strerror) from error
        raise
    return opened


def _only_one(host: str, port: int) -> socket.socket:
    """Return a socket that listens where no other server does, and lets more of ours in.

    SO_REUSEPORT alone would let a second server of the same user in silently.  Without it listen(2)
    fails if anybody listens there; with it from then on, only sockets that have it can join.
    """
    sock = bind((host, port))
    try:
        sock.listen(_BACKLOG)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    except OSError as error:
        sock.close()
        raise OSError(error.errno, f"cannot listen at {host}:{port}: {error.strerror}") from error
    return sock
