"""The parent: forks workers, watches over them, replaces them, and stops them.

It never serves.  What belongs to whom:

* the listening sockets, the lifeline and the loop are the parent's; a worker inherits the sockets,
  and closes its copies of the rest;
* each worker has a socket pair with the parent (`Link`): the worker says that it is ready, the
  parent says whose queue is to be served as well while it has no worker of its own.

The first worker goes alone: if it cannot start, the others could not either, so the log says it
once, and the server stops.  They follow when it serves.

A worker that dies is replaced at once.  One that dies again and again soon after its start is
replaced after a pause that doubles each time, and another worker, its deputy, serves its queue
meanwhile: nobody who waits there is lost.
"""

import contextlib
import enum
import gc
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from functools import partial

from epollserver import READ, Loop, Timer

from .lifeline import Lifeline
from .slots import Slot, Slots

_log = logging.getLogger("rush_web")

# A worker that lives longer than this was well; what kills it then is no start that fails.
_WELL_SECONDS = 5.0
_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 10.0
_DOUBLINGS = 10  # more than it takes to get there
# What kills a worker that has served is a request, not its start: others must not wait long.
_MOST_FAILURES_AFTER_SERVING = 3
# Ctrl-C is for now: a worker that is busy with a handler is not waited for.
_QUICK_SECONDS = 1.0

# Exit statuses of a worker, and of the whole server.
START_FAILED = 3
_CRASHED = 1

# timeout(1) and others signal the process and its group: within this, it is the same signal.
_SAME_SIGNAL_SECONDS = 0.5

_SIGNALS = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD}


class Order(enum.IntEnum):
    """What the parent tells a worker to do with a queue."""

    TAKE = 1
    LEAVE = 2


class Link:
    """A worker's end of the connection to its parent."""

    def __init__(self, number: int, sock: socket.socket, slot: Slot) -> None:
        self.number = number
        """Which worker this is, from 0; its queue has the same number."""
        self.slot = slot
        """Where it says what it does; its parent reads it."""
        self.told = False  # whether the parent knows that this worker serves
        self._socket = sock

    def ready(self, loop: Loop, on_order: Callable[[Order, int], object]) -> None:
        """Tell the parent that this worker serves; its orders go to ``on_order(order, queue)``."""

        def readable(ready: int) -> None:
            message = self._socket.recv(2)
            if message:
                on_order(Order(message[0]), message[1])
            else:
                loop.unwatch(self._socket.fileno())  # the parent is gone: so is this worker, soon

        self._socket.setblocking(False)
        loop.watch(self._socket.fileno(), READ, readable)
        self._socket.send(b"ready")
        self.told = True


