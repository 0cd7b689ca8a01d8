import contextlib
import functools
import queue
import shutil
import time
from typing import NamedTuple

import pytest

import certificates
import rawclient
import wsgi_apps
from properties import served
from receivers import Uploads
from rush_http import END, Head, HttpError, HttpServer, Memo, RequestParser

PATIENCE = 20.0
GOOD = b"GET /before HTTP/1.1\r\nHost: a\r\n\r\n"


class Found(NamedTuple):
    """What a parser made of some bytes."""

    requests: list  # (Head, body) of each complete one
    unfinished: tuple | None  # (Head, what there is of its body)
    error: HttpError | None


def found(parser, pieces):
    """Feed `pieces`, join the pieces of bodies, check that head, body and END come in order."""
    requests, current, error = [], None, None
    try:
        for piece in pieces:
            for event in parser.feed(piece):
                if event is END:
                    requests.append(current)
                    current = None
                elif isinstance(event, Head):
                    assert current is None
                    current = (event, b"")
                else:
                    assert event  # an empty piece would be no piece
                    current = (current[0], current[1] + event)
    except HttpError as refusal:
        error = refusal
    return Found(requests, current, error)


def plain(pieces, limits=None):
    return found(RequestParser(limits), pieces)


def met_elsewhere(pieces, limits=None):
    """The same bytes came on another connection before."""
    memo = Memo()
    found(RequestParser(limits, memo=memo), [b"".join(pieces)])
    return found(RequestParser(limits, memo=memo), pieces)


def met_here(pieces, limits=None):
    """The same bytes came on this connection before; of bad ones, a good request did."""
    memo = Memo()
    wire = b"".join(pieces)
    parser = RequestParser(limits, memo=memo)
    before = found(parser, [wire])
    if before.error or not parser.clean:
        parser = RequestParser(limits, memo=memo)
        with contextlib.suppress(HttpError):  # a limit may be so low
            list(parser.feed(GOOD))
    return found(parser, pieces)


class Served:
    """A parser that is fed as `HttpServer` does: what is one whole request goes the short way."""

    def __init__(self, parser):
        self._parser = parser

    def feed(self, piece):
        events = served(self._parser, piece)
        if events is not None:
            yield from events
            return
        events = self._parser.feed(piece)
        while True:
            while (head := self._parser.next_whole()) is not None:
                yield from (head, END)
            event = next(events, None)
            if event is None:
                return
            yield event
            body = self._parser.whole_body() if isinstance(event, Head) else None
            if body is not None:
                yield from (body, END) if body else (END,)


def as_served(pieces, limits=None):
    return found(Served(RequestParser(limits, memo=Memo())), pieces)


def neighbour(lines, number):
    """A good request that begins with these header lines, and goes on in its own way."""
    more = (b"Neighbour: %d" % number, b"Cookie: canary=%d" % number)
    head = b"\r\n".join([b"GET /%d HTTP/1.1" % number, *lines, *more, b"", b""])
    result = found(RequestParser(), [head])
    if result.error or not (result.requests or result.unfinished):
        return None
    begun = (result.requests or [result.unfinished])[0][0]
    return head + (b"0\r\n\r\n" if begun.chunked else b"x" * begun.content_length)


@functools.lru_cache(maxsize=8)
def neighbours(wire):
    """Two requests that have as many lines in common with the first in `wire` as can be good."""
    lines = wire.split(b"\r\n")[1:]
    count = next((at for at, line in enumerate(lines) if not line), len(lines))
    for common in range(min(count, 20), -1, -1):
        if neighbour(lines[:common], 1):
            return neighbour(lines[:common], 1), neighbour(lines[:common], 2)
    return neighbour([b"Host: a"], 1), neighbour([b"Host: a"], 2)


def after_neighbours(pieces, limits=None):
    """Similar requests came on this connection before; as served."""
    for before in (neighbours(b"".join(pieces)), ()):
        parser = RequestParser(limits, memo=Memo())
        if found(parser, before).error is None and parser.clean:  # a limit may be so low
            return found(Served(parser), pieces)
    raise AssertionError


