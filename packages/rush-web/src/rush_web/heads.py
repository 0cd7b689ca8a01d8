"""Heads: that of a file's answer, with what a handler says."""

from collections.abc import Iterable

from rush_http import HeaderLines, header_line, render_head

# What decides where a message ends, and what becomes of the connection, is written by us alone.
_OURS = frozenset({"content-length", "transfer-encoding", "connection", "date"})
# What a file is compared by, and which part and form of it is sent.
_OF_FILES = _OURS | {"etag", "content-range", "content-encoding"}


def changed_head(head: bytes, status: int, headers: HeaderLines) -> bytes:
    """Give the head of a file another status line (a page that says 404) and more headers.

    A 304 says nothing of the content (RFC 9110, 15.4.5), and the type of several ranges is that
    of the message, which has the boundary (14.6).
    """
    lines = head.splitlines(keepends=True)[1:]
    several = any(line.startswith(b"Content-Type: multipart/byteranges;") for line in lines)
    more, varies = b"", []
    for name, value in headers:
        line = header_line(name, value)
        lower = name.lower()
        if lower in _OF_FILES:
            raise ValueError(f"header {name} is worked out here: leave it out")
        if lower == "vary":
            varies.append(value)
        elif not (several and lower == "content-type"):
            start = lower.encode() + b":"
            lines = [line for line in lines if not line.lower().startswith(start)]
            if status != 304 or not lower.startswith("content-"):
                more += line
    if varies:
        known = [line for line in lines if line.startswith(b"Vary:")]
        lines = [line for line in lines if line not in known]
        more += header_line("Vary", _all_of([*(line[5:].decode() for line in known), *varies]))
    return render_head(status) + b"".join(lines) + more


def _all_of(lists: Iterable[str]) -> str:
    """The names of several lists, each once; ``*`` is all of them (RFC 9110, 12.5.5)."""
    names: dict[str, str] = {}
    for name in ",".join(lists).split(","):
        if name := name.strip():
            names.setdefault(name.lower(), name)
    return "*" if "*" in names else ", ".join(names.values())
