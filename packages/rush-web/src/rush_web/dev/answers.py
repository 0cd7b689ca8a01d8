"""What is answered in development where no error handler is: why, where, and how to repeat it."""

import json
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from rush_http import HttpError, negotiation

from ..failures import HTML, answer_status
from .asked import Asked, what_was_asked
from .error_page import error_data, error_page, error_text
from .failure import failure_of
from .missing import Miss, misses
from .missing_page import missing_data, missing_page, missing_text
from .viewers import Viewers

if TYPE_CHECKING:
    from ..answering import Answering
    from ..pages import Page
    from ..request import Request
    from ..routing import Route

TEXT: Final = "text/plain; charset=utf-8"
JSON: Final = "application/json"


class Explanations:
    """An error handler for all that has none: pages for browsers, text for terminals, or JSON.

    For its `viewers`; all others get what production answers.
    `routes` are those of the program; `files` says in words where files are looked for, if at all.
    With `version`, that of the program, the pages come back by themselves when it is mended.
    """

    def __init__(
        self,
        viewers: Viewers,
        routes: "Sequence[Route]",
        files: str = "",
        *,
        version: str = "",
    ) -> None:
        self._version = version
        self._viewers = viewers
        self._routes = routes
        self._files = files

    def __call__(self, request: "Request") -> None:
        """Answer for ``request.error``."""
        error = request.error
        if error is None or not self._viewers.may_see(request):
            answer_status(request)
            return
        asked = what_was_asked(request, self._viewers.scheme)
        failure = failure_of(error)
        if not isinstance(error, HttpError) or error.status >= 500 or failure.own_frames:
            _answer(
                request,
                lambda: error_page(failure, asked, version=self._version),
                lambda: error_text(failure, asked),
                lambda: error_data(failure, asked),
            )
        elif error.status in (404, 405):
            self._answer_missing(request, error.status, asked)
        else:
            answer_status(request)

    def _answer_missing(self, request: "Request", status: int, asked: Asked) -> None:
        found: list[Miss] = misses(self._routes, request.method, request.path)
        files = self._files
        _answer(
            request,
            lambda: missing_page(status, asked.line, found, files, version=self._version),
            lambda: missing_text(status, asked.line, found, files),
            lambda: missing_data(status, asked.line, found),
        )


_UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u202a-\u202e\u2066-\u2069]")


def printable(text: str) -> str:
    """The text, with what commands terminals, cannot be encoded or turns lines around escaped."""
    return _UNPRINTABLE.sub(lambda found: ascii(found[0])[1:-1], text)


def _answer(
    request: "Answering",
    page: "Callable[[], Page]",
    text: Callable[[], str],
    data: Callable[[], dict[str, object]],
) -> None:
    """Answer as the client likes it best; text for who does not care, such as curl."""
    accept = request.headers.get("accept")
    # Who names JSON and takes all else alike is a script.
    first = (JSON, TEXT) if accept is not None and JSON in accept else (TEXT, JSON)
    kind = negotiation.best_type(accept, (*first, HTML))
    headers = [("Vary", "Accept"), ("Cache-Control", "no-store")]
    if kind == HTML:
        made = page()
        request.response(printable(made.text), headers=[*made.headers, *headers], content_type=HTML)
    elif kind == JSON:
        body = json.dumps(data(), indent=2) + "\n"
        request.response(body, headers=headers, content_type=JSON)
    else:
        request.response(printable(text()), headers=headers, content_type=TEXT)
