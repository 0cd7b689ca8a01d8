"""OnLoop: an answer of an application that runs in the server's thread."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from epollserver import Connection, SendableFile

from ..streams import ResponseStream
from .answer import GIVEN, Answer, SupportsClose, as_exception
from .environ import Environ

if TYPE_CHECKING:
    from ..server import HttpServer


class OnLoop(Answer):
    """An answer in the server's thread."""

    __slots__ = ("conn",)

    conn: Connection

    @property
    def server(self) -> "HttpServer":
        """The server of the connection."""
        server: HttpServer = self.conn.data.server
        return server

    def of(self, environ: Environ, body: SupportsClose | None) -> "OnLoop":
        """Return itself, with what a short answer does without."""
        self.environ = environ
        self.body = body
        self.iterable = None
        return self

    def give_safely(self, result: Iterable[bytes]) -> None:
        """As `give`; what that raises is for `failed`."""
        try:
            self.give(result)
        except BaseException as error:
            self.failed(error)

    def failed(self, error: BaseException) -> None:
        """As `Answer.failed`."""
        super().failed(error)
        if isinstance(error, KeyboardInterrupt):
            raise error

    def respond(self, body: bytes) -> None:
        """As `Answer.respond`."""
        said = self.said()
        self.server.respond(
            self.conn, body, said.status, said.headers, content_type=said.content_type
        )

    def respond_file(self, file: SendableFile, offset: int, count: int) -> None:
        """As `Answer.respond_file`."""
        said = self.said()
        self.server.respond_file(
            self.conn,
            *(file, offset, count, said.status, said.headers),
            content_type=said.content_type,
        )

    def open_stream(self) -> ResponseStream:
        """As `Answer.open_stream`."""
        said = self.said()
        return self.server.start_stream(
            self.conn,
            *(said.status, said.headers),
            content_type=said.content_type,
            length=said.length,
        )

    def send_pieces(self, pieces: Iterator[bytes]) -> None:
        """As `Answer.send_pieces`: pulled as the client reads."""
        stream = self.stream
        if stream is not None:  # after write(): there is nobody to wait for
            for piece in pieces:
                stream.write(piece)
            stream.finish()
            self.end()
            return
        said = self.said()
        self.stream = GIVEN  # also while the first pieces are pulled
        try:
            self.server.stream(
                self.conn,
                _Pulled(pieces, self),
                *(said.status, said.headers),
                content_type=said.content_type,
                length=said.length,
            )
        except ValueError:
            self.stream = None  # refused before anything was sent
            raise


class _Pulled:
    """Pieces, and what is to be done when they are not wanted any more."""

    def __init__(self, pieces: Iterable[bytes], answer: Answer) -> None:
        self._pieces = iter(pieces)
        self._answer = answer

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        try:
            return next(self._pieces)
        except (Exception, KeyboardInterrupt):
            raise
        except BaseException as error:
            raise as_exception(error) from error

    def __repr__(self) -> str:
        return self._answer.what()

    def close(self) -> None:
        self._answer.end()
