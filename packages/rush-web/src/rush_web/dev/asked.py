"""Asked: a request as data, secrets hidden, and the `curl` command that repeats it."""

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

from rush_http import HttpError

from .secrets import HIDDEN, hidden_pairs, is_secret, without_secrets

if TYPE_CHECKING:
    from ..incoming import Incoming

Pairs = list[tuple[str, str]]

_MOST_BODY = 2000
# What curl says by itself, or what belongs to this one connection.
_NOT_REPEATED = {"host", "content-length", "connection", "accept-encoding", "user-agent"}
_NOT_REPEATED |= {"transfer-encoding", "expect", "upgrade-insecure-requests", "te"}


@dataclass(frozen=True)
class Asked:
    """What a client has asked: every value is text, and no secret is in it."""

    line: str
    """``GET /x?y=1 HTTP/1.1``"""
    headers: Pairs
    params: Pairs
    args: Pairs
    form: Pairs
    body_bytes: int
    curl: str


def what_was_asked(request: "Incoming", scheme: str = "http") -> Asked:
    """Take a request apart; what cannot be read in it is left out."""
    target = _target(request)
    return Asked(
        line=f"{request.method} {target} HTTP/{'.'.join(map(str, request.protocol))}",
        headers=hidden_pairs((name, value) for name, value in request.headers.items()),
        params=hidden_pairs({name: str(value) for name, value in request.params.items()}),
        args=_args(request),
        form=_form(request),
        body_bytes=len(request.body),
        curl=_curl(request, scheme, target),
    )


def _target(request: "Incoming") -> str:
    query = without_secrets(request.query)
    return quote(request.path, safe="/:@!$&'()*+,;=~") + (f"?{query}" if query else "")


def _args(request: "Incoming") -> Pairs:
    try:
        args = request.parse_args()
        return hidden_pairs((name, value) for name in args for value in args.getlist(name))
    except HttpError:
        return []


def _form(request: "Incoming") -> Pairs:
    kind = (request.headers.get("content-type") or "").lower()
    if not kind.startswith(("application/x-www-form-urlencoded", "multipart/form-data")):
        return []
    try:
        form = request.parse_form()
    except (HttpError, ImportError):
        return []
    return hidden_pairs((name, form[name]) for name in form) + [
        (name, f"file {upload.filename!r}") for name, upload in form.files.items()
    ]


def _curl(request: "Incoming", scheme: str, target: str) -> str:
    """The command; secrets are to be filled in."""
    host = request.headers.get("host") or "127.0.0.1"
    words = ["curl", "-i"]
    if request.method == "HEAD":
        words.append("--head")
    elif request.method != ("POST" if request.body else "GET"):
        words += ["-X", request.method]
    words.append(f"{scheme}://{host}{target}")
    for name, value in request.headers.items():
        lower = name.lower()
        # What browsers tell of themselves (``Sec-Fetch-Mode``, ``Sec-CH-UA``) makes it long only.
        is_usual = lower.startswith("sec-") or (lower, value) == ("accept", "*/*")
        if lower not in _NOT_REPEATED and not is_usual:
            words += ["-H", f"{name}: {HIDDEN if is_secret(name) else value}"]
    if request.body:
        words += ["--data-binary", _body(request.body)]
    return " ".join(shlex.quote(word) for word in words)


def _body(body: bytes) -> str:
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return "@FILE"
    return without_secrets(text) if len(body) <= _MOST_BODY and "\0" not in text else "@FILE"
