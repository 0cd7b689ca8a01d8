"""Listening sockets: where connections come from, and when not to take them.

Accepting pauses when the server is full, and when accept(2) fails for want of descriptors or
memory: level-triggered, the loop would otherwise spin on a queue that it cannot empty.  It goes on
when a connection closes, and after `_RETRY_SECONDS` in any case: the want may be the system's.
What waits meanwhile waits in the kernel's queue.
"""

import errno
import functools
import logging
import os
import select
import socket
from collections.abc import Callable

from .addresses import Address, SocketFile, bind
from .descriptors import LOST, DescriptorLost
from .loop import READ, Loop, Timer

_log = logging.getLogger("epollserver")

# At most so many accepts in a row from one listener, then the others have their turn.
_BATCH = 64

# accept(2) reports errors of a connection that died in the queue: go on with the next one.
_PEER_GONE = {
    errno.ECONNABORTED,
    errno.EPERM,
    errno.EPROTO,
    errno.ENOPROTOOPT,
    errno.ENETDOWN,
    errno.ENONET,
    errno.ENETUNREACH,
    errno.EHOSTDOWN,
    errno.EHOSTUNREACH,
    errno.EOPNOTSUPP,
}
_RETRY_SECONDS = 1.0
_SILENT_SECONDS = 60.0  # it comes again with every connection that closes: one warning will do


Kind = tuple[int, int, int]


class Listeners:
    """Several listening sockets in one loop.

    `room()` tells how many more connections there is room for; `accepted(fd, kind)` takes the
    descriptor of each one, with the family, type and protocol of its socket.
    """

    def __init__(
        self,
        loop: Loop,
        room: Callable[[], int],
        accepted: Callable[[int, Kind], object],
        *,
        backlog: int,
        exclusive: bool,
        reuse_port: bool,
    ) -> None:
        self._loop = loop
        self._room = room
        self._accepted = accepted
        self._backlog = backlog
        self._reuse_port = reuse_port
        self._events = READ | (select.EPOLLEXCLUSIVE if exclusive else 0)
        self._sockets: dict[int, socket.socket] = {}
        self._own: dict[int, SocketFile] = {}
        self._accepting = False  # whether the loop watches them
        self._retry: Timer | None = None
        self._silent_until = 0.0

    def add(self, address: Address) -> socket.socket:
        """Listen at `address`, or with the bound socket given."""
        own = not isinstance(address, socket.socket)
        sock = (
            address
            if isinstance(address, socket.socket)
            else bind(address, reuse_port=self._reuse_port)
        )
        try:
            sock.setblocking(False)
            sock.listen(self._backlog)
            if sock.family in (socket.AF_INET, socket.AF_INET6):
                # Accepted sockets inherit it: one system call less for each of them.
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._accepting:
                self._watch(sock)
        except BaseException:
            if own:
                sock.close()
            raise
        self._sockets[sock.fileno()] = sock
        if own:
            self._own[sock.fileno()] = SocketFile(sock)
        return sock

    def remove(self, sock: socket.socket) -> None:
        """Accept no more from `sock`; closed if it was opened here."""
        # Not sock.fileno(): its owner may have closed it already.
        fd = next((fd for fd, known in self._sockets.items() if known is sock), None)
        if fd is None:
            raise ValueError(f"this server does not listen to {sock!r}")
        del self._sockets[fd]
        file = self._own.pop(fd, None)
        if self._accepting:
            self._loop.unwatch(fd)
        if file is not None:
            file.remove()
            sock.close()

    def take_waiting(self, sock: socket.socket | None = None) -> None:
        """Accept what the kernel has let in already: the end of a listener would reset it."""
        for listener in list(self._sockets.values()) if sock is None else [sock]:
            kind = listener.family, listener.type, listener.proto
            while self._room() > 0:
                try:
                    fd = _accept_descriptor(listener)
                except OSError as error:
                    if error.errno in _PEER_GONE:
                        continue
                    break  # the queue is empty, or nothing is to be had
                self._accepted(fd, kind)

    def clear(self) -> None:
        """Accept no more at all."""
        for sock in list(self._sockets.values()):
            self.remove(sock)

    def check(self) -> None:
        """Raise `DescriptorLost` if somebody else has closed one."""
        for fd, sock in self._sockets.items():
            if self._accepting and sock.fileno() == fd:
                self._loop.check(fd)

    def address(self) -> tuple[str, int] | str:
        """Where the first one listens."""
        for sock in self._sockets.values():
            name = sock.getsockname()
            return name[:2] if isinstance(name, tuple) else os.fsdecode(name)
        raise RuntimeError("this server listens nowhere: listen() gives it an address")

    def resume(self) -> None:
        """Accept, if there is room; does nothing while accepting."""
        if not self._accepting and self._room() > 0:
            self._accepting = True
            for fd, sock in list(self._sockets.items()):
                try:
                    self._watch(sock)
                except (OSError, ValueError):  # its owner has closed it, perhaps this moment
                    del self._sockets[fd]
                    self._own.pop(fd, None)

    def _pause(self) -> None:
        if self._accepting:
            self._accepting = False
            for fd in self._sockets:
                self._loop.unwatch(fd)

    def _watch(self, sock: socket.socket) -> None:
        kind = sock.family, sock.type, sock.proto
        accept = functools.partial(self._accept, sock, kind)
        self._loop.watch(sock.fileno(), self._events, accept)

    def _accept(self, listener: socket.socket, kind: Kind, ready: int) -> None:
        number = listener.fileno()
        for _ in range(_BATCH):
            if self._room() <= 0:
                self._pause()
            if not self._accepting or self._sockets.get(number) is not listener:
                return  # full, or a handler for CONNECT has removed this listener
            try:
                fd = _accept_descriptor(listener)
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in _PEER_GONE:
                    continue
                if error.errno in LOST and listener.fileno() == number:
                    # Not closed for epoll(7) where another process has it: it would be told again.
                    raise DescriptorLost(number, "a listener") from error
                if self._loop.now >= self._silent_until:
                    self._silent_until = self._loop.now + _SILENT_SECONDS
                    _log.warning("accepting pauses for up to %g s: %s", _RETRY_SECONDS, error)
                self._pause()
                if self._retry is not None:
                    self._retry.cancel()
                self._retry = self._loop.call_later(_RETRY_SECONDS, self.resume)
                return
            self._accepted(fd, kind)


def _accept_descriptor(listener: socket.socket) -> int:
    """accept(2): return the new descriptor.

    What `socket.accept` does without the socket that it makes: a Connection is made of the
    descriptor at once, 3 of 29 us less for each (tests/bench/epollserver/accepting.py).
    """
    fd: int = listener._accept()[0]  # type: ignore[attr-defined]
    return fd
