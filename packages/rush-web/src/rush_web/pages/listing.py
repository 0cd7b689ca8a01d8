"""The page of a directory: names, sizes, dates; sorted by links, so that no script is needed."""

from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from html import escape
from typing import Final, Literal
from urllib.parse import quote

from rush_loader import Item, Listing

from .layout import Page, page

Column = Literal["name", "size", "date"]

_KEYS: Final[dict[str, Callable[[Item], object]]] = {
    "name": lambda item: (item.name.casefold(), item.name),
    "size": lambda item: (item.size, item.name),
    "date": lambda item: (item.mtime, item.name),
}
_TITLES = {"name": "Name", "size": "Size", "date": "Changed (UTC)"}


def listing_page(listing: Listing, sort: str = "name", *, descending: bool = False) -> Page:
    """The page of `listing`, folders first, sorted by ``name``, ``size`` or ``date``.

    Another `sort` is as ``name``: it comes from a query.
    """
    sort = sort if sort in _KEYS else "name"
    items = sorted(listing.items, key=_KEYS[sort], reverse=descending)  # type: ignore[arg-type]
    items.sort(key=lambda item: item.kind != "directory")
    rows = [] if listing.path == "/" else [_UP]
    rows += map(_row, items)
    heads = "".join(_head(column, sort, descending) for column in _TITLES)
    count = _count(items)
    if listing.truncated:
        count += ", and more that are not shown"
    main = (
        f'<nav aria-label="Path"><h1>{_crumbs(listing.path)}</h1></nav>\n'
        f'<table id="listing">\n<caption>{count}</caption>\n'
        f"<thead><tr>{heads}</tr></thead>\n<tbody>\n{''.join(rows)}</tbody>\n</table>\n"
        + ("" if items else '<p class="empty">This folder is empty.</p>\n')
    )
    return page(f"Index of {listing.path}", main, scripts=("listing.js",), kind="listing")


_UP = (
    '<tr class="directory" data-up><td><a href="../">Parent folder</a></td>'
    "<td></td><td></td></tr>\n"
)


def _count(items: Sequence[Item]) -> str:
    """``2 folders, 1 file, 3.4 KiB``."""
    files = [item for item in items if item.kind != "directory"]
    parts = [
        f"{count:,} {noun}{'' if count == 1 else 's'}"
        for count, noun in ((len(items) - len(files), "folder"), (len(files), "file"))
        if count
    ]
    if files:
        parts.append(shown_size(sum(item.size for item in files)))
    return ", ".join(parts) or "Empty"


def _row(item: Item) -> str:
    slash = "/" if item.kind == "directory" else ""
    when = datetime.fromtimestamp(item.mtime, timezone.utc)
    size = "" if item.kind == "directory" else shown_size(item.size)
    return (
        f'<tr class="{item.kind}">'
        f'<td data-key="{escape(item.name.casefold())}">'
        f'<a href="./{quote(item.name)}{slash}">{escape(item.name)}{slash}</a></td>'
        f'<td data-key="{item.size}">{size}</td>'
        f'<td data-key="{item.mtime:.0f}"><time datetime="{when:%Y-%m-%dT%H:%M:%SZ}">'
        f"{when:%Y-%m-%d %H:%M}</time></td></tr>\n"
    )


def _head(column: str, sort: str, descending: bool) -> str:
    """A column's title: a link that sorts by it, the other way round if it does already."""
    here = column == sort
    order = "&amp;order=desc" if here and not descending else ""
    state = f' aria-sort="{"descending" if descending else "ascending"}"' if here else ""
    return (
        f'<th scope="col"{state}><a href="?sort={column}{order}" data-sort="{column}">'
        f"{_TITLES[column]}</a></th>"
    )


def _crumbs(path: str) -> str:
    """The path, each folder of it a link."""
    names = path.strip("/").split("/") if path != "/" else []
    links = [f'<a href="{"../" * len(names) or "./"}">/</a>']
    for depth, name in enumerate(names, 1):
        last = depth == len(names)
        href = "../" * (len(names) - depth) or "./"
        current = ' aria-current="page"' if last else ""
        links.append(f'<a href="{href}"{current}>{escape(name)}/</a>')
    return "<wbr>".join(links)


def shown_size(count: float) -> str:
    """A size in bytes for people: ``812 B``, ``3.4 KiB``."""
    if count < 1024:
        return f"{count:.0f} B"
    for unit in ("KiB", "MiB", "GiB"):
        count /= 1024
        if count < 1023.95:
            return f"{count:.1f} {unit}"
    return f"{count / 1024:.1f} TiB"
