"""What a cache was told when it was made, checked."""

from collections.abc import Callable
from dataclasses import dataclass

from .file import File


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """See `AutoUpdatingCache`, which has the defaults."""

    max_bytes: int
    max_file_bytes: int
    max_open_files: int
    revalidate: float | None
    companions: tuple[str, ...]
    prepare: Callable[[File], File] | None

    def __post_init__(self) -> None:
        for name in ("max_bytes", "max_file_bytes", "max_open_files"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name}={getattr(self, name)!r} is a number: 0 or more")
        if self.revalidate is not None and not self.revalidate >= 0:
            raise ValueError(f"revalidate={self.revalidate!r} is a number of seconds: 0 or more")
        if isinstance(self.companions, str):
            raise TypeError(f"companions={self.companions!r} is one str; give a tuple of suffixes")
        for suffix in self.companions:
            if not suffix or "/" in suffix or "\0" in suffix:
                raise ValueError(f"companions={self.companions!r}: {suffix!r} is not a suffix")

    @property
    def suffixes(self) -> tuple[str, ...]:
        """Of the file itself and of its companions."""
        return ("", *dict.fromkeys(self.companions))
