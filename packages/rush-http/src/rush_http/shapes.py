"""Shapes: the names of the lines that a client sends anew with each request.

A browser's heads go on after their prefix with the same fields, in the same order, each time.  A
pattern of just these names leaves the values to be checked: 3,500 instructions less for three
lines than the pattern for any line (tests/bench/instructions.py).
"""

import re
from typing import Final

# RFC 9110, 5.5: field-value, as text of one byte for each character.
VALUE: Final = r"[\t\x20-\x7e\x80-\xff]*"
_LINE: Final = rf":({VALUE})\r\n"
# One as nearly all write it.  The look-behind after its CR, not before it: so `re` looks for that
# CR at once.
_TRIMMED: Final = rf": ([\x21-\x7e\x80-\xff]{VALUE})\r(?<![\t ]\r)\n"

TOLD: Final = ("host", "referer", "user-agent")
"""The fields that logs tell."""


class Shapes:
    """Patterns by field names, for all connections of one worker.

    Bounded: to compile one takes as long as 50 requests, so there are `MOST` in the worker's life,
    of `NAMES_BYTES` at most; who comes later does without.
    """

    MOST = 256
    NAMES_BYTES = 512

    __slots__ = ("_patterns", "trimmed")

    def __init__(self, trimmed: bool = False) -> None:
        """`trimmed`: groups are values as they are, for who reads them all.

        It takes 200 instructions for a line, where to strip a value takes 400.  Lines that have no
        space after their colon, or more, are matched by none then.
        """
        self.trimmed = trimmed
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
            shape = _TRIMMED if self.trimmed else _LINE
            lines = [re.escape(name) + shape for name in names]
            told = [index for index, name in enumerate(names) if name.lower() in TOLD]
            if told:
                lines[told[0]] = lines[told[0]].replace("(", "(?P<told>", 1)
            found = self._patterns[names] = re.compile("".join([*lines, "\r\n"]))
        return found


def is_trimmed(pattern: "re.Pattern[str]") -> bool:
    """Whether a pattern of `Shapes` leaves the space around values out of its groups."""
    return "(?<!" in pattern.pattern
