"""The banner: the line that says what is served, when a server serves."""

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .files import place_of
from .ring import printable
from .sockets import Sockets, shown_address

if TYPE_CHECKING:
    from rush_loader import Loader, Mounts

    from .server import WebServer


@dataclass(frozen=True)
class Facts:
    """What a banner tells of a server."""

    addresses: tuple[str, ...]
    """Where it is, as URLs, or ``unix:/run/x.sock``."""
    workers: int
    routes: int
    redirects: int
    is_application: bool
    folder: str
    """The folder of the files; empty if it is not one."""
    files: str | None
    """The prefix below which they are served."""
    cached: tuple[int, int]
    """How many files are in memory already, and how many bytes they take there."""
    state: str
    """The URL of the pages on what it does; empty if they have no port of their own."""


class Banner(str):
    """A line that says what is served, where and by how many; `facts` is what it was made of."""

    facts: Facts

    def __new__(cls, facts: Facts) -> "Banner":
        """The line of these facts."""
        banner = super().__new__(cls, _line(facts))
        banner.facts = facts
        return banner


def facts_of(server: "WebServer", sockets: Sockets, loader: "Loader | Mounts") -> Facts:
    """What there is to tell of a server that is bound."""
    scheme = "http" if server.certfile is None else "https"
    cached = (0, 0)
    with suppress(TypeError):  # by a cache that does not count
        stats = loader.stats()
        cached = stats.entries, stats.bytes
    return Facts(
        addresses=tuple(dict.fromkeys(shown_address(sock, scheme) for _, sock in sockets.served())),
        workers=server.workers,
        routes=len(server.routes),
        redirects=len(server.redirects),
        is_application=server.wsgi is not None,
        folder=printable(place_of(server).removeprefix(" of ")),
        files=server.files,
        cached=cached,
        state="".join(shown_address(sock) for _, sock in sockets.status),
    )


def _line(facts: Facts) -> str:
    what = []
    if facts.routes or (facts.files is None and not facts.is_application):
        what.append(counted(facts.routes, "route"))
    if facts.is_application:
        what.append("a WSGI application")
    if facts.files is not None:
        what.append(f"the files{f' of {facts.folder}' if facts.folder else ''} below {facts.files}")
    state = f" Its state is at {facts.state}." if facts.state else ""
    return (
        f"Rush serves {' and '.join(what)} at {', '.join(facts.addresses)}"
        f" with {counted(facts.workers, 'worker')}.{state}"
    )


def counted(number: int, noun: str) -> str:
    """``1 route``, ``2 routes``."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
