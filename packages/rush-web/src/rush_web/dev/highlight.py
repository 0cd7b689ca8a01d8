"""Highlighting: lines of Python as HTML, by the standard library's own tokenizer."""

import io
import keyword
import token
import tokenize
from collections.abc import Sequence
from html import escape

_STRINGS = {token.STRING} | {
    getattr(token, name)
    for name in ("FSTRING_START", "FSTRING_MIDDLE", "FSTRING_END")  # since 3.12
    if hasattr(token, name)
}
_Span = tuple[int, int, str]


def highlighted(lines: Sequence[str], mark: tuple[int, int, int] | None = None) -> list[str]:
    """The HTML of each line; ``mark`` underlines (index of the line, first, last character).

    The lines may begin or end in the middle of anything; what the tokenizer makes nothing of is
    left plain.
    """
    spans: list[list[_Span]] = [[] for _ in lines]
    for kind, first_line, first, last_line, last in _tokens(lines):
        for index in range(first_line, min(last_line, len(lines) - 1) + 1):
            start = first if index == first_line else 0
            end = last if index == last_line else len(lines[index])
            spans[index].append((start, end, kind))
    result = [_line(text, spans[index]) for index, text in enumerate(lines)]
    if mark is not None and 0 <= mark[0] < len(lines):
        index, start, end = mark
        text = lines[index]
        before = _line(text[:start], _within(spans[index], 0, start))
        inside = _line(text[start:end], _within(spans[index], start, end))
        after = _line(text[end:], _within(spans[index], end, len(text)))
        result[index] = f"{before}<u>{inside}</u>{after}" if inside else result[index]
    return result


def _tokens(lines: Sequence[str]) -> list[tuple[str, int, int, int, int]]:
    """Kind and place of what is coloured: lines from 0."""
    # Deeper lines first would be an indentation error: the least of it is taken away.
    found: list[tuple[str, int, int, int, int]] = []
    indent = min((len(t) - len(t.lstrip()) for t in lines if t.strip()), default=0)
    readline = io.StringIO("".join(f"{text[indent:]}\n" for text in lines)).readline
    names = False
    try:
        for one in tokenize.generate_tokens(readline):
            kind = ""
            if one.type in _STRINGS:
                kind = "s"
            elif one.type == token.COMMENT:
                kind = "c"
            elif one.type == token.NUMBER:
                kind = "n"
            elif one.type == token.NAME and keyword.iskeyword(one.string):
                kind = "k"
            elif one.type == token.NAME and names:
                kind = "d"
            names = one.string in ("def", "class")
            if kind:
                (line, start), (last_line, end) = one.start, one.end
                last = end + indent if last_line == line or end else end
                found.append((kind, line - 1, start + indent, last_line - 1, last))
    except (tokenize.TokenError, SyntaxError):
        pass  # it begins or ends inside of something
    return found


def _within(spans: list[_Span], start: int, end: int) -> list[_Span]:
    """The parts of the spans that lie there, from its beginning."""
    return [
        (max(first, start) - start, min(last, end) - start, kind)
        for first, last, kind in spans
        if first < end and last > start
    ]


def _line(text: str, spans: list[_Span]) -> str:
    parts: list[str] = []
    done = 0
    for start, end, kind in sorted(spans):
        if start < done or end <= start:
            continue
        parts += escape(text[done:start]), f'<span class="{kind}">{escape(text[start:end])}</span>'
        done = end
    return "".join([*parts, escape(text[done:])])
