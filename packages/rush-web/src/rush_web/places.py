"""Places: where each worker of a crew belongs, with a queue of its own.

    WANTED ──one worker less──▶ SPARE     its queue has a deputy for good
      ▲ └──a reload──▶ CEDED              its queue is another program's
      └────one more, or a reload that failed────┘

As long as a place has no worker that serves, the worker of another one, its deputy, serves its
queue as well: nobody who waits there is lost.
"""

import enum
import time
from collections.abc import Callable, Iterator

from epollserver import Loop, Timer

from .sockets import Sockets
from .worker import Order, Worker

# A worker that lives longer than this was well; what kills it then is no start that fails.
_WELL_SECONDS = 5.0
_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 10.0
_DOUBLINGS = 10  # more than it takes to get there
# What kills a worker that has served is a request, not its start: others must not wait long.
_MOST_FAILURES_AFTER_SERVING = 3


class Duty(enum.Enum):
    """What is to happen in a place."""

    WANTED = enum.auto()
    SPARE = enum.auto()
    CEDED = enum.auto()


class Place:
    """A place, who is there, and what is due there."""

    def __init__(self, number: int, duty: Duty) -> None:
        self.number = number
        self.duty = duty
        self.forked = False
        """Whether any worker ever was there."""
        self.worker: Worker | None = None
        self.next: Worker | None = None
        """Who is to replace it, and is starting."""
        self.restart: Timer | None = None
        self.renewal: Timer | None = None
        self.deputy: Worker | None = None
        """Who serves its queue meanwhile."""
        self._failures = 0  # deaths in a row soon after a start

    @property
    def serves(self) -> bool:
        """Whether its own worker serves."""
        return self.worker is not None and self.worker.ready

    def failed(self, worker: Worker | None = None) -> None:
        """Count a death, or a fork that failed."""
        if worker is not None and time.monotonic() - worker.started >= _WELL_SECONDS:
            self._failures = 0
            return
        self._failures += 1
        if worker is not None and worker.ready:
            self._failures = min(self._failures, _MOST_FAILURES_AFTER_SERVING)

    @property
    def failing(self) -> bool:
        """Whether the next start should wait."""
        return self._failures > 1

    def later(self, loop: Loop, callback: Callable[[], object]) -> Timer:
        """Call back after a pause that doubles with each failure."""
        doublings = max(0, min(self._failures - 2, _DOUBLINGS))
        return loop.call_later(min(_FIRST_PAUSE * 2.0**doublings, _LONGEST_PAUSE), callback)

    def leave(self, duty: Duty) -> list[Worker]:
        """Forget what is due, and who is there: they are returned."""
        self.duty = duty
        for timer in (self.restart, self.renewal):
            if timer is not None:
                timer.cancel()
        self.restart = self.renewal = None
        workers = [worker for worker in (self.worker, self.next) if worker is not None]
        self.worker = self.next = None
        return workers


class Places:
    """The places of a crew, `count` of them wanted; there is one for each queue at least."""

    def __init__(self, count: int, sockets: Sockets) -> None:
        self._sockets = sockets
        self._places = [
            Place(number, Duty.WANTED if number < count else Duty.SPARE)
            for number in range(max(count, sockets.rows))
        ]

    def __getitem__(self, number: int) -> Place:
        return self._places[number]

    def __iter__(self) -> Iterator[Place]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)

    @property
    def wanted(self) -> list[Place]:
        """Those that should have a worker."""
        return [place for place in self._places if place.duty is Duty.WANTED]

    def add(self) -> Place:
        """Want one more, with queues of its own.  Raises `OSError` if those cannot be had."""
        number = len(self.wanted)
        self._sockets.add_row(number)
        if number == len(self._places):
            self._places.append(Place(number, Duty.WANTED))
        self._places[number].duty = Duty.WANTED
        return self._places[number]

    def appoint_deputies(self) -> None:
        """See to it that every queue is served, or will be at once, if any worker serves."""
        ready = [place.worker for place in self._places if place.worker and place.worker.ready]
        for orphan in self._places:
            queue = self._sockets.row(orphan.number)
            if (
                orphan.worker is not None
                or orphan.deputy is not None
                or orphan.duty is Duty.CEDED
                or not (queue and ready)
            ):
                continue
            busy = [place.deputy for place in self._places]
            orphan.deputy = min(ready, key=busy.count)
            orphan.deputy.order(Order.TAKE, orphan.number, queue)

    def dismiss_deputy(self, place: Place) -> None:
        """Its own worker serves again."""
        if place.deputy is not None:
            place.deputy.order(Order.LEAVE, place.number)
            place.deputy = None

    def replace_deputy(self, worker: Worker) -> None:
        """Appoint others in place of one who goes."""
        for place in self._places:
            if place.deputy is worker:
                place.deputy = None
        self.appoint_deputies()
