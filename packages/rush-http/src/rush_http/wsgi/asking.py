"""What a `WsgiApp` does for each request.

A closure: its names cost half of what attributes do.  With the whole way in one function, from the
headers to the bytes that are written, a request takes 2,300 instructions less than with objects
that do the same in four (tests/bench/instructions.py).
"""

from collections.abc import Callable, Sized
from typing import TYPE_CHECKING

from epollserver import Connection

from ..answers import Answers
from ..exchange import Exchange
from ..grammar import HTTP_1_1, Protocol
from ..headers import Headers
from ..phases import IDLE
from ..responses import content_length_end
from .answer import GIVEN, Application, SupportsClose
from .environ import PROTOCOLS, Environ, Environs
from .on_loop import OnLoop
from .started import StartedMemo

if TYPE_CHECKING:
    from ..server import HttpServer, OnMessageComplete


AddBody = Callable[[Environ, bytes], "SupportsClose | None"]
"""Adds the input to an environ; returns it if it has to be closed."""

Submit = Callable[[Connection, Environ, "SupportsClose | None"], object]
"""Lets a thread answer: connection, environ, input."""


def asking(
    app: Application,
    server: "HttpServer",
    environs: Environs,
    memo: StartedMemo,
    script_name: str,
    add_body: AddBody,
    larges: Sized,
    submit: Submit | None,
) -> "OnMessageComplete":
    """Return what asks `app`, and answers as it says: an ``on_message_complete``.

    `add_body` is called with a body, and without one if `larges` has any.  With `submit` that is
    given each request with its environ; without it the application is called at once.
    """
    loop = server.epoll.loop
    is_behind, is_observed = server.proxies is not None, type(server).send is not Answers.send

    def ask(
        body: bytes,
        conn: Connection,
        protocol: Protocol,
        method: str,
        path: str,
        query: str,
        headers: Headers,
    ) -> None:
        exchange: Exchange = conn.data
        # What `fields` does, for the headers of the request before.
        if headers is exchange.environ_headers:
            environ: Environ = exchange.environ.copy()
        else:
            environ = environs.fields(exchange, headers, conn)
        if is_behind:
            told = server.forwarded(conn, headers)
            if exchange.origin is None or told is not exchange.origin[0]:  # not as in `fields`
                environs.forward(environ, told)
        if script_name or not path.isascii():
            path = environs.path_info(environ, path)
        environ["REQUEST_METHOD"] = method
        environ["PATH_INFO"] = path
        environ["QUERY_STRING"] = query
        if protocol is not HTTP_1_1:
            environ["SERVER_PROTOCOL"] = PROTOCOLS[protocol]
        file = add_body(environ, body) if body or larges else None
        if submit is not None:
            submit(conn, environ, file)
            return
        answer = OnLoop()
        answer.conn = conn
        answer.memo = memo
        answer.started = answer.stream = None
        try:
            result = app(environ, answer.start_response)
            started = answer.started
            if (
                type(result) is list
                and len(result) == 1
                and type(data := result[0]) is bytes
                and started is not None
                and (started.length == len(data) or started.length is None)
                and started.quick
                and answer.stream is None
                and exchange.head is not None
                and method != "HEAD"
                and not exchange.connection_line
            ):
                # What `give` does in the end.
                if loop.now >= started.ends:
                    started.begin_second()
                if started.length is None:
                    data = content_length_end(len(data)) + data
                if is_observed or exchange.together is not None or exchange.phase is not IDLE:
                    server.send(conn, started.head + data)
                else:
                    conn.write(started.head + data)
                    exchange.head = None
                answer.stream = GIVEN
                if file is not None:
                    answer.of(environ, file).end()
                return
        except BaseException as error:
            answer.of(environ, file).failed(error)
            return
        answer.of(environ, file).give_safely(result)

    return ask
