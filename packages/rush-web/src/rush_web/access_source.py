"""The program that makes a format's lines, as its source: one f-string, and what seldom changes.

Three kinds of what is in a line::

    of the client   its address, and what its headers tell: kept with the connection, for as long as
                    they are the very same, which `Headers.told` is of heads that begin alike
    of the head     the request line: kept with the head, which is the same if it comes again
    of the answer   time, status, bytes, seconds: put into each line

Text between two fields of one of the first two kinds is rendered with them.  A request whose head
comes again takes 0.4 us, one of which three lines and the query are new 1.1 us.
"""

from collections.abc import Iterable, Mapping
from typing import Final

_EXPRESSIONS: Final = {
    "client": "exchange.client or '-'",
    "referer": "told.get('referer') or '-'",
    "agent": "told.get('user-agent') or '-'",
    "host": "told.get('host') or '-'",
    "pid": "pid",
    **{name: name for name in ("method", "path", "query", "protocol")},
}
OF_CLIENT: Final = ("client", "referer", "agent", "host", "pid")
OF_HEAD: Final = ("request", "method", "path", "query", "protocol")
OF_ANSWER: Final = {
    "time": "now",
    "iso": "now_iso",
    "status": "status",
    "bytes": "size",
    "seconds": "seconds",
}
FIELDS: Final = (*OF_CLIENT, *OF_HEAD, *OF_ANSWER)
"""The fields that a format may have."""

_NUMBERS: Final = {"status", "bytes", "seconds", "pid"}
_SENT: Final = {"referer", "agent", "host"}  # as the client has sent it

_SOURCE: Final = """\
method = path = protocol = "-"
query = mark = ""
NO_HEAD = NOTHING, {of_no_head}


def lines(answers):
    now, now_iso = clock.texts()
    made = []
    for conn, head, status, size, began, ended in answers:
        note = NO_HEAD if head is None else head.note
        if note is None:
            method, path, query = head.method, PATHS[head.path], head.query
            protocol = "HTTP/1.1" if head.protocol == HTTP_1_1 else "HTTP/%d.%d" % head.protocol
            if query:
                {escape}
                mark = "?"
            else:
                mark = ""
            head.note = note = head.headers.told, {of_head}
        told, {head_names} = note
        exchange = conn.data
        note = exchange.note
        if note is None or note[0] is not {key}:
            exchange.note = note = {key}, {of_client}
        _, {client_names} = note
        status = STATUSES[status] if status in STATUSES else status.decode()
        took = int((ended - began) * 1e6)
        seconds = SECONDS[took] if took < MOST else f"{{ended - began:.6f}}"
        made.append({line})
    return made
"""
_REQUEST: Final = "{method} {path}{mark}{query} {protocol}"
# What `escaped` does first, without a call; JSON has its own way with quotes.
_ESCAPE: Final = """\
if not (
                    query.isascii()
                    and query.isprintable()
                    and '"' not in query
                    and "\\\\" not in query
                ):
                    query = escaped(query)
"""


def source_of(parts: Iterable[tuple[str, str]], *, as_json: bool, is_behind: bool) -> str:
    """The source of ``lines(answers)``, for a format as pairs: text, and the field after it."""
    line, chunks = "", {"c": [], "h": []}  # type: tuple[str, dict[str, list[str]]]
    kind = ""  # of the chunk to which text may be added
    for text, field in parts:
        of = "c" if field in OF_CLIENT else "h" if field in OF_HEAD else ""
        if of and of != kind:
            line += f"{{{of}{len(chunks[of])}}}"
            chunks[of].append("")
            kind = of
        if kind:
            chunks[kind][-1] += _literal(text)
        else:
            line += _literal(text)
        kind = of
        if of:
            chunks[of][-1] += _rendered(field, as_json=as_json, is_behind=is_behind)
        elif field:
            value = f"{{{OF_ANSWER[field]}}}"
            line += f'"{value}"' if as_json and field not in _NUMBERS else value
    return _SOURCE.format(
        line=f"f'''{line}\\n'''",
        client_names=_names("c", chunks),
        head_names=_names("h", chunks),
        key="head" if is_behind else "told",  # behind proxies each may be another client's
        of_client=_values(chunks["c"]),
        of_head=_values(chunks["h"]),
        of_no_head=_values(chunk.replace(_REQUEST, "-") for chunk in chunks["h"]),
        escape="" if as_json else _ESCAPE,
    )


def _rendered(field: str, *, as_json: bool, is_behind: bool) -> str:
    """The field in braces, so that nothing in it ends the line or the field."""
    if field == "request":
        return _REQUEST
    expression = _EXPRESSIONS[field]
    if field == "client" and is_behind:
        expression = "client_of(conn, head)"
    if as_json and field not in _NUMBERS:
        return f"{{quoted({expression})}}"
    return f"{{ESCAPED[{expression}]}}" if field in _SENT else f"{{{expression}}}"


def _names(kind: str, chunks: Mapping[str, list[str]]) -> str:
    return "".join(f"{kind}{number}, " for number in range(len(chunks[kind])))


def _values(chunks: Iterable[str]) -> str:
    return "".join(f"f'''{chunk}''', " for chunk in chunks)


def _literal(text: str) -> str:
    """Text as the inside of an f-string."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return escaped.replace("{", "{{").replace("}", "}}")
