"""Sinks: where a body goes that comes in pieces.

    write, write ... --> finish: what has become of it
                     --> lost:   it will never be complete

Each is finished or lost, never both.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Protocol, TypeVar

from epollserver import Reason
from rush_http import ContentTooLarge, HttpError

from .forms import MULTIPART, URLENCODED, Form, FormLimits, MultipartReader, read_form

T_co = TypeVar("T_co", covariant=True)

OnPiece = Callable[[bytes], object]
OnLost = Callable[[Reason | Exception], object]


class Sink(Protocol[T_co]):
    """What takes a body; any of these may raise, an `HttpError` to refuse."""

    def write(self, piece: bytes) -> object:
        """Take the next piece."""

    def finish(self) -> T_co:
        """Hear that it was the last one; returns what has become of all of them."""

    def lost(self, reason: Reason | Exception) -> object:
        """Let go of it."""


class ToCallbacks:
    """Hands the pieces on."""

    def __init__(self, on_piece: OnPiece, on_lost: OnLost | None) -> None:
        self.write = on_piece
        self._on_lost = on_lost

    def finish(self) -> None:
        """Nothing has become of them here."""

    def lost(self, reason: Reason | Exception) -> None:
        """As `Sink.lost`."""
        if self._on_lost is not None:
            self._on_lost(reason)


class ToFile:
    """Writes a file beside its target, which takes the target's place when it is complete."""

    def __init__(self, target: str | os.PathLike[str]) -> None:
        self._target = Path(target)
        self._part = self._target.with_name(f".{os.urandom(8).hex()}.part")
        # Closed by finish() or lost().  Not buffered: the pieces are large.
        self._file = open(self._part, "xb", buffering=0)  # noqa: SIM115
        self._size = 0

    def write(self, piece: bytes) -> None:
        """As `Sink.write`."""
        left = memoryview(piece)
        while left:
            left = left[self._file.write(left) :]
        self._size += len(piece)

    def finish(self) -> int:
        """Put it where it belongs; returns its size."""
        try:
            self._file.close()
            os.replace(self._part, self._target)
        except OSError:
            self._part.unlink(missing_ok=True)
            raise
        return self._size

    def lost(self, reason: Reason | Exception) -> None:
        """Remove what there is."""
        self._file.close()
        self._part.unlink(missing_ok=True)


class ToForm:
    """Takes a form apart, multipart as it comes."""

    def __init__(self, content_type: str | None, limits: FormLimits) -> None:
        """415 for what is no form, 400 for multipart without a boundary."""
        self._content_type = content_type
        self._limits = limits
        self._reader: MultipartReader | None = None
        self._data = bytearray()
        # More than that is past a limit, however it is encoded.
        self._most = 3 * (limits.field_bytes + limits.parts * (limits.name_bytes + 2))
        kind = (content_type or "").partition(";")[0].strip(" \t").lower()
        if kind == MULTIPART:
            self._reader = MultipartReader(content_type or "", limits)
        elif kind != URLENCODED:
            raise HttpError(f"a form is {URLENCODED} or {MULTIPART}, not {kind!r:.80}", status=415)

    def write(self, piece: bytes) -> None:
        """As `Sink.write`; 400 and 413 as `MultipartReader.feed`."""
        if self._reader is not None:
            self._reader.feed(piece)
            return
        self._data += piece
        if len(self._data) > self._most:
            raise ContentTooLarge(f"{len(self._data)} bytes of fields (FormLimits.field_bytes)")

    def finish(self) -> Form:
        """The form; the caller closes it."""
        if self._reader is not None:
            return self._reader.finish()
        return read_form(bytes(self._data), self._content_type, self._limits)

    def lost(self, reason: Reason | Exception) -> None:
        """Close its files."""
        if self._reader is not None:
            self._reader.close()
