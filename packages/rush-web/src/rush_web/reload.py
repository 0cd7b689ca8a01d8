"""A reload: the program is executed anew, with the listening sockets of the one before.

A process that has imported an application cannot un-import it, and its pid must not change:
systemd, a pid file and whoever waits for it know it.  So the first process, the parent, stays, and
starts the program once more beside itself, as a process that has workers of its own::

    parent ─┬─ worker, worker          at first the workers are its own
            └─ program ── worker, worker        after a reload, another program's

The new program imports, opens what addresses are new, and forks its workers one by one.  For
each one that serves, the parent lets one of the old ones retire.  When all serve, the old program
finishes, and the parent has only the sockets left, and signals to pass on.  A new program that ends
before that changes nothing: the old one serves again what it had ceded.

The variable ``_RUSH_HANDOVER`` is JSON, and names the descriptors that are inherited; with
``ahead``, the program imports the modules of these names, and waits for ``BEGIN`` (see spare.py).
What the two tell each other are messages on a socket pair (``SOCK_SEQPACKET``): a byte, and what
belongs to it.
"""

import contextlib
import enum
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence

from epollserver import READ, Loop

from .crew import SIGNALS
from .lifeline import Lifeline, follow, tie
from .slots import Slots
from .sockets import Named, close_all
from .worker import MOST_TROUBLE_BYTES

_HANDOVER = "_RUSH_HANDOVER"
_MOST_DESCRIPTORS = 200  # in one message; the kernel allows 253 (unix(7))
_MESSAGE_BYTES = 1 << 16
_MOST_PATHS = 15  # in one message: each takes 4,096 bytes at most (PATH_MAX)


def _folder() -> str:
    """Where the program was started: as the shell names it, where that is a symbolic link.

    So that a reload finds what the link leads to by then.
    """
    named = os.environ.get("PWD", "")
    with contextlib.suppress(OSError):
        if os.path.samefile(named, "."):
            return named
    return os.getcwd()


_FOLDER = _folder()  # now: the program may change it


class Command(enum.IntEnum):
    """What the parent tells a program; the argument is a number."""

    CEDE = 1
    """The queue of that number is another program's."""
    RESTORE = 2
    """It is not: that program has failed."""
    MORE = 3
    FEWER = 4
    REOPEN = 5
    KILL = 6
    """End at once."""
    FINISH = 7
    """Another program serves: end when those who are there have been served."""
    BEGIN = 8
    """It is your turn; to a program that was executed ahead."""
    TROUBLE = 9
    """A newer version cannot begin: the text that follows says why; in development."""


class Report(enum.IntEnum):
    """What a program tells the parent."""

    SERVES = 1
    """The worker of the number that follows serves."""
    HOLDS = 2
    """The names of sockets, as JSON; the sockets come with it."""
    DONE = 3
    """All workers serve; how many seconds it may take to end follows."""
    FILES = 4
    """What files the program is made of, as JSON; in development."""
    TROUBLE = 5
    """It cannot begin: the text that follows says why; in development."""


class Program:
    """The program, executed anew, as the parent sees it.

    `slots` is the descriptor of what workers say of themselves.  ``heard(program, report,
    argument)`` is called with what it reports.  With `ahead`, it imports the modules of these
    names, and waits for ``BEGIN``.
    Raises `OSError` if it cannot be executed.
    """

    def __init__(
        self,
        loop: Loop,
        lifeline: Lifeline,
        sockets: Sequence[Named],
        slots: int,
        heard: Callable[["Program", Report, bytes], object],
        ahead: Iterable[str] | None = None,
    ) -> None:
        self.served = False
        """Whether any of its workers ever served."""
        self.done = False
        """Whether all of them did."""
        self.grace = 0.0
        """How many seconds it may take to end."""
        self._sockets: list[Named] = []
        self._loop = loop
        self._heard = heard
        self._waits = ahead is not None  # until it says something
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            self._process = _execute(theirs, lifeline, sockets, slots, ahead)
        except OSError:
            self._control.close()
            raise
        finally:
            theirs.close()
        self._control.setblocking(False)
        loop.watch(self._control.fileno(), READ, self._readable)

    def __str__(self) -> str:
        return f"program (pid {self.pid})"

    @property
    def pid(self) -> int:
        """Its process."""
        return self._process.pid

    def tell(self, command: Command, number: int = 0, text: bytes = b"") -> None:
        """Tell it something."""
        with contextlib.suppress(OSError):  # it is dying, or does not listen: the parent will see
            self._control.send(bytes((command, number)) + text)

    def signal(self, signum: int) -> None:
        """Send it a signal; nothing if it has ended."""
        self._process.send_signal(signum)

    def ended(self) -> int | None:
        """How it has ended, as `subprocess.Popen` has it; ``None``: it lives."""
        return self._process.poll()

    def ended_waiting(self) -> bool:
        """Whether it was executed ahead, and killed before it came to its turn."""
        code = self.ended()
        return self._waits and code is not None and code < 0

    def take_sockets(self) -> list[Named]:
        """What it listens to, when it is done; the caller's from now on."""
        sockets, self._sockets = self._sockets, []
        return sockets

    def close(self) -> None:
        """Forget it, when it has ended, or in a child of the parent."""
        close_all(self._sockets)
        if self._control.fileno() >= 0:
            with contextlib.suppress(ValueError, OSError):
                self._loop.unwatch(self._control.fileno())
            self._control.close()

    def end(self) -> None:
        """Kill it, if it lives, and close."""
        self._process.kill()
        self._process.wait()
        self.close()

    def _readable(self, ready: int) -> None:
        try:
            message, descriptors, _, _ = socket.recv_fds(
                self._control, _MESSAGE_BYTES, _MOST_DESCRIPTORS
            )
        except ConnectionError:
            message, descriptors = b"", []
        if not message:
            self._loop.unwatch(self._control.fileno())  # it has ended
            return
        self._waits = False
        report, argument = Report(message[0]), message[1:]
        if report is Report.HOLDS:
            sockets = [socket.socket(fileno=descriptor) for descriptor in descriptors]
            self._sockets += zip(json.loads(argument), sockets, strict=True)
            return
        if report in (Report.FILES, Report.TROUBLE):
            self._heard(self, report, argument)
            return
        self.served = True
        if report is Report.DONE:
            self.done = True
            self.grace = float(argument)
        self._heard(self, report, argument)


