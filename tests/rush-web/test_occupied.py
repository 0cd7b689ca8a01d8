"""Who listens at a port that cannot be had."""

import errno
import os
import socket

from rush_web.occupied import advice, listeners, next_free

TAKEN = OSError(errno.EADDRINUSE, "in use")
DENIED = OSError(errno.EACCES, "denied")


def test_who_listens_and_what_is_free():
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port = sock.getsockname()[1]
        assert listeners(port) == [os.getpid()]
        free = next_free(port)
        assert free is None or free > port
        who, *_ = advice(TAKEN, [("127.0.0.1", port)])
        assert who.startswith(f"port {port} is taken by ")
        assert who.endswith(f"(pid {os.getpid()})")
    assert listeners(port) is None
    assert advice(TAKEN, [("127.0.0.1", port)]) == []


def test_what_else_cannot_be_had():
    assert "--port 8080" in advice(DENIED, [("127.0.0.1", 80)])[0]
    assert advice(DENIED, ["/run/x.sock"]) == []
    assert advice(TAKEN, ["/run/x.sock", ("127.0.0.1", 0)]) == []
    assert advice(OSError(errno.EADDRNOTAVAIL, "no"), [("10.0.0.1", 80)]) == []
