"""The access log: one line for each answer, when it has ended.

Its lines are made and written here, not by `logging`: a `LogRecord` on its way through a handler
costs more than the whole request.  The lines of 50 ms, or 256 of them, are written together, by one
write(2) to a file that is open for appending, so that those of several workers do not mix.

Whatever becomes of the file, serving goes on.  What cannot be written is dropped and counted, and
the log ``rush_web`` says so: once, and once again when lines can be written.  For a pipe that
nobody reads up to `MOST_BYTES` are kept, and the worker never waits for it.
"""

import contextlib
import logging
import os
import socket
import stat
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from rush_http import Answered, OnAnswers

from .access_format import lines_maker

if TYPE_CHECKING:
    from epollserver import Loop

_log = logging.getLogger("rush_web")
_access = logging.getLogger("rush_web.access")

MOST_BYTES: Final = 1 << 20
"""What a worker keeps for somebody who does not read."""

# POSIX: so much is written to a pipe in one piece, or not at all.
_PIPE_BYTES: Final = 4096
_AGAIN_SECONDS: Final = 0.2

STDOUT: Final = "-"


class AccessLog:
    """Where the lines go, and what they say.

    `target` is the path of a file, ``"-"`` for the standard output, or ``True`` for the logger
    ``rush_web.access``, which costs as much as `logging` does.  `owner` (user and group ids) gets
    the file.  `template`: see `lines_maker`.
    Made, and its file opened, in the parent; `start` is for each worker.
    Raises `OSError` if the file cannot be opened, `ValueError` for a format that makes no sense.
    With `in_need`, what cannot go to the file goes to the standard error until `reopen`: a reload
    is not to fail for it.
    """

    def __init__(
        self,
        target: "str | os.PathLike[str] | bool",
        template: str = "combined",
        owner: tuple[int, int] = (-1, -1),
        *,
        in_need: bool = False,
    ) -> None:
        lines_maker(template, 0)
        self._template = template
        self._path = None if isinstance(target, bool) or target == STDOUT else os.fspath(target)
        self._sink: Sink | None = None
        if self._path is not None:
            try:
                self._sink = Sink(_opened(self._path, owner))
            except OSError as error:
                if not in_need:
                    raise
                _log.error(
                    "the access log cannot be opened,"
                    " its lines go to the standard error until it is opened anew: %s",
                    error,
                )
                self._sink = Sink(os.dup(2))
        elif not isinstance(target, bool):
            self._sink = Sink(os.dup(1))

    def start(
        self, loop: "Loop", lost: Callable[[int], object], *, is_behind: bool = False
    ) -> OnAnswers:
        """In a worker: what is to be called with the answers; ``lost(lines)`` counts.

        `is_behind`: the clients are those that trusted proxies tell.
        """
        make, sink = lines_maker(self._template, os.getpid(), is_behind=is_behind), self._sink
        if sink is None:

            def to_logger(answers: list[Answered]) -> None:
                for line in make(answers):
                    _access.info("%s", line[:-1])

            return to_logger
        sink.start(loop, lost)
        return lambda answers: sink.write("".join(make(answers)).encode())

    def reopen(self, user: int = -1, group: int = -1) -> None:
        """Go on in a new file of the same name; in the old one, with a word, if there is none."""
        if self._path is not None and self._sink is not None:
            try:
                self._sink.replace(_opened(self._path, (user, group)))
            except OSError as error:
                _log.error("the access log cannot be opened anew, the old one stays: %s", error)

    def close(self) -> None:
        """Close the file."""
        if self._sink is not None:
            self._sink.close()


def _opened(path: str, owner: tuple[int, int]) -> int:
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
    if owner != (-1, -1):
        with contextlib.suppress(OSError):
            os.fchown(descriptor, *owner)
    return descriptor


class Sink:
    """Takes lines, and never waits or raises; owns the descriptor."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._socket: socket.socket | None = None
        self._in_pieces = False  # a pipe or a terminal
        self._kept = b""
        self._in_line = False  # the last byte that was written has ended no line
        self._torn = False  # and the rest of that line was dropped
        self._dropped = 0  # lines, since the last one that was written
        self._loop: Loop | None = None
        self._due = False
        self._lost: Callable[[int], object] = lambda lines: None

    def start(self, loop: "Loop", lost: Callable[[int], object]) -> None:
        """In a worker: from now on nothing that is written may hold it."""
        self._loop, self._lost = loop, lost
        self._prepare()

    def replace(self, descriptor: int) -> None:
        """Write to another file from now on."""
        self.close()
        self._descriptor = descriptor
        self._kept, self._in_line, self._torn = b"", False, False
        self._prepare()

    def write(self, data: bytes) -> None:
        """Write whole lines, after those that were kept; what is too much is dropped."""
        if self._kept:
            if len(self._kept) + len(data) > MOST_BYTES:
                self._drop(data, None)
                return
            data = self._kept + data
            self._kept = b""
        if self._torn:
            data, self._torn = b"\n" + data, False
        try:
            while data:
                sent = self._send(data)
                self._in_line = data[sent - 1] != _LINE_END
                data = data[sent:]
        except BlockingIOError:
            self._keep(data)
        except OSError as error:
            self._torn = self._in_line
            self._drop(data, error)
        else:
            if self._dropped:
                _log.warning("the access log goes on; %d lines are lost", self._dropped)
                self._dropped = 0

    def close(self) -> None:
        """Close the file; closing twice does nothing."""
        if self._kept:
            self._drop(self._kept, None)
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        elif self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor = -1

    def _prepare(self) -> None:
        mode = os.fstat(self._descriptor).st_mode
        if stat.S_ISSOCK(mode):
            self._socket = socket.socket(fileno=self._descriptor)
        self._in_pieces = not stat.S_ISREG(mode)
        if self._in_pieces and self._socket is None:
            # O_NONBLOCK would be for all who have this open: so it is opened anew.
            flags = os.O_WRONLY | os.O_APPEND | os.O_NONBLOCK | os.O_CLOEXEC
            try:
                own = os.open(f"/proc/self/fd/{self._descriptor}", flags)
            except OSError as error:
                _log.warning("who does not read the access log holds up the server: %s", error)
            else:
                os.close(self._descriptor)
                self._descriptor = own

    def _send(self, data: bytes) -> int:
        if self._in_pieces and len(data) > _PIPE_BYTES:
            data = data[: data.rfind(b"\n", 0, _PIPE_BYTES) + 1 or _PIPE_BYTES]
        if self._socket is not None:
            return self._socket.send(data, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
        return os.write(self._descriptor, data)

    def _keep(self, data: bytes) -> None:
        self._kept = data
        if not self._due and self._loop is not None:
            self._due = True
            self._loop.call_later(_AGAIN_SECONDS, self._again)

    def _again(self) -> None:
        self._due = False
        if self._kept:
            self.write(b"")

    def _drop(self, data: bytes, error: OSError | None) -> None:
        lines = data.lstrip(b"\n").count(b"\n")  # one in front has ended a line that was cut
        if not self._dropped:
            why = "nobody reads it" if error is None else error.strerror
            _log.error("the access log cannot be written, its lines are dropped: %s", why)
        self._dropped += lines
        self._lost(lines)


_LINE_END: Final = 10
