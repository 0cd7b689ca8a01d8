r"""Addresses: from what a user names to a bound socket.

("127.0.0.1", 7000), ("::1", 7000)   one address
("::", 7000)                         every address, IPv6 and IPv4 (dual stack)
("", 7000)                           every IPv4 address
"/run/chat.sock"                     a UNIX socket; "\0name" an abstract one (unix(7))
a socket                             bound by somebody else: systemd, a parent process
"""

import contextlib
import errno
import os
import socket
import stat

Address = tuple[str, int] | str | socket.socket
"""Where to listen: ``(host, port)``, the path of a UNIX socket, or a bound socket."""

_HINTS = {
    errno.EADDRINUSE: "stop who listens there, or take another (port 0: any free one)",
    errno.EACCES: "this needs a privilege; ports from 1024 do not",
    errno.EADDRNOTAVAIL: "this machine has no such address",
}

_FIRST_INHERITED = 3  # sd_listen_fds(3)


def bind(address: tuple[str, int] | str, *, reuse_port: bool = False) -> socket.socket:
    """Return a new socket that is bound to `address`, and does not listen yet.

    `reuse_port` sets ``SO_REUSEPORT`` (not for UNIX sockets).  The socket file of a program
    that has ended without removing it is replaced; one that somebody listens at is not.
    Raises `OSError` that names the address and says what to do, `TypeError` or `ValueError` for
    what is no address; nothing is left open then.
    """
    if isinstance(address, str):
        return _bind_path(address)
    try:
        host, port = address
    except (TypeError, ValueError):
        raise TypeError(
            f"an address is (host, port), a path (str) or a socket, not {address!r:.80}"
        ) from None
    if not isinstance(port, int) or not 0 <= port <= 65535:
        raise ValueError(f"port is {port!r:.80}: it must be a number from 0 to 65535")
    try:
        infos = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except socket.gaierror as error:
        raise socket.gaierror(
            error.errno, f"cannot listen at host {host!r:.80}: {error.strerror}"
        ) from error
    family, *_, name = infos[0]
    return _bound(family, name, reuse_port=reuse_port)


def inherited_sockets() -> list[socket.socket]:
    """The listening sockets that systemd has opened for this process; none without it.

    They are the caller's to close.  The variables ``LISTEN_FDS`` and ``LISTEN_PID`` are removed,
    and the descriptors are not passed on to programs that this one starts (sd_listen_fds(3)).
    """
    pid, count = os.environ.pop("LISTEN_PID", ""), os.environ.pop("LISTEN_FDS", "")
    os.environ.pop("LISTEN_FDNAMES", None)
    if pid != str(os.getpid()) or not count.isdecimal():
        return []
    descriptors = range(_FIRST_INHERITED, _FIRST_INHERITED + int(count))
    for fd in descriptors:
        os.set_inheritable(fd, False)
    return [socket.socket(fileno=fd) for fd in descriptors]


class SocketFile:
    """The file of a bound UNIX socket, to be removed with it; of any other socket, nothing."""

    def __init__(self, sock: socket.socket) -> None:
        path = sock.getsockname() if sock.family == socket.AF_UNIX else b""
        self._path = path if isinstance(path, str) else ""  # bytes: an abstract name
        self._identity = self._look()

    def remove(self) -> None:
        """Remove the file, unless somebody has put another in its place."""
        if self._identity is not None and self._look() == self._identity:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._path)

    def _look(self) -> tuple[int, int] | None:
        with contextlib.suppress(OSError):
            status = os.lstat(self._path)
            return status.st_dev, status.st_ino
        return None


def _bind_path(path: str) -> socket.socket:
    try:
        return _bound(socket.AF_UNIX, path)
    except OSError as error:
        if error.errno != errno.EADDRINUSE or not _is_stale(path):
            raise
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    return _bound(socket.AF_UNIX, path)


def _is_stale(path: str) -> bool:
    """Whether a socket file is there at which nobody listens any more."""
    try:
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            return False
    except FileNotFoundError:
        return True  # it has gone this moment
    with socket.socket(socket.AF_UNIX) as probe:
        probe.setblocking(False)  # a full queue is not stale: EAGAIN
        return probe.connect_ex(path) == errno.ECONNREFUSED


def _bound(
    family: int, name: tuple[str | int | bytes, ...] | str, *, reuse_port: bool = False
) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        if family != socket.AF_UNIX:
            # Ports of connections in TIME_WAIT do not count as used (socket(7)).
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if reuse_port:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            # Whatever net.ipv6.bindv6only says; only "::" stands for IPv4 as well.
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, name[0] != "::")
        sock.bind(name)
    except OSError as error:
        sock.close()
        raise _explained(error, name) from error
    except BaseException:
        sock.close()
        raise
    return sock


def _explained(error: OSError, name: tuple[str | int | bytes, ...] | str) -> OSError:
    hint = _HINTS.get(error.errno or 0, "")
    shown = repr(name) if isinstance(name, str) else _host_and_port(name)
    if isinstance(name, str) and error.errno == errno.EADDRINUSE:
        hint = "remove the file if nobody listens there any more"
    return OSError(
        error.errno or errno.EINVAL,  # a path that is too long has none
        f"cannot listen at {shown:.80}: {error.strerror or error}" + (f"; {hint}" if hint else ""),
    )


def _host_and_port(name: tuple[str | int | bytes, ...]) -> str:
    host, port, *_ = name
    return f"[{host!s}]:{port!s}" if ":" in str(host) else f"{host!s}:{port!s}"
