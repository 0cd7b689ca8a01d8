"""Heads: what one connection remembers of its heads, because clients repeat themselves.

Parsing is a pure function of bytes, so what was met can be taken from memory:

- the **last head**: the same bytes again are the same request;
- its **tail**, all but method and target: with another target before it, only that is looked at;
  of a head that announces a body the same without the digits of ``Content-Length``;
- the **prefix**: the header lines with which the last two heads began, and what they mean for
  framing.  A head that goes on with it, after any plain request line, needs its other lines only
  to be checked: none of them may be a field of framing.  They are taken apart when somebody looks.
  A browser's head with three new lines costs 2.5 us so, line by line 5.9
  (tests/bench/bench_request.py).

What is not found so goes line by line through the worker's `Memo`.  All of it holds what the plain
path's own rules say of the same text; what is refused here, is refused by the plain path.  The
memory belongs to one connection and goes with it: it may hold secrets.
"""

import re
from typing import Final

from . import grammar
from .errors import HttpError
from .grammar import HTTP_1_1, Field
from .head import Framing, Head, framing_of, head_of
from .headers import Headers
from .memo import Memo
from .shapes import VALUE

# Heads are remembered only up to this size: 10,000 connections are not to cost more than a few
# dozen MB.  A browser's head has 500 to 1,500 bytes.
KEPT_BYTES: Final = 2048

# A head that is there as a whole has only text of one byte for each character: no head begins so.
_NOTHING = "\u0100"

# A request line as nearly all are: HTTP/1.1, origin form, nothing to decode (RFC 9112, 3).  Those
# that do not match are for `grammar.request_line`.
_REQUEST_LINE = re.compile(
    r"(?!CONNECT )([A-Z]+) "
    r"(/[!\"$&->@-~]*)"  # visible ASCII without "#", "%", "?"
    r"(?:\?([!\"$-~]*))?"  # visible ASCII without "#"
    r" HTTP/1\.1\r\n"
)
# A target of visible ASCII without "#" is left as it is by this table; the rest becomes NUL, and
# NUL something else.
_IN_TARGETS = bytes(
    [byte if 0x21 <= byte <= 0x7E and byte != 0x23 else not byte for byte in range(256)]
)


def _any_case(text: str) -> str:
    return "".join(f"[{char.upper()}{char}]" if char.isalpha() else char for char in text)


# A header line that says nothing about framing (RFC 9110, 5.1, 5.5 and 5.6.2).  The look-ahead
# stops at Host, Content-Length, Connection, Transfer-Encoding, Expect, and some that begin alike.
_OTHER_LINE = (
    rf"(?![HCTEhcte](?:{_any_case('ost:')}"
    rf"|{_any_case('on')}(?:{_any_case('tent-l')}|{_any_case('nec')})"
    rf"|{_any_case('rans')}|{_any_case('xpe')}))"
    rf"[!#$%&'*+\-.^_`|~0-9A-Za-z]+:{VALUE}\r\n"
)
# More say a length that no body has.
_MOST_DIGITS = 15
# The rest of a head: such lines, at most one Content-Length among them, and the empty line.
_REST = re.compile(
    rf"(?:{_OTHER_LINE})*"
    rf"(?:[Cc]ontent-[Ll]ength: ?([0-9]{{1,{_MOST_DIGITS}}})\r\n(?:{_OTHER_LINE})*)?\r\n"
)
# A shape is looked for at these heads that have none: soon, then seldom.
_SHAPE_AFTER = {3, 30, 300}
# The shortest line: a name of one character, a colon, a line end.
_LINE_BYTES = 4


