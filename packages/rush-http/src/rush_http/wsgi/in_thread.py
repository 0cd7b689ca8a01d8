"""InThread: an answer of an application that runs in a thread of the pool."""

import logging
from collections.abc import Callable, Iterator

from epollserver import SendableFile

from ..deferred import Deferred
from ..errors import REASONS, HttpError
from ..streams import ResponseStream
from .answer import Answer, Application
from .input import ArrivingBody

_log = logging.getLogger("rush_http")


class InThread(Answer):
    """An answer in a thread of the pool, which may wait for the client."""

    __slots__ = ("arriving", "deferred", "on_error")

    arriving: ArrivingBody | None
    """Its input, if it may be arriving."""

    deferred: Deferred
    on_error: Callable[[], object]
    """Called when the application has failed."""

    def run_safely(self, app: Application) -> None:
        """As `run`; what it raises is logged, and answered with 500."""
        try:
            self.run(app)
        except BaseException as error:
            if isinstance(error, ConnectionError) and (self.deferred.gone or self._unheard()):
                return
            _log.error("%s failed", self.what(), exc_info=error)
            if not self._unheard():
                self.on_error()
                told = error if isinstance(error, HttpError) else HttpError()
                text = f"{told.status} {REASONS.get(told.status, 'Error')}\n"
                self.deferred.respond(text.encode(), told.status, told.headers)

    def _unheard(self) -> bool:
        """Whether nobody waits for an answer, because the body of the request was refused."""
        return self.arriving is not None and self.arriving.lost

    def _check_heard(self) -> None:
        if self._unheard():
            raise ConnectionResetError("the request was refused, or its client has gone")

    def respond(self, body: bytes) -> None:
        """As `Answer.respond`."""
        said = self.said()
        self._check_heard()
        self.deferred.respond(body, said.status, said.headers, content_type=said.content_type)

    def respond_file(self, file: SendableFile, offset: int, count: int) -> None:
        """As `Answer.respond_file`."""
        said = self.said()
        self._check_heard()
        self.deferred.respond_file(
            *(file, offset, count, said.status, said.headers), content_type=said.content_type
        )

    def open_stream(self) -> ResponseStream:
        """As `Answer.open_stream`."""
        said = self.said()
        self._check_heard()
        return self.deferred.start_stream(
            said.status, said.headers, content_type=said.content_type, length=said.length
        )

    def write(self, data: bytes) -> None:
        """As `Answer.write`; waits for the client.  Raises `ConnectionError` if that has gone."""
        super().write(data)
        if isinstance(self.stream, ResponseStream) and not self.stream.wait():
            raise ConnectionResetError("the client has gone")

    def send_pieces(self, pieces: Iterator[bytes]) -> None:
        """As `Answer.send_pieces`."""
        stream = self.stream
        if stream is None:
            stream = self.stream = self.open_stream()
        assert isinstance(stream, ResponseStream)
        if stream.has_body:
            for piece in pieces:
                if not stream.write(piece) and not stream.wait():
                    break  # the client has gone
            else:
                stream.finish()
        else:
            stream.finish()
        self.end()
