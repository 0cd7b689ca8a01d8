"""Crew: the workers of one program, each in its place; who dies is replaced.

The first worker goes alone: if it cannot start, the others could not either, so the log says it
once, and the server stops.  They follow when it serves.

A worker that dies is replaced at once; one that dies again and again soon after its start, after a
pause that doubles each time.  A worker that is to be replaced while it is well (it is worn) retires
when the new one serves.
"""

import gc
import logging
import os
import random
import signal
import time
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from epollserver import Loop

from .blackbox import doing, last_words
from .hung import HungWatch
from .places import Duty, Place, Places
from .slots import DRAINING, PENDING, READY, Slots
from .sockets import Sockets, shown_address
from .worker import Link, News, Order, Worker, flush, how_it_ended

_log = logging.getLogger("rush_web")

_MOST_WORKERS = 255  # a number is one byte of an order
_MOST_PROCESSES = 1024  # with those that have retired, and still serve who is there

# Those who are worn at the same time are not to be replaced at the same time.
JITTER = 0.2

# A worker whose end of the link is closed should be dead by then.
_DEAF_SECONDS = 1.0

# Exit statuses of a worker, and of the whole server.
START_FAILED = 3
_CRASHED = 1

SIGNALS = {
    *(signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD),
    *(signal.SIGTTIN, signal.SIGTTOU, signal.SIGUSR1),
}
"""What the parent acts on."""


class Events(NamedTuple):
    """What a crew tells its owner."""

    serves: Callable[[int], object]
    """The worker of that number serves."""
    all_serve: Callable[[], object]
    """All workers serve for the first time."""
    cannot_start: Callable[[], object]
    """No worker could start, or one of those that come one by one."""
    gone: Callable[[], object]
    """No worker is left, of a crew that has finished."""


