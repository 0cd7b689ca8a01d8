"""What is a request, and what it says; each row whole, in thirds, byte by byte, on every path."""

import pytest

from rush_http import CLOSE, KEEP_ALIVE
from splits import SPLITS, thirds, whole

V10, V11 = (1, 0), (1, 1)

# The target, and what becomes of it (RFC 9112, 3.2; RFC 3986, 2.1)
TARGETS = [
    # target                            path            query       host
    ("/",                               "/",            "",         "h"),
    ("/a/b.html",                       "/a/b.html",    "",         "h"),
    ("/?",                              "/",            "",         "h"),
    ("/?a=1&b=2",                       "/",            "a=1&b=2",  "h"),
    ("/a?b?c",                          "/a",           "b?c",      "h"),
    ("/a?%zz",                          "/a",           "%zz",      "h"),
    ("/a?%00",                          "/a",           "%00",      "h"),
    ("/a%20b",                          "/a b",         "",         "h"),
    ("/%61",                            "/a",           "",         "h"),
    ("/%2e%2e/%2F",                     "/..//",        "",         "h"),
    ("/%c3%a9",                         "/é",           "",         "h"),
    ("/%E2%82%ac",                      "/€",           "",         "h"),
    ("/%f0%9f%90%8d",                   "/🐍",          "",         "h"),
    ("/%2561",                          "/%61",         "",         "h"),
    ("/%0d%0aX:1",                      "/\r\nX:1",     "",         "h"),
    ("/a+b",                            "/a+b",         "",         "h"),
    ("/../a",                           "/../a",        "",         "h"),
    ("//b/c",                           "//b/c",        "",         "h"),
    ("/a;v=1,2!$&'()*:@",               "/a;v=1,2!$&'()*:@", "",    "h"),
    ("/%3Fa%23",                        "/?a#",         "",         "h"),
    ("/http://b/",                      "/http://b/",   "",         "h"),
    ("http://b",                        "/",            "",         "b"),
    ("http://b/",                       "/",            "",         "b"),
    ("http://b?x",                      "/",            "x",        "b"),
    ("http://b:81/c%20d?e=/f",          "/c d",         "e=/f",     "b:81"),
    ("https://b/c",                     "/c",           "",         "b"),
    ("HTTP://B/c",                      "/c",           "",         "B"),
    ("http://[::1]:8/c",                "/c",           "",         "[::1]:8"),
    ("http://b/http://c/",              "/http://c/",   "",         "b"),
]  # fmt: skip

# The value of Host (RFC 9110, 7.2; RFC 3986, 3.2.2)
HOSTS = [
    "", "a", "example.org", "example.org:80", "example.org:", "127.0.0.1:8000", "[::1]", "[::]:80",
    "[2001:db8::1]:443", "[::ffff:1.2.3.4]", "[v1.a:b]", "xn--bcher-kva.example", "a_b", "%41",
    "A.B:65535", "a,b",
]  # fmt: skip

# A header line, and what it says (RFC 9110, 5.5 and 5.6.2; RFC 9112, 5.1)
FIELDS = [
    (b"X: y",                       "x",            "y"),
    (b"X:y",                        "x",            "y"),
    (b"X: \t y \t ",                "x",            "y"),
    (b"X:",                         "x",            ""),
    (b"X: \t ",                     "x",            ""),
    (b"X: a b\tc",                  "x",            "a b\tc"),
    (b"X: a:b:c",                   "x",            "a:b:c"),
    (b"X: :",                       "x",            ":"),
    (b"X: \xe9\xff\x80",            "x",            "\xe9\xff\x80"),
    (b"X: \xa0y\x85 ",              "x",            "\xa0y\x85"),
    (b'X: "q\\"uoted", (c)',        "x",            '"q\\"uoted", (c)'),
    (b"!#$%&'*+-.^_`|~09azAZ: y",   "!#$%&'*+-.^_`|~09azaz", "y"),
    (b"x_y: z",                     "x_y",          "z"),
    (b"CONTENT-TYPE: a/b",          "content-type", "a/b"),
    (b"Cookie: a=b; c=d",           "cookie",       "a=b; c=d"),
    (b"Content_Length: 5",          "content_length", "5"),
    (b"Upgrade: h2c",               "upgrade",      "h2c"),
    (b"Expect: 200-maybe",          "expect",       "200-maybe"),
    (b"X: " + b"v" * 5000,          "x",            "v" * 5000),
]  # fmt: skip

