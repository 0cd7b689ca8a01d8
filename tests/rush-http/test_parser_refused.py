"""What is refused, with which status, and what the log says; whole, in thirds, byte by byte."""

import re

import pytest

from rush_http import BadRequest, HttpError, Memo, RequestParser
from splits import SPLITS, thirds

# The section of RFC 9112 (or another RFC), the request line, the status, the words of the log
REQUEST_LINES = [
    ("2.2", b"GET / HTTP/1.1\n", 400, "bare LF"),
    ("2.2", b"GET / HTTP/1.1\r\r\n", 400, "version is not"),
    ("2.2", b"GET / HTTP/1.1 \r\n", 400, "request line is not"),
    ("2.2", b"GET /\rX HTTP/1.1\r\n", 400, "characters that no target"),
    ("2.2", b"\n", 400, "bare LF"),
    ("2.2", b"\r\n" * 5, 400, "empty lines"),
    ("2.2", b"\r\r\n", 400, "request line is not"),
    ("3", b" GET / HTTP/1.1\r\n", 400, "request line is not"),
    ("3", b"\tGET / HTTP/1.1\r\n", 400, "not a token"),
    ("3", b"GET  / HTTP/1.1\r\n", 400, "request line is not"),
    ("3", b"GET /  HTTP/1.1\r\n", 400, "request line is not"),
    ("3", b"GET\t/\tHTTP/1.1\r\n", 400, "request line is not"),
    ("3", b"GET / \tHTTP/1.1\r\n", 400, "version is not"),
    ("3", b"GET /\x0bHTTP/1.1\r\n", 400, "request line is not"),
    ("3", b"GET /\xa0HTTP/1.1\r\n", 400, "request line is not"),
    ("3", b"GET / x HTTP/1.1\r\n", 400, "request line is not"),
    ("3", b"GET /a b HTTP/1.1\r\n", 400, "request line is not"),
    ("3", b"GET /\r\n", 400, "request line is not"),
    ("3", b"GET\r\n", 400, "request line is not"),
    ("3", b"GET / HTTP/1.1, HTTP/1.0\r\n", 400, "request line is not"),
    ("3", b"\x16\x03\x01\x02\r\n", 400, "request line is not"),  # TLS on a plain port
    ("3", b"\0GET / HTTP/1.1\r\n", 400, "not a token"),
    ("3.1", b"G(T / HTTP/1.1\r\n", 400, "method is not a token"),
    ("3.1", b"GET: / HTTP/1.1\r\n", 400, "method is not a token"),
    ("3.1", b"G\xc9T / HTTP/1.1\r\n", 400, "method is not a token"),
    ("3.1", b'"GET" / HTTP/1.1\r\n', 400, "method is not a token"),
    ("3.1", b" / HTTP/1.1\r\n", 400, "method is not a token"),
    ("3.2", b"GET \0 HTTP/1.1\r\n", 400, "characters that no target"),
    ("3.2", b"GET /\0 HTTP/1.1\r\n", 400, "characters that no target"),
    ("3.2", b"GET /\x7f HTTP/1.1\r\n", 400, "characters that no target"),
    ("3.2", b"GET /\x01 HTTP/1.1\r\n", 400, "characters that no target"),
    ("3.2", b"GET /\t HTTP/1.1\r\n", 400, "characters that no target"),
    ("3.2", b"GET /\xc3\xa9 HTTP/1.1\r\n", 400, "characters that no target"),
    ("3.2", b"GET /#a HTTP/1.1\r\n", 400, "characters that no target"),
    ("3.2", b"GET /?a#b HTTP/1.1\r\n", 400, "characters that no target"),
    ("3.2", b"GET # HTTP/1.1\r\n", 400, "characters that no target"),
    ("3.2", b"GET  HTTP/1.1\r\n", 400, "characters that no target"),
    ("3.2.1", b"GET a HTTP/1.1\r\n", 400, "neither a path nor a URL"),
    ("3.2.1", b"GET ?a HTTP/1.1\r\n", 400, "neither a path nor a URL"),
    ("3.2.1", b"GET ../a HTTP/1.1\r\n", 400, "neither a path nor a URL"),
    ("3.2.1", b"GET %2F HTTP/1.1\r\n", 400, "neither a path nor a URL"),
    ("3.2.1", b"GET \\a HTTP/1.1\r\n", 400, "neither a path nor a URL"),
    ("3.2.2", b"GET http:/a HTTP/1.1\r\n", 400, "neither a path nor a URL"),
    ("3.2.2", b"GET http:// HTTP/1.1\r\n", 400, "neither a path nor a URL"),
    ("3.2.2", b"GET ftp://a/ HTTP/1.1\r\n", 400, "neither a path nor a URL"),
    ("3.2.2", b"GET file:///etc/passwd HTTP/1.1\r\n", 400, "neither a path nor a URL"),
    ("9110 4.2.1", b"GET http:///a HTTP/1.1\r\n", 400, "neither a path nor a URL"),
    ("9110 4.2.1", b"GET http://:80/a HTTP/1.1\r\n", 400, "neither a path nor a URL"),
    ("9110 4.2.1", b"GET http://?a HTTP/1.1\r\n", 400, "neither a path nor a URL"),
    ("9110 4.2.4", b"GET http://me@a/ HTTP/1.1\r\n", 400, "invalid host"),
    ("9110 4.2.4", b"GET http://me:pw@a/ HTTP/1.1\r\n", 400, "invalid host"),
    ("3.2.2", b"GET http://a\\b/ HTTP/1.1\r\n", 400, "invalid host"),
    ("3.2.2", b"GET http://a:b/ HTTP/1.1\r\n", 400, "invalid host"),
    ("3.2.2", b"GET http://a%2/ HTTP/1.1\r\n", 400, "invalid host"),
    ("3.2.2", b"GET http://[a]/ HTTP/1.1\r\n", 400, "invalid host"),
    ("3.2.3", b"GET a:80 HTTP/1.1\r\n", 400, "neither a path nor a URL"),
    ("3.2.3", b"CONNECT a:80 HTTP/1.1\r\n", 501, "CONNECT"),
    ("3.2.3", b"CONNECT / HTTP/1.1\r\n", 501, "CONNECT"),
    ("3.2.4", b"GET * HTTP/1.1\r\n", 400, "neither a path nor a URL"),
    ("3.2.4", b"OPTIONS ** HTTP/1.1\r\n", 400, "neither a path nor a URL"),
    ("3.2.4", b"OPTIONS *?a HTTP/1.1\r\n", 400, "neither a path nor a URL"),
    ("3.2.4", b"options * HTTP/1.1\r\n", 400, "neither a path nor a URL"),
    ("2.3", b"GET / http/1.1\r\n", 400, "version is not"),
    ("2.3", b"GET / HTTP/1\r\n", 400, "version is not"),
    ("2.3", b"GET / HTTP/1.\r\n", 400, "version is not"),
    ("2.3", b"GET / HTTP/.1\r\n", 400, "version is not"),
    ("2.3", b"GET / HTTP/1.1.1\r\n", 400, "version is not"),
    ("2.3", b"GET / HTTP/1.10\r\n", 400, "version is not"),
    ("2.3", b"GET / HTTP/01.1\r\n", 400, "version is not"),
    ("2.3", b"GET / HTTP/1,1\r\n", 400, "version is not"),
    ("2.3", b"GET / HTTP/+1.1\r\n", 400, "version is not"),
    ("2.3", b"GET / HTTP/1.x\r\n", 400, "version is not"),
    ("2.3", b"GET / HTTP/\xb2.0\r\n", 400, "version is not"),
    ("2.3", b"GET / HTTPS/1.1\r\n", 400, "version is not"),
    ("2.3", b"GET / ICY/1.1\r\n", 400, "version is not"),
    ("2.3", b"GET / \r\n", 400, "version is not"),
    ("9110 15.6.6", b"GET / HTTP/2.0\r\n", 505, "speaks HTTP/1.1"),
    ("9110 15.6.6", b"GET / HTTP/0.9\r\n", 505, "speaks HTTP/1.1"),
    ("9110 15.6.6", b"GET / HTTP/3.0\r\n", 505, "speaks HTTP/1.1"),
    ("9113 3.4", b"PRI * HTTP/2.0\r\n", 505, "speaks HTTP/1.1"),
    ("3986 2.1", b"GET /%zz HTTP/1.1\r\n", 400, "% without two hexadecimal digits"),
    ("3986 2.1", b"GET /%4 HTTP/1.1\r\n", 400, "% without two hexadecimal digits"),
    ("3986 2.1", b"GET /% HTTP/1.1\r\n", 400, "% without two hexadecimal digits"),
    ("3986 2.1", b"GET /%u0041 HTTP/1.1\r\n", 400, "% without two hexadecimal digits"),
    ("3986 2.1", b"GET /%4%31 HTTP/1.1\r\n", 400, "% without two hexadecimal digits"),
    ("3629 3", b"GET /%ff HTTP/1.1\r\n", 400, "not UTF-8"),
    ("3629 3", b"GET /%c3 HTTP/1.1\r\n", 400, "not UTF-8"),
    ("3629 3", b"GET /%c0%af HTTP/1.1\r\n", 400, "not UTF-8"),  # an overlong slash
    ("3629 3", b"GET /%ed%a0%80 HTTP/1.1\r\n", 400, "not UTF-8"),  # a surrogate
    ("3986 7.3", b"GET /a%00b HTTP/1.1\r\n", 400, "a NUL"),
    ("3986 7.3", b"GET http://a/%00 HTTP/1.1\r\n", 400, "a NUL"),
]

