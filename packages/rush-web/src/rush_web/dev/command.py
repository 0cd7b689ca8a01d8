"""``rush dev``: the program with one worker, begun anew when one of its files is saved."""

import argparse
import contextlib
import os
import signal
import sys
import time
import traceback
from collections.abc import Iterable, Iterator
from functools import partial

from epollserver import Loop

from ..changes import Changes
from ..crew import START_FAILED
from ..programs import LoadFailed, Mistake, load_server
from ..reload import Upstream
from ..server import WebServer, say
from ..spare import import_ahead
from .failure import is_own
from .live import VERSION as _VERSION  # noqa: F401 - made before the workers are forked
from .viewers import VARIABLE, networks_of

# What a server in development imports later: a spare program has it before.
_LATER = ("rush_web.dev.answers", "rush_web.dev.live")


def begin(options: argparse.Namespace) -> WebServer:
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
    try:
        server = load_server(options.server)
    except (LoadFailed, Mistake) as error:
        if not again and isinstance(error, Mistake):
            raise
        _wait_for_save(error, began)
    server.development = True
    server.live = True
    server.workers = 1
    server.changes = Changes(own_files, _tell, began)
    options.ready = partial(_ready_again, waited) if again else _ready
    return server


def own_files() -> set[str]:
    """The files of the modules of the application: no libraries, and nothing of the server."""
    files = {getattr(module, "__file__", None) for module in list(sys.modules.values())}
    return {os.path.abspath(file) for file in files if file and _is_source(file)}


def _is_source(file: str) -> bool:
    return file.endswith(".py") and is_own(os.path.abspath(file))  # not ``<frozen importlib>``


def _wait_for_save(error: LoadFailed | Mistake, began: float) -> None:
    cause = error.__cause__
    upstream = Upstream.find()
    told = _told(cause) if isinstance(error, LoadFailed) and cause else f"{error}"
    say(f"\n{told}")
    files = own_files() | set(_files_of(cause))
    if upstream is not None:
        say("The version before goes on. A save begins anew.")
        upstream.made_of(files)
        upstream.trouble(told)
        raise SystemExit(START_FAILED) from error
    say("Nothing is served yet. A save begins anew, Ctrl-C ends.")
    loop = Loop()
    loop.on_signal(signal.SIGINT, lambda: os._exit(130))
    changes = Changes(lambda: files, _tell, began)
    changes.watch(loop, loop.stop)
    loop.run()
    changes.close()
    loop.close()
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


def _told(error: BaseException) -> str:
    """The traceback, of the application's own frames."""
    told = traceback.TracebackException.from_exception(error)
    told.stack = traceback.StackSummary.from_list(
        [frame for frame in told.stack if _is_source(frame.filename)]
    )
    return "".join(told.format()).rstrip()


def _files_of(error: BaseException | None) -> Iterator[str]:
    """The files that an exception speaks of: it may be any of them that is to be saved."""
    if error is None:
        return
    for frame, _ in traceback.walk_tb(error.__traceback__):
        if _is_source(frame.f_code.co_filename):
            yield os.path.abspath(frame.f_code.co_filename)
    if isinstance(error, SyntaxError) and error.filename and _is_source(error.filename):
        yield os.path.abspath(error.filename)
    if isinstance(error, ModuleNotFoundError) and error.name:
        path = os.path.join(sys.path[0], *error.name.split("."))
        yield f"{path}.py"
        yield os.path.join(path, "__init__.py")


def _tell(paths: Iterable[str]) -> None:
    names = ", ".join(os.path.relpath(path) for path in paths)
    say(f"{time.strftime('%H:%M:%S')} {names} changed")


def _ready(banner: str) -> None:
    say(f"{banner}\nIn development: a save restarts it, errors are explained. Ctrl-C stops it.")


def _ready_again(waited: float, banner: str) -> None:
    say(f"{time.strftime('%H:%M:%S')} restarted in {(age() - waited) * 1000:.0f} ms")


def age() -> float:
    """How many seconds this process has run, to a hundredth; 0 if that is not to be had."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        with open("/proc/self/stat") as stat:
            ticks = int(stat.read().rpartition(")")[2].split()[19])  # field 22: proc_pid_stat(5)
        return time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
    return 0.0