# What becomes of the connection (RFC 9112, 9.3)
CONNECTIONS = [
    (V11, b"",                                              b""),
    (V11, b"Connection: keep-alive\r\n",                    b""),
    (V11, b"Connection: close\r\n",                         CLOSE),
    (V11, b"Connection: CLOSE\r\n",                         CLOSE),
    (V11, b"Connection: keep-alive, close\r\n",             CLOSE),
    (V11, b"Connection: keep-alive\r\nConnection: close\r\n", CLOSE),
    (V11, b"Connection: upgrade,\tclose ,\r\n",             CLOSE),
    (V11, b"Connection: closed\r\n",                        b""),
    (V11, b"Connection: x-close\r\n",                       b""),
    (V11, b"Connection:\r\n",                               b""),
    (V11, b"Proxy-Connection: close\r\n",                   b""),
    (V10, b"",                                              CLOSE),
    (V10, b"Connection: keep-alive\r\n",                    KEEP_ALIVE),
    (V10, b"Connection: Keep-Alive\r\n",                    KEEP_ALIVE),
    (V10, b"Connection: foo, keep-alive\r\n",               KEEP_ALIVE),
    (V10, b"Connection: close\r\n",                         CLOSE),
    (V10, b"Connection: keep-alive, close\r\n",             CLOSE),
    (V10, b"Keep-Alive: 300\r\n",                           CLOSE),
]  # fmt: skip