# Header lines after ``GET / HTTP/1.1`` and ``Host: a``, and before another line
FIELD_LINES = [
    ("2.2", b"X: y\n", 400, "bare LF"),
    ("2.2", b"X: y\nZ: w\r\n", 400, "bare LF"),
    ("2.2", b"\nX: y\r\n", 400, "bare LF"),
    ("2.2", b"X: y\rZ: w\r\n", 400, "control bytes"),
    ("2.2", b"X: y\r\r\n", 400, "control bytes"),
    ("2.2", b"\rX: y\r\n", 400, "not a token"),
    ("2.2", b"\r\r\n", 400, "without a colon"),
    ("2.2", b" X: y\r\n", 400, "white space before a header"),
    ("5.2", b"X: y\r\n z\r\n", 400, "or a fold"),
    ("5.2", b"X: y\r\n\tz: w\r\n", 400, "white space before a header"),
    ("5.2", b"X: y\r\n : z\r\n", 400, "white space before a header"),
    ("5.2", b"X:\r\n y: z\r\n", 400, "white space before a header"),
    ("5.2", b"X: y\r\n \r\n", 400, "or a fold"),
    ("5.1", b"X : y\r\n", 400, "space before the colon"),
    ("5.1", b"X\t: y\r\n", 400, "space before the colon"),
    ("5.1", b"Content-Length : 5\r\n", 400, "space before the colon"),
    ("5.1", b"Transfer-Encoding : chunked\r\n", 400, "space before the colon"),
    ("5.1", b"Transfer-Encoding\x0b: chunked\r\n", 400, "not a token"),
    ("5.1", b"Transfer-Encoding\xa0: chunked\r\n", 400, "not a token"),
    ("5.1", b"Transfer-Encoding\x00: chunked\r\n", 400, "not a token"),
    ("5", b": y\r\n", 400, "not a token"),
    ("5", b":\r\n", 400, "not a token"),
    ("5", b"X\r\n", 400, "without a colon"),
    ("5", b"X y\r\n", 400, "without a colon"),
    ("5", b"GET / HTTP/1.1\r\n", 400, "without a colon"),
    ("9110 5.1", b"X Y: z\r\n", 400, "not a token"),
    ("9110 5.1", b"X(: z\r\n", 400, "not a token"),
    ("9110 5.1", b"X,Y: z\r\n", 400, "not a token"),
    ("9110 5.1", b"X/Y: z\r\n", 400, "not a token"),
    ("9110 5.1", b"[X]: z\r\n", 400, "not a token"),
    ("9110 5.1", b'"X": z\r\n', 400, "not a token"),
    ("9110 5.1", b"X\xe9: z\r\n", 400, "not a token"),
    ("9110 5.1", b"X\x7f: z\r\n", 400, "not a token"),
    ("9110 5.1", b"\xef\xbb\xbfX: z\r\n", 400, "not a token"),
    ("9110 5.5", b"X: \0\r\n", 400, "control bytes"),
    ("9110 5.5", b"X: a\0b\r\n", 400, "control bytes"),
    ("9110 5.5", b"X: \x01\r\n", 400, "control bytes"),
    ("9110 5.5", b"X: a\x0bb\r\n", 400, "control bytes"),
    ("9110 5.5", b"X: a\x0cb\r\n", 400, "control bytes"),
    ("9110 5.5", b"X: \x1b[31m\r\n", 400, "control bytes"),
    ("9110 5.5", b"X: \x7f\r\n", 400, "control bytes"),
    ("9110 5.5", b"X: \x0b\r\n", 400, "control bytes"),
    ("9110 7.2", b"Host: a\r\n", 400, "two Host headers"),
    ("9110 7.2", b"Host: b\r\n", 400, "two Host headers"),
    ("9110 7.2", b"hOST:\r\n", 400, "two Host headers"),
]

