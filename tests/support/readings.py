"""What several parsers read in the same bytes, in one form that can be compared.

Each reader takes the wire in pieces and gives a `Reading`.  It stops as a server does: at what it
refuses, and behind a request that ends the connection.
"""

from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from rush_http import CLOSE, END, Head, HttpError, RequestParser

CLEAN = "clean"  # nothing is unfinished
PARTIAL = "partial"  # more must come
CLOSED = "closed"  # the last request ended the connection
REFUSED = "refused"
STOPPED = "stopped"  # it leaves the rest to others: an upgrade, which we may ignore (RFC 9110, 7.8)

NO_LIMIT = 1 << 30


class Message(NamedTuple):
    """One complete request."""

    method: str
    target: tuple  # authority of the absolute form, path (percent-decoded), query (raw)
    fields: tuple  # (name in lower case, value), without those that the reader rewrites
    body: bytes
    closes: bool


class Reading(NamedTuple):
    messages: list
    ending: str
    why: str = ""  # the words of a refusal


def of_target(raw):
    """Authority, path and query of a raw target, as RFC 9112, 3.2 has them."""
    authority, text = "", raw.decode("latin-1")
    _, slashes, rest = text.partition("://")
    if slashes and not text.startswith("/"):
        ends = [at for at in (rest.find("/"), rest.find("?")) if at >= 0]
        end = min(ends, default=len(rest))
        authority, text = rest[:end], rest[end:]
        if not text.startswith("/"):
            text = "/" + text
    path, _, query = text.partition("?")
    return authority, unquote_to_bytes(path).decode("utf-8", "surrogateescape"), query


def comparable(fields, authority):
    """Fields as (name, value), in order; without Host if the target's authority replaces it.

    The framing is compared by what it leads to, `h11` writes its fields anew.
    """
    left_out = {"transfer-encoding", "content-length"} | ({"host"} if authority else set())
    return tuple((name, value) for name, value in fields if name not in left_out)


def ours(pieces, **options):
    """`rush_http.RequestParser`, with `options`."""
    parser = RequestParser(**options)
    messages, head, body = [], None, []
    try:
        for piece in pieces:
            for event in parser.feed(piece):
                if isinstance(event, Head):
                    head, body = event, []
                elif event is not END:
                    body.append(event)
                else:
                    messages.append(_our_message(head, b"".join(body)))
                    head = None
                    if messages[-1].closes:
                        return Reading(messages, CLOSED)
    except HttpError as error:
        return Reading(messages, REFUSED, f"{error.status} {error}")
    return Reading(messages, CLEAN if parser.clean else PARTIAL)


def _our_message(head, body):
    # A target in absolute form has put its authority first, in place of Host: see `compare`.
    return Message(
        head.method,
        ("", head.path, head.query),
        comparable(head.headers.lines(), ""),
        body,
        head.connection_line is CLOSE,
    )


def of_h11(pieces):
    """The same by `h11`."""
    import h11

    conn = h11.Connection(h11.SERVER, max_incomplete_event_size=NO_LIMIT)
    messages, request, body = [], None, []
    try:
        for piece in pieces:
            if piece:  # b"" would be the end of file
                conn.receive_data(piece)
            while (event := conn.next_event()) is not h11.NEED_DATA:
                if isinstance(event, h11.Request):
                    request, body = event, []
                elif isinstance(event, h11.Data):
                    body.append(bytes(event.data))
                elif isinstance(event, h11.EndOfMessage):
                    closes = request.method == b"CONNECT"
                    if not closes:  # what an upgrade leads to shows only with the answer
                        conn.send(h11.Response(status_code=200, headers=[("content-length", "0")]))
                        conn.send(h11.EndOfMessage())
                        closes = conn.their_state is h11.MUST_CLOSE
                    messages.append(_h11_message(request, b"".join(body), closes))
                    request = None
                    if closes:
                        return Reading(messages, CLOSED)
                    conn.start_next_cycle()
    except h11.RemoteProtocolError as error:
        return Reading(messages, REFUSED, str(error))
    clean = request is None and not conn.trailing_data[0]
    return Reading(messages, CLEAN if clean else PARTIAL)


def _h11_message(request, body, closes):
    target = of_target(request.target)
    fields = [(name.decode(), value.decode("latin-1")) for name, value in request.headers]
    return Message(request.method.decode(), target, comparable(fields, target[0]), body, closes)


class _HttptoolsEvents:
    """What `httptools` calls; `parser` is set by its owner."""

    def __init__(self):
        self.parser = None
        self.messages = []
        self.within = False

    def on_message_begin(self):
        self.url, self.fields, self.body, self.within = b"", [], b"", True

    def on_url(self, url):
        self.url += url

    def on_header(self, name, value):
        self.fields.append((name.decode("latin-1").lower(), value.decode("latin-1").rstrip(" \t")))

    def on_headers_complete(self):
        self.count = len(self.fields)  # what follows are trailers

    def on_body(self, body):
        self.body += body

    def on_message_complete(self):
        target = of_target(self.url)
        self.within = False
        self.messages.append(
            Message(
                self.parser.get_method().decode(),
                target,
                comparable(self.fields[: self.count], target[0]),
                self.body,
                not self.parser.should_keep_alive(),
            )
        )


def of_httptools(pieces):
    """The same by `httptools`: the parser of Node.js."""
    import httptools

    events = _HttptoolsEvents()
    events.parser = parser = httptools.HttpRequestParser(events)
    messages = events.messages
    ending, why = "", ""
    try:
        for piece in pieces:
            parser.feed_data(piece)
    except httptools.HttpParserUpgrade:
        messages.pop()  # taken for complete without its body
        ending = STOPPED
    except httptools.HttpParserError as error:
        ending, why = REFUSED, str(error)
    for count, message in enumerate(messages, 1):
        if message.closes:
            return Reading(messages[:count], CLOSED)
    return Reading(messages, ending or (PARTIAL if events.within else CLEAN), why)


# What two readings have in common

AGREED = "both accept"
BOTH_REFUSE = "both refuse"
STRICTER = "we refuse, they accept"
WAITING = "we wait, they refuse"


class Difference(NamedTuple):
    """Where our reading goes further than the other, or elsewhere."""

    what: str  # "accepted" (they refuse), "unfinished" (they wait), or the part that differs
    ours: object
    theirs: object


def compare(our, their):
    """Tell how two readings relate: one of the words above, or a `Difference`."""
    for mine, other in zip(our.messages, their.messages, strict=False):
        difference = _difference(mine, other)
        if difference:
            return difference
    mine, other = len(our.messages), len(their.messages)
    if their.ending is STOPPED:
        return AGREED
    if mine > other:
        what = "accepted" if their.ending is REFUSED else "unfinished"
        return Difference(what, our.messages[other], their.why or their.ending)
    if our.ending is REFUSED:
        return BOTH_REFUSE if their.ending is REFUSED and mine == other else STRICTER
    if mine < other:
        return Difference("ends later", our.ending, their.messages[mine])
    if their.ending is REFUSED:
        return WAITING
    return AGREED


def _difference(mine, other):
    authority = other.target[0]
    if authority:  # the authority is our Host
        (first, *fields) = mine.fields
        mine = mine._replace(target=(first[1], *mine.target[1:]), fields=tuple(fields))
    for part in Message._fields:
        if getattr(mine, part) != getattr(other, part):
            return Difference(part, getattr(mine, part), getattr(other, part))
    return None
