r"""HTTP/1.1: a strict parser, rendered responses, and a server that calls back.

    from rush_http import HttpServer

    def hello(body, conn, protocol, method, path, query, headers):
        server.respond(conn, b"Hello, World!")

    server = HttpServer(("127.0.0.1", 8000), 10_000, hello)
    server.run()

`HttpServer` reads requests, keeps them in order, and applies the `Limits`.  It gives each complete
one to your callback, and writes what you `send`.  `render` makes a response out of status, body and
headers; ``server.respond`` renders and sends.

Answers can come in pieces (``server.stream``; ``server.start_stream``: a `ResponseStream`) or
later, from any thread (``server.defer``: a `Deferred`); bodies in pieces go to a `BodyReceiver`
that ``HttpServer(on_head_complete=...)`` returns.  ``server.upgrade`` hands a connection over.
With an ``ssl_context`` all of it goes over TLS.  Behind proxies, `TrustedProxies` says whose word
counts on who a client is (``server.forwarded``).  `ObservedServer` is an `HttpServer` that tells of
every answer: for access logs; `CountedServer` only counts them.

`RequestParser` does no I/O and needs no server::

    >>> from rush_http import END, RequestParser
    >>> parser = RequestParser()
    >>> for event in parser.feed(b"GET /hi?x=1 HTTP/1.1\r\nHost: example.org\r\n\r\n"):
    ...     print("end" if event is END else (event.method, event.path, event.query))
    ('GET', '/hi', 'x=1')
    end

More doors: `rush_http.conditional` plans answers to conditional and range requests,
`rush_http.negotiation` chooses what a client likes best (neither does I/O), and `rush_http.wsgi`
runs any WSGI application.

What a client does wrong is an `HttpError` with a `status`: `BadRequest`, `NotFound` ...; callbacks
raise the same ones to refuse.  The client is told the status, the log (``rush_http``) the reason.
"""

from .body import ChunkedBody, LengthBody
from .counted import CountedServer
from .deferred import Deferred
from .errors import (
    REASONS,
    BadRequest,
    ContentTooLarge,
    Forbidden,
    HeaderFieldsTooLarge,
    HttpError,
    NotFound,
    NotImplementedHere,
    RequestTimeout,
    ServiceUnavailable,
    UriTooLong,
    VersionNotSupported,
)
from .exchange import Exchange
from .forwarded import Forwarded
from .grammar import Protocol
from .head import Head
from .headers import Headers, Selection
from .limits import Limits
from .memo import Memo
from .observed import Answered, ObservedExchange, ObservedServer, OnAnswers
from .parser import END, Event, RequestParser
from .parts import Part
from .peer import Peer
from .pool import Pool
from .proxies import FORWARDED_HEADERS, TrustedProxies
from .proxy_header import BadProxyHeader, ProxyHeader
from .responses import (
    CLOSE,
    KEEP_ALIVE,
    TEXT,
    HeaderLines,
    date_line,
    header_line,
    http_date,
    render,
    render_head,
)
from .server import HttpServer, OnHeadComplete, OnMessageComplete
from .streams import ResponseStream
from .uploads import BodyReceiver

__all__ = [
    "CLOSE",
    "END",
    "FORWARDED_HEADERS",
    "KEEP_ALIVE",
    "REASONS",
    "TEXT",
    "Answered",
    "BadProxyHeader",
    "BadRequest",
    "BodyReceiver",
    "ChunkedBody",
    "ContentTooLarge",
    "CountedServer",
    "Deferred",
    "Event",
    "Exchange",
    "Forbidden",
    "Forwarded",
    "Head",
    "HeaderFieldsTooLarge",
    "HeaderLines",
    "Headers",
    "HttpError",
    "HttpServer",
    "LengthBody",
    "Limits",
    "Memo",
    "NotFound",
    "NotImplementedHere",
    "ObservedExchange",
    "ObservedServer",
    "OnAnswers",
    "OnHeadComplete",
    "OnMessageComplete",
    "Part",
    "Peer",
    "Pool",
    "Protocol",
    "ProxyHeader",
    "RequestParser",
    "RequestTimeout",
    "ResponseStream",
    "Selection",
    "ServiceUnavailable",
    "TrustedProxies",
    "UriTooLong",
    "VersionNotSupported",
    "date_line",
    "header_line",
    "http_date",
    "render",
    "render_head",
]

__version__ = "0.1.0"
