"""Values: what a handler may return in place of answering."""

import inspect
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rush_http import HeaderLines

from .names import named

if TYPE_CHECKING:
    from .answering import Answering

_log = logging.getLogger("rush_web")

Body = str | bytes | Mapping[str, Any] | list[Any]
"""Text and bytes as `Request.response` sends them, anything else as JSON."""

Returned = Body | tuple[Body, int] | tuple[Body, int, HeaderLines | Mapping[str, str]] | None
"""What a handler may return: ``None`` if it has answered, or what its answer is made of."""

_MAY_RETURN = (
    "a handler answers itself, or returns str, bytes, a dict or list (JSON), "
    "(body, code) or (body, code, headers)"
)


def answer_with(request: "Answering", value: object, by: object) -> None:
    """Answer with what the function `by` returned, which is not ``None``.

    If it was answered before, or is answered by another, that stands, and the log says so.
    Raises `TypeError` for what is no answer, and as `Request.response` does.
    """
    if request.answered or request.comes_later(by):
        if inspect.iscoroutine(value):
            value.close()  # or Python warns of it, somewhere else
        _log.error(
            "%r: %s %s, and returned %.80r as well; the first answer stands",
            request,
            named(by),
            "answered" if request.answered else "has left it to be answered later",
            value,
        )
        return
    body, code, headers = value, None, ()
    if isinstance(value, tuple) and len(value) in (2, 3):
        body, code, headers = value if len(value) == 3 else (*value, ())
        if not isinstance(code, int):
            raise TypeError(f"{named(by)} returned {code!r:.80} as status: {_MAY_RETURN}")
    if isinstance(body, str | bytes):
        request.response(body, code, headers)
    elif isinstance(body, dict | list):
        request.response_json(body, code, headers)
    elif isinstance(body, Mapping):
        request.response_json(dict(body), code, headers)
    else:
        raise TypeError(f"{named(by)} returned {_shown(value)}: {_MAY_RETURN}")


def _shown(value: object) -> str:
    if inspect.iscoroutine(value):
        value.close()
        return "a coroutine, and nobody awaits it (write def, not async def)"
    if inspect.isgenerator(value):
        return "a generator (a handler does not yield)"
    return f"{value!r:.80}"
