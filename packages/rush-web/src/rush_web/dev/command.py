"""``rush dev``: the program with one worker, begun anew when one of its files is saved."""

import argparse
import os
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import NamedTuple, NoReturn

from epollserver import Loop

from ..crew import START_FAILED
from ..paint import BOLD, GREEN, RED, YELLOW, Paint, width_of
from ..programs import LoadFailed, Mistake, load_server
from ..reload import Upstream
from ..server import WebServer, say
from ..spare import import_ahead
from ..units import shown_seconds
from ..uptime import age, begins_anew
from .desk import Desk, stamp
from .keys import Keys
from .live import VERSION as _VERSION  # noqa: F401 - made before the workers are forked
from .own import is_own_source, noting_reads, own_modules
from .viewers import VARIABLE, networks_of

# What a server in development imports later: a spare program has it before.
_LATER = ("rush_web.dev.answers", "rush_web.dev.lines", "rush_web.dev.live")


class Begun(NamedTuple):
    """A server that is to be run in development."""

    server: WebServer
    greeted: Callable[[str], str]
    """What to say when it serves, made of its banner."""
    failed: Callable[[], int]
    """To be called if it cannot serve, and has said why; gives the status to end with."""


def begin(options: argparse.Namespace) -> Begun:
    """The server that the command names, as it is in development.

    If its module fails, this waits for a save, and begins this process anew; where a version before
    serves, it ends with status 3 instead, and leaves the waiting to that.
    Raises `Mistake` if there is no such server.
    """
    # What is compiled is known by the second of its save and its size: too little between two saves
    # of one second.
    sys.dont_write_bytecode = True
    waited = age() if Upstream.wait_for_turn(partial(import_ahead, _LATER)) else 0.0
    began = time.time()
    again = Upstream.is_there()
    try:
        networks_of(os.environ.get(VARIABLE, ""))
    except ValueError as error:
        raise Mistake(str(error)) from error
    if Paint(sys.stderr).colours:
        from .notes import colour_logs

        colour_logs()
    read: set[str] = set()
    try:
        with noting_reads(os.getcwd(), read):
            server = load_server(options.server)
    except (LoadFailed, Mistake) as error:
        if not again and isinstance(error, Mistake):
            raise
        _wait_for_save(error, read, began)
    server.development = True
    server.live = True
    server.request_lines = True
    server.workers = 1
    desk = server.changes = Desk(lambda: own_modules() | read, tell_of_changes, began)
    if again:
        return Begun(server, partial(_restarted, waited), _leave_it_to_the_version_before)
    return Begun(server, desk.greet, lambda: _begin_anew_at_a_save(own_modules() | read, began))


def _wait_for_save(error: LoadFailed | Mistake, read: set[str], began: float) -> NoReturn:
    cause = error.__cause__
    upstream = Upstream.find()
    paint = Paint()
    files = own_modules() | read | set(_files_of(cause))
    say("\n".join(["", *_told(error, paint)]))
    if upstream is not None:
        what, *where = _told(error, Paint.plain())
        shown = "\n".join([*where, what]).lstrip()  # pages show its last line first
        upstream.trouble(shown.replace(os.getcwd() + os.sep, ""))
        upstream.made_of(files)
        raise SystemExit(_leave_it_to_the_version_before()) from error
    raise SystemExit(_begin_anew_at_a_save(files, began))


def _leave_it_to_the_version_before() -> int:
    say(f"{Paint()('The version before goes on.', BOLD, YELLOW)} A save begins anew.\n")
    return START_FAILED


def _begin_anew_at_a_save(files: Iterable[str], began: float) -> int:
    """Wait for a save, and do not come back; or the status to end with."""
    paint = Paint()
    keys = Keys.find() is not None
    say(
        f"{paint('Nothing is served yet.', BOLD, RED)} A save begins anew, "
        f"{'r tries again, q' if keys else 'Ctrl-C'} ends.\n"
    )
    status = _wait(files, began)
    if status is None:
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], begins_anew())
    return status


def _wait(files: Iterable[str], began: float) -> int | None:
    """Wait until one of the files has changed; else the status to end with."""
    status: int | None = None

    def end(with_status: int) -> None:
        nonlocal status
        status = with_status
        loop.stop()

    loop = Loop()
    desk = Desk(lambda: files, tell_of_changes, began)
    try:
        loop.on_signal(signal.SIGINT, lambda: end(128 + signal.SIGINT))
        for signum in (signal.SIGTERM, signal.SIGHUP):
            loop.on_signal(signum, lambda: end(0))
        desk.watch(loop, loop.stop)
        loop.run()
    finally:
        desk.close()
        loop.close()
    return status


def _told(error: LoadFailed | Mistake, paint: Paint) -> list[str]:
    if isinstance(error, Mistake) or error.__cause__ is None:
        return [f"{error}"]
    from .told import told  # nobody needs it as long as all is well

    return told(error.__cause__, paint, width_of())


def _files_of(error: BaseException | None) -> Iterator[str]:
    """The files that an exception speaks of: it may be any of them that is to be saved."""
    if error is None:
        return
    trace = error.__traceback__
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        if is_own_source(file):
            yield os.path.abspath(file)
        trace = trace.tb_next
    if isinstance(error, SyntaxError) and error.filename and is_own_source(error.filename):
        yield os.path.abspath(error.filename)
    if isinstance(error, ModuleNotFoundError) and error.name:
        path = os.path.join(sys.path[0], *error.name.split("."))
        yield f"{path}.py"
        yield os.path.join(path, "__init__.py")


def tell_of_changes(paths: Iterable[str]) -> None:
    """Say what was saved."""
    paint = Paint()
    names = ", ".join(os.path.relpath(path) for path in paths)
    say(f"{stamp(paint)}  {paint(names, YELLOW)} changed")


def _restarted(waited: float, banner: str) -> str:
    paint = Paint()
    return f"{stamp(paint)}  {paint(f'restarted in {shown_seconds(age() - waited)}', GREEN)}"
