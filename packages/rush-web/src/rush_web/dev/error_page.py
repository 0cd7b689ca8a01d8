"""The page of an unhandled exception, and the same as text and as data.

It shows what was going on and evaluates nothing.  It is for the one who writes the program: only
in development, only to its `Viewers`.
"""

import linecache
import os
from collections.abc import Mapping
from html import escape
from urllib.parse import quote

from ..pages import Page, page
from .asked import Asked, Pairs
from .failure import Failure, Frame
from .highlight import highlighted

EDITORS: Mapping[str, str] = {
    "vscode": "vscode://file{file}:{line}",
    "code": "vscode://file{file}:{line}",
    "cursor": "cursor://file{file}:{line}",
    "zed": "zed://file{file}:{line}",
    "pycharm": "pycharm://open?file={file}&line={line}",
    "idea": "idea://open?file={file}&line={line}",
    "sublime": "subl://open?url=file://{file}&line={line}",
    "emacs": "emacs://open?url=file://{file}&line={line}",
    "textmate": "txmt://open?url=file://{file}&line={line}",
}
"""What ``RUSH_EDITOR`` may name; anything with ``{file}`` in it is a pattern of its own."""


def error_page(
    failure: Failure, asked: Asked, *, editor: str | None = None, version: str = ""
) -> Page:
    """The page: what failed, where, with which values, for which request, and how to repeat it."""
    pattern = _pattern(os.environ.get("RUSH_EDITOR", "") if editor is None else editor)
    main = (
        f'<header>\n<p class="kind">{escape(failure.kind)}</p>\n'
        f"<h1>{escape(_first_line(failure.message)) or escape(failure.kind)}</h1>\n"
        f"{_rest(failure.message)}{_notes(failure)}"
        f'<p class="mono">{escape(asked.line)}</p>\n'
        f'<div class="tools">{_editor_button(failure, pattern)}'
        '<button type="button" id="copy" hidden>Copy as text</button></div>\n'
        f"</header>\n{_traceback(failure, pattern)}{_causes(failure, pattern)}{_request(asked)}"
        "<h2>Repeat it</h2>\n"
        f'<pre class="block"><code>{escape(asked.curl)}</code></pre>\n'
        "<h2>As text</h2>\n<details><summary>Traceback and request, to paste elsewhere</summary>\n"
        '<textarea id="text" readonly aria-label="As text" rows="16">\n'
        f"{escape(error_text(failure, asked))}</textarea></details>\n"
        '<p class="note">This page is shown in development only, and to this machine only.</p>\n'
    )
    title = f"{failure.kind}: {_first_line(failure.message)}"[:120]
    return page(title, main, scripts=("error.js",), kind="error", version=version)


def error_text(failure: Failure, asked: Asked) -> str:
    """The same as plain text, for a terminal."""
    lines = [failure.text.rstrip(), "", asked.line]
    lines += [f"{name}: {value}" for name, value in asked.headers]
    if failure.own_frames:
        frame = failure.own_frames[0]
        lines += ["", f"In {frame.function} ({frame.shown_file}:{frame.line}):"]
        lines += [f"    {name} = {value}" for name, value in frame.values]
    return "\n".join([*lines, "", "Repeat it:", f"    {asked.curl}", ""])


def error_data(failure: Failure, asked: Asked) -> dict[str, object]:
    """The same as data, for JSON."""
    return {
        "error": failure.kind,
        "message": failure.message,
        "notes": list(failure.notes),
        "frames": [
            {
                "file": frame.file,
                "line": frame.line,
                "function": frame.function,
                "own": frame.own,
                "values": dict(frame.values),
            }
            for frame in reversed(failure.frames)
        ],
        "causes": [{"error": one.kind, "message": one.message} for one in failure.causes],
        "request": asked.line,
        "curl": asked.curl,
    }


def _first_line(text: str) -> str:
    return text.strip().partition("\n")[0]


def _rest(message: str) -> str:
    rest = message.strip().partition("\n")[2]
    return f'<pre class="message">{escape(rest)}</pre>\n' if rest else ""


def _notes(failure: Failure) -> str:
    return "".join(f"<p>{escape(note)}</p>\n" for note in failure.notes)


