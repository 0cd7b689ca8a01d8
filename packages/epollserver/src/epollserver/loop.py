"""The loop: waits on epoll(7) and calls back.

One thread owns a loop.  A turn of it is::

    poll ──▶ the callbacks of every ready descriptor ──▶ call_soon ──▶ timers ──▶ poll ...

**Descriptors are reused.**  While a batch of events is worked through, a callback may close a
descriptor whose own event is still waiting in the batch, and whatever opens next (an accept, a
handler's own socket) gets the same number.  So a new registration takes effect when the batch
is over: until then an event for its number can only be the old one's, and finds nobody.  Level
triggering reports what is really there in the next turn.

**After fork** the child shares the parent's epoll instance: what it changes there, it changes for
the parent.  The child calls `Loop.close`, which only closes descriptors, and makes its own.
"""

import sys

if sys.platform != "linux":
    raise ImportError(f"epollserver needs Linux: epoll(7) is not there on {sys.platform}")

import contextlib
import heapq
import itertools
import logging
import os
import select
import signal
import threading
from collections import deque
from collections.abc import Callable
from time import monotonic
from types import FrameType

from .descriptors import DescriptorLost

_LONGEST_WAIT = 86_400.0  # seconds

READ = select.EPOLLIN
"""For `Loop.watch`: there is something to read, be it the end."""
WRITE = select.EPOLLOUT
"""For `Loop.watch`: there is room to write."""

_log = logging.getLogger("epollserver")


class Timer:
    """A call that is due at `when` (seconds of the monotonic clock), until it is cancelled."""

    __slots__ = ("_callback", "_loop", "when")

    def __init__(self, loop: "Loop", when: float, callback: Callable[[], object]) -> None:
        self.when = when
        self._loop = loop
        self._callback: Callable[[], object] | None = callback

    def cancel(self) -> None:
        """Forget the call.  Cancelling twice, or too late, does nothing."""
        if self._callback is not None:
            self._callback = None
            self._loop._timer_cancelled()

    def _take(self) -> Callable[[], object] | None:
        callback, self._callback = self._callback, None
        return callback


