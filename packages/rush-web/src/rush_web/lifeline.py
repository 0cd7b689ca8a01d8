"""A lifeline: no worker outlives its parent, whatever kills the parent.

The parent holds one end of a pipe, every worker the other.  When the parent is gone, the kernel
closes its end, and that is reported by a signal (``O_ASYNC`` with ``F_SETSIG``, fcntl(2)): a
worker that spins in a handler would never look at the pipe.  The signal is SIGKILL: nothing can
hold it up, and there is nobody left to report to.

Whom to signal is a property of the open file description, which a fork shares: the last worker to
say "me" would be the only one.  So each opens the pipe anew, through /proc, for a description of
its own.
"""

import fcntl
import os
import select
import signal


class Lifeline:
    """Made by the parent before it forks."""

    def __init__(self) -> None:
        self._reader, self._writer = os.pipe()

    def hold(self) -> None:
        """In a worker: die when the parent does."""
        self._reader = _die_at_its_end(self._reader)
        # Only now: were the parent dead already, this would be the last end, and its close the
        # event.
        os.close(self._writer)

    def leash(self) -> int:
        """A descriptor to be given to a program that is executed; the caller's.

        As soon as `tie` has its number, it dies when this process does; it has to `follow` as well,
        for this process may die before.
        """
        return _opened_anew(self._reader)

    def close(self) -> None:
        """In the parent, when all workers have ended."""
        os.close(self._reader)
        os.close(self._writer)


def tie(leash: int, pid: int) -> None:
    """Have a process that has been given this descriptor killed when this one dies."""
    fcntl.fcntl(leash, fcntl.F_SETOWN, pid)
    fcntl.fcntl(leash, _F_SETSIG, signal.SIGKILL)
    fcntl.fcntl(leash, fcntl.F_SETFL, fcntl.fcntl(leash, fcntl.F_GETFL) | os.O_ASYNC)


def follow(reader: int) -> int:
    """In a program that was given this end of another process's lifeline: die when that does.

    Returns the descriptor that stands for it; `reader` is closed.
    """
    own = _die_at_its_end(reader)
    poll = select.poll()
    poll.register(own, 0)
    if poll.poll(0):  # POLLHUP: it died before, and that is no event any more
        os.kill(os.getpid(), signal.SIGKILL)
    return own


def _die_at_its_end(reader: int) -> int:
    own = _opened_anew(reader)
    os.close(reader)
    tie(own, os.getpid())
    return own


def _opened_anew(reader: int) -> int:
    return os.open(f"/proc/self/fd/{reader}", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)


_F_SETSIG = 10  # asm-generic/fcntl.h; the standard library has no name for it