def _traceback(failure: Failure, pattern: str | None) -> str:
    """The application's frames, the one that failed first; then all the others, closed."""
    own = failure.own_frames
    others = tuple(frame for frame in reversed(failure.frames) if not frame.own)
    parts = ["<h2>Where</h2>\n"]
    parts += [
        _frame(frame, pattern, is_open=number == 0)
        for number, frame in enumerate(own or others[:1])
    ]
    rest = others if own else others[1:]
    if rest:
        parts.append("<h2>In libraries</h2>\n")
        parts += [_frame(frame, pattern) for frame in rest]
    return "".join(parts)


def _frame(frame: Frame, pattern: str | None, *, is_open: bool = False) -> str:
    place = f"{frame.shown_file}:{frame.line}"
    href = _editor_link(frame, pattern)
    link = f'<p><a href="{escape(href)}">Open in the editor</a></p>\n' if href else ""
    return (
        f'<details class="{"own" if frame.own else "library"}"{" open" if is_open else ""}>'
        f"<summary><code>{escape(frame.function)}</code> "
        f'<span class="where mono">{escape(place)}</span></summary>\n'
        f"{_source(frame)}{link}{_values('Local variables', list(frame.values))}</details>\n"
    )


def _editor_link(frame: Frame, pattern: str | None) -> str:
    if pattern is None or not os.path.isabs(frame.file):
        return ""
    return pattern.replace("{file}", quote(os.fsencode(frame.file))).replace(
        "{line}", str(frame.line)
    )


def _editor_button(failure: Failure, pattern: str | None) -> str:
    """Where it failed, in the editor."""
    for frame in failure.own_frames[:1]:
        href = _editor_link(frame, pattern)
        if href:
            place = f"{os.path.basename(frame.file)}:{frame.line}"
            return f'<a href="{escape(href)}">Open {escape(place)} in the editor</a>'
    return ""


def _source(frame: Frame) -> str:
    if not frame.lines:
        return '<p class="note">The source of this call is not to be had.</p>\n'
    whole = [text.rstrip("\n") for text in linecache.getlines(frame.file)]
    mark = (frame.line - 1, *frame.columns) if frame.columns else None
    shown = highlighted(whole, mark)[frame.first_line - 1 :][: len(frame.lines)]
    rows = []
    for number, text in enumerate(shown or map(escape, frame.lines), frame.first_line):
        here = " here" if number == frame.line else ""
        current = ' aria-current="true"' if here else ""
        rows.append(
            f'<span class="row{here}"{current}><span class="no">{number}</span>{text}\n</span>'
        )
    return f'<pre class="source" tabindex="0"><code>{"".join(rows)}</code></pre>\n'


def _values(title: str, pairs: Pairs) -> str:
    if not pairs:
        return ""
    rows = "".join(
        f'<tr><th scope="row">{escape(name)}</th>'
        f"<td{_hidden_class(value)}><code>{escape(value)}</code></td></tr>\n"
        for name, value in pairs
    )
    return (
        f'<table class="values"><caption>{escape(title)}</caption><tbody>\n{rows}</tbody></table>\n'
    )


def _hidden_class(value: str) -> str:
    return ' class="hidden"' if value == "(hidden)" else ""


def _causes(failure: Failure, pattern: str | None) -> str:
    """What it came from, each with its own frames."""
    parts = []
    for cause in failure.causes:
        parts.append(
            f"<h2>{escape(cause.relation.capitalize())}: {escape(cause.kind)}</h2>\n"
            f"<p>{escape(cause.message)}</p>\n"
        )
        frames = [frame for frame in reversed(cause.frames) if frame.own] or cause.frames[-1:]
        parts += [_frame(frame, pattern) for frame in frames]
        parts.append(_causes(cause, pattern))
    return "".join(parts)


def _request(asked: Asked) -> str:
    body = [("body", f"{asked.body_bytes:,} bytes")] if asked.body_bytes else []
    return (
        f"<h2>Request</h2>\n<details open><summary><code>{escape(asked.line)}</code></summary>\n"
        + _values("Parameters of the path", asked.params)
        + _values("Arguments", asked.args)
        + _values("Form", asked.form)
        + _values("Headers", [*asked.headers, *body])
        + "</details>\n"
    )


def _pattern(editor: str) -> str | None:
    """The link that opens a file, by the name of an editor or as it is; ``None`` without one."""
    if not editor:
        return None
    pattern = editor if "{file}" in editor else EDITORS.get(os.path.basename(editor))
    if pattern is None or pattern.lower().lstrip().startswith(("javascript:", "data:")):
        return None
    return pattern