class Loop:
    """Calls back when a descriptor is ready, a time has come, or another thread asks for it.

    Everything but `call_soon_threadsafe` and `stop` belongs to the thread that runs the loop.
    A callback that raises is logged with its traceback; the loop goes on.
    Whoever makes a loop closes it; it is a context manager.
    """

    def __init__(self) -> None:
        self.now = monotonic()
        """The monotonic clock in seconds, read once per turn: a clock that costs nothing."""
        self._epoll = select.epoll()
        self._callbacks: dict[int, Callable[[int], object]] = {}
        self._fresh: dict[int, Callable[[int], object]] = {}  # registered in this turn
        self._soon: list[Callable[[], object]] = []
        self._timers: list[tuple[float, int, Timer]] = []
        self._timer_numbers = itertools.count()
        self._cancelled = 0
        self._calls: deque[Callable[[], object]] = deque()  # from other threads
        self._wakes = False  # the loop has been woken, and has not yet looked at the calls
        self._takes_calls = True
        self._stopped = False
        self._closed = False
        self._signals: _Signals | None = None
        self._wake_lock = threading.RLock()
        self._wake_fd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self.watch(self._wake_fd, READ, self._woken)

    # Descriptors

    def watch(self, fd: int, events: int, callback: Callable[[int], object]) -> None:
        """Call ``callback(ready)`` every time `fd` becomes ready.

        `events` is ``READ``, ``WRITE`` or both; `ready` is the part of it that holds now, with
        ``EPOLLERR`` and ``EPOLLHUP`` as epoll_ctl(2) has them.
        Level-triggered: what a callback leaves unread, it is called for again.
        The descriptor stays the caller's: `unwatch` it before it is closed.
        Raises `ValueError` if `fd` is watched already, `OSError` as epoll_ctl(2) does.
        """
        if fd in self._callbacks or fd in self._fresh:
            raise ValueError(f"descriptor {fd} is watched already: unwatch() it first")
        self._epoll.register(fd, events)
        self._fresh[fd] = callback

    def rewatch(
        self, fd: int, events: int, callback: Callable[[int], object] | None = None
    ) -> None:
        """Wait for other `events` of `fd` from now on; 0 waits for errors and hang-ups only.

        With a `callback`, call that in place of the one before.
        """
        self._epoll.modify(fd, events)
        if callback is not None:
            (self._callbacks if fd in self._callbacks else self._fresh)[fd] = callback

    def unwatch(self, fd: int) -> bool:
        """Forget `fd`; an event of it that is still in the batch is dropped.

        Returns whether it was open still.  Raises `ValueError` if `fd` is not watched.
        """
        if self._callbacks.pop(fd, None) is None and self._fresh.pop(fd, None) is None:
            raise ValueError(f"descriptor {fd} is not watched")
        try:
            self._epoll.unregister(fd)
        except OSError as error:  # closed already: then the kernel has forgotten it
            _log.debug("unwatch(%d) comes after its close: %s", fd, error)
            return False
        return True

    def check(self, fd: int) -> None:
        """Raise `DescriptorLost` if `fd`, which is watched, was closed by somebody else."""
        try:
            self._epoll.register(fd, 0)  # changes nothing: it is there already
        except FileExistsError:
            return
        except OSError:
            pass
        else:
            self._epoll.unregister(fd)
        raise DescriptorLost(fd, "which the loop watches")

    def check_own(self) -> None:
        """Raise `DescriptorLost` if one of the loop's own descriptors was closed."""
        self.check(self._wake_fd)
        if self._signals is not None:
            self.check(self._signals.reader)

    # Time and calls

    def call_later(self, delay: float, callback: Callable[[], object]) -> Timer:
        """Call `callback` once, `delay` seconds from now; returns the `Timer`.

        A delay that is over already (negative) means the next turn.
        """
        timer = Timer(self, monotonic() + max(0.0, delay), callback)
        heapq.heappush(self._timers, (timer.when, next(self._timer_numbers), timer))
        return timer

    def call_soon(self, callback: Callable[[], object]) -> None:
        """Call `callback` when the present batch of events has been worked through."""
        self._soon.append(callback)

    def call_soon_threadsafe(self, callback: Callable[[], object]) -> bool:
        """Call `callback` in the loop's thread soon; the one call for other threads.

        ``False``: it will never be called, the loop has made its `last_calls` or is closed.
        """
        with self._wake_lock:
            if self._takes_calls:
                self._calls.append(callback)
                if not self._wakes:  # in this order: `_woken` looks the other way round
                    self._wakes = True
                    self._wake()
            return self._takes_calls

    def on_signal(self, signum: int, callback: Callable[[], object] | None) -> None:
        """Call `callback` as an ordinary callback when signal `signum` comes; ``None`` restores.

        Only in the main thread (`ValueError` elsewhere): Python has it so.  What was set before
        is restored by `close`, which belongs to the main thread as well then.
        """
        self._check_open()
        if self._signals is None:
            self._signals = _Signals(self)
        self._signals.set(signum, callback)

    # Running

    def run_soon(self) -> None:
        """Make the calls that `call_soon` was asked for; a turn ends with it.

        What they ask for in turn waits for the next time.
        """
        soon, self._soon = self._soon, []
        for callback in soon:
            self._call(callback)

    def last_calls(self) -> None:
        """Make the calls that are due still, from other threads too, which get ``False`` from now.

        For whoever is about to `close` a loop whose other threads wait for what they asked for.
        """
        with self._wake_lock:
            self._takes_calls = False
        self.run_soon()
        while self._calls:
            self._call(self._calls.popleft())
        self.run_soon()

    def run(self) -> None:
        """Work until `stop`.  Raises `RuntimeError` if the loop is closed."""
        self._check_open()
        poll, callbacks = self._epoll.poll, self._callbacks
        callback: Callable[[int], object] | None
        while not self._stopped:
            if self._fresh:
                callbacks.update(self._fresh)
                self._fresh.clear()
            batch = poll(self._wait() if self._timers or self._soon else None)
            self.now = monotonic()
            for fd, ready in batch:
                try:
                    callback = callbacks[fd]
                except KeyError:
                    continue  # unwatched earlier in this batch
                try:
                    callback(ready)
                except Exception:
                    _log.exception("callback of descriptor %d failed: %r", fd, callback)
            callback = None  # what has gone is not to live until the next event
            if self._soon:
                self.run_soon()
            if self._timers:
                self._run_timers()
        self._stopped = False

    def stop(self) -> None:
        """Let `run` return after its present turn.  From a callback, a signal, any thread."""
        self._stopped = True
        self._wake()

    def close(self) -> None:
        """Close the loop's own descriptors, restore the signals.  Closing twice does nothing.

        Nothing is called any more: see `last_calls`.
        Raises `ValueError`, and closes nothing, outside the main thread if `on_signal` was used.
        """
        if self._closed:
            return
        if self._signals is not None:
            self._signals.close()
        with self._wake_lock:
            self._closed = True
            self._takes_calls = False
            with contextlib.suppress(OSError):  # see `DescriptorLost`
                os.close(self._wake_fd)
        self._callbacks.clear()
        self._fresh.clear()
        self._epoll.close()

    def __enter__(self) -> "Loop":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _check_open(self) -> None:
        if self._closed:
            raise RuntimeError("this loop is closed: make another")

    def _wait(self) -> float:
        """Seconds until something is due."""
        if self._soon:
            return 0.0
        # epoll_wait(2) counts milliseconds in 32 bits: at most 24 days.
        return min(max(0.0, self._timers[0][0] - monotonic()), _LONGEST_WAIT)

    def _run_timers(self) -> None:
        while self._timers and self._timers[0][0] <= self.now:
            callback = heapq.heappop(self._timers)[2]._take()
            if callback is None:
                self._cancelled -= 1
            else:
                self._call(callback)

    def _timer_cancelled(self) -> None:
        # Dropped where it would wake the loop for nothing, and when more than half are such.
        self._cancelled += 1
        if self._cancelled > len(self._timers) // 2:
            self._timers = [entry for entry in self._timers if entry[2]._callback is not None]
            heapq.heapify(self._timers)
            self._cancelled = 0
        while self._timers and self._timers[0][2]._callback is None:
            heapq.heappop(self._timers)
            self._cancelled -= 1

    def _call(self, callback: Callable[[], object]) -> None:
        try:
            callback()
        except Exception:
            _log.exception("callback failed: %r", callback)

    def _wake(self) -> None:
        # The lock: once closed, the number may be somebody else's.  Reentrant: a signal's handler
        # may call stop() while its own thread is here.
        with self._wake_lock:
            if not self._closed:
                with contextlib.suppress(BlockingIOError):  # its counter is full: it will wake
                    os.eventfd_write(self._wake_fd, 1)

    def _woken(self, ready: int) -> None:
        os.eventfd_read(self._wake_fd)
        self._wakes = False
        for _ in range(len(self._calls)):
            self._call(self._calls.popleft())


