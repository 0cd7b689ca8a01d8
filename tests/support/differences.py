"""Where this parser goes further than `h11` and `httptools`, and the sentence that says it may."""

import re
from typing import NamedTuple

from readings import Difference, compare, of_h11, of_httptools, ours

READERS = {"h11": of_h11, "httptools": of_httptools}


class Known(NamedTuple):
    """A difference that is right: `wire` shows it."""

    reader: str
    what: str  # of the `Difference`
    theirs: str  # a pattern of what the other says
    wire: bytes  # and no example is explained by this row whose wire `sign` is not found in
    sign: bytes
    rfc: str
    sentence: str


HEAD = b"POST / HTTP/1.1\r\nHost: h\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
LATER_TRAILER = CHUNKED + b"0\r\n%b\r\n\r\n"

EMPTY_LINE = (
    "RFC 9112, 2.2",
    "a server that is expecting to receive and parse a request-line SHOULD ignore at least one"
    " empty line (CRLF) received prior to the request-line",
)
BAD_BLANKS = (
    "RFC 9112, 7.1.1",
    'chunk-ext = *( BWS ";" BWS chunk-ext-name [ BWS "=" BWS chunk-ext-val ] ); RFC 9110, 5.6.3: A'
    " recipient MUST parse for such bad whitespace and remove it",
)
TRAILER = (
    "RFC 9110, 6.5.1",
    "Trailer fields ought to be processed and stored separately from the fields in the header"
    " section; RFC 9112, 7.1.2: A recipient that removes the chunked coding from a message MAY"
    " selectively retain or discard the received trailer fields",
)
TOKEN = ("RFC 9110, 9.1", "method = token; the set of methods is not closed")
MINOR = (
    "RFC 9110, 2.5",
    "A recipient that receives a message with a major version number that it implements and a"
    " minor version number higher than what it implements SHOULD process the message as if it was"
    " in the highest minor version within that major version to which the recipient is conformant",
)
KEEP_ALIVE = (
    "RFC 9112, 9.3",
    'If the received protocol is HTTP/1.0, the "keep-alive" connection option is present, ... and'
    ' the recipient wishes to honor the HTTP/1.0 "keep-alive" mechanism, the connection will'
    " persist",
)
CONNECTION = (
    "RFC 9112, 9.3",
    "A recipient determines whether a connection is persistent or not based on the protocol"
    " version and Connection header field (if any) in the most recently received message",
)
CLOSE = (
    "RFC 9112, 9.3",
    'If the "close" connection option is present, the connection will not persist after the current'
    " response; else, ...",
)

KNOWN = [
    Known("h11", "accepted", "no request line", b"\r\n" + HEAD + b"\r\n",
          rb"(^|\n)\r\n", *EMPTY_LINE),
    Known("h11", "accepted", "illegal chunk header", CHUNKED + b"1 ;a\r\nx\r\n0\r\n\r\n",
          rb"\n[0-9A-Fa-f]+[ \t]+;", *BAD_BLANKS),
    Known("h11", "accepted", "bad Content-Length", LATER_TRAILER % b"Content-Length: x",
          rb"(?i)\n0+[^\n]*\r\n(.+\r\n)*content-length:", *TRAILER),
    Known("h11", "accepted", "conflicting Content-Length", LATER_TRAILER % b"Content-Length: 5,",
          rb"(?i)\n0+[^\n]*\r\n(.+\r\n)*content-length:", *TRAILER),
    Known("h11", "accepted", "Transfer-Encoding", LATER_TRAILER % b"Transfer-Encoding: x",
          rb"(?i)\n0+[^\n]*\r\n(.+\r\n)*transfer-encoding:", *TRAILER),
    Known("h11", "closes", "True", b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
          rb"(?i)HTTP/1\.0\r\n(.+\r\n)*connection:.*keep-alive", *KEEP_ALIVE),
    Known("httptools", "accepted", "Invalid method|Expected space after method|HTTP/2 Connection",
          b"PURGER / HTTP/1.1\r\nHost: h\r\n\r\n", rb"", *TOKEN),
    Known("httptools", "accepted", "Invalid HTTP version", b"GET / HTTP/1.2\r\nHost: h\r\n\r\n",
          rb" HTTP/1\.[2-9]\r\n", *MINOR),
    Known("httptools", "accepted", "Invalid character in chunk size",
          CHUNKED + b"1 ;a\r\nx\r\n0\r\n\r\n", rb"\n[0-9A-Fa-f]+[ \t]+;", *BAD_BLANKS),
    Known("httptools", "accepted", "Invalid character in chunk extensions",
          CHUNKED + b"1; a\r\nx\r\n0\r\n\r\n", rb";[ \t]|[ \t]=|=[ \t]", *BAD_BLANKS),
    Known("httptools", "accepted", "Content-Length can't be present|Invalid character in Content",
          LATER_TRAILER % b"Content-Length: 5",
          rb"(?i)\n0+[^\n]*\r\n(.+\r\n)*content-length:", *TRAILER),
    Known("httptools", "accepted", "Transfer-Encoding",
          LATER_TRAILER % b"Transfer-Encoding: x",
          rb"(?i)\n0+[^\n]*\r\n(.+\r\n)*transfer-encoding:", *TRAILER),
    Known("httptools", "closes", "True", HEAD + b"Proxy-Connection: close\r\n\r\n",
          rb"(?i)\nproxy-connection:.*close", *CONNECTION),
    Known("httptools", "closes", "False",
          b"GET / HTTP/1.0\r\nConnection: close\r\nConnection: keep-alive\r\n\r\n",
          rb"(?i)HTTP/1\.0\r\n(.+\r\n)*connection:.*close", *CLOSE),
]  # fmt: skip


def explained(reader, difference, wire):
    return [
        row
        for row in KNOWN
        if (row.reader, row.what) == (reader, difference.what)
        and re.search(row.theirs, str(difference.theirs))
        and re.search(row.sign, wire)
    ]


def relation(reader, wire):
    """How the readings of `wire` relate; fails with a row if that is not as it should be."""
    result = compare(ours([wire]), READERS[reader]([wire]))
    if isinstance(result, Difference):
        assert explained(reader, result, wire), f"{reader}: {result}\n    ({wire!r}, ),"
        return result.what
    return result
