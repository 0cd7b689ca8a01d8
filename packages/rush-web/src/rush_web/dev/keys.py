"""Keys: what the terminal is told by single keys while a server runs.

The terminal gives them at once and does not show them; that is a mode of the terminal's, which
outlives every process, so whoever has set it has to put the old one back::

    FREE ──watch──▶ OURS ◀──a look, a second later: in front, and its mode as it was── AWAY
      ▲               ├──somebody else set a mode, or is in front──▶───────────────────▲
      │               └──Ctrl-Z: the old mode back, stop, go on────▶───────────────────┘
      └──close (SIGTERM, an exception, the end)

*Somebody else* is a debugger in a handler, say: as long as the mode is not what was set here,
nothing is read, so that ``breakpoint()`` gets what is typed.  In the background nothing is read or
set either: SIGTTIN and SIGTTOU, which that would cost, mean something else to a server.
"""

import contextlib
import os
import signal
import sys
import termios
from collections.abc import Callable, Iterator, Mapping

from epollserver import READ, Loop, Timer

_AWAY_SECONDS = 0.2
_MOST_KEYS = 64

_Mode = list[int | list[bytes | int]]


class Keys:
    """Calls ``actions[key]()`` for the keys that are typed, in a loop, until it is closed.

    `terminal` is the descriptor.  Make it with `find`, where there is one.
    """

    def __init__(self, terminal: int, actions: Mapping[str, Callable[[], object]]) -> None:
        self._terminal = terminal
        self._actions = actions
        self._pid = os.getpid()
        self._loop: Loop | None = None
        self._before: _Mode | None = None
        self._ours: _Mode | None = None
        self._watched = False
        self._timer: Timer | None = None

    @staticmethod
    def find() -> int | None:
        """The descriptor of the terminal where keys are typed; ``None``: there is none."""
        try:
            descriptor = sys.stdin.fileno()
            return descriptor if os.isatty(descriptor) and sys.stdout.isatty() else None
        except (AttributeError, ValueError, OSError):  # closed, or something else
            return None

    def watch(self, loop: Loop) -> None:
        """Begin."""
        self._loop = loop
        loop.on_signal(signal.SIGTSTP, self._stop)
        loop.on_signal(signal.SIGCONT, self._continued)
        loop.on_signal(signal.SIGQUIT, self._quit)
        self._look()

    def close(self) -> None:
        """Put the terminal's mode back; closing twice does nothing, and in a child neither."""
        if self._loop is None or os.getpid() != self._pid:
            return
        self._leave()
        if self._timer is not None:
            self._timer.cancel()
        self._loop = None

    # FREE or AWAY -> OURS

    def _look(self) -> None:
        """Take the terminal if it is ours to take, or look again later."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._loop is None:
            return
        with _not_stopped(), contextlib.suppress(termios.error, OSError):
            if self._is_in_front() and self._take():
                if not self._watched:
                    self._loop.watch(self._terminal, READ, self._readable)
                    self._watched = True
                return
        self._timer = self._loop.call_later(_AWAY_SECONDS, self._look)

    def _take(self) -> bool:
        now = termios.tcgetattr(self._terminal)
        if self._ours is None:
            self._before = now
            mode: _Mode = [*now[:6], list(now[6])]
            # By character, not by line, and not shown; Ctrl-C and Ctrl-Z are signals as ever.
            mode[3] = now[3] & ~(termios.ICANON | termios.ECHO)
            mode[6][termios.VMIN], mode[6][termios.VTIME] = 1, 0  # type: ignore[index]
            termios.tcsetattr(self._terminal, termios.TCSANOW, mode)
            now = self._ours = termios.tcgetattr(self._terminal)
        return now == self._ours

    # OURS

    def _readable(self, ready: int) -> None:
        with _not_stopped():
            try:
                if not self._is_in_front() or termios.tcgetattr(self._terminal) != self._ours:
                    self._away()
                    return
                typed = os.read(self._terminal, _MOST_KEYS)
            except (termios.error, OSError):
                typed = b""
        if not typed:
            self._unwatch()  # it is gone
            return
        for key in typed.decode("latin-1").lower():
            action = self._actions.get(key)
            if action is not None:
                action()

    def _is_in_front(self) -> bool:
        return os.tcgetpgrp(self._terminal) == os.getpgrp()

    # OURS -> AWAY or FREE

    def _away(self) -> None:
        self._unwatch()
        if self._loop is not None and self._timer is None:
            self._timer = self._loop.call_later(_AWAY_SECONDS, self._look)

    def _leave(self) -> None:
        self._unwatch()
        before, ours = self._before, self._ours
        self._before = self._ours = None
        if before is not None:
            with _not_stopped(), contextlib.suppress(termios.error, OSError):
                # In the background it is the mode of a shell that is being typed to.
                if self._is_in_front() or termios.tcgetattr(self._terminal) == ours:
                    termios.tcsetattr(self._terminal, termios.TCSANOW, before)

    def _unwatch(self) -> None:
        if self._watched and self._loop is not None:
            self._watched = False
            with contextlib.suppress(ValueError, OSError):
                self._loop.unwatch(self._terminal)

    def _stop(self) -> None:
        """Ctrl-Z: stop with the terminal as it was; what follows is done when this goes on."""
        self._leave()
        os.kill(os.getpid(), signal.SIGSTOP)
        self._look()

    def _continued(self) -> None:
        """Somebody has stopped it without a word, and a shell may have set its mode meanwhile."""
        with _not_stopped(), contextlib.suppress(termios.error, OSError):
            now = termios.tcgetattr(self._terminal)
            if self._ours is not None and self._is_in_front() and now[3] & termios.ICANON:
                termios.tcsetattr(self._terminal, termios.TCSANOW, self._ours)
        self._look()

    def _quit(self) -> None:
        r"""Ctrl-\\: die of it, with the terminal as it was."""
        self._leave()
        signal.signal(signal.SIGQUIT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGQUIT)


@contextlib.contextmanager
def _not_stopped() -> Iterator[None]:
    """Use a terminal from the background, too, without being sent a signal for it (tty(4))."""
    signals = {signal.SIGTTIN, signal.SIGTTOU}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
