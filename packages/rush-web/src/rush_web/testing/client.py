"""TestClient: asks a server as a browser would."""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from types import TracebackType
from typing import Protocol
from urllib.parse import urljoin, urlsplit

from rush_http import HttpError, header_line

from ..redirects import REDIRECTS
from .bodies import Files, Values, body_of, target_of
from .jar import CookieJar
from .response import TestResponse
from .wire import Wire
from .worker import Worker

_MOST_REDIRECTS = 20
_EVERY = 0.005  # seconds: how often `run_until` asks

_Body = str | bytes | Iterable[bytes]


class _Ask(Protocol):
    """`TestClient.request` without its method."""

    def __call__(
        self,
        target: str,
        *,
        args: Values | None = None,
        headers: Mapping[str, str] | None = None,
        body: _Body | None = None,
        form: Values | None = None,
        files: Files | None = None,
        json: object = None,
        follow_redirects: bool = False,
        stream: bool = False,
    ) -> TestResponse: ...


class TestClient:
    """A browser of one server: it keeps cookies and its connection.  See `WebServer.test_client`.

    A context manager: leaving it closes the server, and raises what went wrong after the last
    answer.  It belongs to the thread that made it.
    """

    __test__ = False  # pytest is not to collect it

    host = "localhost"
    """The ``Host`` header of its requests."""

    def __init__(
        self, worker: Worker, *, raise_exceptions: bool = True, owner: bool = True
    ) -> None:
        self.cookies = CookieJar()
        """A mapping from name to value: what the server has set."""
        self._worker = worker
        self._raise_exceptions = raise_exceptions
        self._owner = owner
        self._wire: Wire | None = None
        self._streaming: TestResponse | None = None

    def another(self) -> "TestClient":
        """One more browser of the same server, with cookies and a connection of its own.

        It is closed with this one.
        """
        return TestClient(self._worker, raise_exceptions=self._raise_exceptions, owner=False)

    # Requests

    def request(
        self,
        method: str,
        target: str,
        *,
        args: Values | None = None,
        headers: Mapping[str, str] | None = None,
        body: _Body | None = None,
        form: Values | None = None,
        files: Files | None = None,
        json: object = None,
        follow_redirects: bool = False,
        stream: bool = False,
    ) -> TestResponse:
        """Send a request, let the server work, and return its answer.

        `target` is what follows the host in a URL; `args` are added to its query.  There is one
        body: `body` (text goes as UTF-8; an iterable in chunks, the server reads each for itself),
        `json`, or the fields of a `form`; with `files` it is sent as ``multipart/form-data``.
        Of `files` each is a path, ``(filename, content)`` or ``(filename, content, type)``.

        With `follow_redirects` the answer is the last one, see `TestResponse.history`.  With
        `stream` it is there as soon as its head is: for answers without an end.

        Raises what the handler raised (unless ``raise_exceptions=False``); an `HttpError` that has
        become the answer is one.  Raises `TimeoutError`, `ConnectionError` if the server closes the
        connection without an answer, `RuntimeError` for more than 20 redirects, and `ValueError`
        for what cannot be sent.
        """
        ask = partial(self._ask, headers=headers, stream=stream)
        content = body_of(body, form, files, json)
        response = ask(method, target_of(target, args), content)
        history: list[TestResponse] = []
        while follow_redirects and response.status in REDIRECTS:
            history.append(response)
            if len(history) > _MOST_REDIRECTS:
                raise RuntimeError(f"more than {_MOST_REDIRECTS} redirects: {history[-2:]!r}")
            if response.status == 303 or (response.status in (301, 302) and method == "POST"):
                method, content = "HEAD" if method == "HEAD" else "GET", (b"", None)
            response = ask(method, self._location(response), content)
        response.history = history
        return response

    # Each of them is a `request` with its method.

    @property
    def get(self) -> _Ask:
        """``client.get("/hello", args={"name": "Ann"})``."""
        return partial(self.request, "GET")

    @property
    def head(self) -> _Ask:
        """``client.head("/hello")``."""
        return partial(self.request, "HEAD")

    @property
    def options(self) -> _Ask:
        """``client.options("/hello")``."""
        return partial(self.request, "OPTIONS")

    @property
    def post(self) -> _Ask:
        """``client.post("/notes", json={"text": "milk"})``."""
        return partial(self.request, "POST")

    @property
    def put(self) -> _Ask:
        """``client.put("/notes/7", body=b"milk")``."""
        return partial(self.request, "PUT")

    @property
    def patch(self) -> _Ask:
        """``client.patch("/notes/7", json={"text": "bread"})``."""
        return partial(self.request, "PATCH")

    @property
    def delete(self) -> _Ask:
        """``client.delete("/notes/7")``."""
        return partial(self.request, "DELETE")

    # Bytes

    def send(self, data: bytes) -> None:
        """Send bytes as they are, a piece of a request or several; the server reads them at once.

        The answers are there for `receive`, one after the other.
        """
        wire = self._wire
        if wire is None or wire.closed:
            wire = self._wire = self._worker.connect()
        wire.send(data)
        self._worker.turn()

    def receive(self, method: str = "GET", *, stream: bool = False) -> TestResponse:
        """The next answer to what was sent by `send`; `method` tells whether it has a body.

        Raises as `request` does, and `RuntimeError` if nothing was sent.
        """
        if self._wire is None or self._wire.closed:
            raise RuntimeError("there is no connection on which an answer could come: send() first")
        return self._receive(method, "/", stream)

    def disconnect(self) -> None:
        """Leave, as a browser that is closed does; the server hears of it before this returns."""
        if self._wire is not None:
            self._wire.close()
            self._worker.turn()

    def run_until(self, condition: Callable[[], bool]) -> None:
        """Let the server work until ``condition()``: for what it does beside answering.

        Raises `TimeoutError`.
        """
        self._worker.run(condition, f"{condition!r} has not come true", every=_EVERY)

    # The end

    def close(self) -> None:
        """End the server, as it would end.  Closing twice does nothing."""
        if self._owner:
            self._worker.close()
        elif self._wire is not None:
            self.disconnect()

    def __enter__(self) -> "TestClient":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
        if kind is None and self._raise_exceptions:
            for failure in self._worker.failures.take():
                if not isinstance(failure, HttpError):
                    raise failure

    # Inside

    def _ask(
        self,
        method: str,
        target: str,
        content: tuple[bytes | Iterable[bytes], str | None],
        *,
        headers: Mapping[str, str] | None,
        stream: bool,
    ) -> TestResponse:
        body, content_type = content
        lines = {"host": self.host}
        if cookies := self.cookies.header(_path(target)):
            lines["cookie"] = cookies
        if content_type is not None:
            lines["content-type"] = content_type
        if not isinstance(body, bytes):
            lines["transfer-encoding"] = "chunked"
        elif body or method in ("POST", "PUT", "PATCH"):
            lines["content-length"] = str(len(body))
        lines |= {name.lower(): value for name, value in (headers or {}).items()}
        head = f"{method} {target} HTTP/1.1\r\n".encode("ascii")
        head += b"".join(header_line(name.title(), value) for name, value in lines.items())
        wire = self._free_wire()
        if isinstance(body, bytes):
            wire.send(b"%b\r\n%b" % (head, body))
        else:
            self._send_chunks(wire, head + b"\r\n", body)
        return self._receive(method, target, stream)

    def _send_chunks(self, wire: Wire, head: bytes, body: Iterable[bytes]) -> None:
        wire.send(head)
        for piece in body:
            self._worker.turn()
            if piece:
                wire.send(b"%x\r\n%b\r\n" % (len(piece), piece))
        self._worker.turn()
        wire.send(b"0\r\n\r\n")

    def _receive(self, method: str, target: str, stream: bool) -> TestResponse:
        assert self._wire is not None
        response = TestResponse(
            (method, target), self._wire, self._worker, raise_exceptions=self._raise_exceptions
        )
        for line in response.headers.getlist("set-cookie"):
            self.cookies.take(line, _path(target))
        self._streaming = response
        if not stream:
            _ = response.body
        return response

    def _free_wire(self) -> Wire:
        """The connection if it is free, else another one."""
        wire, busy = self._wire, self._streaming is not None and not self._streaming.done
        if wire is not None and not wire.closed and not busy:
            self._worker.turn()  # it may be closed by now: limits of time
            if wire.received and not wire.ended:
                raise RuntimeError(f"nobody has asked for {wire.received[:80]!r}: receive() it")
            if not wire.ended:
                return wire
            wire.close()
        self._wire = self._worker.connect()
        return self._wire

    def _location(self, response: TestResponse) -> str:
        """The target that a redirect leads to.  Raises `RuntimeError` for another server."""
        here = f"http://{self.host}"
        where = urlsplit(urljoin(here + response.target, response.headers["location"]))
        if where.netloc != self.host:
            raise RuntimeError(f"{response!r} leads to another server: {where.geturl()!r:.200}")
        return target_of(f"{where.path or '/'}{f'?{where.query}' if where.query else ''}", None)


def _path(target: str) -> str:
    return target.partition("?")[0]
