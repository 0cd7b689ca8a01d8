"""What RFC 9110 and RFC 9112 allow in a head, rule by rule; no state, no I/O.

Each function takes one complete piece of a head and returns what it means, or refuses it.  What
two servers could read differently is refused: that is how requests are smuggled.
"""

import re
import socket
from urllib.parse import unquote_to_bytes

from .errors import BadRequest, NotImplementedHere, VersionNotSupported

Protocol = tuple[int, int]
"""The version of HTTP: ``(1, 1)`` or ``(1, 0)``."""
Field = tuple[str, str]

HTTP_1_0: Protocol = (1, 0)
HTTP_1_1: Protocol = (1, 1)

# RFC 9110, 5.6.2: token.
_TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
# RFC 9110, 5.5: field-value, without the blanks around it: HTAB, SP, VCHAR and obs-text.
_VALUE_BYTES = bytes([0x09, *range(0x20, 0x7F), *range(0x80, 0x100)])
# The methods that come all the time; any other is looked at each time.
_METHODS = {name.encode(): name for name in ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS")}
_VERSION = re.compile(rb"HTTP/([0-9])\.([0-9])")
_BAD_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_DIGITS = re.compile(r"[0-9]+")
# RFC 3986, 3.2.2: reg-name or IPv4address, IP-literal; then RFC 9110, 7.2: an optional port.
_HOST = re.compile(
    r"[0-9A-Za-z\-._~!$&'()*+,;=%]*(?::[0-9]{0,5})?"
    r"|\[([0-9A-Fa-f:.]+)\](?::[0-9]{0,5})?"
    r"|\[v[0-9A-Fa-f]+\.[0-9A-Za-z\-._~!$&'()*+,;=:]+\](?::[0-9]{0,5})?"
)
# RFC 9110, 4.2.1: a URL without a host is refused.
_ABSOLUTE = re.compile(r"https?://([^/?:][^/?]*)(/[^?]*)?(?:\?(.*))?", re.IGNORECASE)

# An exabyte: int() of a million digits would take its time.
_MAX_LENGTH_DIGITS = 18


RequestLine = tuple[str, str, str, Protocol, str | None]
"""Method; path, percent-decoded once as UTF-8 (``*`` for ``OPTIONS *``); query, raw; protocol; host
and port of a target in absolute form, which win over ``Host``."""
# A plain tuple: a named one takes 0.25 us more (tests/bench/bench_request.py).


def request_line(line: bytes) -> RequestLine:
    """Take apart ``method SP target SP version`` (RFC 9112, section 3)."""
    parts = line.split(b" ")
    if len(parts) != 3:
        raise BadRequest(f"request line is not 'method target version': {line[:80]!r}")
    raw_method, raw_target, version = parts
    protocol = HTTP_1_1 if version == b"HTTP/1.1" else _protocol(version)
    method = _METHODS.get(raw_method) or _method(raw_method)
    target = raw_target.decode("latin-1")
    # RFC 9112, 3.2: a target has visible ASCII, and no fragment.
    if not target or not (target.isascii() and target.isprintable()) or "#" in target:
        raise BadRequest(f"target has characters that no target may have: {raw_target[:80]!r}")
    if method == "CONNECT":
        raise NotImplementedHere("CONNECT: this is not a proxy")
    if target.startswith("/"):
        authority = None
        path, _, query = target.partition("?")
    else:
        authority, path, query = _other_form(method, target)
    if "%" in path:
        path = decoded_path(path)
    return method, path, query, protocol, authority


def _method(raw: bytes) -> str:
    if not _TOKEN.fullmatch(raw):
        raise BadRequest(f"method is not a token (RFC 9110, 9.1): {raw[:80]!r}")
    return raw.decode("ascii")


def _other_form(method: str, target: str) -> tuple[str | None, str, str]:
    """Authority, path and query of a target that is no path (RFC 9112, 3.2.2 and 3.2.4)."""
    if target == "*" and method == "OPTIONS":
        return None, "*", ""
    absolute = _ABSOLUTE.fullmatch(target)
    if absolute is None:
        raise BadRequest(f"target is neither a path nor a URL (RFC 9112, 3.2): {target[:80]!r}")
    return host(absolute[1]), absolute[2] or "/", absolute[3] or ""


def _protocol(version: bytes) -> Protocol:
    match = _VERSION.fullmatch(version)
    if match is None:
        raise BadRequest(f"version is not HTTP/1.0 or HTTP/1.1: {version[:80]!r}")
    if match[1] != b"1":
        raise VersionNotSupported(f"{version!r}: this server speaks HTTP/1.1")
    # RFC 9110, 2.5: a higher minor version is read as the highest one known.
    return HTTP_1_0 if match[2] == b"0" else HTTP_1_1


def decoded_path(path: str) -> str:
    """Percent-decode a path once, as UTF-8."""
    if _BAD_PERCENT.search(path):
        raise BadRequest(f"path has a % without two hexadecimal digits: {path[:80]!r}")
    try:
        decoded = unquote_to_bytes(path).decode("utf-8")
    except UnicodeDecodeError:
        raise BadRequest(f"path is not UTF-8: {path[:80]!r}") from None
    if "\0" in decoded:
        raise BadRequest(f"path has a NUL: {path[:80]!r}")
    return decoded


def field_line(line: bytes) -> Field:
    """Take apart ``name: value`` (RFC 9112, section 5); the name in lower case."""
    name, colon, value = line.partition(b":")
    if not colon or not _TOKEN.fullmatch(name):
        raise _bad_field_line(line, name, colon)
    return name.decode("ascii").lower(), field_value(value, name)


def field_value(value: bytes, name: bytes) -> str:
    """Check the value of the field `name`; without the blanks around it (RFC 9110, 5.5)."""
    text = value.strip(b" \t").decode("latin-1")
    # Printable text has no control characters; the rest (tabs, obs-text) takes a second look.
    if not text.isprintable() and value.translate(None, _VALUE_BYTES):
        raise BadRequest(f"control bytes in a header (RFC 9110, 5.5): {name[:80]!r}")
    return text


def _bad_field_line(line: bytes, name: bytes, colon: bytes) -> BadRequest:
    if line.startswith((b" ", b"\t")):
        return BadRequest(f"white space before a header, or a fold (RFC 9112, 5.2): {line[:80]!r}")
    if not colon:
        return BadRequest(f"header line without a colon: {line[:80]!r}")
    if name.endswith((b" ", b"\t")):
        return BadRequest(f"space before the colon (RFC 9112, 5.1): {line[:80]!r}")
    return BadRequest(f"header name is not a token (RFC 9110, 5.1): {name[:80]!r}")


def host(value: str) -> str:
    """Check the value of ``Host``, or the authority of a target (RFC 9110, 7.2)."""
    match = _HOST.fullmatch(value)
    if (
        match is None
        or ("%" in value and _BAD_PERCENT.search(value))
        or (match[1] is not None and not _is_ipv6(match[1]))
    ):
        raise BadRequest(f"invalid host: {value[:80]!r}")
    return value


def _is_ipv6(text: str) -> bool:
    try:
        socket.inet_pton(socket.AF_INET6, text)
    except OSError:
        return False
    return True


def content_length(value: str) -> int:
    """Bytes of the body that ``Content-Length`` announces (RFC 9110, 8.6): 1*DIGIT only."""
    if not _DIGITS.fullmatch(value):  # int() alone would take "+5", "1_0" and " 5"
        raise BadRequest(f"Content-Length is not a number: {value[:80]!r}")
    return int(value) if len(value) <= _MAX_LENGTH_DIGITS else 10**_MAX_LENGTH_DIGITS


def transfer_coding(value: str, protocol: Protocol) -> None:
    """Accept ``chunked`` and nothing else (RFC 9112, 6.1)."""
    if protocol == HTTP_1_0:
        raise BadRequest("Transfer-Encoding in HTTP/1.0 (RFC 9112, 6.1)")
    codings = [coding.strip(" \t").lower() for coding in value.split(",")]
    if codings[-1] != "chunked":
        raise BadRequest(f"the last transfer coding is not chunked: {value[:80]!r}")
    if "chunked" in codings[:-1]:
        raise BadRequest(f"chunked twice (RFC 9112, 7.1): {value[:80]!r}")
    if any(not coding for coding in codings):
        raise BadRequest(f"an empty transfer coding: {value[:80]!r}")
    if len(codings) > 1:
        raise NotImplementedHere(f"unknown transfer coding: {value[:80]!r}")


def keeps_alive(connection: str | None, protocol: Protocol) -> bool:
    """Whether the connection goes on after the answer (RFC 9112, 9.3)."""
    if connection is None:
        return protocol == HTTP_1_1
    options = [option.strip(" \t").lower() for option in connection.split(",")]
    if "close" in options:
        return False
    return protocol == HTTP_1_1 or "keep-alive" in options
