"""Lines: what the terminal shows of each request in development."""

import inspect
import os
import time
from collections import deque
from typing import TYPE_CHECKING, Final

from rush_http import Answered, Head, OnAnswers

from ..access_format import escaped, path_of
from ..access_log import Sink
from ..paint import BOLD, CYAN, DIM, GREEN, RED, YELLOW, Paint, cut, width_of
from ..units import rounded_size, shown_seconds

if TYPE_CHECKING:
    from epollserver import Connection, Loop

OURS: Final = "/_rush/"
"""Below this path are the answers of live reload; there is no line of them."""

_COLOURS: Final = {b"2": GREEN, b"3": CYAN, b"4": YELLOW, b"5": RED}
_TIME, _METHOD, _STATUS, _TOOK, _SIZE = 8, 6, 3, 6, 8  # columns: "DELETE", "999 ms", "1023 KiB"
_FIXED = _TIME + _METHOD + _STATUS + _TOOK + _SIZE + 2 * 6
_LEAST_BY, _MOST_BY = 10, 28
_LEAST_PATH = 12
_USUAL_PATH, _MOST_PATH = 32, 200  # where there is no width
_MOST_KEPT = 256  # of requests that are not answered yet; those before are forgotten


class RequestLines:
    """A line for each answer: time, method, path, status, how long, how much, and by whom.

    Nothing of it is more than visible ASCII, whatever was asked for, and none is wider than the
    terminal.  It goes to the standard output, and never waits for that.
    """

    def __init__(self) -> None:
        self._paint = Paint()
        self._by: deque[tuple[Connection, Head, str]] = deque(maxlen=_MOST_KEPT)

    def start(self, loop: "Loop") -> OnAnswers:
        """In a worker: what is to be called with the answers."""
        sink = Sink(os.dup(1))
        sink.start(loop, lambda lines: None)

        def on_answers(answers: list[Answered]) -> None:
            width = width_of() if self._paint.is_terminal else 0
            sink.write("".join(self._line(answer, width) for answer in answers).encode())

        return on_answers

    def handled(
        self, conn: "Connection", head: "Head | None", by: str, *, on_disk: bool | None
    ) -> None:
        """Note who answers a request, now or later; `on_disk`: something was read for it."""
        if by == _FILE and on_disk is not None:
            by = _FROM_DISK if on_disk else _FROM_MEMORY
        if head is not None:
            self._by.append((conn, head, by))

    @staticmethod
    def short_name(handler: object) -> str:
        """What a handler is called here: its name alone; of our own ones what they do."""
        handler = inspect.unwrap(handler) if callable(handler) else handler
        name: str = getattr(handler, "__qualname__", None) or type(handler).__qualname__
        name = name.rpartition("<locals>.")[2]
        if (getattr(handler, "__module__", None) or "").startswith("rush_web."):
            name = name.rpartition(".")[2].strip("_").replace("_", " ")
            return _OURS.get(name, name)
        return name

    def _line(self, answer: Answered, width: int) -> str:
        conn, head, status, size, began, ended = answer
        by = self._taken(conn, head)
        by = _BY_STATUS.get((by, status)) or by
        if head is not None and head.path.startswith(OURS):
            return ""
        target = path_of(head.path) if head else "(no request)"
        if head is not None and head.query:
            target = f"{target}?{escaped(head.query)}"
        room = min(_MOST_BY, max(_LEAST_BY, (width - _FIXED) // 3)) if width else _MOST_BY
        path = max(_LEAST_PATH, width - _FIXED - room) if width else _USUAL_PATH
        paint = self._paint
        return "  ".join(
            (
                paint(time.strftime("%H:%M:%S"), DIM),
                cut(head.method if head else "-", _METHOD).ljust(_METHOD),
                cut(target, path if width else _MOST_PATH).ljust(path),
                paint(status.decode("latin-1"), BOLD, _COLOURS.get(status[:1], DIM)),
                shown_seconds(ended - began).rjust(_TOOK),
                rounded_size(size).rjust(_SIZE),
                f"{paint(cut(ascii(by)[1:-1], room), DIM)}\n",
            )
        )

    def _taken(self, conn: "Connection", head: "Head | None") -> str:
        """Who has answered this; the note is taken away."""
        for index, (noted, its_head, by) in enumerate(self._by):
            if noted is conn and its_head is head:
                del self._by[index]
                return by
        return ""


_FILE, _FROM_MEMORY, _FROM_DISK = "file", "from memory", "from disk"
_OURS: Final = {"static file": _FILE, "ask": "application", "to other slash": "redirect"}
_BY_STATUS: Final = {
    ("", b"404"): "no route",
    ("", b"405"): "for other methods",
    ("", b"499"): "client has gone",
    **dict.fromkeys(((by, b"404") for by in (_FILE, _FROM_MEMORY, _FROM_DISK)), "no such file"),
}
"""What is said where nobody was picked, or had anything."""
