"""Failure: an exception as data, for pages and texts; nothing is evaluated but ``repr``."""

import linecache
import os
import sys
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from types import CodeType, FrameType, TracebackType
from typing import TypeVar

from .own import LIBRARIES, is_ours, is_own
from .secrets import shown, without_secrets

_T = TypeVar("_T")

_AROUND = 5
_MOST_VALUES = 60
_MOST_FRAMES = 40
_MOST_CAUSES = 6


@dataclass(frozen=True)
class Frame:
    """One call on the way to an exception."""

    file: str
    """The absolute path of the source, or what Python has in its place (``<string>``)."""
    shown_file: str
    """The path from the current folder, where it is below that; else a short form."""
    line: int
    function: str
    own: bool
    """Whether it is the application's: no library, and not the server's."""
    first_line: int
    """The number of the first of `lines`."""
    lines: tuple[str, ...]
    """The source around the line; empty if it is not to be had."""
    columns: tuple[int, int] | None
    """Where in the line it failed: the first character, and that after the last (from 3.11 on)."""
    values: tuple[tuple[str, str], ...]
    """The local variables, as text; secrets are hidden."""


@dataclass(frozen=True)
class Failure:
    """An exception: what it says, the frames (the call that failed last), and what it came from."""

    kind: str
    message: str
    notes: tuple[str, ...]
    frames: tuple[Frame, ...]
    relation: str
    """How it came from the one before: ``""``, ``"caused by"``, ``"while handling"``, ``"in"``."""
    causes: "tuple[Failure, ...]"
    """What it came from, the nearest first; of an exception group, what is in it."""
    text: str
    """The usual traceback, secrets hidden."""

    @property
    def own_frames(self) -> tuple[Frame, ...]:
        """The application's frames, the one that failed first."""
        return tuple(frame for frame in reversed(self.frames) if frame.own)


def failure_of(error: BaseException) -> Failure:
    """Take an exception apart; the frames of the server that led to the handler are left out."""
    return _failure(error, "", set())


def _failure(error: BaseException, relation: str, seen: "set[int]") -> Failure:
    seen.add(id(error))
    causes: list[Failure] = []
    for other, how in _related(error):
        if id(other) not in seen and len(seen) < _MOST_CAUSES:
            causes.append(_failure(other, how, seen))
    return Failure(
        kind=_kind(error),
        message=without_secrets(_said(error)),
        notes=tuple(without_secrets(note) for note in _tried(error, "__notes__", str)),
        frames=(*_frames(error.__traceback__), *_place_of_syntax(error)),
        relation=relation,
        causes=tuple(causes),
        text=without_secrets("" if relation else _text(error)),
    )


def _related(error: BaseException) -> Iterator[tuple[BaseException, str]]:
    if error.__cause__ is not None:
        yield error.__cause__, "caused by"
    elif error.__context__ is not None and not error.__suppress_context__:
        yield error.__context__, "while handling"
    for one in _tried(error, "exceptions", BaseException):
        yield one, "in the group"


def _tried(error: BaseException, name: str, kind: type[_T]) -> list[_T]:
    """What an attribute holds of that kind; nothing if the class has something else there."""
    try:
        return [one for one in getattr(error, name, ()) if isinstance(one, kind)]
    except Exception:
        return []


def _kind(error: BaseException) -> str:
    kind = type(error)
    module = "" if kind.__module__ in ("builtins", "__main__") else f"{kind.__module__}."
    return f"{module}{kind.__qualname__}"