class _Signals:
    """Signals as callbacks: the interpreter writes their numbers into a pipe (`set_wakeup_fd`)."""

    def __init__(self, loop: Loop) -> None:
        _check_main_thread()
        self._loop = loop
        self._callbacks: dict[int, Callable[[], object]] = {}
        self._before: dict[int, signal.Handlers | int | Callable[..., object] | None] = {}
        self.reader, self._writer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._wakeup_before = signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        loop.watch(self.reader, READ, self._readable)

    def set(self, signum: int, callback: Callable[[], object] | None) -> None:
        if callback is not None:
            before = signal.signal(signum, _nothing)
            self._before.setdefault(signum, before)
            self._callbacks[signum] = callback
        elif signum in self._callbacks:
            del self._callbacks[signum]
            signal.signal(signum, self._before.pop(signum) or signal.SIG_DFL)

    def close(self) -> None:
        _check_main_thread()
        for signum in list(self._callbacks):
            self.set(signum, None)
        signal.set_wakeup_fd(self._wakeup_before)
        os.close(self.reader)
        os.close(self._writer)

    def _readable(self, ready: int) -> None:
        for signum in os.read(self.reader, 4096):
            callback = self._callbacks.get(signum)
            if callback is not None:
                self._loop._call(callback)


def _check_main_thread() -> None:
    if threading.current_thread() is not threading.main_thread():
        raise ValueError("signals can only be set and restored in the main thread")


def _nothing(signum: int, frame: FrameType | None) -> None:
    """Be there, so that the interpreter writes the signal's number into the pipe."""