# Framing lines and what follows the head, and the body that it is (RFC 9112, 6 and 7.1)
BODIES = [
    (b"\r\n",                                                   b""),
    (b"Content-Length: 0\r\n\r\n",                              b""),
    (b"Content-Length: 5\r\n\r\nhello",                         b"hello"),
    (b"Content-Length: 005\r\n\r\nhello",                       b"hello"),
    (b"Content-Length:\t5 \r\n\r\nhello",                       b"hello"),
    (b"content-length: 4\r\n\r\n\r\n\r\n",                      b"\r\n\r\n"),
    (b"Content-Length: 18\r\n\r\nGET / HTTP/1.1\r\n\r\n",       b"GET / HTTP/1.1\r\n\r\n"),
    (b"Content-Length: 3\r\n\r\n\0\n\r",                        b"\0\n\r"),
    (b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",            b""),
    (b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", b"hello"),
    (b"Transfer-Encoding: Chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n", b"hello"),
    (b"Transfer-Encoding: \t chunked\t\r\n\r\n1\r\nh\r\n000\r\n\r\n", b"h"),
    (b"Transfer-Encoding: chunked\r\n\r\na\r\n0123456789\r\n0\r\n\r\n", b"0123456789"),
    (b"Transfer-Encoding: chunked\r\n\r\nA\r\n0123456789\r\n0\r\n\r\n", b"0123456789"),
    (b"Transfer-Encoding: chunked\r\n\r\n0000000000000001\r\nx\r\n0\r\n\r\n", b"x"),
    (b"Transfer-Encoding: chunked\r\n\r\n4\r\n\r\n\r\n\r\n0\r\n\r\n", b"\r\n\r\n"),
    (b"Transfer-Encoding: chunked\r\n\r\n3;a\r\nabc\r\n0;b\r\n\r\n", b"abc"),
    (b"Transfer-Encoding: chunked\r\n\r\n3;a=b;c=d\r\nabc\r\n0\r\n\r\n", b"abc"),
    (b"Transfer-Encoding: chunked\r\n\r\n3 ; a = b\t;c\r\nabc\r\n0\r\n\r\n", b"abc"),
    (b'Transfer-Encoding: chunked\r\n\r\n3;a="b c"\r\nabc\r\n0\r\n\r\n', b"abc"),
    (b'Transfer-Encoding: chunked\r\n\r\n3;a="b\\"\\\\c;d"\r\nabc\r\n0\r\n\r\n', b"abc"),
    (b'Transfer-Encoding: chunked\r\n\r\n3;a=""\r\nabc\r\n0;z="\xff"\r\n\r\n', b"abc"),
    (b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nX: y\r\n\r\n", b"x"),
    (b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nA:\r\nB: \xff \r\n\r\n", b"x"),
    (b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nContent-Length: 9\r\n\r\n", b"x"),
    (b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nTransfer-Encoding: x\r\n\r\n", b"x"),
    (b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 300 + b"0\r\n\r\n", b"x" * 300),
]  # fmt: skip

METHODS = [
    "GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH", "PROPFIND", "get", "G",
    "!#$%&'*+-.^_`|~09azAZ", "M" * 1000,
]  # fmt: skip

# Whole messages: each request as (protocol, method, path, body)
WHOLE = [
    ("2.2: empty lines before",     b"\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
                                    [(V11, "GET", "/", b"")]),
    ("2.2: four empty lines",       b"\r\n\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
                                    [(V11, "GET", "/", b"")]),
    ("2.2: a CRLF after a POST",    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx\r\n"
                                    b"GET /b HTTP/1.1\r\nHost: a\r\n\r\n",
                                    [(V11, "POST", "/", b"x"), (V11, "GET", "/b", b"")]),
    ("2.3: HTTP/1.0, no Host",      b"GET / HTTP/1.0\r\n\r\n",     [(V10, "GET", "/", b"")]),
    ("2.3: HTTP/1.0 with Host",     b"GET / HTTP/1.0\r\nHost: a\r\n\r\n",
                                    [(V10, "GET", "/", b"")]),
    ("2.3: HTTP/1.0 with a body",   b"POST / HTTP/1.0\r\nContent-Length: 2\r\n\r\nhi",
                                    [(V10, "POST", "/", b"hi")]),
    ("9110 2.5: HTTP/1.2 is 1.1",   b"GET / HTTP/1.2\r\nHost: a\r\n\r\n",
                                    [(V11, "GET", "/", b"")]),
    ("9110 2.5: HTTP/1.9 chunked",  b"PUT / HTTP/1.9\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
                                    b"\r\n1\r\nx\r\n0\r\n\r\n",
                                    [(V11, "PUT", "/", b"x")]),
    ("3.2.4: asterisk form",        b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
                                    [(V11, "OPTIONS", "*", b"")]),
    ("9110 9.3.1: GET with a body", b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi",
                                    [(V11, "GET", "/", b"hi")]),
    ("9110 9.3.2: HEAD with a body", b"HEAD / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi",
                                    [(V11, "HEAD", "/", b"hi")]),
    ("9.3.2: the same twice",       b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 2,
                                    [(V11, "GET", "/", b"")] * 2),
    ("9.3.2: a prefix of the next", b"GET / HTTP/1.0\r\n\r\nGET / HTTP/1.0\r\nHost: a\r\n\r\n",
                                    [(V10, "GET", "/", b"")] * 2),
    ("9.3.2: many, with and without bodies",
                                    (b"GET /g HTTP/1.1\r\nHost: a\r\n\r\n"
                                     b"POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"
                                     b"PUT /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
                                     b"\r\n2\r\nde\r\n0\r\n\r\n") * 5,
                                    [(V11, "GET", "/g", b""), (V11, "POST", "/p", b"abc"),
                                     (V11, "PUT", "/c", b"de")] * 5),
    ("9.3.2: one head, other bodies",
                                    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"
                                    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nxyz",
                                    [(V11, "POST", "/", b"abc"), (V11, "POST", "/", b"xyz")]),
]  # fmt: skip

ROWS = (
    [
        pytest.param(
            f"GET {target} HTTP/1.1\r\nHost: h\r\n\r\n".encode(),
            {"method": "GET", "path": path, "query": query, "host": host},
            id=f"target {target}",
        )
        for target, path, query, host in TARGETS
    ]
    + [
        pytest.param(f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode(), {"host": host}, id=host)
        for host in HOSTS
    ]
    + [
        pytest.param(
            b"GET / HTTP/1.1\r\nHost: a\r\n%b\r\nLast: z\r\n\r\n" % line,
            {name: value, "last": "z", "host": "a"},
            id=f"field {line[:30]!r}",
        )
        for line, name, value in FIELDS
    ]
    + [
        pytest.param(
            b"GET / HTTP/1.%d\r\nHost: a\r\n%b\r\n" % (protocol[1], lines),
            {"protocol": protocol, "connection_line": expected},
            id=f"{protocol} {lines!r}",
        )
        for protocol, lines, expected in CONNECTIONS
    ]
    + [
        pytest.param(
            b"POST / HTTP/1.1\r\nHost: a\r\n" + rest, {"body": body}, id=f"body {rest[:70]!r}"
        )
        for rest, body in BODIES
    ]
    + [
        pytest.param(
            f"{method} / HTTP/1.1\r\nHost: a\r\n\r\n".encode(),
            {"method": method},
            id=f"method {method[:9]}",
        )
        for method in METHODS
    ]
)


def said(head, body, name):
    """What a request says of `name`: a part of its head, its body, or a header."""
    if name == "body":
        return body
    return head.headers[name] if name in head.headers else getattr(head, name)


@pytest.mark.parametrize(("wire", "expected"), ROWS)
def test_accepted(parse, wire, expected):
    for split in SPLITS:
        result = parse(split(wire))
        assert result.error is None, split
        assert result.unfinished is None, split
        [(head, body)] = result.requests
        assert {name: said(head, body, name) for name in expected} == expected, split


@pytest.mark.parametrize(
    ("wire", "expected"), [row[1:] for row in WHOLE], ids=[row[0] for row in WHOLE]
)
def test_whole_messages(parse, wire, expected):
    for split in SPLITS:
        result = parse(split(wire))
        assert result.error is None
        assert result.unfinished is None
        assert [(h.protocol, h.method, h.path, body) for h, body in result.requests] == expected


@pytest.mark.parametrize("split", [whole, thirds])
def test_a_body_larger_than_what_is_given_at_a_time(parse, split):
    body = b"0123456" * 10_000
    wire = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 70000\r\n\r\n" + body
    assert [found for _, found in parse(split(wire)).requests] == [body]


UNFINISHED = [
    b"\r",
    b"\r\n",
    b"G",
    b"GET / HTTP/1.1",
    b"GET / HTTP/1.1\r",
    b"GET / HTTP/1.1\r\n",
    b"GET / HTTP/1.1\r\nHost: a",
    b"GET / HTTP/1.1\r\nHost: a\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\n\r",
]


@pytest.mark.parametrize("wire", UNFINISHED)
def test_needs_more(parse, wire):
    for split in SPLITS:
        assert parse(split(wire)) == ([], None, None)


@pytest.mark.parametrize(
    ("wire", "body"),
    [
        (b"Content-Length: 5\r\n\r\n", b""),
        (b"Content-Length: 5\r\n\r\nhell", b"hell"),
        (b"Transfer-Encoding: chunked\r\n\r\n", b""),
        (b"Transfer-Encoding: chunked\r\n\r\n5", b""),
        (b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello", b"hello"),
        (b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n", b"hello"),
        (b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX: y\r\n", b"hello"),
        (b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r", b""),
    ],
)
def test_body_needs_more(parse, wire, body):
    for split in SPLITS:
        result = parse(split(b"POST / HTTP/1.1\r\nHost: a\r\n" + wire))
        assert result.error is None
        assert result.requests == []
        assert result.unfinished[1] == body


def test_fields_keep_their_order_and_number(parse):
    wire = b"GET / HTTP/1.1\r\nB: 1\r\nHost: a\r\na: 2\r\nB: 3\r\nCookie: c\r\nCookie: d\r\n\r\n"
    [(head, _)] = parse([wire]).requests
    assert head.headers.lines() == (
        ("b", "1"), ("host", "a"), ("a", "2"), ("b", "3"), ("cookie", "c"), ("cookie", "d"),
    )  # fmt: skip
    assert (head.headers["b"], head.headers["cookie"]) == ("1, 3", "c; d")


def test_absolute_target_wins_over_host(parse):
    wire = b"GET http://b/ HTTP/1.1\r\nX: y\r\nHost: a\r\n\r\n"  # RFC 9112, 3.2.2
    [(head, _)] = parse([wire]).requests
    assert head.headers.lines() == (("host", "b"), ("x", "y"))


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (b"HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n", True),
        (b"HTTP/1.1\r\nHost: a\r\nEXPECT: 100-Continue\r\n", True),
        (b"HTTP/1.1\r\nHost: a\r\n", False),
        (b"HTTP/1.1\r\nHost: a\r\nExpect: something\r\n", False),
        (b"HTTP/1.0\r\nExpect: 100-continue\r\n", False),  # RFC 9110, 10.1.1
    ],
)
def test_expects_continue(parse, lines, expected):
    wire = b"PUT / " + lines + b"Content-Length: 1\r\n\r\n"
    assert parse([wire]).unfinished[0].expects_continue is expected


def test_head_tells_what_body_comes(parse):
    def head(lines):
        result = parse([b"PUT / HTTP/1.1\r\nHost: a\r\n%b\r\n" % lines])
        head, _ = result.unfinished or result.requests[0]
        return head.content_length, head.chunked, head.has_body

    assert head(b"") == (0, False, False)
    assert head(b"Content-Length: 0\r\n") == (0, False, False)
    assert head(b"Content-Length: 7\r\n") == (7, False, True)
    assert head(b"Transfer-Encoding: chunked\r\n") == (0, True, True)
