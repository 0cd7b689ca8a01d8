"""Workers: the processes that serve, as their parent sees them and as they see their parent.

Each has a socket pair with its parent: the worker says what has become of it (`News`), the parent
what it is to do (`Order`).  Both come one by one, in order (``SOCK_SEQPACKET``).
"""

import contextlib
import enum
import faulthandler
import os
import re
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterable, Iterator

from epollserver import READ, Loop

from .slots import Slot, Slots

_MOST_SOCKETS = 64  # in one order: a queue at each address
MOST_TROUBLE_BYTES = 16 * 1024
"""How much is told of what is wrong with a newer version."""

_OF_A_STACK = re.compile(r"(Current thread|Thread|  File) ")
# Where a worker begins: what is below that was the parent's.
_FORKED = re.compile(r'  File ".*crew\.py", line [0-9]+ in _become')


class Order(enum.IntEnum):
    """What the parent tells a worker to do."""

    TAKE = 1
    """Serve the queue of that number as well; its sockets come with the order."""
    LEAVE = 2
    """Leave that to its own worker again."""
    RETIRE = 3
    """Accept no more, and end when those who are there have been served."""
    REOPEN = 4
    """Open log files anew."""
    TROUBLE = 5
    """Tell the pages that a newer version cannot begin; the text that follows says why."""


class News(enum.IntEnum):
    """What a worker tells its parent."""

    READY = 1
    """It serves."""
    WORN = 2
    """It has served long enough: another one should take its place."""


Obey = Callable[[Order, int, list[socket.socket]], object]


class Link:
    """A worker's end of the connection to its parent."""

    def __init__(self, number: int, sock: socket.socket, slot: Slot, slots: Slots) -> None:
        self.number = number
        """Which worker this is, from 0; its queue has the same number."""
        self.slot = slot
        """Where it says what it does; its parent reads it."""
        self.slots = slots
        """What all of them say."""
        self.told = False  # whether the parent knows that this worker serves
        self.on_trouble: Callable[[str], object] = _nobody
        """Called with what is wrong with a newer version; in development."""
        self._socket = sock

    def ready(self, loop: Loop, obey: Obey) -> None:
        """Tell the parent that this worker serves; orders go to ``obey(order, queue, sockets)``."""

        def readable(ready: int) -> None:
            message, descriptors, _, _ = socket.recv_fds(
                self._socket, 2 + MOST_TROUBLE_BYTES, _MOST_SOCKETS
            )
            sockets = [socket.socket(fileno=descriptor) for descriptor in descriptors]
            if message and message[0] == Order.TROUBLE:
                self.on_trouble(message[2:].decode("utf-8", "ignore"))  # it may be cut
            elif message:
                obey(Order(message[0]), message[1], sockets)
            else:
                signal.raise_signal(signal.SIGKILL)  # the parent is gone, or has given it up

        self._socket.setblocking(False)
        loop.watch(self._socket.fileno(), READ, readable)
        self.tell(News.READY)
        self.told = True

    def tell(self, news: News) -> None:
        """Tell the parent what has become of this worker."""
        self._socket.send(bytes((news,)))


class Worker:
    """A worker process as its parent sees it, from before its fork until it is reaped."""

    def __init__(self, number: int, slot: Slot) -> None:
        self.number = number
        self.slot = slot
        self.pid = 0
        self.ready = False
        self.retired = False
        self.hung = False
        self.started = time.monotonic()
        self._crash = os.memfd_create("rush-crash")
        try:
            self._ours, self._theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        except OSError:
            os.close(self._crash)
            raise
        self._ours.setblocking(False)  # a worker that hangs must not hold its parent

    def __str__(self) -> str:
        return f"worker {self.number + 1} (pid {self.pid})"

    # In the worker

    def become(self, others: Iterable["Worker"], slots: Slots) -> Link:
        """Be this worker, after the fork."""
        for other in others:
            other.close()
        self._ours.close()
        # Whatever kills it from within, the stack is where the parent can read it.
        faulthandler.enable(self._crash)
        return Link(self.number, self._theirs, self.slot, slots)

    # In the parent

    def forked(
        self,
        pid: int,
        loop: Loop,
        heard: Callable[["Worker", News], object],
        lost: Callable[["Worker"], object],
    ) -> None:
        """It lives, and its news go to ``heard(worker, news)``; ``lost(worker)``: no more come."""
        self.pid = pid
        self._theirs.close()

        def readable(ready: int) -> None:
            with contextlib.suppress(ConnectionError):
                message = self._ours.recv(1)
                if message:
                    heard(self, News(message[0]))
                    return
            loop.unwatch(self._ours.fileno())
            lost(self)

        loop.watch(self._ours.fileno(), READ, readable)

    def order(
        self,
        order: Order,
        queue: int = 0,
        sockets: Iterable[socket.socket] = (),
        text: bytes = b"",
    ) -> None:
        """Tell it what to do."""
        descriptors = [sock.fileno() for sock in sockets]
        with contextlib.suppress(OSError):  # it is dying, or hangs: the parent will see
            socket.send_fds(self._ours, [bytes((order, queue)), text], descriptors)

    def signal(self, signum: int) -> None:
        """Send it a signal."""
        os.kill(self.pid, signum)

    def stack(self) -> str:
        """Where it was when it died of a signal from within, or of SIGABRT; perhaps nothing."""
        text = os.pread(self._crash, 1 << 16, 0).decode("utf-8", "replace")
        return "\n".join(_own_part(line for line in text.splitlines() if _OF_A_STACK.match(line)))

    def reaped(self, loop: Loop) -> None:
        """Leave nothing of it."""
        with contextlib.suppress(ValueError):  # its end was seen before
            loop.unwatch(self._ours.fileno())
        self.close()

    def close(self) -> None:
        """Close what belongs to it; closing twice does nothing."""
        self._ours.close()
        self._theirs.close()
        if self._crash >= 0:
            os.close(self._crash)
            self._crash = -1


def _own_part(stack: Iterable[str]) -> Iterator[str]:
    """The frames of a worker, of each of its threads."""
    own = True
    for line in stack:
        own = not line.startswith(" ") or (own and not _FORKED.match(line))
        if own:
            yield line


def how_it_ended(code: int) -> str:
    """How a process has ended, in words; a realtime signal has no name."""
    if code >= 0:
        return f"exited with {code}"
    try:
        return f"was killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"was killed by signal {-code}"


def _nobody(text: str) -> None:
    """Before there is somebody to tell."""


def flush() -> None:
    """Write what is in the buffers of the standard streams."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:  # so it is if it was closed when the program began
            with contextlib.suppress(OSError, ValueError):  # closed since, or nobody reads it
                stream.flush()
