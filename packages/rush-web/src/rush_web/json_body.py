"""JSON bodies: what a client has sent as JSON, read strictly."""

import json
import re
from typing import Any, NoReturn

from rush_http import BadRequest, HttpError

# RFC 8259, 11; RFC 6839, 3.1: "application/problem+json" is JSON as well.
_TYPE = re.compile(r"application/(?:[\w!#$&^.+-]+\+)?json", re.A | re.I)
_CHARSET = re.compile(r';[ \t]*charset[ \t]*=[ \t]*"?([^\s;"]*)', re.A | re.I)


def read_json(body: bytes, content_type: str | None, *, any_type: bool) -> Any:
    """What the body says.

    Raises `HttpError`: 415 if `content_type` is not JSON (unless `any_type`), 400 for another
    charset than UTF-8 and for what is no JSON (RFC 8259), ``NaN`` and ``Infinity`` among it.
    """
    kind, _, parameters = (content_type or "").partition(";")
    if not any_type and not _TYPE.fullmatch(kind.strip(" \t")):
        raise HttpError(f"JSON is application/json, not {content_type!r:.80}", status=415)
    charset = _CHARSET.search(";" + parameters)
    if charset is not None and charset[1].lower() not in ("utf-8", "utf8", "us-ascii"):
        raise BadRequest(f"JSON is UTF-8 (RFC 8259, 8.1), not {charset[1]!r:.80}")
    try:
        return json.loads(body.decode("utf-8"), parse_constant=_no_constant)
    except RecursionError as error:
        raise BadRequest("the body is no JSON: too deeply nested") from error
    except ValueError as error:  # UnicodeDecodeError and JSONDecodeError as well
        raise BadRequest(f"the body is no JSON: {error}: {body!r:.80}") from error


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")
