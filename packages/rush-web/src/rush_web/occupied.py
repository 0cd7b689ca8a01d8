"""Occupied: who listens at an address that cannot be had, and which one can."""

import contextlib
import errno
import os
import socket
from collections.abc import Iterable, Iterator, Sequence

_LISTENS = "0A"  # tcp_states.h: TCP_LISTEN
_PORTS_TRIED = 100
_FIRST_PORT_OF_ALL = 1024
_MOST_CHARACTERS = 100


def advice(error: OSError, addresses: Iterable[tuple[str, int] | str]) -> list[str]:
    """What helps where `addresses` cannot be listened at: lines, none if nothing is known."""
    ports = [address[1] for address in addresses if not isinstance(address, str)]
    if error.errno == errno.EADDRINUSE:
        return [line for port in ports if port for line in _about(port)]
    if error.errno == errno.EACCES and any(0 < port < _FIRST_PORT_OF_ALL for port in ports):
        return [
            "ports below 1024 are root's: take --port 8080,",
            "or let all have them: sysctl net.ipv4.ip_unprivileged_port_start=80",
        ]
    return []


def _about(port: int) -> Iterator[str]:
    pids = listeners(port)
    if pids is None:
        return
    if pids:
        more = f", and {len(pids) - 1} more of its kind" if len(pids) > 1 else ""
        yield f"port {port} is taken by {_command(pids[0])} (pid {pids[0]}){more}"
    else:
        yield f"port {port} is taken by a process of another user"
    free = next_free(port)
    if free is not None:
        yield f"the next one that is free: --port {free}"


def listeners(port: int) -> list[int] | None:
    """The processes that listen at a TCP port, by number, as far as this user may see them.

    ``None`` if nobody listens there.
    """
    inodes = set(_inodes(port))
    if not inodes:
        return None
    wanted = {f"socket:[{inode}]" for inode in inodes}
    pids = (int(name) for name in os.listdir("/proc") if name.isdigit())
    return [pid for pid in sorted(pids) if wanted & set(_descriptors(pid))]


def next_free(port: int) -> int | None:
    """The first port above `port` where nobody listens, of the next hundred."""
    for number in range(port + 1, min(port + _PORTS_TRIED, 65535) + 1):
        with socket.socket() as sock, contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind(("", number))
            return number
    return None


def _inodes(port: int) -> Iterator[str]:
    """The sockets that listen at a port: proc_pid_net(5)."""
    for table in ("tcp", "tcp6"):
        with contextlib.suppress(OSError), open(f"/proc/net/{table}") as lines:
            for line in lines:
                fields: Sequence[str] = line.split()
                if fields[3] == _LISTENS and int(fields[1].rpartition(":")[2], 16) == port:
                    yield fields[9]


def _descriptors(pid: int) -> Iterator[str]:
    with contextlib.suppress(OSError):  # it has ended, or is another user's
        for name in os.listdir(f"/proc/{pid}/fd"):
            with contextlib.suppress(OSError):
                yield os.readlink(f"/proc/{pid}/fd/{name}")


def _command(pid: int) -> str:
    """The command line of a process, cut where it is long; nothing in it moves a cursor."""
    with contextlib.suppress(OSError), open(f"/proc/{pid}/cmdline", "rb") as line:
        text = line.read(4096).decode("utf-8", "replace").replace("\0", " ").strip()
        text = "".join(letter if letter.isprintable() else "?" for letter in text)
        if text:
            return text if len(text) <= _MOST_CHARACTERS else f"{text[:_MOST_CHARACTERS]}..."
    return "a process"
