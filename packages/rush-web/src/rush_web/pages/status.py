"""The page of a status: what a browser gets where nobody has made a nicer one."""

from html import escape

from rush_http import REASONS

from .layout import Page, page

_HINTS = {
    404: "There is nothing at this address.",
    405: "This address does not take requests of this kind.",
    500: "Something went wrong on the server. It has been noted.",
    503: "The server is busy. Please try again in a moment.",
}


def status_page(status: int) -> Page:
    """A page that says a status in words, and nothing of the request."""
    reason = REASONS.get(status, "Error")
    hint = _HINTS.get(status, "")
    main = (
        f"<h1><b>{status}</b> {escape(reason)}</h1>\n"
        + (f"<p>{escape(hint)}</p>\n" if hint else "")
        + '<p><a href="/">To the start page</a></p>\n'
    )
    return page(f"{status} {reason}", main, kind="status")
