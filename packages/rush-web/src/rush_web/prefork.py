"""The parent: has the workers forked, and passes on what signals want.

It never serves.  What belongs to whom:

* the listening sockets, the lifeline and the loop are the parent's; a worker inherits the sockets
  that it listens to, and closes its copies of the rest;
* its own workers are a `Crew`; after a reload they are another `Program`'s, which has a parent of
  this kind again, with this one above it (its `Upstream`).

=========  =====================================  ===========================================
signal     in the parent                          in a program below it
=========  =====================================  ===========================================
SIGTERM    all end in good order                  the same; the parent sends it
SIGINT     all end at once                        the same
SIGHUP     a reload; if the terminal was closed,  nothing
           as SIGTERM
SIGTTIN    one worker more                        nothing: it is a `Command` of the parent's
SIGTTOU    one worker less                        nothing: so is this
SIGUSR1    log files are opened anew              nothing: so is this
=========  =====================================  ===========================================
"""

import json
import logging
import signal
from collections.abc import Callable
from functools import partial
from time import time

from epollserver import Loop

from .changes import Changes
from .crew import START_FAILED, Crew, Events
from .lifeline import Lifeline
from .logs import reopen_logs
from .notify import Notify
from .privileges import Owner
from .reload import Command, Program, Report, Upstream
from .revival import Revival
from .sockets import Sockets, close_all
from .spare import Spare
from .terminal import Terminal
from .worker import Link, how_it_ended

_log = logging.getLogger("rush_web")

# Ctrl-C is for now: a worker that is busy with a handler is not waited for.
_QUICK_SECONDS = 1.0
# A program has workers to wait for, who have as long.
_PROGRAMS_SECONDS = 2.0

# timeout(1) and others signal the process and its group: within this, it is the same signal.
_SAME_SIGNAL_SECONDS = 0.5


