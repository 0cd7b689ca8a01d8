"""The listening sockets of a server: opened before the fork, held by the parent.

With ``SO_REUSEPORT`` every worker has a queue of its own, and the kernel spreads connections over
them; the parent holds them all, so that a worker's death loses nobody who waits (socket(7)).
A queue is never closed while the server runs: who waits in it would be reset.
With one shared socket, whoever is free takes the next connection.  UNIX sockets, and those that
systemd has opened, are always shared.

A program that is executed anew (see reload.py) gets the sockets of the one before, each with the
name of the address that it was opened for; it opens only what is new.
"""

import os
import socket
from collections.abc import Iterable, Sequence

from epollserver import SocketFile, bind, inherited_sockets

_BACKLOG = 1024

Named = tuple[str, socket.socket]
"""A listening socket, and the address it was opened for as `Sockets` names it."""

FROM_SYSTEMD = "systemd"
"""The name of sockets that were opened by somebody else, whatever their addresses are."""


class CannotListen(OSError):
    """The address cannot be had; `strerror` names it, and says what to do."""


def parse_address(text: str) -> tuple[str, int] | str:
    """``"127.0.0.1:80"``, ``"[::1]:80"`` or ``"unix:/run/x.sock"`` as `epollserver.bind` has it.

    Raises `ValueError` for anything else.
    """
    if text.startswith("unix:"):
        path = text.removeprefix("unix:")
        if path:
            return "\0" + path[1:] if path.startswith("@") else path
    host, colon, port = text.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        colon = ""  # an IPv6 address without brackets: where does its port begin?
    if not colon or not port.isdecimal() or int(port) > 65535:
        raise ValueError(
            f"{text!r} is no address: write 127.0.0.1:8000, [::1]:8000 or unix:/run/x.sock"
        )
    return host, int(port)


def addresses_of(bind: Sequence[str], host: str, port: int) -> "list[tuple[str, int] | str]":
    """The addresses that these three options mean, as `epollserver.bind` has them."""
    if bind:
        return [parse_address(address) for address in bind]
    return [parse_address(host) if host.startswith("unix:") else (host, port)]


def parse_addresses(text: str) -> tuple[str, ...]:
    """Addresses as `parse_address` reads them, with commas between them."""
    addresses = tuple(address.strip() for address in text.split(","))
    for address in addresses:
        parse_address(address)
    return addresses


def shown_address(sock: socket.socket, scheme: str = "http") -> str:
    """Where a socket listens, as a URL or ``unix:PATH``."""
    name = sock.getsockname()
    if sock.family == socket.AF_UNIX:
        path = os.fsdecode(name)
        return f"unix:{'@' + path[1:] if path.startswith(chr(0)) else path}"
    host, port = name[:2]
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}/"


