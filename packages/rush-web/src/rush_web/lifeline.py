"""A lifeline: no worker outlives its parent, whatever kills the parent.

The parent holds one end of a pipe, every worker the other.  When the parent is gone, the kernel
closes its end, and that is reported by a signal (``O_ASYNC`` with ``F_SETSIG``, fcntl(2)): a
worker that spins in a handler would never look at the pipe.  The signal is SIGKILL: nothing can
hold it up, and there is nobody left to report to.
"""

import fcntl
import os
import signal


class Lifeline:
    """Made by the parent before it forks."""

    def __init__(self) -> None:
        self._reader, self._writer = os.pipe()

    def hold(self) -> None:
        """In a worker: die when the parent does."""
        fcntl.fcntl(self._reader, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(self._reader, _F_SETSIG, signal.SIGKILL)
        flags = fcntl.fcntl(self._reader, fcntl.F_GETFL)
        fcntl.fcntl(self._reader, fcntl.F_SETFL, flags | os.O_ASYNC)
        # Only now: were the parent dead already, this would be the last end, and its close the
        # event.
        os.close(self._writer)

    def close(self) -> None:
        """In the parent, when all workers have ended."""
        os.close(self._reader)
        os.close(self._writer)


_F_SETSIG = 10  # asm-generic/fcntl.h; the standard library has no name for it
