"""What to send of a file for one request: a plan, with the head ready to send; no I/O.

A file has one *form* as it is, and one for each content coding.  A form is worked out once per
version, when it is first sent: the answers to a plain GET, and to who has this version already, are
ready then, and shared by all requests.  HEAD, ranges, and conditions that fail, are rendered when
somebody asks.
"""

from dataclasses import dataclass
from typing import Final

from rush_http import HeaderLines, Headers, Selection, conditional, negotiation, render_head

from .codings import may_be_encoded
from .file import File, content_etag

IDENTITY: Final = "identity"

# Answers that are remembered for a version by what requests select, and characters of what they
# select; the browsers of today send five values of Accept-Encoding, with a tag or without, of 90
# characters at most.  Clients choose them, and nobody counts their bytes.
_MOST_KNOWN = 16
_LONGEST_KNOWN = 160
_ALONE: Final = frozenset({"accept-encoding", "if-none-match"})


@dataclass(frozen=True, slots=True, eq=False)
class Reply:
    """One answer, but for the lines that depend on time and connection; two are never equal."""

    status: int
    """200, 206, 304, 412 or 416."""
    head: bytes
    """Status line and header lines, each with its CRLF.  To be sent after it:
    `rush_http.date_line`, the connection line, an empty line, then the body."""
    body: bytes = b""
    """All of the body, if it is in memory."""
    file: File | None = None
    """The file to open and send `parts` of, if it is not."""
    parts: tuple[bytes | tuple[int, int], ...] = ()
    """Bytes as they are, and (offset, count) of `file`, in this order: see
    `rush_http.HttpServer.send_parts`."""


def answer(file: File, method: str, headers: Headers, cache_control: str = "") -> Reply:
    """What to send to a request for `file`: conditions, ranges, codings and HEAD are seen to.

    `cache_control` is the value of that line, which is left out if it is empty.  Methods other
    than GET and HEAD get the whole, if their conditions hold.
    """
    replies = file.replies.get(cache_control)
    if replies is None:
        replies = file.replies[cache_control] = Replies(file, cache_control)
    return replies.reply(file, method, headers)


class Replies:
    """The replies of one version, for each form that it was sent in.

    It must not hold the file, which holds it.
    """

    __slots__ = ("_codings", "_forms", "_lines", "known")

    def __init__(self, file: File, cache_control: str = "") -> None:
        self._lines = [("Cache-Control", cache_control)] if cache_control else []
        if may_be_encoded(file):
            self._lines.append(("Vary", "Accept-Encoding"))
        sizes = {coding: len(content) for coding, content in file.encodings.items()}
        sizes.update((coding, twin.size) for coding, twin in file.twins.items())
        self._codings = sorted(sizes, key=sizes.__getitem__)  # who takes several gets the shortest
        self._forms: dict[str, _Form] = {}
        self.known: dict[Selection | None, Reply] = {}
        """The replies to GET by `rush_http.Headers.selection`, where nothing else decides."""

    def reply(self, file: File, method: str, headers: Headers) -> Reply:
        """The reply to one request for `file`, whose replies these are."""
        asked = headers.selectors
        form = self._choose(file, asked.get("accept-encoding"))
        planned = form.representation.answer(method, headers)
        if planned is form.representation.not_modified:
            reply = form.not_modified
        elif planned is form.representation.whole and form.whole is not None:
            reply = form.whole
        else:
            return form.render(planned, file)
        if method == "GET" and _decides(asked):
            if len(self.known) >= _MOST_KNOWN:
                self.known.clear()
            self.known[headers.selection] = reply
        return reply

    def _choose(self, file: File, accepted: str | None) -> "_Form":
        """The form for a value of ``Accept-Encoding``."""
        # Who takes nothing that we have gets it as it is: RFC 9110, 12.5.3 leaves that to us.
        coding = negotiation.accepted_encoding(accepted, self._codings) or IDENTITY
        form = self._forms.get(coding)
        if form is None:
            form = self._forms[coding] = _Form(file, coding, self._lines)
        return form


def _decides(asked: dict[str, str]) -> bool:
    """Whether these fields alone decide, and are worth to be remembered."""
    others = asked.keys() - _ALONE
    # A tag makes a date count for nothing (RFC 9110, 13.1.3); some dates depend on the clock.
    if others and not (others == {"if-modified-since"} and "if-none-match" in asked):
        return False
    return sum(map(len, asked.values())) <= _LONGEST_KNOWN


class _Form:
    """A file in one coding, and the replies that are ready."""

    __slots__ = ("_content", "_twin", "etag", "not_modified", "representation", "whole")

    def __init__(self, file: File, coding: str, lines: HeaderLines) -> None:
        self._twin = twin = file.twins.get(coding)
        source = twin or file
        self._content = source.content
        self.etag = source.etag
        if coding != IDENTITY:
            lines = [*lines, ("Content-Encoding", coding)]
            if twin is None:
                self._content = file.encodings[coding]
                self.etag = file.encoding_etags.get(coding) or content_etag(self._content)
        content = self._content
        self.representation = conditional.Representation(
            source.size if content is None else len(content),
            content_type=file.content_type,
            etag=self.etag,
            last_modified=max(file.mtime_ns, 0) // 1_000_000_000,
            headers=lines,
        )
        self.not_modified = self.render(self.representation.not_modified, file)
        # Not of what is opened for each request: that must not be held, see `Replies`.
        self.whole = None if content is None else self.render(self.representation.whole, file)

    def render(self, planned: conditional.Answer, file: File) -> Reply:
        """The reply that `planned` says."""
        status, headers, parts, length = planned
        if status != 304:
            headers += (("Content-Length", str(length)),)
        head = render_head(status, headers)
        if not parts:
            return Reply(status, head)
        content = self._content
        if content is None:
            spans = [one if isinstance(one, bytes) else (one.offset, one.count) for one in parts]
            return Reply(status, head, b"", self._twin or file, tuple(spans))
        if planned is self.representation.whole:
            return Reply(status, head, content)
        pieces = [
            one if isinstance(one, bytes) else content[one.offset : one.offset + one.count]
            for one in parts
        ]
        return Reply(status, head, b"".join(pieces))
