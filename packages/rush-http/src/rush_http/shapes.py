"""Shapes: the names of the lines that a client sends anew with each request.

A browser's heads go on after their prefix with the same fields, in the same order, each time.  A
pattern of just these names leaves the values to be checked: 3,500 instructions less for three
lines than the pattern for any line (tests/bench/instructions.py).
"""

import re
from typing import Final

# RFC 9110, 5.5: field-value, as text of one byte for each character.
VALUE: Final = r"[\t\x20-\x7e\x80-\xff]*"

TOLD: Final = ("host", "referer", "user-agent")
"""The fields that logs tell."""


class Shapes:
    """Patterns by field names, for all connections of one worker.

    Bounded: to compile one takes as long as 50 requests, so there are `MOST` in the worker's life,
    of `NAMES_BYTES` at most; who comes later does without.
    """

    MOST = 256
    NAMES_BYTES = 512

    __slots__ = ("_patterns",)

    def __init__(self) -> None:
        self._patterns: dict[tuple[str, ...], re.Pattern[str]] = {}

    def __len__(self) -> int:
        return len(self._patterns)

    def pattern(self, names: tuple[str, ...]) -> re.Pattern[str] | None:
        """What matches header lines with just these names, as they are written, and an empty one.

        Each is known to be a token.  The groups are the values, with the space around them; one
        has a name if there is any of `TOLD` among them.
        ``None`` if there are too many patterns already.
        """
        found = self._patterns.get(names)
        if found is None and len(self._patterns) < self.MOST:
            if sum(map(len, names)) > self.NAMES_BYTES:
                return None
            lines = "".join([rf"{re.escape(name)}:({VALUE})\r\n" for name in names])
            told = next((name for name in names if name.lower() in TOLD), None)
            if told is not None:
                lines = lines.replace(f"{re.escape(told)}:(", f"{re.escape(told)}:(?P<told>", 1)
            found = self._patterns[names] = re.compile(rf"{lines}\r\n")
        return found
