"""Open files that are shared: one descriptor, any number of readers, none of whom moves it.

A large file is not kept in memory but open, and is sent from there again and again.  Descriptors
made by `dup` share one offset, so nobody may use it: sendfile(2) and pread(2) take their own.
"""

import io
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


class Descriptor:
    """An open file, closed when the last one who refers to it lets go.

    Its owner is who holds this object: each `File` made with it, each reader.  So a version that
    was replaced is closed at the end of the last answer that is sent from it, and no count of ours
    can be wrong.
    """

    __slots__ = ("number",)

    def __init__(self, number: int) -> None:
        self.number = number

    def __del__(self) -> None:
        os.close(self.number)

    def __repr__(self) -> str:
        return f"<Descriptor {self.number}>"


class SharedReader(io.RawIOBase):
    """A binary file object, unbuffered, with a position of its own in a shared descriptor.

    To close it lets go of the descriptor; `fileno` may be given to sendfile(2) until then.
    """

    def __init__(self, descriptor: Descriptor) -> None:
        self._descriptor: Descriptor | None = descriptor
        self._position = 0

    def fileno(self) -> int:
        """The shared descriptor: use it with an explicit offset only."""
        return self._opened().number

    def close(self) -> None:
        """Let go of the descriptor."""
        self._descriptor = None
        super().close()

    def readable(self) -> bool:
        """Always."""
        return True

    def seekable(self) -> bool:
        """Always."""
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        """Read on from its own position."""
        count = os.preadv(self._opened().number, [buffer], self._position)
        self._position += count
        return count

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move its own position."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position}.get(whence)
        if base is None:
            base = os.fstat(self._opened().number).st_size
        if base + offset < 0:
            raise ValueError(f"position {base + offset} is before the beginning")
        self._position = base + offset
        return self._position

    def _opened(self) -> Descriptor:
        if self._descriptor is None:
            raise ValueError("the file is closed")
        return self._descriptor
