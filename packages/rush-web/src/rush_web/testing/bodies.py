"""What goes into a request: its target, and a body made of a form, of files or of JSON."""

import json
import mimetypes
import os
import secrets
from collections.abc import Iterable, Mapping
from typing import TypeAlias
from urllib.parse import quote, urlencode

from ..forms import MULTIPART, URLENCODED

Values: TypeAlias = Mapping[str, str | int | float | Iterable[str | int | float]]
"""Name to value, or to several."""

File: TypeAlias = str | os.PathLike[str] | tuple[str, bytes] | tuple[str, bytes, str]
Files: TypeAlias = Mapping[str, File | list[File]]
"""The name of a field to a path, ``(filename, content)`` or ``(filename, content, type)``; or to
a list of them."""

_JSON = "application/json"

# What may stand in a target as it is: RFC 3986, 2; and "%", since it may be encoded already.
_IN_TARGETS = "%/?:@!$&'()*+,;=[]~"
# How browsers write names in quotes (HTML, 4.10.21.8).
_IN_QUOTES = str.maketrans({'"': "%22", "\r": "%0D", "\n": "%0A"})


def target_of(target: str, args: Values | None) -> str:
    """The target of a request line; what none can have is percent-encoded.

    Raises `ValueError` if it does not begin with a slash (and is not ``*`` either).
    """
    path, _, _ = target.partition("#")
    if not path.startswith("/") and path != "*":
        raise ValueError(f"a target begins with '/', as in '/hello?name=Ann', not {target!r:.80}")
    path = quote(path, safe=_IN_TARGETS)
    if args:
        path = f"{path}{'&' if '?' in path else '?'}{urlencode(args, doseq=True)}"
    return path


def body_of(
    body: str | bytes | Iterable[bytes] | None,
    form: Values | None,
    files: Files | None,
    json_value: object,
) -> tuple[bytes | Iterable[bytes], str | None]:
    """The body of a request, and the type that it says it is.

    Raises `ValueError` for more than one body.
    """
    given = [body is not None, form is not None or files is not None, json_value is not None]
    if sum(given) > 1:
        raise ValueError("a request has one body: `body`, `form` with `files`, or `json`")
    if json_value is not None:
        return json.dumps(json_value, ensure_ascii=False, allow_nan=False).encode(), _JSON
    if files is not None:
        return _multipart(form or {}, files)
    if form is not None:
        return urlencode(form, doseq=True).encode("ascii"), URLENCODED
    return body.encode() if isinstance(body, str) else body or b"", None


def _multipart(form: Values, files: Files) -> tuple[bytes, str]:
    """A form with files (RFC 7578), as browsers write it."""
    boundary = f"----rush-{secrets.token_hex(12)}"
    parts: list[bytes] = []

    def add(disposition: str, content: bytes) -> None:
        parts.append(f"--{boundary}\r\nContent-Disposition: form-data; {disposition}".encode())
        parts.append(b"\r\n\r\n%b\r\n" % content)

    for name, value in form.items():
        values = [value] if isinstance(value, str | int | float) else value
        for one in values:
            add(f'name="{_quoted(name)}"', str(one).encode())
    for name, given in files.items():
        for file in given if isinstance(given, list) else [given]:
            filename, content, content_type = _file(file)
            described = f'name="{_quoted(name)}"; filename="{_quoted(filename)}"'
            add(f"{described}\r\nContent-Type: {content_type}", content)
    parts.append(f"--{boundary}--\r\n".encode())
    return b"".join(parts), f"{MULTIPART}; boundary={boundary}"


def _file(file: File) -> tuple[str, bytes, str]:
    if isinstance(file, tuple):
        filename, content, *types = file
        content_type = types[0] if types else None
    else:
        with open(file, "rb") as opened:
            filename, content, content_type = os.path.basename(file), opened.read(), None
    guessed = content_type or mimetypes.guess_type(filename)[0] or "application/octet-stream"
    return filename, content, guessed


def _quoted(name: str) -> str:
    return name.translate(_IN_QUOTES)
