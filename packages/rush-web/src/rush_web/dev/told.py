"""Told: why a program cannot start, for a terminal: what is wrong, where, and the line itself."""

import linecache
import os
import unicodedata
from collections.abc import Iterator
from textwrap import wrap

from ..advice import missing_help
from ..paint import BOLD, CYAN, DIM, RED, Paint, cut
from ..ring import printable
from .failure import Failure, Frame, failure_of

_AROUND = 2
_MOST_FRAMES = 8
_MOST_LINES = 12  # of a message
_TAB = 4


def told(error: BaseException, paint: Paint, width: int) -> list[str]:
    """Lines of at most `width` columns that tell of an exception; nothing in them is a control."""
    if isinstance(error, SyntaxError) and error.filename and error.lineno:
        lines = [*_told_syntax(error, paint, width)]
    else:
        lines = [*_told_failure(failure_of(error), error, paint, width)]
    pairs = zip(lines, [*lines[1:], "."], strict=True)
    return [line for line, following in pairs if line or following]  # no two empty ones


def _told_syntax(error: SyntaxError, paint: Paint, width: int) -> Iterator[str]:
    file, line = str(error.filename), error.lineno or 1
    linecache.checkcache(file)
    source = linecache.getlines(file) or [""] * (line - 1) + [error.text or ""]
    first = error.offset or 0
    last = error.end_offset or 0
    if error.end_lineno not in (None, line):
        last = len(source[line - 1].rstrip()) + 1 if line <= len(source) else 0
    columns = (first - 1, max(first, last - 1)) if first > 0 else None
    yield from _head(type(error).__name__, printable(error.msg), paint, width)
    yield _place(_shown(file), line, "", paint)
    yield from _snippet(source, line, columns, paint, width)


def _told_failure(
    failure: Failure, error: BaseException, paint: Paint, width: int
) -> Iterator[str]:
    yield from _head(failure.kind, failure.message, paint, width)
    yield from _told_frames(failure.own_frames, paint, width)
    for cause in failure.causes:
        yield ""
        yield from _head(f"{cause.relation} {cause.kind}", cause.message, paint, width)
        yield from _told_frames(cause.own_frames, paint, width)
    if isinstance(error, ModuleNotFoundError) and error.name:
        for line in missing_help(error.name):
            yield cut(line, width)
        yield ""


def _told_frames(frames: "tuple[Frame, ...]", paint: Paint, width: int) -> Iterator[str]:
    """The calls that led there, and the last one with its source; `frames` has that first."""
    if not frames:
        return
    here, *others = frames
    for frame in reversed(others[:_MOST_FRAMES]):
        yield _place(frame.shown_file, frame.line, frame.function, paint)
    yield _place(here.shown_file, here.line, here.function, paint)
    source = [""] * (here.first_line - 1) + list(here.lines)
    yield from _snippet(source, here.line, here.columns, paint, width)


def _head(kind: str, message: str, paint: Paint, width: int) -> Iterator[str]:
    first, *rest = message.splitlines() or [""]
    start = f"{kind}: " if first else kind
    head, *more = wrap(f"{start}{printable(first)}", width, subsequent_indent="    ") or [start]
    yield paint(kind, BOLD, RED) + head.removeprefix(kind)
    yield from [*more, *(cut(printable(line), width) for line in rest)][:_MOST_LINES]


def _place(file: str, line: int, function: str, paint: Paint) -> str:
    where = paint(f"{printable(file)}:{line}", BOLD, CYAN)
    return f"{where}{paint(f' in {printable(function)}', DIM) if function else ''}"


def _snippet(
    source: list[str], line: int, columns: tuple[int, int] | None, paint: Paint, width: int
) -> Iterator[str]:
    """The lines around one, which is marked, and in it what is wrong."""
    if not 0 < line <= len(source):
        return
    yield ""
    first = max(1, line - _AROUND)
    around = [text.rstrip() for text in source[first - 1 : line + _AROUND]]
    while not around[-1] and len(around) > line - first + 1:
        around.pop()
    room = len(str(first + len(around)))
    for number, text in enumerate(around, first):
        is_it = number == line
        start = f"{'>' if is_it else ' '} {number:>{room}} | "
        shown = cut(printable(text.expandtabs(_TAB)), width - len(start))
        if not is_it:
            yield paint(f"{start}{shown}".rstrip(), DIM)
            continue
        yield f"{paint(start, BOLD, RED)}{shown}"
        if columns is not None:
            before, marked = _width(text[: columns[0]]), _width(text[: columns[1]])
            if len(start) + before < width:
                carets = "^" * max(1, min(marked, width - len(start)) - before)
                yield f"{' ' * (len(start) + before)}{paint(carets, BOLD, RED)}"
    yield ""


def _width(text: str) -> int:
    """How many columns a text takes as it is shown: East Asian letters take two."""
    shown = printable(text.rstrip("\r\n").expandtabs(_TAB))
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in shown)


def _shown(file: str) -> str:
    here = os.getcwd() + os.sep
    return file[len(here) :] if file.startswith(here) else file