class Prefork:
    """Runs ``serve(link)`` in `count` processes until it is told to stop.

    `serve`, `count`, `sockets`, `timeout`, `lifetime`: see `Crew`.  `on_ready` is called when all
    workers serve for the first time; `on_gone` when the workers of this program are gone, with
    another one's in their place perhaps.  `grace` is how long, in seconds, a worker may take to end
    after SIGTERM; it is killed then.  `owner`: who the workers are.  `upstream`: the parent above.
    With `changes`, it is a reload when one of the program's files has changed.
    """

    def __init__(
        self,
        serve: Callable[[Link], object],
        count: int,
        *,
        sockets: Sockets,
        grace: float,
        on_ready: Callable[[], object],
        on_gone: Callable[[], object],
        owner: Owner,
        upstream: Upstream | None = None,
        timeout: float | None = None,
        lifetime: float | None = None,
        changes: Changes | None = None,
    ) -> None:
        self._changes = changes
        # In development a reload is a matter of course.
        self._note = _log.info if changes is None else _log.debug
        self._sockets = sockets
        self._held = sockets.held()  # after a reload: the new program's
        self._grace = grace
        self._on_ready = on_ready
        self._on_gone = on_gone
        self._owner = owner
        self._upstream = upstream
        self._notify = Notify()
        self._terminal = Terminal()
        self._stopping = False
        self._stopped: float | None = None  # when the first signal came
        self._status = 0
        self._loop = Loop()
        self._lifeline = Lifeline()
        self._crew = Crew(
            serve,
            count,
            Events(self._serves, self._all_serve, self._cannot_start, self._crew_gone),
            loop=self._loop,
            sockets=sockets,
            close_parents=self._close_in_worker,
            grace=grace,
            one_by_one=upstream is not None,
            timeout=timeout,
            lifetime=lifetime,
            slots=None if upstream is None else upstream.slots,
        )
        self._own = True  # whether its own crew serves, or is to
        self._current: Program | None = None  # or who else does
        self._coming: Program | None = None  # who is to do so next
        self._leaving: list[Program] = []
        ahead = changes is not None and upstream is None
        self._spare = Spare(self._loop, self._execute, ahead=ahead)
        self._reload_again = False
        self._revival = Revival(self._loop, self._revive)

    def run(self) -> int:
        """Fork, supervise until SIGTERM or SIGINT, and return the exit status.

        0 after a signal; `START_FAILED` if the first worker could not even start.
        In the main thread only.  No process is left when it returns or raises.
        Raises `OSError` if not even the first worker could be forked.
        """
        loop = self._loop
        try:
            self._listen_to_signals()
            self._notify.watch(loop)
            if self._changes is not None and self._upstream is None:
                self._changes.watch(self._loop, self._renew)
            self._crew.start()
            loop.run()
        finally:
            self._crew.close()
            for program in self._programs():
                program.end()
            self._spare.end()
            if self._changes is not None:
                self._changes.close()
            loop.close()
            self._lifeline.close()
            if self._upstream is not None:
                self._upstream.close()
            close_all(self._held)
        return self._status

    def _listen_to_signals(self) -> None:
        on_signal, loop = self._loop.on_signal, self._loop
        # Soon, not now: of signals that came together the handlers run in any order, and a
        # worker that ended because the whole group was told to must not be replaced.
        on_signal(signal.SIGCHLD, lambda: loop.call_soon(self._reap))
        for signum in (signal.SIGTERM, signal.SIGINT):
            on_signal(signum, partial(self._stop, signum))
        if self._upstream is not None:
            passed_on = {signal.SIGHUP, signal.SIGTTIN, signal.SIGTTOU, signal.SIGUSR1}
            for signum in passed_on:
                on_signal(signum, lambda: None)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, passed_on)  # blocked when it was executed
            self._upstream.watch(loop, self._obey)
            return
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as nohup(1) has it
            on_signal(signal.SIGHUP, self._hangup)
        on_signal(signal.SIGTTIN, partial(self._command, Command.MORE))
        on_signal(signal.SIGTTOU, partial(self._command, Command.FEWER))
        on_signal(signal.SIGUSR1, partial(self._command, Command.REOPEN))

    def _close_in_worker(self) -> None:
        """Close what only the parent may have."""
        if self._changes is not None:
            self._changes.close()
        self._loop.close()
        self._lifeline.hold()
        for program in self._programs():
            program.close()
        self._spare.close()
        if self._upstream is not None:
            self._upstream.close()

    def _programs(self) -> list[Program]:
        return [one for one in (self._current, self._coming, *self._leaving) if one is not None]

    # What is wanted: of this crew, or of whoever serves in its place

    def _command(self, command: Command) -> None:
        if command is Command.REOPEN:
            reopen_logs(self._owner.user, self._owner.group)  # first: workers may not make files
            self._crew.reopen()
            for program in self._programs():
                program.tell(command)
        elif self._stopping:
            return
        elif self._coming is not None:
            self._coming.tell(command)
        else:
            self._tell(command)

    def _tell(self, command: Command, number: int = 0, text: bytes = b"") -> None:
        """Tell whoever serves now."""
        if self._current is not None:
            self._current.tell(command, number, text)
        elif self._own:
            self._obey(command, number, text)

    def _obey(self, command: Command, number: int, text: bytes) -> None:
        crew = self._crew
        if command is Command.REOPEN:
            self._command(command)
        elif command is Command.KILL:
            self._kill()
        elif command is Command.FINISH:
            self._finish()
        elif not self._stopping:
            if command is Command.MORE:
                crew.more()
            elif command is Command.FEWER:
                crew.fewer()
            elif command is Command.CEDE:
                crew.cede(number)
            elif command is Command.TROUBLE:
                crew.tell_trouble(text)
            else:
                crew.restore()

    # What the crew tells

    def _serves(self, number: int) -> None:
        if self._upstream is not None:
            self._upstream.serves(number)

    def _all_serve(self) -> None:
        if self._upstream is not None:
            self._upstream.done(self._held, self._grace + _PROGRAMS_SECONDS)
            self._sockets.files.forget()  # they are the parent's now
        self._spare.prepare()
        self._notify.ready()
        self._on_ready()

    def _cannot_start(self) -> None:
        self._status = START_FAILED
        self._stop(signal.SIGTERM)

    def _crew_gone(self) -> None:
        self._on_gone()
        self._stop_if_alone()

    def _reap(self) -> None:
        self._crew.reap()
        for program in self._programs():
            code = program.ended()
            if code is not None:
                program.close()
                self._crew.slots.release(program.pid)
                self._program_ended(program, code)
        self._stop_if_alone()

    # Reload

    def _execute(self, ahead: list[str] | None = None) -> Program:
        slots = self._crew.slots.descriptor
        return Program(self._loop, self._lifeline, self._held, slots, self._heard, ahead)

    def _hangup(self) -> None:
        if self._terminal.was_closed():
            self._stop(signal.SIGTERM)
        else:
            self._renew()

    def _renew(self) -> None:
        """Reload; if a reload is under way, begin anew."""
        if self._coming is None:
            self._reload()
        elif not self._stopping:
            self._reload_again = True
            if self._coming.served:
                self._note("a reload has begun already; another one follows")
            else:
                self._note("the new %s is given up for a newer one", self._coming)
                self._coming.signal(signal.SIGKILL)

    def _reload(self) -> None:
        """Execute the program anew, beside what serves now."""
        if self._stopping:
            return
        self._reload_again = False
        if self._changes is not None:
            self._changes.began = time()
        self._notify.reloading()
        try:
            self._coming = self._spare.take()
        except OSError as error:
            _log.error("the program cannot be executed anew, the old one goes on: %s", error)
            self._reload_ended()
        else:
            self._note("reload: the new %s starts", self._coming)

    def _reload_ended(self) -> None:
        self._notify.ready()
        if self._reload_again:
            self._reload()
        elif not self._own and self._current is None and self._coming is None:
            self._revival.begin()
        else:
            self._spare.prepare()

    def _heard(self, program: Program, report: Report, argument: bytes) -> None:
        if report is Report.FILES:
            if self._changes is not None:
                self._changes.add(json.loads(argument))
        elif program is not self._coming or self._stopping:
            return
        elif report is Report.TROUBLE:
            self._tell(Command.TROUBLE, text=argument)
        elif report is Report.DONE:
            self._coming = None
            self._take_on(program)
        else:
            self._tell(Command.CEDE, argument[0])

    def _take_on(self, program: Program) -> None:
        """The new program serves, so the old one can go."""
        self._note("reload: the new %s serves", program)
        self._revival.succeeded()
        close_all(self._held)
        self._held = program.take_sockets()
        self._sockets.files.keep(self._held)
        before, self._current = self._current, program
        if before is not None:
            before.tell(Command.FINISH)  # no signal: one that follows is the first, not the second
            self._leaving.append(before)
        elif self._own:
            self._own = False
            self._crew.finish()
        self._reload_ended()

    def _program_ended(self, program: Program, code: int) -> None:
        if program in self._leaving:
            self._leaving.remove(program)
            return
        if self._stopping:
            self._current = None if program is self._current else self._current
            self._coming = None if program is self._coming else self._coming
            return
        if program is self._coming:
            self._coming = None
            if program.ended_waiting():
                self._reload_again = True
            elif self._changes is not None:
                self._note("the new %s failed", program)  # and has said why
            elif not self._reload_again:
                how = how_it_ended(code)
                _log.error("the new %s %s before all its workers served", program, how)
            self._tell(Command.RESTORE)
            self._reload_ended()
            return
        _log.error("the %s %s: it is executed anew", program, how_it_ended(code))
        self._current = None
        if self._coming is None:
            self._revival.begin()

    def _revive(self) -> None:
        """Nobody serves: execute the program anew."""
        if self._coming is None and self._current is None:
            self._reload()

    # The end

    def _stop(self, signum: int) -> None:
        """Tell the workers to end; the second time, make them."""
        first, self._stopped = self._stopped, self._stopped or self._loop.now
        if first is not None:
            if self._loop.now - first > _SAME_SIGNAL_SECONDS:
                self._kill()
            return
        self._stopping = True
        self._spare.end()
        self._notify.stopping()
        close_all(self._held)
        quick = signum == signal.SIGINT
        graces = [self._grace]
        for program in self._programs():
            # What is still on its way to serving has no handler for it.
            program.signal(signum if program.served else signal.SIGTERM)
            graces.append(program.grace)
        self._loop.call_later(_QUICK_SECONDS if quick else max(graces), self._kill)
        self._crew.stop(signum)

    def _finish(self) -> None:
        """Another program has taken the place of this one."""
        if not self._stopping:
            self._stopping = True
            close_all(self._held)
            self._loop.call_later(self._grace, self._kill)
            self._crew.stop(signal.SIGTERM, replaced=True)

    def _kill(self) -> None:
        self._crew.kill()
        for program in self._programs():
            program.tell(Command.KILL)
            self._loop.call_later(_PROGRAMS_SECONDS, partial(program.signal, signal.SIGKILL))

    def _stop_if_alone(self) -> None:
        if self._stopping and not self._crew.alive and not self._programs():
            self._loop.stop()
