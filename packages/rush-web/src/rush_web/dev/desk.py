"""The desk: where somebody sits who writes the program: what they save, and the keys they press."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from typing import Final

from epollserver import Loop

from ..banner import Banner
from ..changes import Changes
from ..greeting import greeting, reachable
from ..paint import BOLD, CYAN, DIM, Paint
from ..server import say
from .keys import Keys

KEYS: Final = {"r": "restart", "o": "open", "c": "clear", "q": "quit"}
_NO_KEYS: Final = {"Ctrl-C": "stops it"}
_CLEAR: Final = "\x1b[H\x1b[2J\x1b[3J"
# What is not shown where a program can run is shown in the terminal itself: none that reads keys.
_SCREENS: Final = ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")


class Desk(Changes):
    """`Changes`, and in a terminal the keys: r restarts, o opens a browser, c clears, q quits.

    As for `Changes`, nothing is opened before `watch`; `close` gives the terminal back.
    """

    def __init__(
        self,
        own: Callable[[], Iterable[str]],
        seen: Callable[[list[str]], object],
        began: float,
    ) -> None:
        super().__init__(own, seen, began)
        self._keys: Keys | None = None
        self._url = ""
        self._browsers: list[subprocess.Popen[bytes]] = []

    def watch(self, loop: Loop, changed: Callable[[], object]) -> None:
        """As `Changes.watch`; r is a change as well."""
        super().watch(loop, changed)
        terminal = Keys.find()
        if terminal is not None:
            actions = {
                "r": lambda: self._restart(changed),
                "o": self._open,
                "c": self._clear,
                "q": lambda: signal.raise_signal(signal.SIGINT),
                "\n": lambda: say(""),
            }
            self._keys = Keys(terminal, actions)
            self._keys.watch(loop)

    def close(self) -> None:
        """As `Changes.close`."""
        super().close()
        if self._keys is not None:
            self._keys.close()

    def greet(self, banner: str) -> str:
        """What to say when it serves for the first time."""
        if isinstance(banner, Banner):
            urls = [url for url in banner.facts.addresses if not url.startswith("unix:")]
            self._url = reachable(urls[0]) if urls else ""
        keys = KEYS if self._keys is not None else _NO_KEYS
        return greeting(banner, "development", keys, "a save restarts it, errors are explained")

    def _restart(self, changed: Callable[[], object]) -> None:
        say(f"{stamp(Paint())}  restart")
        changed()

    def _clear(self) -> None:
        paint = Paint()
        keys = "   ".join(f"{paint(key, BOLD)} {paint(what, DIM)}" for key, what in KEYS.items())
        where = paint.link(paint(self._url, BOLD, CYAN), self._url)
        say(f"{_CLEAR}{'   '.join(part for part in (where, keys) if part)}")

    def _open(self) -> None:
        paint = Paint()
        if not self._url:
            say(f"{stamp(paint)}  nothing that a browser could open")
        elif not any(map(os.environ.get, _SCREENS)):
            say(f"{stamp(paint)}  no screen for a browser here: open {self._url} elsewhere")
        else:
            say(f"{stamp(paint)}  {self._url} is opened")
            self._browsers = [one for one in self._browsers if one.poll() is None]
            # A process of its own: finding a browser takes its time, and some write and read.
            self._browsers.append(
                subprocess.Popen(
                    [sys.executable, "-m", "webbrowser", self._url],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    start_new_session=True,
                )
            )


def stamp(paint: Paint) -> str:
    """The time of day, as each line has it."""
    return paint(time.strftime("%H:%M:%S"), DIM)
