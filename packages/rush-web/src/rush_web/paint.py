"""Paint: colours and links for a terminal; for whoever else reads, the text as it is."""

import os
import sys
from typing import Final, TextIO

RED, GREEN, YELLOW, BLUE, CYAN = "31", "32", "33", "34", "36"
BOLD, DIM = "1", "2"

_PLAIN: Final = "\x1b[0m"
_LINK: Final = "\x1b]8;;{url}\x1b\\{text}\x1b]8;;\x1b\\"
# They have no links, and show what stands for them.
_WITHOUT_LINKS: Final = frozenset({"dumb", "linux", "emacs"})

USUAL_WIDTH: Final = 80


class Paint:
    """What dresses text for `stream`.

    Colours are for terminals.  A variable ``NO_COLOR`` takes them away, ``FORCE_COLOR`` gives them
    to a pipe as well; of the two the first counts (no-color.org, force-color.org).  Links are no
    colours, and for terminals only.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        stream = sys.stdout if stream is None else stream
        kind = os.environ.get("TERM", "")
        self.is_terminal = _is_terminal(stream) and kind != "dumb"
        """Whether somebody sees it, in lines of a width that is known."""
        forced = bool(os.environ.get("FORCE_COLOR"))
        self.colours = not os.environ.get("NO_COLOR") and (forced or self.is_terminal)
        """Whether text is coloured."""
        self.links = self.is_terminal and kind not in _WITHOUT_LINKS
        """Whether addresses can be clicked."""

    @classmethod
    def plain(cls) -> "Paint":
        """What leaves all text as it is, whoever reads it."""
        paint = cls()
        paint.is_terminal = paint.colours = paint.links = False
        return paint

    def __call__(self, text: str, *codes: str) -> str:
        """The text in colours: ``paint("404", BOLD, YELLOW)``."""
        if not self.colours or not text:
            return text
        return f"\x1b[{';'.join(codes)}m{text}{_PLAIN}"

    def link(self, text: str, url: str) -> str:
        """The text, which leads to `url` when it is clicked."""
        return _LINK.format(url=url, text=text) if self.links else text


def width_of(stream: TextIO | None = None) -> int:
    """How many columns a line may have: those of the terminal, else `USUAL_WIDTH`.

    ``COLUMNS`` goes before what the terminal says.
    """
    columns = os.environ.get("COLUMNS", "")
    if columns.isdecimal() and int(columns):
        return int(columns)
    try:
        return os.get_terminal_size((stream or sys.stdout).fileno()).columns or USUAL_WIDTH
    except (OSError, ValueError, AttributeError):
        return USUAL_WIDTH


def cut(text: str, width: int) -> str:
    """The text, or its beginning and two dots, if it is longer than `width`."""
    return text if len(text) <= width else text[: max(0, width - 2)] + ".."[: max(0, width)]


def cut_left(text: str, width: int) -> str:
    """As `cut`, but the end stays: of a path that says more."""
    if len(text) <= width:
        return text
    return ".."[: max(0, width)] + text[len(text) - max(0, width - 2) :]


def _is_terminal(stream: TextIO | None) -> bool:
    try:
        return stream is not None and stream.isatty()
    except ValueError:  # it is closed
        return False