class _Worker:
    """The parent's view of one worker, and of those who take its place."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.pid = 0  # 0: there is none at present
        self.started = 0.0
        self.ready = False
        self.failures = 0  # deaths in a row soon after a start
        self.restart: Timer | None = None
        self.socket: socket.socket | None = None
        self.deputy: _Worker | None = None  # who serves its queue meanwhile


class Prefork:
    """Runs ``serve(link)`` in `count` processes until it is told to stop.

    `serve` is called in each worker, and the worker ends when it returns.  `shared`: the workers
    have one queue together, so none is ever orphaned.  `on_ready` is called in the parent when all
    workers serve for the first time, `on_stop` when they are told to end.  `grace` is how long,
    in seconds, a worker may take to end after SIGTERM; it is killed then.
    """

    def __init__(
        self,
        serve: Callable[[Link], object],
        count: int,
        *,
        grace: float,
        shared: bool = False,
        on_ready: Callable[[], object] | None = None,
        on_stop: Callable[[], object] | None = None,
    ) -> None:
        self._serve = serve
        self._on_stop = on_stop
        self._workers = [_Worker(number) for number in range(count)]
        self._grace = grace
        self._shared = shared
        self._on_ready = on_ready
        self._served = False  # whether any worker ever got that far
        self._stopping = False
        self._stopped = 0.0
        self._status = 0
        self._loop = Loop()
        self._lifeline = Lifeline()
        self._slots = Slots(count)

    def run(self) -> int:
        """Fork, supervise until SIGTERM or SIGINT, and return the exit status.

        0 after a signal; `START_FAILED` if the first worker could not even start.
        In the main thread only.  No worker is left when it returns or raises.
        Raises `OSError` if not even the first worker could be forked.
        """
        loop = self._loop
        try:
            # Soon, not now: of signals that came together the handlers run in any order, and a
            # worker that ended because the whole group was told to must not be replaced.
            loop.on_signal(signal.SIGCHLD, lambda: loop.call_soon(self._reap))
            loop.on_signal(signal.SIGTERM, partial(self._stop, signal.SIGTERM))
            if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as nohup(1) has it
                loop.on_signal(signal.SIGHUP, partial(self._stop, signal.SIGTERM))
            loop.on_signal(signal.SIGINT, partial(self._stop, signal.SIGINT))
            gc.collect()
            gc.freeze()  # the workers share these pages; a collection would copy them
            self._fork(self._workers[0])
            loop.run()
        finally:
            for worker in self._workers:
                if worker.pid:
                    os.kill(worker.pid, signal.SIGKILL)
                    os.waitpid(worker.pid, 0)
                if worker.socket is not None:
                    worker.socket.close()
            gc.unfreeze()
            loop.close()
            self._lifeline.close()
        return self._status

    # Workers come

    def _start(self, worker: _Worker) -> None:
        """Fork; try again later if the machine has no room for another process just now."""
        worker.restart = None
        try:
            self._fork(worker)
        except OSError as error:
            _log.error("worker %d cannot be forked: %s", worker.number + 1, error)
            worker.failures += 1
            self._start_later(worker)

    def _start_later(self, worker: _Worker) -> None:
        pause = min(_FIRST_PAUSE * 2 ** min(worker.failures - 2, _DOUBLINGS), _LONGEST_PAUSE)
        worker.restart = self._loop.call_later(pause, partial(self._start, worker))
        self._appoint_deputy(worker)

    def _fork(self, worker: _Worker) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._slots[worker.number].clear()
        _flush()  # what is written before the fork is written once
        # A signal in a young child would still be written to the parent's wake-up pipe.
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        try:
            pid = os.fork()
            if not pid:
                self._become(worker, ours, theirs)  # never returns
        except OSError:
            ours.close()
            raise
        finally:
            theirs.close()
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        ours.setblocking(False)  # a worker that hangs must not hold its parent
        worker.pid = pid
        worker.started = time.monotonic()
        worker.ready = False
        worker.socket = ours
        self._loop.watch(ours.fileno(), READ, lambda ready: self._heard(worker, ours))

    def _become(self, worker: _Worker, ours: socket.socket, theirs: socket.socket) -> None:
        """Be the worker, and end the process: nothing of the parent's is unwound here."""
        status = _CRASHED
        link = Link(worker.number, theirs, self._slots[worker.number])
        try:
            self._loop.close()
            self._lifeline.hold()
            ours.close()
            for other in self._workers:
                if other.socket is not None:
                    other.socket.close()
            signal.signal(signal.SIGINT, signal.SIG_DFL)  # until it can end in good order
            signal.signal(signal.SIGHUP, signal.SIG_IGN)  # a closed terminal: the parent says what
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
            self._serve(link)
            status = 0
        except SystemExit as error:
            _log.error("worker %d: SystemExit(%r) was raised", worker.number + 1, error.code)
        except BaseException:
            _log.exception("worker %d failed", worker.number + 1)
        finally:
            if status and not link.told:
                status = START_FAILED
            _flush()
            os._exit(status)

    def _heard(self, worker: _Worker, ours: socket.socket) -> None:
        """A worker serves; or its end was closed, which is `_reap`'s to see to."""
        with contextlib.suppress(ConnectionError):
            if ours.recv(16):
                worker.ready = True
                if not self._stopping:
                    self._serves(worker)
                return
        self._loop.unwatch(ours.fileno())

    def _serves(self, worker: _Worker) -> None:
        """See what can be done now that this worker serves."""
        self._served = True
        self._dismiss_deputy(worker)
        for other in self._workers:
            if other.pid:
                continue
            if other.restart is None:
                self._start(other)  # for the first time
            elif other.deputy is None:
                self._appoint_deputy(other)
        if self._on_ready is not None and all(one.ready for one in self._workers):
            on_ready, self._on_ready = self._on_ready, None
            on_ready()

    # Workers go

    def _reap(self) -> None:
        for worker in self._workers:
            if worker.pid:
                pid, status = os.waitpid(worker.pid, os.WNOHANG)
                if pid:
                    self._died(worker, os.waitstatus_to_exitcode(status))
        if self._stopping and not any(worker.pid for worker in self._workers):
            self._loop.stop()

    def _died(self, worker: _Worker, code: int) -> None:
        pid, worker.pid = worker.pid, 0
        lived = time.monotonic() - worker.started
        assert worker.socket is not None
        with contextlib.suppress(ValueError):  # its end was seen before
            self._loop.unwatch(worker.socket.fileno())
        worker.socket.close()
        worker.socket = None
        had_served, worker.ready = worker.ready, False
        if self._stopping:
            return
        what = f"worker {worker.number + 1} (pid {pid})"
        _log.error("%s %s after %.1f s", what, _how(code), lived)
        if code == START_FAILED and not self._served:
            _log.error("no worker can start: the server stops")
            self._status = START_FAILED
            self._stop(signal.SIGTERM)
            return
        for other in self._workers:
            if other.deputy is worker:
                other.deputy = None
                self._appoint_deputy(other)
        worker.failures = worker.failures + 1 if lived < _WELL_SECONDS else 0
        if had_served:
            worker.failures = min(worker.failures, _MOST_FAILURES_AFTER_SERVING)
        if worker.failures < 2:
            self._start(worker)
        else:
            self._start_later(worker)

    def _appoint_deputy(self, orphan: _Worker) -> None:
        """Let a worker that serves take over the queue of one that is not there, if any does."""
        if self._shared or orphan.deputy is not None:
            return
        for worker in self._workers:
            if worker.ready and worker is not orphan:
                self._order(worker, Order.TAKE, orphan)
                orphan.deputy = worker
                return

    def _dismiss_deputy(self, worker: _Worker) -> None:
        if worker.deputy is not None:
            self._order(worker.deputy, Order.LEAVE, worker)
            worker.deputy = None

    def _order(self, worker: _Worker, order: Order, queue: _Worker) -> None:
        if worker.socket is not None:
            with contextlib.suppress(OSError):  # it is dying: `_reap` will find another
                worker.socket.send(bytes((order, queue.number)))

    # The end

    def _stop(self, signum: int) -> None:
        """Tell the workers to end; the second time, make them."""
        if self._stopping:
            if self._loop.now - self._stopped > _SAME_SIGNAL_SECONDS:
                self._kill()
            return
        self._stopping = True
        self._stopped = self._loop.now
        if self._on_stop is not None:
            self._on_stop()
        for worker in self._workers:
            if worker.restart is not None:
                worker.restart.cancel()
            if worker.pid:
                os.kill(worker.pid, signum)
        if any(worker.pid for worker in self._workers):
            grace = self._grace if signum == signal.SIGTERM else _QUICK_SECONDS
            self._loop.call_later(grace, self._kill)
        else:
            self._loop.stop()

    def _kill(self) -> None:
        for worker in self._workers:
            if worker.pid:
                _log.warning("worker %d (pid %d) is killed", worker.number + 1, worker.pid)
                os.kill(worker.pid, signal.SIGKILL)


def _how(code: int) -> str:
    """How a process has ended, in words; a realtime signal has no name."""
    if code >= 0:
        return f"exited with {code}"
    try:
        return f"was killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"was killed by signal {-code}"


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:  # so it is if it was closed when the program began
            with contextlib.suppress(OSError, ValueError):  # closed since, or nobody reads it
                stream.flush()
