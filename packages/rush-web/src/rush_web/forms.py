"""Forms: fields and files that a client sends in a body.

`read_form` takes a whole body; `MultipartReader` takes one in pieces, so that a body larger than
memory can be fed to it.  What a form has in files is in temporary files as soon as it is large.
"""

import os
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from tempfile import SpooledTemporaryFile
from typing import IO, Protocol

from rush_http import BadRequest, ContentTooLarge, HttpError

from .args import Args

URLENCODED = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data"

# What no client that is well needs: that much of a type is refused, so it is read in no time.
_LONGEST_TYPE = 256
# One parameter of a header line: its name, and its value in quotes or not.
_PARAMETER = re.compile(
    r';[ \t]*([\w!#$%&\'*+.^`|~-]+)[ \t]*=[ \t]*(?:"([^"\\]*(?:\\.[^"\\]*)*)"|([^\s;"]+))', re.A
)
_BOUNDARY = re.compile(r"[\x20-\x7e]{1,70}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, kw_only=True)
class FormLimits:
    """How much a form may have.  Past a limit it is refused with 413.

    The body as a whole is limited by ``rush_http.Limits.body_bytes``.
    Raises `ValueError` for a limit that is not above zero.
    """

    parts: int = 1000
    """Fields and files; each costs some time, however small it is."""
    files: int = 50
    """Files; each that is on disk costs a descriptor."""
    name_bytes: int = 256
    """The name of a field, or of a file as the client calls it."""
    header_bytes: int = 4 * 1024
    """One header line of a part; there are at most eight."""
    field_bytes: int = 1024 * 1024
    """All values that are not files, together, decoded: they are in memory."""
    file_bytes: int | None = None
    """One file; ``None``: as large as the body may be."""
    spool_bytes: int = 256 * 1024
    """What all files together may have of the memory; not a limit: one for which there is no room
    left goes to disk."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if value is not None and not value > 0:
                raise ValueError(f"FormLimits.{field.name} is {value!r}: it must be above 0")


@dataclass(frozen=True)
class Upload:
    """A file of a form, until the handler has ended: save what is to stay."""

    filename: str
    """What the client calls it, without folders; never use it as a path unseen."""
    content_type: str
    """What the client says it is."""
    size: int
    """In bytes."""
    file: IO[bytes]
    """Open for reading, at its start; in memory or on disk.  Closed with the form."""

    def read(self) -> bytes:
        """All of it; it may be large."""
        self.file.seek(0)
        return self.file.read()

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write it to `path`, in pieces; what is there is replaced.  Raises `OSError`."""
        self.file.seek(0)
        with open(path, "wb") as target:
            shutil.copyfileobj(self.file, target)


class Form(Args):
    """The fields of a form, as a mapping from name to text with `getlist`; and its `files`.

    A context manager: leaving it closes the files.  That of a request is closed when its handler
    has ended.
    """

    def __init__(self, found: Mapping[str, str] | None = None) -> None:
        super().__init__(found or {})
        self._uploads: list[tuple[str, Upload]] = []

    @property
    def files(self) -> dict[str, Upload]:
        """The files by the name of their field, the first one of each name."""
        found: dict[str, Upload] = {}
        for name, upload in self._uploads:
            found.setdefault(name, upload)
        return found

    def getfiles(self, name: str) -> list[Upload]:
        """All files of a field, in order; an empty list if none came."""
        return [upload for known, upload in self._uploads if known == name]

    def add_file(self, name: str, upload: Upload) -> None:
        """Put one more file, which is closed with the form."""
        self._uploads.append((name, upload))

    def close(self) -> None:
        """Close the files; those on disk are gone then."""
        for _, upload in self._uploads:
            upload.file.close()

    def __enter__(self) -> "Form":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def read_form(body: bytes, content_type: str | None, limits: FormLimits) -> Form:
    """Take apart a whole body; the caller closes the form.

    Raises `HttpError`: 400 for a body that is no such form, 413 past a limit, 415 for a body of
    another type.  No type and no body is an empty form.  Raises `RuntimeError` for multipart if
    the package `multipart` is not there.
    """
    kind = (content_type or "").partition(";")[0].strip(" \t").lower()
    if kind == URLENCODED:
        return _urlencoded(body, limits)
    if kind == MULTIPART:
        with MultipartReader(content_type or "", limits) as reader:
            reader.feed(body)
            return reader.finish()
    if content_type is None and not body:
        return Form()
    raise HttpError(f"a form is {URLENCODED} or {MULTIPART}, not {kind!r:.80}", status=415)


def _urlencoded(body: bytes, limits: FormLimits) -> Form:
    if body.count(b"&") >= limits.parts:
        raise ContentTooLarge(f"more than {limits.parts} fields (FormLimits.parts)")
    # Each byte is three characters at most: what cannot be within the limits is not taken apart.
    if len(body) > 3 * (limits.field_bytes + limits.parts * (limits.name_bytes + 1)):
        raise ContentTooLarge(f"{len(body)} bytes of fields (FormLimits.field_bytes)")
    form = Form.parse(body.decode("utf-8", "replace"), max_count=limits.parts)
    left = limits.field_bytes
    for name in form:
        _check_name(name, limits)
        left -= sum(_bytes_of(value) for value in form.getlist(name))
    if left < 0:
        raise ContentTooLarge("too much text (FormLimits.field_bytes)")
    return form


def _check_name(name: str, limits: FormLimits) -> None:
    if _bytes_of(name) > limits.name_bytes:
        raise ContentTooLarge(f"a long name (FormLimits.name_bytes): {name!r:.80}")


def _bytes_of(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "replace"))