def _execute(
    control: socket.socket,
    lifeline: Lifeline,
    sockets: Sequence[Named],
    slots: int,
    ahead: Iterable[str] | None,
) -> "subprocess.Popen[bytes]":
    leash = lifeline.leash()
    handover = {
        "parent": os.getpid(),
        "control": control.fileno(),
        "lifeline": leash,
        "slots": slots,
        "sockets": [(name, sock.fileno()) for name, sock in sockets],
        "ahead": None if ahead is None else list(ahead),
    }
    # A signal for the whole group must not end it before it knows what to do at it.
    deaf = SIGNALS - {signal.SIGTERM, signal.SIGINT, signal.SIGCHLD}
    if ahead is not None:
        deaf |= {signal.SIGINT}  # of a program that nobody sees, nobody is to see a traceback
    signal.pthread_sigmask(signal.SIG_BLOCK, deaf)
    try:
        process = subprocess.Popen(
            [sys.executable or sys.orig_argv[0], *sys.orig_argv[1:]],
            cwd=_FOLDER,
            env={**os.environ, _HANDOVER: json.dumps(handover)},
            pass_fds=[
                *(control.fileno(), leash, slots),
                *(sock.fileno() for _, sock in sockets),
            ],
        )
        tie(leash, process.pid)
        return process
    finally:
        os.close(leash)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, deaf)


class Upstream:
    """The parent, as a program sees it that was executed anew."""

    def __init__(self, handover: str) -> None:
        known = json.loads(handover)
        for descriptor in (known["control"], *(fd for _, fd in known["sockets"])):
            os.set_inheritable(descriptor, False)
        self._lifeline = follow(known["lifeline"])
        self._control = socket.socket(fileno=known["control"])
        self.sockets: list[Named] = [
            (name, socket.socket(fileno=descriptor)) for name, descriptor in known["sockets"]
        ]
        """What the programs before listened to; to be taken over, or closed."""
        self.slots: Slots | None = None
        """What the workers of all programs say of themselves."""
        with contextlib.suppress(KeyError, ValueError):  # of another version of this package
            os.set_inheritable(known["slots"], False)
            self.slots = Slots.of_process(known["slots"], writable=True)

    @staticmethod
    def is_there() -> bool:
        """Whether this program was started by a parent that has the sockets; nothing is taken."""
        handover = os.environ.get(_HANDOVER, "")
        return bool(handover) and bool(json.loads(handover)["parent"] == os.getppid())

    @staticmethod
    def find() -> "Upstream | None":
        """The parent, if this program was started by one; asked a second time, ``None``."""
        is_there = Upstream.is_there()
        handover = os.environ.pop(_HANDOVER, "")
        return Upstream(handover) if is_there else None  # else it is for who has started us

    @staticmethod
    def wait_for_turn(prepare: Callable[[Iterable[str]], object]) -> bool:
        """If this program was executed ahead, call ``prepare(names)`` and wait for its turn.

        Returns whether it had to wait; the process ends here if its turn never comes.
        """
        known = json.loads(os.environ.get(_HANDOVER, "{}"))
        if not Upstream.is_there() or known["ahead"] is None:
            return False
        prepare(known["ahead"])
        if not os.read(known["control"], 2):
            os._exit(0)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        return True

    def watch(self, loop: Loop, obey: Callable[[Command, int, bytes], object]) -> None:
        """Call ``obey(command, number, text)`` from now on."""

        def readable(ready: int) -> None:
            message = self._control.recv(_MESSAGE_BYTES)
            if message:
                obey(Command(message[0]), message[1], message[2:])
            else:
                loop.unwatch(self._control.fileno())  # the parent is gone: so are we, at once

        loop.watch(self._control.fileno(), READ, readable)

    def serves(self, number: int) -> None:
        """Report that a worker serves."""
        self._control.send(bytes((Report.SERVES, number)))

    def done(self, sockets: Iterable[Named], grace: float) -> None:
        """Report that all do, on what sockets, and how many seconds the end may take."""
        held = list(sockets)
        for start in range(0, len(held), _MOST_DESCRIPTORS):
            part = held[start : start + _MOST_DESCRIPTORS]
            names = json.dumps([name for name, _ in part])
            socket.send_fds(
                self._control,
                [bytes((Report.HOLDS,)), names.encode()],
                [sock.fileno() for _, sock in part],
            )
        self._control.send(b"%c%.3f" % (Report.DONE, grace))

    def made_of(self, files: Iterable[str]) -> None:
        """Report what files the program is made of: when one changes, it is to be reloaded."""
        paths = sorted(files)
        for start in range(0, len(paths), _MOST_PATHS):
            part = json.dumps(paths[start : start + _MOST_PATHS])
            self._control.send(bytes((Report.FILES,)) + part.encode())

    def trouble(self, text: str) -> None:
        """Report why the program cannot begin; the beginning of a long text."""
        with contextlib.suppress(OSError):
            self._control.send(bytes((Report.TROUBLE,)) + text.encode()[:MOST_TROUBLE_BYTES])

    def close(self) -> None:
        """Close what belongs to it; in a worker, the copies."""
        self._control.close()
        os.close(self._lifeline)
