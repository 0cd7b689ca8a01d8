"""Scripted: answers whose pages get the script of live reload, and whose policies allow it."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeVar

from rush_http import TEXT, HeaderLines

from ..answering import Answering, checked_body, pairs
from ..detached import Detached
from ..pages.layout import part, source_of
from .live import SCRIPT, VERSION

if TYPE_CHECKING:
    from ..request import Request

_T = TypeVar("_T", bound="type[Request]")

_TAG = f'<script src="{SCRIPT}" data-version="{VERSION}"></script>\n'.encode()
# What the script itself begins with, where a page of ours has it within.
_OURS = b"// Live reload: news of saved files"
_OF_PAGES = ("GET", "HEAD")
_SAID = frozenset({"content-type", "cache-control"})
_POLICIES = frozenset({"content-security-policy", "content-security-policy-report-only"})


def with_script(body: bytes) -> bytes:
    """A page with the script at the end of its body; as it is, if it has one already."""
    if SCRIPT.encode() in body or _OURS in body:
        return body
    end = body.lower().rfind(b"</body>")
    return body + _TAG if end < 0 else body[:end] + _TAG + body[end:]


def allowing(policy: str) -> str:
    """A `Content-Security-Policy` that allows the script, and that it listens.

    That of a page of ours, which has the script within, does so already.
    """
    if source_of(part("live.js")) in policy:
        return policy
    return ",".join(map(_allowing, policy.split(",")))


def _allowing(policy: str) -> str:
    directives = [one.split() for one in policy.split(";") if one.strip()]
    known = {words[0].lower(): words[1:] for words in reversed(directives)}  # the first one counts
    added: dict[str, list[str]] = {}
    for name, others in (
        ("script-src-elem", ("script-src", "default-src")),
        ("connect-src", ("default-src",)),
    ):
        said = next((one for one in (name, *others) if one in known), None)
        if said is not None and not {"'self'", "*"} & set(known[said]):
            sources = [source for source in known[said] if source.lower() != "'none'"]
            added[name] = [*sources, "'self'"]
    if not added:
        return policy
    kept = [words for words in directives if words[0].lower() not in added]
    return "; ".join(" ".join(words) for words in [*kept, *([k, *v] for k, v in added.items())])


class _Scripted(Answering):
    """Puts the script into the pages that an answer is, and has policies allow it."""

    __slots__ = ()

    def lines(self, status: int, headers: HeaderLines | Mapping[str, str]) -> HeaderLines:
        return [
            (name, allowing(value) if name.lower() in _POLICIES else value)
            for name, value in super().lines(status, headers)
        ]

    def response(
        self,
        body: str | bytes = b"",
        code: int | None = None,
        headers: HeaderLines | Mapping[str, str] = (),
        content_type: str = TEXT,
    ) -> None:
        lines = [*pairs(headers)]
        said = [value for name, value in lines if name.lower() == "content-type"]
        if (said or [content_type])[0].lower().startswith("text/html"):
            body = with_script(body.encode() if isinstance(body, str) else checked_body(body))
        super().response(body, code, lines, content_type=content_type)  # type: ignore[safe-super]

    def response_file(
        self, path: str, code: int | None = None, headers: HeaderLines | Mapping[str, str] = ()
    ) -> None:
        file = self._loader.load(path)
        content, kind = file.content, file.content_type
        lines = [*pairs(headers)]
        is_page = kind.startswith("text/html") and self.method in _OF_PAGES
        if content is None or not is_page or any(name.lower() in _SAID for name, _ in lines):
            super().response_file(path, code, lines)
        else:
            lines.append(("Cache-Control", "no-store"))
            self.response(content, code, lines, content_type=kind)


class _ScriptedLater(_Scripted, Detached):
    """The same, of an answer that comes later."""

    __slots__ = ()

    def detach(self, handler: object = None) -> Detached:
        return _scripted(super().detach(handler))


def _scripted(detached: Detached) -> Detached:
    object.__setattr__(detached, "__class__", _ScriptedLater)
    return detached


def with_scripts(kind: _T) -> _T:
    """A class of requests like `kind`, whose pages get the script, also those that come later."""

    class Live(_Scripted, kind):  # type: ignore[misc, valid-type]
        __slots__ = ()

        def detach(self, handler: object = None) -> Detached:
            return _scripted(super().detach(handler))

    return Live  # type: ignore[return-value]
