"""Live reload: pages hear of what was saved, by server-sent events.

A saved style sheet is swapped in the page, anything else that was served reloads it; so does
another version of the server.
"""

import os
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from ..pages.layout import part
from ..routing import Route
from .viewers import Viewers

if TYPE_CHECKING:
    from rush_loader import Loader, Mounts

    from ..events import EventStream
    from ..request import Request

EVENTS: Final = "/_rush/live"
SCRIPT: Final = "/_rush/live.js"

VERSION: Final = os.urandom(8).hex()
"""Which version of the program this is: the same in all workers, as their parent imports this."""

_RETRY_MILLISECONDS = 200


class Live:
    """The pages that are open, each with its stream; told when a file of `loader` has changed."""

    def __init__(self, loader: "Loader | Mounts", viewers: Viewers) -> None:
        self._viewers = viewers
        self._streams: dict[EventStream, bool] = {}  # and whether who reads it may see more
        self._trouble = ""
        with suppress(TypeError):  # by a cache that tells nothing only restarts are heard of
            loader.on_change(self._changed)

    def routes(self) -> list[Route]:
        """What answers the script."""
        return [Route(EVENTS, self._events), Route(SCRIPT, _script)]

    def _events(self, request: "Request") -> None:
        stream = request.events(retry=_RETRY_MILLISECONDS)
        stream.send(VERSION, event="version")
        self._streams[stream] = self._viewers.may_see(request)
        stream.on_gone(lambda: self._streams.pop(stream, None))
        if self._trouble:
            self._send_trouble(stream)

    def tell_trouble(self, text: str) -> None:
        """Let all pages show what is wrong with a newer version, those that come later as well.

        Another version, which a mended one is, reloads them.
        """
        self._trouble = text
        for stream in list(self._streams):
            self._send_trouble(stream)

    def _send_trouble(self, stream: "EventStream") -> None:
        text = self._trouble if self._streams.get(stream) else "The program cannot begin."
        stream.send(text, event="trouble")

    def _changed(self, paths: list[str], kind: str) -> None:
        """Tell the pages; in a thread of the cache."""
        names = [os.path.basename(path) for path in paths]
        are_styles = all(name.endswith(".css") for name in names)
        for stream in list(self._streams):
            if are_styles:
                stream.send(names, event="style")
            else:
                stream.send("", event="reload")


def _script(request: "Request") -> None:
    request.response(
        part("live.js"),
        headers=(("Cache-Control", "no-cache"),),
        content_type="text/javascript; charset=utf-8",
    )
