"""Raw clients: plain blocking sockets that give up after `PATIENCE` seconds, never silently."""

import contextlib
import os
import signal
import socket
import struct
import subprocess
import sys

PATIENCE = 20.0


def connect(address):
    """A blocking client of a TCP address or of the path of a UNIX socket."""
    if isinstance(address, str):
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(PATIENCE)
        sock.connect(address)
        return sock
    return socket.create_connection(address, timeout=PATIENCE)


def read_exactly(sock, count):
    """The next `count` bytes."""
    data = bytearray()
    while len(data) < count:
        piece = sock.recv(min(count - len(data), 1 << 20))
        if not piece:
            raise EOFError(f"the end after {len(data)} of {count} bytes: {bytes(data)[-80:]!r}")
        data += piece
    return bytes(data)


def read_to_end(sock):
    """Everything until the other side closes."""
    data = bytearray()
    while piece := sock.recv(1 << 20):
        data += piece
    return bytes(data)


def echoed(address):
    """What comes back of a ``hello`` to a server that echoes."""
    with connect(address) as client:
        client.sendall(b"hello")
        client.shutdown(socket.SHUT_WR)
        return read_to_end(client)


def fill(conn):
    """Write to a connection whose peer does not read until something waits; returns how much."""
    written = 0
    while not conn.queued:
        conn.write(bytes(65536))
        written += 65536
    return written


def reset(sock):
    """Close a TCP connection by RST."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


@contextlib.contextmanager
def running(*arguments, stop=signal.SIGTERM):
    """A Python program as a process of its own, ended by `stop`: with status 0, quietly.

    `process.stdout` is text; the program says there where it listens.  What is left of it at
    the end is in `process.output`.
    """
    process = subprocess.Popen(
        [sys.executable, *map(os.fspath, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:  # closes the pipes, waits
        try:
            yield process
            process.send_signal(stop)
            process.output, errors = process.communicate(timeout=PATIENCE)
            assert not errors, errors
            assert process.returncode == 0, process.returncode
        finally:
            process.kill()
