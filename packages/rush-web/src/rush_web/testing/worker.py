"""Worker: a server that works while somebody waits for it, in his own thread."""

import contextlib
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from itertools import count
from types import FrameType

from rush_http import HttpServer, Peer

from .failures import Failures
from .wire import Wire

# A connection that ends is told of in the turn after next.
_TURNS = 3
# The loop's own timer is to be first: this one is for what does not come back to the loop.
_ALARM_DELAY = 0.25
_AGAIN = 1.0
# Of the first connection, as its handlers are told; such as the kernel gives to clients.
_FIRST_PORT = 49152


class Worker:
    """What `made` gives, driven turn by turn.  Whoever makes it closes it."""

    def __init__(self, made: AbstractContextManager[HttpServer], timeout: float) -> None:
        self.failures = Failures()
        """What went wrong while it worked."""
        self.timeout = timeout
        self._stack = contextlib.ExitStack()
        self._server = self._stack.enter_context(made)
        self._loop = self._server.epoll.loop
        self._running = self._closed = False
        self._ports = count(_FIRST_PORT)

    def connect(self) -> Wire:
        """A new connection to the server."""
        self._check()
        theirs, ours = socket.socketpair()
        wire = Wire(self._loop, ours, self._loop.stop)
        self._stack.callback(wire.close)
        with self.failures:
            conn = self._server.epoll.adopt(theirs)
            conn.data.peer = Peer("127.0.0.1", next(self._ports))
        return wire

    def run(self, done: Callable[[], bool], what: str, *, every: float | None = None) -> None:
        """Work until ``done()``, which is asked when something has come, or `every` few seconds.

        Raises `TimeoutError` that names `what`.
        """
        late: list[bool] = []
        with self._at_work():
            timers = [self._loop.call_later(self.timeout, lambda: late.append(True))]
            timers.append(self._loop.call_later(self.timeout, self._loop.stop))
            try:
                while not done():
                    if late:
                        raise TimeoutError(f"{what} within {self.timeout:g} s (timeout=)")
                    if every is not None:
                        timers.append(self._loop.call_later(every, self._loop.stop))
                    self._loop.run()
            finally:
                for timer in timers:
                    timer.cancel()

    def turn(self) -> None:
        """Work on what is there now; wait for nothing."""
        with self._at_work():
            for _ in range(_TURNS):
                self._loop.call_soon(self._loop.stop)
                self._loop.run()

    def close(self) -> None:
        """End the server as it would end.  Closing twice does nothing."""
        self._closed = True
        with self.failures:
            self._stack.close()

    @contextlib.contextmanager
    def _at_work(self) -> Iterator[None]:
        self._check()
        self._running = True
        try:
            with self.failures, _alarm(self.timeout):
                yield
        finally:
            self._running = False

    def _check(self) -> None:
        if self._running:
            raise RuntimeError("a handler cannot wait for its own server: it would wait for itself")
        if self._closed:
            raise RuntimeError("this client is closed: make another")


@contextlib.contextmanager
def _alarm(seconds: float) -> Iterator[None]:
    """Raise `TimeoutError` in whatever is at work then, and again each second, until it ends.

    In the main thread, where nobody else uses the signal; elsewhere this is nothing.
    """
    if (
        threading.current_thread() is not threading.main_thread()
        or signal.getsignal(signal.SIGALRM) is not signal.SIG_DFL
    ):
        yield
        return

    def ring(signum: int, frame: FrameType | None) -> None:
        raise TimeoutError(f"this takes longer than {seconds:g} s (timeout=)")

    signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds + _ALARM_DELAY, _AGAIN)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