class Crew:
    """Runs ``serve(link)`` in `count` processes.

    `serve` is called in each worker, which ends when it returns; ``close_parents()`` is called
    there before, for what only the parent may have.  `one_by_one`: a worker is forked when the one
    before it serves, and all of them must be able to.  `grace` is how long, in seconds, a worker
    may take to end; it is killed then.  `timeout`: so long may it be busy with one request.
    `lifetime`: so long does it live, and a random part of it longer.  `slots`: those of the program
    before, which serves as long as this one does not.
    """

    def __init__(
        self,
        serve: Callable[[Link], object],
        count: int,
        events: Events,
        *,
        loop: Loop,
        sockets: Sockets,
        close_parents: Callable[[], object],
        grace: float,
        one_by_one: bool = False,
        timeout: float | None = None,
        lifetime: float | None = None,
        slots: Slots | None = None,
    ) -> None:
        self._serve = serve
        self._events = events
        self._loop = loop
        self._sockets = sockets
        self._close_parents = close_parents
        self._grace = grace
        self._one_by_one = one_by_one
        self._lifetime = lifetime
        self._watch: HungWatch | None = None
        if timeout is not None:
            self._watch = HungWatch(loop, timeout, lambda: self._workers, self._end)
        self._places = Places(count, sockets)
        self._workers: list[Worker] = []  # also those that have retired
        self.slots = Slots(_MOST_PROCESSES) if slots is None else slots
        """What the workers say of themselves."""
        self._shares_slots = slots is not None
        first = next((sock for _, sock in sockets.served()), None)
        self._address = "" if first is None else shown_address(first)
        self._served = False  # whether any worker ever got that far
        self._all_served = False
        self._finished = False
        self._describe()
        if one_by_one and slots is None:
            self.slots.phase = READY  # the server has been so before this program came

    @property
    def alive(self) -> bool:
        """Whether any worker lives."""
        return bool(self._workers)

    # What the owner wants

    def start(self) -> None:
        """Fork the first worker.  Raises `OSError` if that cannot be done."""
        gc.collect()
        gc.freeze()  # the workers share these pages; a collection would copy them
        self._places[0].worker = self._fork(self._places[0])
        if self._watch is not None:
            self._watch.look()

    def more(self) -> None:
        """One worker more."""
        try:
            if len(self._places.wanted) >= _MOST_WORKERS:
                raise OSError(0, f"{_MOST_WORKERS} are the most")
            place = self._places.add()
        except OSError as error:
            _log.error("there cannot be another worker: %s", error.strerror)
            return
        self._start(place)
        self._describe()
        _log.info("one worker more: %d", len(self._places.wanted))

    def fewer(self) -> None:
        """One worker less, if that leaves one."""
        wanted = self._places.wanted
        if len(wanted) < 2:
            _log.warning("one worker less would be none: it stays")
            return
        self._leave(wanted[-1], Duty.SPARE)
        self._describe()
        _log.info("one worker less: %d", len(wanted) - 1)
        self._say_if_all_serve()  # it may have been the only one that did not

    def cede(self, number: int) -> None:
        """Leave a queue to another program: the worker retires, and nobody replaces it."""
        if number < len(self._places):
            self._leave(self._places[number], Duty.CEDED)

    def restore(self) -> None:
        """The other program has failed: serve again what was ceded to it."""
        for place in self._places:
            if place.duty is Duty.CEDED:
                place.duty = Duty.WANTED
                self._start(place)
        self._describe()

    def finish(self) -> None:
        """Let all workers retire; the owner hears when they are gone."""
        self._finished = True
        for place in self._places:
            self._leave(place, Duty.CEDED)
        self._say_if_gone()

    def reopen(self) -> None:
        """Let all workers open their log files anew."""
        for worker in self._workers:
            worker.order(Order.REOPEN)

    def tell_trouble(self, text: bytes) -> None:
        """Let all workers tell their pages."""
        for worker in self._workers:
            worker.order(Order.TROUBLE, text=text)

    def stop(self, signum: int, *, replaced: bool = False) -> None:
        """Send all workers this signal; none is replaced from now on.

        `replaced`: another program serves, so the server does not drain.
        """
        self._finished = True
        if not (replaced or self._shares_slots):
            self.slots.phase = DRAINING
        for place in self._places:
            place.leave(Duty.CEDED)
        for worker in self._workers:
            worker.signal(signum)
        self._say_if_gone()

    def kill(self) -> None:
        """End those who are left."""
        for worker in self._workers:
            _log.warning("%s is killed", worker)
            worker.signal(signal.SIGKILL)

    def reap(self) -> None:
        """See who has died: at SIGCHLD."""
        for worker in list(self._workers):
            pid, status = os.waitpid(worker.pid, os.WNOHANG)
            if pid:
                self._died(worker, os.waitstatus_to_exitcode(status))
        if self._finished:
            self._say_if_gone()

    def close(self) -> None:
        """Leave nothing, however the owner ends."""
        for place in self._places:
            place.leave(Duty.CEDED)
        for worker in self._workers:
            worker.signal(signal.SIGKILL)
            os.waitpid(worker.pid, 0)
            worker.reaped(self._loop)
        self._workers.clear()
        self.slots.close()
        gc.unfreeze()

    def _describe(self) -> None:
        """Say what the server is; of a program that is to be the server, when it is."""
        if self._all_served or not self._shares_slots:
            self.slots.describe(self._address, len(self._places.wanted))

    def _say_if_gone(self) -> None:
        if not self._workers:
            self._events.gone()

    # Workers come

    def _start(self, place: Place) -> None:
        """Fork; try again later if the machine has no room for another process just now."""
        place.restart = None
        try:
            place.worker = self._fork(place)
        except OSError as error:
            _log.error("worker %d cannot be forked: %s", place.number + 1, error)
            place.failed()
            self._start_later(place)

    def _start_later(self, place: Place) -> None:
        place.restart = place.later(self._loop, partial(self._start, place))
        self._places.appoint_deputies()

    def _fork(self, place: Place) -> Worker:
        slot = self.slots.take(place.number, again=place.forked)
        try:
            worker = Worker(place.number, slot)
        except OSError:
            self.slots.give_back(slot)
            raise
        flush()  # what is written before the fork is written once
        # A signal in a young child would still be written to the parent's wake-up pipe.
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        try:
            pid = os.fork()
            if not pid:
                self._become(worker)  # never returns
        except OSError:
            worker.close()
            self.slots.give_back(slot)
            raise
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        place.forked = True
        self._workers.append(worker)
        worker.forked(pid, self._loop, self._heard, self._lost)
        return worker

    def _become(self, worker: Worker) -> None:
        """Be the worker, and end the process: nothing of the parent's is unwound here."""
        status = _CRASHED
        link: Link | None = None
        try:
            self._close_parents()
            link = worker.become(self._workers, self.slots)
            self._sockets.keep_only(worker.number)
            signal.signal(signal.SIGINT, signal.SIG_DFL)  # until it can end in good order
            # A closed terminal and log files that were moved away: the parent says what.
            for signum in (signal.SIGHUP, signal.SIGTTIN, signal.SIGTTOU, signal.SIGUSR1):
                signal.signal(signum, signal.SIG_IGN)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
            self._serve(link)
            status = 0
        except SystemExit as error:
            _log.error("worker %d: SystemExit(%r) was raised", worker.number + 1, error.code)
        except BaseException:
            _log.exception("worker %d failed", worker.number + 1)
        finally:
            if status and (link is None or not link.told):
                status = START_FAILED
            flush()
            os._exit(status)

    def _heard(self, worker: Worker, news: News) -> None:
        place = self._places[worker.number]
        if news is News.WORN:
            if worker is place.worker:
                self._renew(place)
        elif not self._finished and worker in (place.worker, place.next):
            worker.ready = True
            self._serves(place, worker)

    def _lost(self, worker: Worker) -> None:
        """A worker dies; if it does not, a handler has closed what is not its own."""
        self._loop.call_later(_DEAF_SECONDS, partial(self._end, worker))

    def _serves(self, place: Place, worker: Worker) -> None:
        """See what can be done now that this worker serves."""
        self._served = True
        if worker is place.next:
            before, place.worker, place.next = place.worker, worker, None
            if before is not None:
                self._retire(before)
        self._places.dismiss_deputy(place)
        if self._lifetime is not None:
            seconds = self._lifetime * (1 + JITTER * random.random())
            place.renewal = self._loop.call_later(seconds, partial(self._renew, place))
        for other in self._places.wanted:
            if other.worker is None and other.restart is None:
                self._start(other)  # for the first time
                if self._one_by_one:
                    break
        self._places.appoint_deputies()
        self._events.serves(place.number)
        self._say_if_all_serve()

    def _say_if_all_serve(self) -> None:
        if not self._all_served and all(other.serves for other in self._places.wanted):
            self._all_served = True
            self._describe()
            if self.slots.phase != DRAINING:  # the parent may have begun with that meanwhile
                self.slots.phase = READY
            self._one_by_one = False
            self._events.all_serve()

    def _renew(self, place: Place) -> None:
        """Let another worker take the place of one that is well."""
        if place.renewal is not None:
            place.renewal.cancel()
            place.renewal = None
        if place.duty is Duty.WANTED and place.next is None and place.worker is not None:
            try:
                place.next = self._fork(place)
            except OSError as error:
                _log.error("worker %d cannot be replaced: %s", place.number + 1, error)
                place.failed()
                self._renew_later(place)

    def _renew_later(self, place: Place) -> None:
        place.renewal = place.later(self._loop, partial(self._renew, place))

    # Workers go

    def _leave(self, place: Place, duty: Duty) -> None:
        """Have no worker there any more; of one that is not there yet, nothing is left to serve."""
        workers = place.leave(duty)
        self._places.appoint_deputies()
        for worker in workers:
            self._retire(worker)

    def _retire(self, worker: Worker) -> None:
        """Let a worker end in good order; who it has served as a deputy gets another."""
        worker.retired = True
        self._places.replace_deputy(worker)
        worker.order(Order.RETIRE)  # one that is just starting reads it as soon as it serves
        self._loop.call_later(self._grace, partial(self._end, worker))

    def _end(self, worker: Worker) -> None:
        if worker in self._workers:
            _log.warning("%s is killed: it does not end by itself", worker)
            worker.signal(signal.SIGKILL)

    def _died(self, worker: Worker, code: int) -> None:
        self._workers.remove(worker)
        self._tell_of_death(worker, code)
        worker.reaped(self._loop)
        self.slots.give_back(worker.slot)
        if worker.retired or self._finished:
            return
        place = self._places[worker.number]
        if code == START_FAILED and (not self._served or self._one_by_one):
            _log.error("no worker can start: the server stops")
            self._events.cannot_start()
            return
        was_next = worker is place.next
        if not was_next:
            place.worker = place.next
        place.next = None
        place.failed(worker)
        if place.worker is None:
            (self._start_later if place.failing else self._start)(place)
        elif was_next:
            self._renew_later(place)
        self._places.replace_deputy(worker)

    def _tell_of_death(self, worker: Worker, code: int) -> None:
        if not code and (self._finished or worker.retired):
            return
        if self._finished and doing(worker.slot) is None and not worker.slot.numbers[PENDING]:
            return  # nobody's request is lost by it
        lived = time.monotonic() - worker.started
        stack = worker.stack() if code < 0 else ""
        where = f"; it was at\n{stack}" if stack else ""
        words = last_words(worker.slot) or f"after {lived:.1f} s"
        _log.error("%s %s %s%s", worker, how_it_ended(code), words, where)
