"""Common: what all requests of a worker have together."""

from typing import TYPE_CHECKING

from rush_http import HttpServer

from .events import EventStreams

if TYPE_CHECKING:
    from .receiving import Coming


class Common:
    """One for all requests of a worker, since a `Request` may be made for each in development."""

    __slots__ = ("coming", "event_streams")

    def __init__(self, http_server: HttpServer) -> None:
        self.event_streams = EventStreams(http_server)
        self.coming: Coming | None = None
        """The body of the present request, if its handler is called at the head."""
