"""What holds for any bytes that `RequestParser` is fed."""

import contextlib
import gc
import re

from rush_http import END, Head, HttpError, Limits, Memo, RequestParser
from splits import byte_by_byte, thirds, whole

DEFAULT = Limits()
SMALL = Limits(
    request_line_bytes=60,
    fields_bytes=120,
    fields_count=4,
    body_bytes=30,
    chunk_line_bytes=20,
    chunk_extensions_bytes=30,
    trailers_bytes=40,
    trailers_count=2,
)

# What a parser may hold beside what its limits allow: the last head, objects, a piece being read.
SLACK_BYTES = 16 * 1024


class Broken(AssertionError):
    """A property does not hold; the message says which."""


def heard(feed, pieces):
    """What comes of `pieces`, the pieces of a body joined, and how it ended."""
    found = []
    try:
        for piece in pieces:
            for event in feed(piece):
                if isinstance(event, bytes) and found and isinstance(found[-1], bytes):
                    found[-1] += event
                else:
                    found.append(event)
    except HttpError as error:
        return found, (type(error), str(error))
    return found, None


def served(parser, piece):
    """The events of a piece that goes the short way of a server, or ``None``."""
    head = parser.whole(piece)
    if head is not None:
        return [head, END]
    found = parser.whole_with_body(piece)
    return None if found is None else [found[0], *filter(None, found[1:]), END]


def observed(parser, pieces, *, short=False, body_bytes=None):
    """Feed `pieces`: the messages, what is unfinished, the refusal; in a form to compare.

    With `short`, pieces go the short way of a server where the parser takes them; with
    `body_bytes`, each body has a limit of its own.
    """
    messages, current, error, events = [], None, None, 0
    fed = 0
    try:
        for piece in pieces:
            fed += len(piece)
            for event in (served(parser, piece) if short else None) or parser.feed(piece):
                events += 1
                if event is END:
                    messages.append(current)
                    current = None
                elif isinstance(event, Head):
                    current = (event, b"")
                    if body_bytes is not None:
                        parser.limit_body(body_bytes)
                elif event:
                    current = (current[0], current[1] + event)
                else:
                    raise Broken("an empty piece of a body")
            if events > 2 * fed + 2:
                raise Broken("more events than bytes")
    except HttpError as refusal:
        # What it quotes may be as much of the line as was there.
        error = type(refusal), refusal.status, re.split(": b['\"]", str(refusal))[0]
    return messages, current, error


def held_bytes(parser, memo):
    """The size of all bytes and text that only the parser holds."""
    seen, total, todo = {id(memo), id(DEFAULT), id(SMALL)}, 0, [parser]
    while todo:
        thing = todo.pop()
        if id(thing) in seen or isinstance(thing, type) or callable(thing):
            continue
        seen.add(id(thing))
        if isinstance(thing, (bytes, bytearray, str)):
            total += len(thing)
        elif len(seen) < 10_000:
            todo.extend(gc.get_referents(thing))
    return total


def check_memory(wire, limits):
    """A parser of a message that never ends holds no more than its limits say."""
    memo = Memo()
    parser = RequestParser(limits, memo=memo)
    allowed = (
        limits.request_line_bytes
        + limits.fields_bytes
        + limits.chunk_line_bytes
        + limits.trailers_bytes
    )
    with contextlib.suppress(HttpError):
        for piece in (wire, *[wire[-200:] or b"x"] * 60):
            for _ in parser.feed(piece):
                pass
            if held_bytes(parser, memo) > 4 * allowed + 2 * len(piece) + SLACK_BYTES:
                raise Broken("a parser holds more than its limits allow")


def neighbours(wire):
    """Bytes that begin alike, end alike, or differ in a byte or the case."""
    third = len(wire) // 3
    return [
        wire.swapcase(),
        wire[:third] + wire[third + 1 :],
        wire[: 2 * third] + b"x" + wire[2 * third :],
        wire.replace(b"\r\n", b"\n", 1),
        wire.replace(b": ", b":", 1),
        wire.replace(b"1", b"2"),
        wire.replace(b"0", b"1"),
        wire.replace(b" /", b" /other", 1),
        wire[:-1],
        wire[:-2] + b"\r\n",
    ]


def check(wire):
    """Raise `Broken` if a property does not hold for `wire`, or what a parser should not raise."""
    for limits in (DEFAULT, SMALL):
        plain = observed(RequestParser(limits), whole(wire))
        for name, result in other_ways(wire, limits):
            if result != plain:
                raise Broken(f"{name} is not plain and whole: {result!r:.300} != {plain!r:.300}")
    check_memory(wire, SMALL)
    limited = [
        observed(RequestParser(SMALL, memo=memo), split(wire), body_bytes=4)
        for memo in (None, Memo())
        for split in (whole, thirds)
    ]
    if not all(result == limited[0] for result in limited):
        raise Broken(f"bodies with a limit of their own differ: {limited!r:.300}")


def other_ways(wire, limits):
    """The same bytes on other ways, with their names."""
    yield "thirds", observed(RequestParser(limits), thirds(wire))
    if len(wire) <= 4096:
        yield "byte by byte", observed(RequestParser(limits), byte_by_byte(wire))
    memo = Memo()
    yield "with a new memo", observed(RequestParser(limits, memo=memo), whole(wire))
    for split in (whole, thirds):
        parser = RequestParser(limits, memo=memo)
        yield "met elsewhere", observed(parser, split(wire))
    yield "as served", observed(RequestParser(limits, memo=memo), [wire], short=True)
    parser = RequestParser(limits, memo=memo)
    for _ in range(3):  # what is learned of the first is used for the others
        if parser.clean:
            yield "again and again", observed(parser, [wire], short=True)
    memo = Memo()
    for near in neighbours(wire):
        observed(RequestParser(limits, memo=memo), [near])
    for split in (whole, thirds):
        parser = RequestParser(limits, memo=memo)
        yield "after neighbours", observed(parser, split(wire))
    for near in (wire, *neighbours(wire)):
        parser = RequestParser(limits, memo=memo)
        observed(parser, [near], short=True)
        if parser.clean:
            yield "after neighbours on its connection", observed(parser, [wire], short=True)
