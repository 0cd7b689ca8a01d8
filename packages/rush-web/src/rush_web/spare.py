"""Spare: the next program, executed ahead of its time; in development, where a save is to be quick.

Most of a restart is the start of Python and the import of libraries: 150 of 175 ms of processor
time (tests/bench/rush-web/restart.py).  They do not depend on what was saved, so they are done
before.  The spare has imported the server, and what the application uses of the standard library.
Nothing of the application's own is in it, and no other library: the application may want to prepare
something before it imports one.  Then it waits for its turn.
"""

import importlib
import os
import sys
import sysconfig
from collections.abc import Callable, Iterable
from contextlib import suppress

from epollserver import Loop, Timer

from .reload import Command, Program

# The program that has begun just now, and the browser that asks it, have the processor first.
_PAUSE_SECONDS = 0.2


class Spare:
    """Has the next program ready: ``execute(names)`` makes one that imports these, and waits.

    ``execute(None)`` makes one that does not wait; without `ahead` there are only those.
    """

    def __init__(
        self, loop: Loop, execute: Callable[[list[str] | None], Program], *, ahead: bool
    ) -> None:
        self._loop = loop
        self._execute = execute
        self._ahead = ahead
        self._waiting: Program | None = None
        self._timer: Timer | None = None

    def prepare(self) -> None:
        """Have one soon, which has the sockets of then; none if all is at its end."""
        self._drop()
        if self._ahead:
            self._timer = self._loop.call_later(_PAUSE_SECONDS, self._start)

    def take(self) -> Program:
        """The program, which begins now; the caller's.  Raises `OSError` if there cannot be one."""
        program = self._waiting
        if program is not None and program.ended() is None:
            self._waiting = None
            program.tell(Command.BEGIN)
            return program
        self._drop()
        return self._execute(None)

    def end(self) -> None:
        """Have none any more."""
        self._ahead = False
        self._drop()

    def close(self) -> None:
        """In a child of the parent, whose it is not."""
        if self._waiting is not None:
            self._waiting.close()

    def _start(self) -> None:
        self._timer = None
        with suppress(OSError):  # the machine has no room just now, and it is not needed
            self._waiting = self._execute(standard_modules())

    def _drop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        program, self._waiting = self._waiting, None
        if program is not None:
            program.end()


def standard_modules() -> list[str]:
    """The modules of the standard library that this process has imported from there."""
    folder = os.path.join(sysconfig.get_paths()["stdlib"], "")
    return [
        name
        for name, module in list(sys.modules.items())
        if name.partition(".")[0] in sys.stdlib_module_names
        and (getattr(module, "__file__", None) or "").startswith(folder)
    ]


def import_ahead(names: Iterable[str], standard: Iterable[str]) -> None:
    """Import these modules, and those of the standard library: from there, whatever is named so."""
    for name in names:
        importlib.import_module(name)
    before = list(sys.path)
    sys.path[:] = [path for path in before if path.startswith(sysconfig.get_paths()["stdlib"])]
    try:
        for name in standard:
            with suppress(Exception):  # whoever needs it will hear
                importlib.import_module(name)
    finally:
        sys.path[:] = before
