"""The frame of every page: head, style, landmarks, and the policy that goes with it."""

import base64
import hashlib
from collections.abc import Iterable
from functools import cache
from html import escape
from pathlib import Path
from typing import Final, NamedTuple

HTML: Final = "text/html; charset=utf-8"


class Page(NamedTuple):
    """A page to send: its text, and the headers that belong to it."""

    text: str
    headers: tuple[tuple[str, str], ...]


def page(
    title: str, main: str, *, scripts: Iterable[str] = (), kind: str = "", version: str = ""
) -> Page:
    """Frame `main`, which is HTML, under a `title`, which is text.

    `scripts` are names of files beside this one; `kind` is a class for the style sheet; with
    `version`, which is that of the program, the page follows what is saved.
    """
    style = part("style.css")
    sources = [part(name) for name in scripts]
    live = ""
    if version:
        sources.append(part("live.js"))
        live = f' data-version="{escape(version)}"'
    text = (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        '<link rel="icon" href="data:,">\n'
        f"<title>{escape(title)}</title>\n<style>{style}</style>\n</head>\n"
        f'<body class="{escape(kind)}">\n<main>\n{main}</main>\n'
        + "".join(f"<script{live}>{source}</script>\n" for source in sources)
        + "</body>\n</html>\n"
    )
    return Page(text, (("Content-Security-Policy", _policy(style, *sources)), *_HEADERS))


_HEADERS = (
    ("Referrer-Policy", "no-referrer"),
    ("X-Content-Type-Options", "nosniff"),
)


@cache
def part(name: str) -> str:
    """The text of a file beside this one."""
    return Path(__file__).with_name(name).read_text("utf-8")


def read_parts() -> None:
    """Read all files that `part` may be asked for: later they may be out of reach."""
    for path in Path(__file__).parent.iterdir():
        if path.suffix in (".css", ".js"):
            part(path.name)


@cache
def _policy(style: str, *scripts: str) -> str:
    """Allow this style and these scripts, by their hashes, and nothing from anywhere else."""
    allowed = " ".join(map(source_of, scripts)) or "'none'"
    return (
        f"default-src 'none'; img-src data:; style-src {source_of(style)}; script-src {allowed}; "
        "connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
    )


def source_of(text: str) -> str:
    """How a policy names a script or a style that is within the page, exactly this one."""
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return f"'sha256-{digest}'"