# The value of the only Host
HOSTS = [
    b"a b", b"a, b", b"a/b", b"a?b", b"a@b", b"a:b", b"a:80:80", b"a:-1", b"a:+80", b"a:123456",
    b"[", b"[]", b"[::1", b"::1", b"[g]", b"[:::]", b"[1.2.3.4]", b"[::1]a", b"[::1]:a", b"[v.a]",
    b"[fe80::1%25eth0]", b"%4", b"%zz", b"\xe9", b"http://a", b"a\\b", b"<a>", b'"a"', b"a#b",
    b"a\tb", b"{a}", b"[1:2:3:4:5:6:7:8:9]", b"[::1.2.3.256]",
]  # fmt: skip

# Framing lines after ``POST / HTTP/1.1`` and ``Host: a``
FRAMINGS = [
    ("9110 8.6", b"Content-Length:\r\n", 400, "not a number"),
    ("9110 8.6", b"Content-Length: +5\r\n", 400, "not a number"),
    ("9110 8.6", b"Content-Length: -5\r\n", 400, "not a number"),
    ("9110 8.6", b"Content-Length: -0\r\n", 400, "not a number"),
    ("9110 8.6", b"Content-Length: 0x5\r\n", 400, "not a number"),
    ("9110 8.6", b"Content-Length: 5.0\r\n", 400, "not a number"),
    ("9110 8.6", b"Content-Length: 5e1\r\n", 400, "not a number"),
    ("9110 8.6", b"Content-Length: 1_0\r\n", 400, "not a number"),
    ("9110 8.6", b"Content-Length: 1 0\r\n", 400, "not a number"),
    ("9110 8.6", b"Content-Length: \xb2\r\n", 400, "not a number"),
    ("9110 8.6", b"Content-Length: five\r\n", 400, "not a number"),
    ("9110 8.6", b"Content-Length: 5 bytes\r\n", 400, "not a number"),
    ("9110 8.6", b"Content-Length: 5;\r\n", 400, "not a number"),
    ("9110 8.6", b'Content-Length: "5"\r\n', 400, "not a number"),
    ("6.3", b"Content-Length: 5, 5\r\n", 400, "not a number"),
    ("6.3", b"Content-Length: 5,5\r\n", 400, "not a number"),
    ("6.3", b"Content-Length: ,5\r\n", 400, "not a number"),
    ("6.3", b"Content-Length: 5\r\nContent-Length: 5\r\n", 400, "not a number"),
    ("6.3", b"Content-Length: 5\r\nContent-Length: 6\r\n", 400, "not a number"),
    ("6.3", b"Content-Length: 0\r\ncontent-length: 44\r\n", 400, "not a number"),
    ("6.3", b"Content-Length: 5\r\nContent-Length:\r\n", 400, "not a number"),
    ("6.1", b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", 400, "beside"),
    ("6.1", b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", 400, "beside"),
    ("6.1", b"Transfer-Encoding: chunked\r\nContent-Length: 0\r\n", 400, "beside"),
    ("6.1", b"Transfer-Encoding: identity\r\nContent-Length: 5\r\n", 400, "beside"),
    ("6.1", b"Transfer-Encoding:\r\nContent-Length: 5\r\n", 400, "beside"),
    ("6.3", b"Transfer-Encoding:\r\n", 400, "last transfer coding"),
    ("6.3", b"Transfer-Encoding: identity\r\n", 400, "last transfer coding"),
    ("6.3", b"Transfer-Encoding: gzip\r\n", 400, "last transfer coding"),
    ("6.3", b"Transfer-Encoding: chunked, gzip\r\n", 400, "last transfer coding"),
    ("6.3", b"Transfer-Encoding: chunked,\r\n", 400, "last transfer coding"),
    ("6.3", b"Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n", 400, "last transfer coding"),
    ("6.3", b"Transfer-Encoding: chunked;a=b\r\n", 400, "last transfer coding"),
    ("6.3", b"Transfer-Encoding: xchunked\r\n", 400, "last transfer coding"),
    ("6.3", b"Transfer-Encoding: chunke\r\n", 400, "last transfer coding"),
    ("6.3", b"Transfer-Encoding: chunked chunked\r\n", 400, "last transfer coding"),
    ("6.3", b'Transfer-Encoding: "chunked"\r\n', 400, "last transfer coding"),
    ("6.3", b"Transfer-Encoding: chunked\xa0\r\n", 400, "last transfer coding"),
    ("6.3", b"Transfer-Encoding: chunked\x0b\r\n", 400, "control bytes"),
    ("6.3", b"Transfer-Encoding:\x0bchunked\r\n", 400, "control bytes"),
    ("6.3", b"Transfer-Encoding: ,chunked\r\n", 400, "an empty transfer coding"),
    ("7.1", b"Transfer-Encoding: chunked, chunked\r\n", 400, "chunked twice"),
    ("7.1", b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", 400, "chunked twice"),
    ("6.1", b"Transfer-Encoding: gzip, chunked\r\n", 501, "unknown transfer coding"),
    ("6.1", b"Transfer-Encoding: identity, chunked\r\n", 501, "unknown transfer coding"),
    ("6.1", b"Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n", 501, "unknown transfer"),
    ("9110 15.5.14", b"Content-Length: 16777217\r\n", 413, "Limits.body_bytes"),
    ("9110 15.5.14", b"Content-Length: 18446744073709551617\r\n", 413, "Limits.body_bytes"),
    ("9110 15.5.14", b"Content-Length: %b\r\n" % (b"9" * 5000), 413, "Limits.body_bytes"),
]

# The body after ``Transfer-Encoding: chunked``
CHUNKS = [
    ("7.1", b"\r\n", "not a hexadecimal number"),
    ("7.1", b"x\r\n", "not a hexadecimal number"),
    ("7.1", b"-1\r\n", "not a hexadecimal number"),
    ("7.1", b"+1\r\nx\r\n", "not a hexadecimal number"),
    ("7.1", b"0x1\r\nx\r\n", "not a hexadecimal number"),
    ("7.1", b"1_0\r\n", "not a hexadecimal number"),
    ("7.1", b"1.0\r\n", "not a hexadecimal number"),
    ("7.1", b" 1\r\nx\r\n", "not a hexadecimal number"),
    ("7.1", b"1 \r\nx\r\n", "not a hexadecimal number"),
    ("7.1", b"1\t\r\nx\r\n", "not a hexadecimal number"),
    ("7.1", b"1 1\r\n", "not a hexadecimal number"),
    ("7.1", b"1,1\r\n", "not a hexadecimal number"),
    ("7.1", b"1\0\r\nx\r\n", "not a hexadecimal number"),
    ("7.1", b"\xb2\r\n", "not a hexadecimal number"),
    ("7.1", b"g\r\n", "not a hexadecimal number"),
    ("7.1", b"00000000000000001\r\nx\r\n0\r\n", "not a hexadecimal number"),
    ("7.1", b"10000000000000000\r\n", "not a hexadecimal number"),
    ("7.1.1", b"1;\r\nx\r\n", "not a hexadecimal number"),
    ("7.1.1", b"1;;a\r\nx\r\n", "not a hexadecimal number"),
    ("7.1.1", b"1;a;\r\nx\r\n", "not a hexadecimal number"),
    ("7.1.1", b"1;=b\r\nx\r\n", "not a hexadecimal number"),
    ("7.1.1", b"1;a=\r\nx\r\n", "not a hexadecimal number"),
    ("7.1.1", b"1;a=b=c\r\nx\r\n", "not a hexadecimal number"),
    ("7.1.1", b"1;a b\r\nx\r\n", "not a hexadecimal number"),
    ("7.1.1", b"1;a=b \r\nx\r\n", "not a hexadecimal number"),
    ("7.1.1", b'1;a="b\r\nx\r\n', "not a hexadecimal number"),
    ("7.1.1", b'1;a="b"c\r\nx\r\n', "not a hexadecimal number"),
    ("7.1.1", b'1;a="\\\r\nx\r\n', "not a hexadecimal number"),
    ("7.1.1", b'1;a="\0"\r\nx\r\n', "not a hexadecimal number"),
    ("7.1.1", b"1;a=\x7f\r\nx\r\n", "not a hexadecimal number"),
    ("7.1.1", b"1;a=\rb\r\nx\r\n", "not a hexadecimal number"),
    ("7.1.1", b'1;a="\n"\r\nx\r\n', "bare LF"),
    ("2.2", b"1\nx\r\n", "bare LF"),
    ("2.2", b"0\n\r\n", "bare LF"),
    ("2.2", b"1\r\r\nx\r\n", "not a hexadecimal number"),
    ("7.1", b"1\r\nx\n", "no line end after a chunk's data"),
    ("7.1", b"1\r\nxy\r\n", "no line end after a chunk's data"),
    ("7.1", b"1\r\nx0\r\n\r\n", "no line end after a chunk's data"),
    ("7.1", b"1\r\nx\r0\r\n", "no line end after a chunk's data"),
    ("7.1", b"5\r\nhel\r\n0\r\n\r\n", "no line end after a chunk's data"),
    ("7.1.2", b"0\r\nX\r\n\r\n", "without a colon"),
    ("7.1.2", b"0\r\nX : y\r\n\r\n", "space before the colon"),
    ("7.1.2", b"0\r\n X: y\r\n\r\n", "white space before"),
    ("7.1.2", b"0\r\nX: y\r\n z: w\r\n\r\n", "white space before"),
    ("7.1.2", b"0\r\nX: \0\r\n\r\n", "control bytes"),
    ("7.1.2", b"0\r\nX: y\n\r\n", "bare LF"),
    ("7.1.2", b"0\r\n\n", "bare LF"),
    ("7.1.2", b"0\r\nGET / HTTP/1.1\r\n\r\n", "without a colon"),
    ("7.1.2", b"0\r\n\rX: y\r\n\r\n", "not a token"),
]

WHOLE = [
    ("3.2", b"GET / HTTP/1.1\r\n\r\n", 400, "no Host header"),
    ("3.2", b"GET / HTTP/1.1\r\nX: y\r\n\r\n", 400, "no Host header"),
    ("3.2", b"GET http://a/ HTTP/1.1\r\n\r\n", 400, "no Host header"),
    ("3.2", b"GET http://a/ HTTP/1.1\r\nHost: a b\r\n\r\n", 400, "invalid host"),
    ("3.2", b"GET / HTTP/1.9\r\n\r\n", 400, "no Host header"),
    ("3.2", b"GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n", 400, "two Host headers"),
    ("3.2", b"GET / HTTP/1.0\r\nHost: a b\r\n\r\n", 400, "invalid host"),
    ("6.1", b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400, "in HTTP/1.0"),
    ("2.2", b"GET / HTTP/1.1\r\n Host: a\r\n\r\n", 400, "white space before"),
    ("2.2", b"GET / HTTP/1.1\r\n\r\nHost: a\r\n\r\n", 400, "no Host header"),
    ("2.2", b"GET / HTTP/1.1\r\nHost: a\n\n", 400, "bare LF"),
    ("2.2", b"GET / HTTP/1.1\r\nHost: a\r\n\n", 400, "bare LF"),
    ("2.2", b"GET / HTTP/1.1\nHost: a\n\n", 400, "bare LF"),
    ("2.2", b"\r\n" * 4 + b"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400, "empty lines"),
    ("3", b"Host: a\r\n\r\n", 400, "request line is not"),
]


def head(framing):
    return b"POST / HTTP/1.1\r\nHost: a\r\n%b\r\n" % framing


ROWS = (
    [(section, line + b"Host: a\r\n\r\n", status, words)
     for section, line, status, words in REQUEST_LINES]
    + [(section, b"GET / HTTP/1.1\r\nHost: a\r\n%bLast: z\r\n\r\n" % line, status, words)
       for section, line, status, words in FIELD_LINES]
    + [("9110 7.2", b"GET / HTTP/1.1\r\nHost: %b\r\n\r\n" % host, 400, "invalid host")
       for host in HOSTS]
    + [(section, head(lines) + b"hello", status, words)
       for section, lines, status, words in FRAMINGS]
    + [(section, head(b"Transfer-Encoding: chunked\r\n") + chunks + b"\r\n\r\n", 400, words)
       for section, chunks, words in CHUNKS]
    + WHOLE
)  # fmt: skip
PARAMS = [pytest.param(*row, id=f"{row[0]} {row[1][-60:]!r}") for row in ROWS]


def check(error, status, words):
    assert error is not None, "this was accepted"
    assert words in str(error)
    assert error.status == status
    assert type(error) is not HttpError


GOOD = (
    b"GET /1 HTTP/1.1\r\nHost: a\r\n\r\n"
    b"GET /1 HTTP/1.1\r\nHost: a\r\n\r\n"
    b"POST /2 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n"
    b"POST /3 HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi"
)


@pytest.mark.parametrize(("section", "wire", "status", "words"), PARAMS)
def test_refused(parse, section, wire, status, words):
    for split in SPLITS:
        result = parse(split(wire))
        check(result.error, status, words)
        assert result.requests == [], split
    result = parse(thirds(GOOD + wire))  # the good ones come first
    check(result.error, status, words)
    assert [(head.path, body) for head, body in result.requests] == [
        ("/1", b""), ("/1", b""), ("/2", b"x"), ("/3", b"hi"),
    ]  # fmt: skip


def test_the_table_is_long_and_cites_sections():
    assert len({wire for _, wire, _, _ in ROWS}) == len(ROWS) > 270
    for section, *_ in ROWS:
        assert re.fullmatch(r"([0-9]{4} )?[0-9]{1,2}(\.[0-9]{1,2})*", section)


@pytest.mark.parametrize("memo", [None, Memo()], ids=["plain", "memoised"])
def test_nothing_can_be_fed_after_a_refusal(memo):
    parser = RequestParser(memo=memo)
    with pytest.raises(BadRequest):
        list(parser.feed(b"GET / HTTP/1.1\r\n\r\n"))
    with pytest.raises(RuntimeError, match="has refused"):
        list(parser.feed(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"))
    assert parser.whole(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n") is None
    assert not parser.clean


@pytest.mark.parametrize(
    ("wire", "method"),
    [
        (b"HEAD / HTTP/1.1\r\nHost : a\r\n\r\n", "HEAD"),
        (b"HEAD / HTTP/1.1\r\n\r\n", "HEAD"),
        (b"GET / HTTP/1.1\r\n\r\n", "GET"),
        (b"HEAD / HTTP/3.1\r\nHost: a\r\n\r\n", "HEAD"),
        (b"\r\nHEAD /#a HTTP/1.1\r\nHost: a\r\n\r\n", "HEAD"),
        (b"HEAD /" + b"a" * 17_000, "HEAD"),
        (b"HEAD / HTTP/1.1\nHost: a\r\n\r\n", "HEAD"),
        (b"HEAD\r\n", None),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999\r\n\r\nHEAD / ", None),
        (
            b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nHEAD / \r\n",
            None,
        ),
    ],
)
@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("memo", [None, Memo()], ids=["plain", "memoised"])
def test_method_of_what_was_refused(memo, split, wire, method):
    parser = RequestParser(memo=memo)
    with pytest.raises(HttpError):
        [event for piece in split(wire) for event in parser.feed(piece)]
    assert parser.method == method