PATHS = [plain, met_elsewhere, met_here, as_served, after_neighbours]


@pytest.fixture
def parse():
    """Pieces of wire to `Found`; the plain path and each way through the memos must agree."""

    def parse(pieces, limits=None):
        results = [path(pieces, limits) for path in PATHS]
        said = [(*result[:2], type(result.error), str(result.error)) for result in results]
        for path, words in zip(PATHS, said, strict=True):
            assert words == said[0], path
        return results[0]

    return parse


def in_loop(server, function):
    """What `function` returns in the server's own thread."""
    answers = queue.Queue()
    server.epoll.loop.call_soon_threadsafe(lambda: answers.put(function()))
    return answers.get(timeout=PATIENCE)


def until(server, condition):
    """Ask in the server's own thread, turn after turn, until it is so."""
    deadline = time.monotonic() + PATIENCE
    while not in_loop(server, condition):
        assert time.monotonic() < deadline, "this has never become so"


@pytest.fixture(name="in_loop")
def in_loop_fixture():
    return in_loop


@pytest.fixture(name="until")
def until_fixture():
    return until


def pytest_configure(config):
    config.addinivalue_line("markers", "over_tls(also=True): run a test of a server over TLS too")


def pytest_generate_tests(metafunc):
    mark = metafunc.definition.get_closest_marker("over_tls")
    if mark is not None and mark.args != (False,) and "make_server" in metafunc.fixturenames:
        tls = pytest.param("tls", marks=pytest.mark.once)  # the time of all others again
        metafunc.parametrize("transport", ["plain", tls], indirect=True)


@pytest.fixture(scope="session")
def contexts(tmp_path_factory):
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    return certificates.contexts(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def transport(request):
    """What is spoken below HTTP: "plain" TCP, or "tls" (see the mark `over_tls`)."""
    return getattr(request, "param", "plain")


@pytest.fixture
def make_server(request, transport):
    """Make servers on a free port that are closed at the end; `RawClient` knows how to speak."""
    servers, addresses = [], []

    def make(callback, address=("127.0.0.1", 0), **options):
        if transport == "tls":
            options["ssl_context"], client_context = request.getfixturevalue("contexts")
        server = HttpServer(address, on_message_complete=callback, **options)
        servers.append(server)
        if transport == "tls":
            addresses.append(server.address)
            rawclient.TLS[server.address] = client_context
        return server

    yield make
    for address in addresses:
        del rawclient.TLS[address]
    for server in servers:
        server.close()


@pytest.fixture
def serve(make_server):
    """Start servers in threads of their own, on a free port; they are closed at the end."""

    def start(callback, address=("127.0.0.1", 0), **options):
        server = make_server(callback, address, **options)
        server.run(threaded=True)
        return server

    return start


@pytest.fixture
def site(serve):
    """Start a server that answers with what it was asked: ``GET /path?query body``."""

    def start(**options):
        def callback(body, conn, protocol, method, path, query, headers):
            text = f"{method} {path}?{query} ".encode()
            server.respond(conn, text + body)

        server = serve(callback, **options)
        return server

    return start


@pytest.fixture
def streaming(serve):
    """Start a server whose answers are made by a function: ``answer(server, conn)``."""

    def start(answer, **options):
        def callback(body, conn, protocol, method, path, query, headers):
            if path == "/plain":
                server.respond(conn, b"plain")
            else:
                answer(server, conn)

        server: HttpServer = serve(callback, **options)
        return server

    return start


@pytest.fixture
def uploads(serve):
    """A server that takes bodies in pieces: see receivers.py."""
    return Uploads(serve)


@pytest.fixture(params=[0, 3], ids=["loop", "threads"])
def threads(request):
    """How many threads a WSGI application has."""
    return request.param


@pytest.fixture
def serve_wsgi(threads):
    """Serve a WSGI application; returns the address."""
    with wsgi_apps.serving(threads) as serve:
        yield serve
