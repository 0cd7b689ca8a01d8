"""TestResponse: what the server has answered, or is answering still."""

import json
from collections.abc import Callable, Iterator
from email.message import Message
from typing import TYPE_CHECKING, Any

from rush_http import Headers, HttpError

from .answers import AnswerReader

if TYPE_CHECKING:
    from .wire import Wire
    from .worker import Worker


class TestResponse:
    """One answer.  Of one that was asked for with ``stream=True``, the head is there.

    What would need more than there is lets the server work, as long as it takes: `body`, `text`,
    `json`, `pieces` and `read_until`.  They raise what the handler raised, `TimeoutError`, or
    `ConnectionError` if the server closes the connection in the middle.
    """

    __test__ = False  # pytest is not to collect it

    def __init__(
        self,
        asked: tuple[str, str],
        wire: "Wire",
        worker: "Worker",
        *,
        raise_exceptions: bool,
    ) -> None:
        self.method, self.target = asked
        self.history: list[TestResponse] = []
        """The redirects that were followed to come here."""
        self.error: Exception | None = None
        """What went wrong in the server meanwhile, as its log has it; the first, if several did."""
        self._raise_exceptions = raise_exceptions
        self._wire = wire
        self._worker = worker
        self._reader = AnswerReader(self.method)
        self._taken = 0  # how much of the body `pieces` has given
        self._over = False
        self._wait(lambda: bool(self._reader.status), "no answer to")

    def __repr__(self) -> str:
        size = f"{len(self._reader.body)} bytes{'' if self.done else ' so far'}"
        return f"<TestResponse {self.status} {self.reason} to {self.method} {self.target}, {size}>"

    @property
    def status(self) -> int:
        """The status code."""
        return self._reader.status

    @property
    def reason(self) -> str:
        """What follows the code: ``"OK"``."""
        return self._reader.reason

    @property
    def headers(self) -> Headers:
        """A frozen mapping; the case of the names does not matter."""
        return self._reader.headers

    @property
    def done(self) -> bool:
        """Whether all of it has come."""
        return self._reader.done

    @property
    def raw(self) -> bytes:
        """All bytes that have come, head and body, as they were on the wire."""
        return bytes(self._reader.raw)

    @property
    def body(self) -> bytes:
        """The whole body, chunks put together."""
        self._wait(lambda: False, "no end of the answer to")
        return bytes(self._reader.body)

    @property
    def text(self) -> str:
        """The body as text, in the charset that its type names, or UTF-8."""
        message = Message()
        message["content-type"] = self.headers.get("content-type", "text/plain")
        return self.body.decode(message.get_content_charset("utf-8"))

    def json(self) -> Any:
        """What the body says as JSON.  Raises `ValueError` if it says nothing."""
        return json.loads(self.body)

    def pieces(self) -> Iterator[bytes]:
        """The body as it comes, from where `pieces` and `read_until` have left off."""
        while not self._over or self._taken < len(self._reader.body):
            if piece := self._take(len(self._reader.body)):
                yield piece
            else:
                self._wait(lambda: len(self._reader.body) > self._taken, "no more of the answer to")

    def read_until(self, end: bytes) -> bytes:
        """The next part of the body, up to and with `end`: the blank line after an event, say.

        Without `end` if the body ends before; nothing after that.
        """
        find = self._reader.body.find
        self._wait(lambda: find(end, self._taken) >= 0, f"no {end!r} in the answer to")
        at = find(end, self._taken)
        return self._take(len(self._reader.body) if at < 0 else at + len(end))

    def close(self) -> None:
        """Leave, if it is not done: the server hears of it before this returns."""
        if not self._over:
            self._over = True
            self._wire.close()
            self._worker.turn()

    def __enter__(self) -> "TestResponse":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _take(self, end: int) -> bytes:
        begin, self._taken = self._taken, end
        return bytes(self._reader.body[begin:end])

    def _wait(self, enough: Callable[[], bool], what: str) -> None:
        """Let the server work until there is enough, or no more to come."""
        if self._over:
            return
        reader, wire = self._reader, self._wire

        def come() -> bool:
            reader.feed(wire.take())
            if wire.ended and not reader.done:
                reader.end()
            return reader.done or enough()

        try:
            self._worker.run(come, f"{what} {self.method} {self.target}")
        except (ConnectionError, TimeoutError, ValueError):
            self.close()
            self._note_failures()  # rather the cause than what came of it
            raise
        if reader.done:
            self._end()
        self._note_failures()

    def _end(self) -> None:
        """See what becomes of the connection."""
        self._over = True
        wire = self._wire
        said = self.headers.get("connection", "").lower()
        kept = said == "keep-alive" or (said != "close" and self.raw.startswith(b"HTTP/1.1"))
        if self.status == 101 or (kept and not wire.ended and not wire.unsent):
            wire.received = self._reader.rest + wire.received
        else:
            wire.close()
            self._worker.turn()

    def _note_failures(self) -> None:
        for error in self._worker.failures.take():
            self.error = self.error or error
            answered = isinstance(error, HttpError) and error.status == self.status
            if self._raise_exceptions and not answered:
                raise error