class _Segment(Protocol):
    """What the package `multipart` says of a part."""

    headerlist: list[tuple[str, str]]
    name: str
    filename: str | None
    content_type: str | None


class _Parser(Protocol):
    """Its incremental parser: a segment, pieces of it, ``None`` at its end."""

    def parse(self, chunk: bytes) -> Iterator[_Segment | bytes | None]: ...
    def close(self, check_complete: bool = True) -> None: ...


class MultipartReader:
    """A ``multipart/form-data`` body, read in pieces (RFC 7578).

        feed(piece), feed(piece) ... --> finish() --> Form
                                     --> close(), if it is given up

    Raises `BadRequest` for a `content_type` without a boundary, `RuntimeError` if the package
    `multipart` is not there.  A context manager: leaving it before `finish` closes the files.
    """

    def __init__(self, content_type: str, limits: FormLimits | None = None) -> None:
        self._limits = limits or FormLimits()
        self._parser, self._too_much, self._wrong = _new_parser(content_type, self._limits)
        self._form: Form | None = Form()
        self._segment: _Segment | None = None
        self._file: SpooledTemporaryFile[bytes] | None = None
        self._in_memory = False  # whether the file is
        self._spool = self._limits.spool_bytes  # what is left of the memory for files
        self._size = 0
        self._value = bytearray()
        self._field_bytes = 0
        self._files = 0

    def feed(self, piece: bytes) -> None:
        """Take the next bytes of the body.

        Raises `BadRequest` or `ContentTooLarge`; nothing can be fed after that.  `OSError` if a
        file cannot be written.
        """
        if not piece:
            return
        try:
            for event in self._parser.parse(piece):
                if isinstance(event, bytes | bytearray):
                    self._more(event)
                elif event is None:
                    self._end()
                else:
                    self._begin(event)
        except self._too_much as error:
            raise ContentTooLarge(f"a form past its limits (FormLimits): {error}") from error
        except self._wrong as error:
            raise BadRequest(f"no multipart form: {error}") from error

    def finish(self) -> Form:
        """The form, when all has been fed; the caller closes it.

        Raises `BadRequest` if the end is missing.
        """
        try:
            self._parser.close()
        except self._wrong as error:
            raise BadRequest(f"no multipart form: {error}") from error
        form, self._form = self._form, None
        assert form is not None, "finish() comes once"
        return form

    def close(self) -> None:
        """Give up, and close the files; after `finish` it does nothing."""
        if self._form is not None:
            self._form.close()
        if self._file is not None:
            self._file.close()

    def __enter__(self) -> "MultipartReader":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _begin(self, segment: _Segment) -> None:
        _check_head(segment, self._limits)
        if segment.filename:  # without a name and without content it does not count
            self._check_count()
        self._segment = segment
        self._size = 0
        self._value.clear()
        if segment.filename is not None:
            # Closed with the form, or by close().  It goes to disk when we say so.
            self._file = SpooledTemporaryFile()  # noqa: SIM115
            self._in_memory = True

    def _more(self, data: bytes | bytearray) -> None:
        limits = self._limits
        self._size += len(data)
        if self._file is not None:
            if limits.file_bytes is not None and self._size > limits.file_bytes:
                raise ContentTooLarge("a file that is too large (FormLimits.file_bytes)")
            if self._in_memory:
                self._spool -= len(data)
                if self._spool < 0:
                    self._file.rollover()
                    self._in_memory = False
                    self._spool += self._size
            self._file.write(data)
        else:
            self._field_bytes += len(data)
            if self._field_bytes > limits.field_bytes:
                raise ContentTooLarge("too much text (FormLimits.field_bytes)")
            self._value += data

    def _end(self) -> None:
        segment, form = self._segment, self._form
        assert segment is not None
        assert form is not None, "nothing is fed after finish()"
        if self._file is None:
            form._add(segment.name, self._value.decode("utf-8", "replace"))
            return
        if segment.filename or self._size:
            self._check_count()
        file, self._file = self._file, None
        file.seek(0)
        if not segment.filename and not self._size:
            file.close()  # an <input type="file"> that nobody touched
            return
        name = (segment.filename or "").replace("\\", "/").rpartition("/")[2]
        if name in (".", ".."):
            name = ""
        content_type = segment.content_type or "application/octet-stream"
        form.add_file(segment.name, Upload(name, content_type, self._size, file))
        self._files += 1

    def _check_count(self) -> None:
        if self._files >= self._limits.files:
            raise ContentTooLarge(f"more than {self._limits.files} files (FormLimits.files)")


