"""Requests as clients, attackers and accidents write them, for hypothesis to combine.

Each part of a request comes from a table whose good values are repeated: most parts of a request
are good, so that parsers get far enough to disagree.
"""

import os
import tempfile
from pathlib import Path

from hypothesis import strategies as st

# Not into the folder where the tests are run, which pytest would search for tests then.
STORAGE = Path(tempfile.gettempdir(), f"hypothesis-{os.getuid()}")
os.environ.setdefault("HYPOTHESIS_STORAGE_DIRECTORY", str(STORAGE))

CORPUS = Path(__file__).parents[1] / "fuzz/corpus"


def mostly(good, odd, times=20):
    """One of the good values; now and then an odd one."""
    repeated = list(good) * -(-times * len(odd) // len(good))
    return st.sampled_from(repeated + list(odd))


class Part:
    """A part of a request: `good` values, `odd` ones, and a strategy for `any` of them."""

    def __init__(self, good, odd, times=20):
        self.good, self.odd = good, odd
        self.any = mostly(good, odd, times)


METHODS = Part(
    [b"GET", b"POST", b"HEAD", b"PUT", b"OPTIONS", b"DELETE", b"PATCH"],
    [b"get", b"PURGE", b"G-E.T", b"G(T", b"GET ", b" GET", b"\tGET", b"", b"M-SEARCH", b"PRI",
     b"CONNECT", b"\r\nGET", b"\r\n\r\nPOST", b"\nGET", b"\x00GET", b"FOO:"],
)  # fmt: skip
TARGETS = Part(
    [b"/", b"/a/b", b"/a?b=c", b"/%41", b"/%c3%a9", b"//a//b", b"/a?b?c", b"/a;b", b"/?"],
    [b"http://h/x", b"http://h?x", b"HTTP://h:80", b"https://h/a?b", b"http://u@h/", b"http://h#f",
     b"*", b"a", b"/a b", b"/\x7f", b"/\xc3\xa9", b"/%", b"/%0", b"/%00", b"/%ff", b"/#a", b"?",
     b"/\ta", b"h:80", b"//h/x", b"/a|b", b'/"', b"/\\", b"http://", b"http:///a", b"ftp://h/"],
)  # fmt: skip
VERSIONS = Part(
    [b"HTTP/1.1", b"HTTP/1.1", b"HTTP/1.1", b"HTTP/1.0"],
    [b"HTTP/1.2", b"HTTP/2.0", b"HTTP/0.9", b"http/1.1", b"HTTP/1", b"HTTP/1.1 ", b"HTTP/11",
     b"", b"HTTP/1.01", b" HTTP/1.1"],
)  # fmt: skip
ENDS = Part([b"\r\n"], [b"\n", b"\r", b"\r\r\n", b" \r\n", b"\n\r\n", b"\r\n\r\n"], times=60)
HOSTS = Part(
    [b"Host: h", b"host:h", b"HOST:\th:80 ", b"Host: [::1]:8", b"Host:"],
    [b"Host: a b", b"Host: h\r\nHost: h", b"Host: h\r\nHost: i", b"Host : h", b" Host: h", b"X: y",
     b"Host: h/", b"Host: u@h", b"Host: h,h", b"Host: h:x"],
)  # fmt: skip
FIELDS = Part(
    [b"Accept: */*", b"User-Agent: x y", b"X-A:", b"X-B: \t b \t", b"Cookie: a=b; c=d", b"X: \xe9",
     b"Connection: keep-alive", b"Connection: close", b"Connection: Upgrade", b"Upgrade: h2c",
     b"Expect: 100-continue", b"X-C: a,b", b"Connection: x, CLOSE", b"TE: trailers", b"X: a\tb",
     b"Keep-Alive: 5", b"Proxy-Connection: close", b"!#$%&'*+-.^_`|~: x"],
    [b"X : y", b" folded", b"\tfolded: x", b"no colon", b": x", b"X(: y", b"X: \0", b"X: a\rb",
     b"X: a\x0bb", b"X\xe9: y", b"X: \x7f", b"X Y: z", b"\x0bX: y", b"X:\x0cy", b"X: a\nb",
     b"Connection:", b"Connection: close\r\nConnection: keep-alive", b"Connection: \x0bclose"],
)  # fmt: skip
LENGTHS = Part(
    [b"Content-Length: 5", b"content-length:5", b"CONTENT-LENGTH: 05"],
    [b"Content-Length: +5", b"Content-Length: 5, 5", b"Content-Length: 5\r\nContent-Length: 5",
     b"Content-Length: 5\r\nContent-Length: 6", b"Content-Length: 0x5", b"Content-Length: 5 ",
     b"Content-Length: -0", b"Content-Length: 1_0", b"Content-Length:", b"Content-Length: 5;",
     b"Content-Length: \xb2", b"Content-Length : 5", b"Content-Length: 5\r\n 0",
     b"Content-Length: 00000000000000000000005", b"Content-Length: 99999999999999999999",
     b"Content_Length: 5", b"Content-Length: 5,", b"Content-Length\0: 5", b"Content-Length: 0",
     b"Transfer-Encoding: chunked\r\nContent-Length: 5", b"Content-Length:\x0b5"],
    times=6,
)  # fmt: skip
CHUNKED = Part(
    [b"Transfer-Encoding: chunked", b"transfer-encoding:chunked", b"Transfer-Encoding: Chunked "],
    [b"Transfer-Encoding: chunked, chunked", b"Transfer-Encoding: gzip, chunked",
     b"Transfer-Encoding: chunked, gzip", b"Transfer-Encoding: identity", b"Transfer-Encoding:",
     b"Transfer-Encoding : chunked", b"Transfer-Encoding:\x0bchunked",
     b"Transfer-Encoding: ,chunked", b"Transfer-Encoding: chunked;q=1",
     b"Transfer_Encoding: chunked", b"Transfer-Encoding: xchunked",
     b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", b"Transfer-Encoding:\r\n chunked",
     b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity", b'Transfer-Encoding: "chunked"',
     b"Transfer-Encoding: chunked\r\nContent-Length: 5", b"Transfer-Encoding: chunked,"],
    times=6,
)  # fmt: skip
SIZES = Part(
    [b"5", b"05", b"0005", b"5;a", b"5;a=b", b'5;a="b;\\" c"', b"5 ; a = b", b"5;a;b=c"],
    [b"+5", b"0x5", b"5 ", b" 5", b"5\t", b"", b"-5", b"5;", b"5,", b"5;a=", b'5;a="', b"5;\xe9",
     b"00000000000000005", b"000000000000000000005", b"100000000000000000000005", b"5;a\rb", b"5_",
     b"5;a\0", b"5\x0b", b"4", b"6", b"g"],
    times=6,
)  # fmt: skip
TRAILERS = Part(
    [b"", b"", b"A: b\r\n", b"Content-Length: 5\r\nHost: x\r\n"],
    [b"A : b\r\n", b" A: b\r\n", b"A\r\n", b"A: \0\r\n", b"A: b\n", b"A: b\r\n c\r\n", b"\r\n"],
)  # fmt: skip


@st.composite
def chunked_bodies(draw):
    chunks = [
        draw(SIZES.any) + draw(ENDS.any) + b"hello" + draw(ENDS.any)
        for _ in range(draw(st.integers(0, 2)))
    ]
    last = draw(mostly([b"0", b"0", b"00", b"0;a=b"], [b"", b"0 ", b"-0", b"0x0"]))
    return b"".join(chunks) + last + draw(ENDS.any) + draw(TRAILERS.any) + draw(ENDS.any)


@st.composite
def requests(draw):
    line = draw(METHODS.any) + b" " + draw(TARGETS.any) + b" " + draw(VERSIONS.any)
    framing, body = [], b""
    kind = draw(st.sampled_from(["none", "none", "length", "chunked", "chunked"]))
    if kind == "length":
        framing, body = [draw(LENGTHS.any)], b"hello"
    elif kind == "chunked":
        framing, body = [draw(CHUNKED.any)], draw(chunked_bodies())
    fields = draw(st.lists(FIELDS.any, max_size=2))
    lines = [line, draw(HOSTS.any), *draw(st.permutations(framing + fields))]
    end = draw(ENDS.any)
    return b"".join(line + (b"\r\n" if at else end) for at, line in enumerate(lines)) + end + body


def corpus():
    """The wires that are kept as files."""
    return [path.read_bytes() for path in sorted(CORPUS.glob("*.http"))]


PATCHES = [
    b"", b"\r", b"\n", b"\r\n", b"\r\n\r\n", b" ", b"\t", b":", b",", b";", b"\0", b"\x0b", b"\x7f",
    b"\x85", b"\xa0", b"\xff", b"0", b"1", b"f", b"+", b"-", b"_", b"x", b"%", b"#", b"?", b"/",
    b'"', b"\\", b"\r\n ", b"chunked", b"Content-Length: 1\r\n", b"HTTP/1.1", b"close",
]  # fmt: skip


@st.composite
def mutated(draw, wires):
    """A wire of `wires` with bytes replaced, taken out, put in, or said twice."""
    wire = draw(wires)
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, max(0, len(wire) - 1)))
        gone = draw(st.sampled_from([0, 0, 1, 1, 2, 8]))
        again = draw(st.sampled_from([0, 0, 0, 1, 20]))
        wire = wire[:at] + draw(st.sampled_from(PATCHES)) + wire[at + gone - again :]
    return wire


