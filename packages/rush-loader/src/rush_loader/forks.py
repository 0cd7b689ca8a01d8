"""Who must be told of a fork: no thread survives it, and no descriptor should be shared by it.

    before            every cache ends its threads; then closes its descriptors, and holds its lock
    in the parent     every cache is unlocked; its thread starts again when it is used
    in the child      every cache gets new locks; the same

Hooks, so that a hit need not ask whose process this is.
"""

# logging is imported first: hooks run before a fork in reverse order, so ours come before the
# one by which logging takes its locks, for which a thread that we wait for may be waiting.
import logging  # noqa: F401
import os
import threading
from itertools import count
from typing import Protocol
from weakref import WeakKeyDictionary


class Forkable(Protocol):
    """What wants to be told; its methods must not raise."""

    def halt(self) -> None:
        """End every thread but this one, and let none begin until the fork is over."""

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

    def tell(self, one: Forkable) -> None:
        with self._gate:
            self._known[one] = next(self._numbers)

    def before(self) -> None:
        halted: list[Forkable] = []
        while new := self._shut_gate_unless_new(halted):
            for one in new:  # the gate is open: a thread that we wait for may want it
                one.halt()
            halted += new
        self._told = halted
        # Always in the same order, as each of them takes a lock.
        for one in sorted(halted, key=self._known.__getitem__):
            one.before_fork()

    def _shut_gate_unless_new(self, halted: list[Forkable]) -> list[Forkable]:
        self._gate.acquire()
        new = [one for one in list(self._known) if one not in halted]
        if new:
            self._gate.release()
        return new

    def after_in_parent(self) -> None:
        told, self._told = self._told, []
        try:
            for one in told:
                one.after_fork_in_parent()
        finally:
            self._gate.release()

    def after_in_child(self) -> None:
        told, self._told = self._told, []
        self._gate = threading.RLock()
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