def _said(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as failed:  # whatever a class of the application does there
        return f"(its text cannot be had: {type(failed).__name__})"


def _text(error: BaseException) -> str:
    try:
        trace = error.__traceback__
        while trace is not None and trace.tb_next is not None and _leads_to_it(trace):
            trace = trace.tb_next
        return "".join(traceback.format_exception(type(error), error, trace))
    except Exception as failed:
        return f"{_kind(error)}: {_said(error)} (no traceback: {type(failed).__name__})\n"


def _leads_to_it(trace: TracebackType) -> bool:
    """Whether this frame is the server's, on its way to the handler."""
    return is_ours(trace.tb_frame.f_code.co_filename)


def _frames(trace: TracebackType | None) -> Iterator[Frame]:
    """The frames of a traceback, from the handler on; of very many the first and the last."""
    calls: list[tuple[FrameType, int, tuple[int, int] | None]] = []
    while trace is not None:
        code = trace.tb_frame.f_code
        calls.append((trace.tb_frame, trace.tb_lineno, _columns(code, trace.tb_lasti)))
        trace = trace.tb_next
    while calls and is_ours(calls[0][0].f_code.co_filename) and len(calls) > 1:
        del calls[0]
    if len(calls) > _MOST_FRAMES:
        calls[_MOST_FRAMES // 2 : -_MOST_FRAMES // 2] = []
    for frame, line, columns in calls:
        yield _frame(frame, line, columns)


def _frame(frame: FrameType, line: int, columns: tuple[int, int] | None) -> Frame:
    code = frame.f_code
    file = code.co_filename
    source = linecache.getlines(file, frame.f_globals)
    first = max(1, line - _AROUND)
    lines = tuple(text.rstrip("\n") for text in source[first - 1 : line + _AROUND])
    return Frame(
        file=file,
        shown_file=_short(file),
        line=line,
        function=getattr(code, "co_qualname", code.co_name),  # since 3.11
        own=is_own(file),
        first_line=first,
        lines=lines,
        columns=_in_characters(source, line, columns),
        values=tuple(_values(frame)),
    )


def _place_of_syntax(error: BaseException) -> Iterator[Frame]:
    """Where the text is that could not be compiled: no call ever came there."""
    if isinstance(error, SyntaxError) and isinstance(error.filename, str) and error.lineno:
        source = linecache.getlines(error.filename)
        first = max(1, error.lineno - _AROUND)
        yield Frame(
            file=error.filename,
            shown_file=_short(error.filename),
            line=error.lineno,
            function="(syntax)",
            own=is_own(error.filename),
            first_line=first,
            lines=tuple(text.rstrip("\n") for text in source[first - 1 : error.lineno + _AROUND]),
            columns=None,
            values=(),
        )


def _values(frame: FrameType) -> Iterator[tuple[str, str]]:
    """The local variables; those of a class, or of ``exec``, may be any mapping."""
    try:
        found = [(name, frame.f_locals[name]) for name in list(frame.f_locals)[:_MOST_VALUES]]
    except Exception:
        return
    for name, value in found:
        if isinstance(name, str) and not name.startswith("__"):
            yield name, shown(name, value)


def _columns(code: CodeType, instruction: int) -> tuple[int, int] | None:
    """Which bytes of its line an instruction came from; Python keeps that since 3.11."""
    if sys.version_info < (3, 11) or instruction < 0:
        return None
    positions = list(code.co_positions())
    if instruction // 2 >= len(positions):
        return None
    line, last_line, column, last_column = positions[instruction // 2]
    if line is None or line != last_line or column is None or last_column is None:
        return None
    return column, last_column


def _in_characters(
    source: list[str], line: int, columns: tuple[int, int] | None
) -> tuple[int, int] | None:
    """Offsets in bytes of UTF-8 as offsets in characters."""
    if columns is None or not 0 < line <= len(source):
        return None
    raw = source[line - 1].encode()
    first, last = (len(raw[:offset].decode("utf-8", "replace")) for offset in columns)
    return first, last


def _short(file: str) -> str:
    """A path as people know it: from the current folder, or from where libraries are."""
    here = os.getcwd() + os.sep
    for folder in (here, *sorted(LIBRARIES, key=len, reverse=True)):
        if file.startswith(folder):
            return file[len(folder) :]
    return file