class Sockets:
    """Listening sockets at `addresses`; `shared` or a queue for each of `count` workers.

    Those that systemd has handed over are taken in place of all addresses, those in `handed`
    (name to sockets) for their address; what nobody asks for is closed.  `owner` (user and group
    ids) gets the files of new UNIX sockets.  Port 0 takes any free one, the same for all workers.
    Raises `CannotListen`, which names the address; nothing is left open then.
    """

    def __init__(
        self,
        addresses: Sequence[tuple[str, int] | str],
        count: int,
        *,
        shared: bool,
        status: tuple[str, int] | None = None,
        handed: Iterable[Named] = (),
        owner: tuple[int, int] = (-1, -1),
    ) -> None:
        self.status: list[Named] = []
        """For pages on what the server does, if they have a port of their own; all workers'."""
        self.shared: list[Named] = []
        """Every worker listens to these."""
        self.queues: dict[str, list[socket.socket]] = {}
        """By address: the one with the number of a worker is its own."""
        self.files = SocketFiles()
        known: dict[str, list[socket.socket]] = {}
        for name, sock in handed:
            known.setdefault(name, []).append(sock)
        given = inherited_sockets() or known.pop(FROM_SYSTEMD, [])
        self.shared += [(FROM_SYSTEMD, sock) for sock in given]
        try:
            for address in () if given else addresses:
                self._open(address, count, shared, known, owner)
            if status is not None:
                name = "status of {}:{}".format(*status)
                self.status.append((name, (known.pop(name, []) or [bind(status)])[0]))
            for _, sock in self.held():
                sock.listen(_BACKLOG)
        except BaseException as error:
            self.close()
            self.files.remove()
            if isinstance(error, OSError):
                raise CannotListen(error.errno, error.strerror) from error
            raise
        finally:
            for sock in (sock for socks in known.values() for sock in socks):
                sock.close()

    def _open(
        self,
        address: tuple[str, int] | str,
        count: int,
        shared: bool,
        known: dict[str, list[socket.socket]],
        owner: tuple[int, int],
    ) -> None:
        name = address if isinstance(address, str) else "{}:{}".format(*address)
        if name in self.queues or any(name == other for other, _ in self.shared):
            raise CannotListen(0, f"cannot listen at {name} twice")
        socks = known.pop(name, [])
        if isinstance(address, str):
            if not socks:
                socks = [bind(address)]
                self.files.add(socks[0])
                if not address.startswith("\0") and owner != (-1, -1):
                    os.chown(address, *owner)
            self.shared.append((name, socks[0]))
        elif shared:
            self.shared += [(name, sock) for sock in socks or [bind(address)]]
        else:
            queues = self.queues[name] = socks or [_only_one(*address)]
            for sock in queues:  # a shared one, if that has changed, is without
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            self.add_row(count - 1)

    def add_row(self, number: int) -> None:
        """See to it that there is a queue of that number at each address.  Raises `OSError`."""
        for queues in self.queues.values():
            while len(queues) <= number:
                sock = bind(queues[0].getsockname()[:2], reuse_port=True)
                queues.append(sock)
                sock.listen(_BACKLOG)

    @property
    def rows(self) -> int:
        """How many queues there are at an address."""
        return max(map(len, self.queues.values()), default=0)

    def row(self, number: int) -> list[socket.socket]:
        """The queues of this number; at some addresses there may be fewer."""
        return [queues[number] for queues in self.queues.values() if number < len(queues)]

    def of_worker(self, number: int) -> list[socket.socket]:
        """All that the worker of this number listens to."""
        return [*self.row(number), *(sock for _, sock in self.shared)]

    def served(self) -> list[Named]:
        """All but that for `status`."""
        own = [(name, sock) for name, socks in self.queues.items() for sock in socks]
        return own + self.shared

    def held(self) -> list[Named]:
        """All of them."""
        return self.served() + self.status

    def keep_only(self, number: int) -> None:
        """In a worker: close the queues of the others."""
        for queues in self.queues.values():
            for other, sock in enumerate(queues):
                if other != number:
                    sock.close()

    def close(self) -> None:
        """Close them all; who waits is refused if these are the last copies."""
        close_all(self.held())


class SocketFiles:
    """The files of UNIX sockets: removed when the server ends, unless they are others' by then."""

    def __init__(self) -> None:
        self._files: dict[str, SocketFile] = {}

    def add(self, sock: socket.socket) -> None:
        """Remove the file of this socket in the end; of one that has none, nothing."""
        if sock.family == socket.AF_UNIX:
            self._files[os.fsdecode(sock.getsockname())] = SocketFile(sock)

    def keep(self, sockets: Iterable[Named]) -> None:
        """Have the files of exactly these sockets; those of others are removed now."""
        before, self._files = self._files, {}
        for name, sock in sockets:
            if name != FROM_SYSTEMD:
                self.add(sock)
        for path, file in before.items():
            if path not in self._files:
                file.remove()

    def remove(self) -> None:
        """Remove them all."""
        self.keep(())

    def forget(self) -> None:
        """Leave them to another process."""
        self._files.clear()


def close_all(sockets: Iterable[Named]) -> None:
    """Close named sockets."""
    for _, sock in sockets:
        sock.close()


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
