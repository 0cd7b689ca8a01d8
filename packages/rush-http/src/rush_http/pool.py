"""Pool: a bounded number of threads, and a bounded number of tasks that wait for one."""

import contextlib
import logging
import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from time import monotonic

_log = logging.getLogger("rush_http")


class Pool:
    """Runs tasks in at most `threads` threads; at most `queue` tasks wait for one.

    A thread is made when a task comes and none is idle, and stays.  To be made after a fork: no
    thread survives one.  Whoever makes a pool closes it.
    """

    # A queue in C: with a condition a request in a thread takes a tenth more CPU time
    # (tests/bench/rush-web/wsgi_servers.py -a threads).

    def __init__(self, threads: int, queue: int) -> None:
        self._most_threads = threads
        self._most_waiting = queue
        self._threads: list[threading.Thread] = []
        self._tasks: SimpleQueue[Callable[[], object] | None] = SimpleQueue()
        self._idle = 0  # threads that are idle, less the tasks that wait for one
        self._running: dict[int, tuple[float, Callable[[], object]]] = {}
        self._closed = False
        self._lock = threading.Lock()
        self._all_idle = threading.Condition(self._lock)

    def has_room(self) -> bool:
        """Whether one more task is taken; that stays so until there is one more."""
        room = self._idle + self._most_waiting + self._most_threads - len(self._threads)
        return room > 0 and not self._closed

    def submit(self, task: Callable[[], object]) -> bool:
        """Run `task` in a thread soon; ``False``: it never will, for there is no room.

        What it raises is logged.
        """
        with self._lock:
            if not self.has_room():
                return False
            if self._idle <= 0 and len(self._threads) < self._most_threads:
                name = f"rush-{len(self._threads) + 1}"
                # A daemon: a task that never ends must not hold the process when all else has.
                thread = threading.Thread(target=self._work, name=name, daemon=True)
                self._threads.append(thread)
                self._idle += 1  # now: it may take its time to begin
                thread.start()
            self._idle -= 1
            self._tasks.put(task)
        return True

    def running(self) -> dict[int, tuple[float, Callable[[], object]]]:
        """What runs now: the thread's ident to when it began (`time.monotonic`), and the task."""
        return self._running.copy()

    def close(self, seconds: float = 0.0) -> bool:
        """Drop the tasks that wait, and give those that run so many `seconds` to end.

        Returns whether all of them have.  Not from a task.
        """
        with self._lock:
            self._closed = True
            with contextlib.suppress(Empty):
                while self._tasks.get_nowait() is not None:
                    self._idle += 1
            for _ in self._threads:
                self._tasks.put(None)
            ended = self._all_idle.wait_for(lambda: self._idle == len(self._threads), seconds)
        for thread in self._threads if ended else ():
            thread.join()  # it has nothing left to do
        return ended

    def _work(self) -> None:
        ident = threading.get_ident()
        while (task := self._tasks.get()) is not None:
            self._running[ident] = monotonic(), task
            try:
                task()
            except BaseException:  # a thread that ended would be missed by those that wait
                _log.exception("a task in a thread failed: %r", task)
            del task, self._running[ident]  # while this waits, nothing of a request is kept
            with self._lock:
                self._idle += 1
                if self._closed:
                    self._all_idle.notify_all()
