"""The pid file: where the number of the parent is, as long as it lives."""

import contextlib
import os


class PidFile:
    """Written whole or not at all; removed at the end, unless another has written it since.

    Raises `OSError` if it cannot be written.  A context manager.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = os.path.abspath(path)  # the program may change its folder
        self._text = f"{os.getpid()}\n"

    def __enter__(self) -> "PidFile":
        new = f"{self._path}.{os.getpid()}"
        try:
            with open(new, "w") as file:
                file.write(self._text)
            os.replace(new, self._path)
        except OSError:
            with contextlib.suppress(OSError):
                os.unlink(new)
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        with contextlib.suppress(OSError):
            with open(self._path, "rb") as file:
                ours = file.read() == self._text.encode()
            if ours:
                os.unlink(self._path)
