"""What systemd is told: that the server is ready, reloads, stops, and that it is alive.

The protocol of sd_notify(3): a line for each fact, in a datagram to the socket that the variable
``NOTIFY_SOCKET`` names.  Without the variable nothing is sent.
"""

import contextlib
import os
import socket
import time

from epollserver import Loop


class Notify:
    """Takes the variables out of the environment: what is started from here is not to speak."""

    def __init__(self) -> None:
        self._address = os.environ.pop("NOTIFY_SOCKET", "")
        microseconds = os.environ.pop("WATCHDOG_USEC", "")
        pid = os.environ.pop("WATCHDOG_PID", str(os.getpid()))
        self._watchdog_seconds = 0.0
        if self._address and microseconds.isdecimal() and pid == str(os.getpid()):
            self._watchdog_seconds = int(microseconds) / 1e6

    def ready(self) -> None:
        """All workers serve; also at the end of a reload."""
        self._send("READY=1")

    def reloading(self) -> None:
        """A reload has begun."""
        microseconds = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        self._send(f"RELOADING=1\nMONOTONIC_USEC={microseconds}")

    def stopping(self) -> None:
        """The server has begun to stop."""
        self._send("STOPPING=1")

    def watch(self, loop: Loop) -> None:
        """Say again and again that `loop` runs, twice as often as is asked for."""
        if self._watchdog_seconds:
            self._send("WATCHDOG=1")
            loop.call_later(self._watchdog_seconds / 2, lambda: self.watch(loop))

    def _send(self, text: str) -> None:
        if not self._address:
            return
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.setblocking(False)  # nobody who does not read holds the server
            sock.sendto(text.encode(), address)