def _check_head(segment: _Segment, limits: FormLimits) -> None:
    """Raise for names that are too long, and for what two readers may understand in two ways."""
    dispositions = [value for name, value in segment.headerlist if name == "Content-Disposition"]
    if len(dispositions) > 1:
        raise BadRequest("no multipart form: Content-Disposition comes twice")
    seen: set[str] = set()
    for name, *_ in _PARAMETER.findall(dispositions[0]):
        if (lower := name.lower()) in seen:
            raise BadRequest(f"no multipart form: {lower} comes twice: {dispositions[0]!r:.80}")
        seen.add(lower)
    for name in (segment.name, segment.filename or ""):
        _check_name(name, limits)
        if _CONTROL.search(name):
            raise BadRequest(f"no multipart form: a name has control characters: {name!r:.80}")


def _boundary(content_type: str) -> str:
    if len(content_type) > _LONGEST_TYPE:
        raise BadRequest(
            f"a type of {len(content_type)} characters, more than {_LONGEST_TYPE}: "
            f"{content_type!r:.80}"
        )
    found: list[str] = [
        quoted or token
        for name, quoted, token in _PARAMETER.findall(content_type)
        if name.lower() == "boundary"
    ]
    if len(found) != 1 or not _BOUNDARY.fullmatch(found[0]):
        raise BadRequest(f"multipart without a boundary (RFC 2046, 5.1.1): {content_type!r:.80}")
    return found[0]


def _new_parser(
    content_type: str, limits: FormLimits
) -> tuple[_Parser, type[Exception], type[Exception]]:
    """The parser of the package `multipart`, and its errors: past a limit, and any."""
    try:
        import multipart  # type: ignore[import-not-found, import-untyped, unused-ignore]
    except ImportError as error:
        raise RuntimeError(
            "multipart forms need the package multipart: pip install 'rush-web[forms]'"
        ) from error
    boundary = _boundary(content_type)
    parser: _Parser = multipart.PushMultipartParser(
        boundary,
        max_header_size=limits.header_bytes,
        max_segment_count=limits.parts,
        # Not strict: that refuses the CRLF at the end if it comes in a piece of its own.
        strict=False,
    )
    return parser, multipart.ParserLimitReached, multipart.MultipartError
