"""Files: what an application wraps with ``wsgi.file_wrapper``, to be sent by sendfile(2)."""

import os
import stat
from collections.abc import Iterator
from typing import Protocol, cast


class Readable(Protocol):
    """What can be read; it may have a ``close()`` and a ``fileno()`` as well."""

    def read(self, size: int, /) -> bytes:
        """Up to `size` bytes; none at the end."""


class FileWrapper:
    """``wsgi.file_wrapper``: a file as an iterable of blocks (PEP 3333).

    Returned by the application as it is, a regular file is sent by the kernel, from where it
    stands to its end, or as much as ``Content-Length`` says.  Otherwise it is read in blocks of
    `block_size` bytes.
    """

    def __init__(self, filelike: Readable, block_size: int = 65536) -> None:
        self.filelike = filelike
        self.block_size = block_size

    def __iter__(self) -> Iterator[bytes]:
        while block := self.filelike.read(self.block_size):
            yield block

    def close(self) -> None:
        """Close the file, if it can be closed."""
        close = getattr(self.filelike, "close", None)
        if close is not None:
            close()

    def fileno(self) -> int:
        """The descriptor of the file; raises what the file raises if it has none."""
        return cast(int, self.filelike.fileno())  # type: ignore[attr-defined]


def span(wrapper: FileWrapper) -> tuple[int, int] | None:
    """Where a file that sendfile(2) can send stands, and how much is left; ``None`` of others."""
    filelike = wrapper.filelike
    try:
        status = os.fstat(wrapper.fileno())
        position = filelike.tell()  # type: ignore[attr-defined]
    except (AttributeError, OSError, ValueError):  # no descriptor, or closed
        return None
    if not stat.S_ISREG(status.st_mode) or position < 0:
        return None
    if getattr(filelike, "encoding", None) is not None:
        return None  # text: read() says that better than we could
    return position, max(0, status.st_size - position)
