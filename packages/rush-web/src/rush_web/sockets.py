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
            # SO_REUSEPORT would let a second server of the same user in silently: ask without it.
            bind((host, port)).close()
            for _ in range(count):
                sock = bind((host, port), reuse_port=True)
                opened.append(sock)
                port = sock.getsockname()[1]
        for sock in opened:
            sock.listen(_BACKLOG)
    except BaseException as error:
        for sock in opened:
            sock.close()
        if isinstance(error, OSError):
            raise CannotListen(error.errno, error.strerror) from error
        raise
    return opened
