"""Who must be told of a fork: no thread survives it, and no descriptor should be shared by it.

    before            every cache ends its threads; then closes its descriptors, and holds its lock
    in the parent     every cache is unlocked; its thread starts again when it is used
    in the child      every cache gets new locks; the same

Hooks, so that a hit need not ask whose process this is.

A fork waits for every thread of a cache but the one that forks.  A callback may fork as well, in
such a thread; when two do at the same moment, neither waits for the other: a thread that is about
to fork stands at the gate, where it holds nothing that a child could miss.  Who passes the gate
looks again, as the other one may have forked meanwhile, and work on.
"""

# logging is imported first: hooks run before a fork in reverse order, so ours come before the
# one by which logging takes its locks, for which a thread that we wait for may be waiting.
import logging  # noqa: F401
import os
import threading
from collections.abc import Collection
from itertools import count
from typing import Protocol
from weakref import WeakKeyDictionary


class Forkable(Protocol):
    """What wants to be told; its methods must not raise."""

    def halt(self) -> None:
        """End every thread but this one, and let none begin until the fork is over."""

    def wait_until_quiet(self, forking: Collection[threading.Thread]) -> None:
        """After `halt`: wait for the end of all threads but this one, and those in `forking`."""

    def is_quiet(self, forking: Collection[threading.Thread]) -> bool:
        """Whether there is nobody to wait for."""

    def stir(self) -> None:
        """Have those who wait look again at who is forking."""

    def before_fork(self) -> None:
        """Close what must not be shared, and take the locks; it was halted."""

    def after_fork_in_parent(self) -> None:
        """Give back the locks."""

    def after_fork_in_child(self) -> None:
        """Make new locks."""


class _Forks:
    def __init__(self) -> None:
        self._numbers = count()
        self._known: WeakKeyDictionary[Forkable, int] = WeakKeyDictionary()
        self._gate = threading.RLock()  # one fork at a time, and nobody new meanwhile
        self._told: list[Forkable] = []
        self._forking: list[threading.Thread] = []  # those before the gate; twice: from a signal

    def tell(self, one: Forkable) -> None:
        with self._gate:
            self._known[one] = next(self._numbers)

    def before(self) -> None:
        self._forking.append(threading.current_thread())
        for one in list(self._known):
            one.stir()
        halted: list[Forkable] = []
        while not self._shut_gate_if_quiet(halted):
            for one in list(self._known):
                if one not in halted:
                    one.halt()
                    halted.append(one)
            for one in halted:  # the gate is open: a thread that we wait for may want it
                one.wait_until_quiet(self._forking)
        self._told = halted
        # Always in the same order, as each of them takes a lock.
        for one in sorted(halted, key=self._known.__getitem__):
            one.before_fork()

    def _shut_gate_if_quiet(self, halted: list[Forkable]) -> bool:
        self._gate.acquire()
        if all(one in halted and one.is_quiet(self._forking) for one in list(self._known)):
            return True
        self._gate.release()
        return False

    def after_in_parent(self) -> None:
        told, self._told = self._told, []
        try:
            for one in told:
                one.after_fork_in_parent()
        finally:
            self._forking.remove(threading.current_thread())
            self._gate.release()

    def after_in_child(self) -> None:
        told, self._told = self._told, []
        self._gate = threading.RLock()
        self._forking.clear()
        for one in told:
            one.after_fork_in_child()


_forks = _Forks()
os.register_at_fork(
    before=_forks.before,
    after_in_parent=_forks.after_in_parent,
    after_in_child=_forks.after_in_child,
)


def tell_of_forks(one: Forkable) -> None:
    """Tell `one` of every fork from now on, as long as it lives; it is not kept alive."""
    _forks.tell(one)