class Heads:
    """The memory of one connection; `memo` is that of all connections of the worker."""

    __slots__ = (
        "_back",
        "_count",
        "_fields_count",
        "_framed",
        "_framing",
        "_known",
        "_memo",
        "_method",
        "_prefix",
        "_room",
        "_shape",
        "_text",
        "_unshaped",
        "front",
        "last_head",
        "last_raw",
        "tail",
    )

    def __init__(self, memo: Memo, fields_count: int) -> None:
        self._memo = memo
        self._fields_count = fields_count  # lines that a head may have
        self.last_raw = b""
        """The bytes of the last head that was not too large to be kept."""
        self.last_head: Head | None = None
        # The prefix as text and taken apart; it is the beginning of the last head's lines.
        self._prefix = _NOTHING
        self._count = -1
        self._known = Headers()
        self._framing: Framing = (0, False, False, b"")
        self._framed = False  # whether it says how long a body is
        self._shape: re.Pattern[str] | None = None  # of the lines that follow it
        self._unshaped = 0  # heads that had another one, or none was known
        self._room = 0  # bytes that may follow it whatever number of lines they are
        self.tail = b""
        """What came after the target of the last head, if the next one is for `retargeted`."""
        self._method = b""  # that came before it, or before `front`
        self.front = b""
        """What is between the target and the digits of ``Content-Length`` in the last head, if the
        next one is for `resized`."""
        self._back = b""  # what followed these digits
        self._text = "", ""  # the lines after the prefix, without them

    def retargeted(self, raw: bytes, tail: bytes) -> Head | None:
        """The head that `raw` is, if it differs in its target only from the one that left `tail`.

        The fast twin of `head`, without a regular expression: 5,000 instructions less
        (tests/bench/instructions.py).  What it gives is not kept.
        """
        try:
            method, target, rest = raw.split(b" ", 2)
        except ValueError:
            return None
        if rest != tail or method != self._method:
            return None
        if target.translate(_IN_TARGETS) != target or not b"/" <= target < b"0":
            return None  # refused, or it begins with no "/"
        path, _, query = target.decode().partition("?")
        if "%" in path:
            return None
        last = self.last_head
        assert last is not None
        head = Head()
        head.protocol = HTTP_1_1
        head.method = last.method
        head.path = path
        head.query = query
        head.headers = self._known
        head.framing = last.framing
        head.connection_line = last.connection_line
        head.note = None
        return head

    def resized(self, data: bytes) -> tuple[Head, bytes] | None:
        """The head and the body that `data` is, if only target and length of that are new.

        The fast twin of `head` for the connection that has left `front`; what it gives is not kept.
        """
        # Not find() or startswith() with an index: of these each takes 700 instructions.
        before, _, rest = data.partition(self.front)
        digits, _, body = rest.partition(self._back)
        if not digits.isdigit() or len(digits) > _MOST_DIGITS or int(digits) != len(body):
            return None
        head = self.retargeted(before, b"")
        if head is None:
            return None
        first, last = self._text
        head.headers = Headers.unread(self._known, f"{first}{digits.decode()}{last}", 1)
        head.framing = len(body), False, False, head.connection_line
        return head, body

    def head(self, raw: bytes) -> Head | None:
        """The head that `raw` is; it ends in an empty line, and is no larger than allowed.

        ``None`` if that is for the plain path: more than one head, empty lines before it, too many
        lines, refusals.
        """
        # Of who sends other lines each time, they would be looked at in vain.
        self.tail = self.front = b""
        text = raw.decode("latin-1")
        match = _REQUEST_LINE.match(text)
        if match is None or not text.startswith(self._prefix, match.end()):
            return self._line_by_line(raw)
        at = match.end() + len(self._prefix)
        left = len(text) - at
        framing = self._framing
        rest = None
        if left == 2 and text[at] == "\r":  # that LF is the last is known
            headers = self._known
        else:
            shape = self._shape
            values = None if shape is None else shape.fullmatch(text, at)
            if values is None:
                rest = _REST.fullmatch(text, at)
                if rest is None or (left > self._room and self._too_many(text)):
                    return self._line_by_line(raw)
                if rest[1] is None:
                    self._note_shape(text, at)
                elif self._framed:
                    return self._line_by_line(raw)
                else:
                    framing = (int(rest[1]), *framing[1:])
            headers = Headers.unread(self._known, text, at, values)
        method, path, query = match.groups("")
        head = Head.of(HTTP_1_1, method, path, query, headers, framing)
        if len(raw) <= KEPT_BYTES:
            self.last_raw, self.last_head = raw, head
            if left == 2 and not head.has_body:
                self._method = raw[: match.end(1)]
                self.tail = raw[match.end() - len("HTTP/1.1\r\n") :]
            elif rest is not None and rest[1] is not None and not head.expects_continue:
                start, end = rest.span(1)
                self._method = raw[: match.end(1)]
                self.front = raw[match.end() - len("HTTP/1.1\r\n") : start]
                self._back = raw[end:]
                self._text = text[at - 1 : start], text[end:]
        return head

    def _note_shape(self, text: str, at: int) -> None:
        """Let the names of the lines from `at` on be the shape, if others like it came before."""
        self._unshaped += 1
        self._shape = None
        if self._unshaped in _SHAPE_AFTER:
            names = tuple([line.partition(":")[0] for line in text[at:-4].split("\r\n")])
            self._shape = self._memo.shapes.pattern(names)

    def _too_many(self, text: str) -> bool:
        return text.count("\r\n") - 2 > self._fields_count

    def _line_by_line(self, raw: bytes) -> Head | None:
        # One empty line, at its end; earlier ones are for the plain path to skip or refuse.
        if not raw.endswith(b"\r\n\r\n") or raw.find(b"\r\n\r\n") != len(raw) - 4:
            return None
        first, *lines, _, _ = raw.split(b"\r\n")
        if not first or len(lines) > self._fields_count:
            return None
        known, met = self._memo.fields.get, self._memo.field_line
        try:
            fields = tuple([known(line) or met(line) for line in lines])
            head = head_of(grammar.request_line(first), fields, self._memo)
        except HttpError:
            return None
        if len(raw) <= KEPT_BYTES:
            self._learn(lines, fields, head)
            self.last_raw, self.last_head = raw, head
        return head

    def _learn(self, lines: list[bytes], fields: tuple[Field, ...], head: Head) -> None:
        """Let the lines that this head has in common with the last one be the prefix.

        It ends before a ``Content-Length``, as that is seldom the same for long.
        """
        before = self.last_raw.split(b"\r\n")[1:-2] if self.last_raw else lines
        count = 0
        for mine, its, field in zip(lines, before, fields, strict=False):  # one may have more lines
            if mine != its or field[0] == "content-length":
                break
            count += 1
        if count == self._count:
            return  # it is what it was
        self._shape = None
        if head.protocol == HTTP_1_1 and head.headers.lines() is fields and count == len(lines):
            known = head.headers
            self._framing = head.framing
        else:
            known = Headers(fields[:count])
            try:
                self._framing = framing_of(known, HTTP_1_1, self._memo)
            except HttpError:  # Host is not among them
                self._prefix, self._count = _NOTHING, -1
                return
        self._known, self._count = known, count
        names = known.values_by_name
        self._framed = "transfer-encoding" in names
        self._room = (self._fields_count - count) * _LINE_BYTES + 2
        self._prefix = b"".join([line + b"\r\n" for line in lines[:count]]).decode("latin-1")
