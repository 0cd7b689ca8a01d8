"""Pages: what people see of the server itself; one style sheet, no other hosts, no need of scripts.

A page allows exactly its own style and scripts (`Content-Security-Policy` by their hashes), so what
a request or a file's name smuggles in could not even run if it came through unescaped.
"""

from .layout import HTML, Page, page
from .listing import listing_page
from .status import status_page

__all__ = ["HTML", "Page", "listing_page", "page", "status_page"]