def wires():
    """Up to three requests in a row; good, odd or mutilated."""
    written = st.lists(requests(), min_size=1, max_size=3).map(b"".join)
    return st.one_of(written, mutated(written), mutated(st.sampled_from(corpus())))


def one_by_one():
    """Each value of each part, in a request that is good otherwise; another one follows."""
    fields = [b"Host: h", b"X: y"]
    chunk, length = b"Transfer-Encoding: chunked", b"Content-Length: 5"
    for part, make in [
        (METHODS, lambda value: [value + b" / HTTP/1.1", *fields]),
        (TARGETS, lambda value: [b"GET " + value + b" HTTP/1.1", *fields]),
        (VERSIONS, lambda value: [b"GET / " + value, *fields]),
        (HOSTS, lambda value: [b"GET / HTTP/1.1", value]),
        (FIELDS, lambda value: [b"GET / HTTP/1.1", b"Host: h", value]),
        (LENGTHS, lambda value: [b"POST / HTTP/1.1", *fields, value, b"", b"hello"]),
        (CHUNKED, lambda value: [b"POST / HTTP/1.1", *fields, value, b"", b"0"]),
        (SIZES, lambda value: [b"PUT / HTTP/1.1", *fields, chunk, b"", value, b"hello", b"0"]),
        (TRAILERS, lambda value: [b"PUT / HTTP/1.1", *fields, chunk, b"", b"0", value[:-2]]),
    ]:
        for value in (*part.good, *part.odd):
            lines = make(value)
            yield b"\r\n".join([*lines, b"", b"GET /next HTTP/1.1", *fields, b"", b""])
            if part is LENGTHS:  # nothing between the body and what follows
                body = b"\r\n".join([*lines[:-1], b"hello"])
                yield body + b"\r\n".join([b"GET /next HTTP/1.1", *fields, b"", b""])
    for end in (*ENDS.good, *ENDS.odd):
        for lines in (
            [b"GET / HTTP/1.1", *fields, b"", b""],
            [b"POST / HTTP/1.1", *fields, length, b"", b"hello"],
            [b"POST / HTTP/1.1", *fields, chunk, b"", b"5", b"hello", b"0", b"A: b", b"", b""],
        ):
            for at in range(len(lines) - 1):
                start, rest = b"\r\n".join(lines[: at + 1]), b"\r\n".join(lines[at + 1 :])
                yield start + end + rest
