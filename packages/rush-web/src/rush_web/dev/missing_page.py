"""The page of a 404 or 405 in development: the routes there are, and why each was not picked."""

from collections.abc import Sequence
from html import escape

from ..pages import Page, page
from .missing import Miss

_NEAR = ' class="near"'
_NEAR_FROM = 0.6


def missing_page(
    status: int, line: str, found: Sequence[Miss], files: str = "", *, version: str = ""
) -> Page:
    """The page: `line` is the request, `found` the routes, `files` what is known of files."""
    what = {404: "Nothing answers this", 405: "Not for this method"}.get(status, "Not answered")
    main = (
        f'<header>\n<p class="kind">{status}</p>\n<h1>{what}</h1>\n'
        f'<p class="mono">{escape(line)}</p>\n</header>\n'
        + _table(found)
        + (f"<p>{escape(files)}</p>\n" if files else "")
        + '<p class="note">This page is shown in development only, and to this machine only.</p>\n'
    )
    return page(f"{status} {line}"[:120], main, kind="error", version=version)


def missing_text(status: int, line: str, found: Sequence[Miss], files: str = "") -> str:
    """The same as plain text, for a terminal."""
    lines = [f"{status}: nothing answers {line}", ""]
    for miss in found:
        lines += [f"  {miss.methods} {miss.path}", f"      {miss.reason}"]
    if not found:
        lines.append("  There are no routes.")
    return "\n".join([*lines, *([f"  {files}"] if files else []), ""])


def missing_data(status: int, line: str, found: Sequence[Miss]) -> dict[str, object]:
    """The same as data, for JSON."""
    return {
        "error": status,
        "request": line,
        "routes": [
            {"methods": miss.methods, "path": miss.path, "reason": miss.reason} for miss in found
        ],
    }


def _table(found: Sequence[Miss]) -> str:
    if not found:
        return "<p>There are no routes.</p>\n"
    rows = "".join(
        f"<tr{_NEAR if miss.nearness >= _NEAR_FROM else ''}>"
        f'<td class="mono">{escape(miss.methods)}</td>'
        f'<td class="mono">{escape(miss.path)}</td><td>{escape(miss.reason)}<br>'
        f'<span class="note mono">{escape(miss.handler)}</span></td></tr>\n'
        for miss in found
    )
    head = '<th scope="col">Methods</th><th scope="col">Path</th><th scope="col">Why not</th>'
    return (
        '<table class="routes">\n<caption>The routes, the nearest first</caption>\n'
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}</tbody>\n</table>\n"
    )
