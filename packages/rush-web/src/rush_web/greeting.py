"""The greeting: what the `rush` command says when its server serves."""

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress

from . import __version__
from .banner import Banner, Facts, counted
from .paint import BOLD, CYAN, DIM, GREEN, Paint, cut, cut_left, width_of
from .ring import printable
from .units import rounded_size, shown_seconds
from .uptime import age

_MARGIN = "  "
_LONGEST = 100  # a wider terminal has no longer lines


def greeting(
    banner: str, mode: str, keys: Mapping[str, str], what_else: str = "", seconds: float = -1.0
) -> str:
    """What a command says when it serves: a block for a terminal, or else two lines.

    `mode` is a word, `what_else` there is to know of it; `keys` do something.  `seconds` is how
    long the start took: by default since this process began.
    """
    took = f"ready in {shown_seconds(age() if seconds < 0 else seconds)}"
    paint = Paint()
    if isinstance(banner, Banner) and (paint.is_terminal or paint.colours):
        lines = _block(banner.facts, mode, took, what_else, keys, paint)
        return "\n".join(["", *(_MARGIN + line if line else "" for line in lines), ""])
    does = ", ".join(f"{key} {what}" for key, what in keys.items())
    more = f": {what_else}" if what_else else ""
    return f"{banner}\n{took.capitalize()}, in {mode}{more}. {does}."


def _block(
    facts: Facts, mode: str, took: str, what_else: str, keys: Mapping[str, str], paint: Paint
) -> Iterator[str]:
    width = min(_LONGEST, width_of()) - 2 * len(_MARGIN)
    name = f"{paint('Rush', BOLD, CYAN)} {paint(__version__, DIM)}"
    room = width - len(f"Rush {__version__}  ")
    yield f"{name}  {paint(cut(f'{mode}, {took}', room), GREEN)}"
    yield ""
    rows = list(_rows(facts, width, paint))
    widest = max(len(name) for name, _ in rows)
    for name, text in rows:
        yield f"{paint(name.ljust(widest), DIM)}  {text}"
    yield ""
    if what_else:
        yield paint(cut(f"{what_else[0].upper()}{what_else[1:]}.", width), DIM)
    yield "   ".join(f"{paint(key, BOLD)} {paint(what, DIM)}" for key, what in keys.items())


def _rows(facts: Facts, width: int, paint: Paint) -> Iterator[tuple[str, str]]:
    """Names, and what is said of them in so many columns."""
    room = width - len("Address  ")
    for number, address in enumerate(facts.addresses):
        yield "" if number else "Address", _address(address, room, paint)
    pid = paint(f"below process {os.getpid()}", DIM)
    yield "Workers", f"{facts.workers}  {pid}"
    if facts.is_application:
        yield "Answers", "a WSGI application"
    if facts.routes or facts.redirects or not (facts.is_application or facts.files):
        redirects = f", {counted(facts.redirects, 'redirect')}" if facts.redirects else ""
        none = "" if facts.routes or facts.redirects else paint("  so all is 404", DIM)
        yield "Routes", f"{facts.routes}{redirects}{none}"
    if facts.files is not None:
        below = f" below {cut(facts.files, 24)}"
        folder = _from_here(facts.folder) if facts.folder else "several folders"
        yield "Files", cut_left(folder, room - len(below)) + below
        if facts.cached[0]:
            files, memory = facts.cached
            yield "Cached", f"{counted(files, 'file')}, {rounded_size(memory)}"
    if facts.state:
        yield "State", _address(facts.state, room, paint)


def _address(url: str, room: int, paint: Paint) -> str:
    if url.startswith("unix:"):
        return paint(cut_left(printable(url), room), BOLD, CYAN)
    link = paint.link(paint(cut(url, room), BOLD, CYAN), reachable(url))
    more = "  every address of this machine"
    if reachable(url) == url or len(url) + len(more) > room:
        return link
    return link + paint(more, DIM)


def reachable(url: str) -> str:
    """The URL for this machine, of one that stands for all its addresses."""
    return url.replace("//0.0.0.0:", "//127.0.0.1:").replace("//[::]:", "//[::1]:")


def _from_here(folder: str) -> str:
    """A folder by its shortest name: ``public`` below the current one, ``~/site`` at home."""
    with suppress(OSError):
        here, home = os.getcwd(), os.path.expanduser("~")
        if folder == here:
            return "this folder"
        for above, short in ((here, ""), (home, "~/")):
            if folder.startswith(f"{above.rstrip('/')}/"):
                return short + folder[len(above.rstrip("/")) + 1 :]
    return folder
