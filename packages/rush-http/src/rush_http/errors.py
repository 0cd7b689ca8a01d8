"""What a request can be refused with: an exception per status, for handlers and parser alike.

The message is for the log of the one who runs the server; the client is told the status only.
"""

from collections.abc import Iterable, Mapping
from http import HTTPStatus

REASONS: dict[int, str] = {status.value: status.phrase for status in HTTPStatus} | {
    413: "Content Too Large",
    414: "URI Too Long",
    416: "Range Not Satisfiable",
    422: "Unprocessable Content",
}
"""The phrase of each status (RFC 9110, 15); those of the standard library differ by Python."""


class HttpError(Exception):
    """A request that is answered with an error status.

    Raised by the parser for what a client did wrong, and by handlers for what they refuse.
    `status` is the status code of the answer; pass it to answer with one that has no class.
    `headers` (a mapping or pairs) go with the answer: ``Retry-After``, say.
    Raises `ValueError` if `status` is not an error (400 to 599), or for headers that no answer may
    have.
    """

    status = 500
    headers: tuple[tuple[str, str], ...] = ()

    def __init__(
        self,
        message: str = "",
        *,
        status: int | None = None,
        headers: Mapping[str, str] | Iterable[tuple[str, str]] = (),
    ) -> None:
        if status is not None:
            if not 400 <= status <= 599:
                raise ValueError(f"status {status!r} is not an error: it must be 400 to 599")
            self.status = status
        if headers:
            from .responses import own_line  # which needs the reasons above

            self.headers = tuple(headers.items() if isinstance(headers, Mapping) else headers)
            for name, value in self.headers:
                own_line(name, value)
        super().__init__(message or REASONS.get(self.status, "error"))


class BadRequest(HttpError):
    """The request breaks the grammar, or could be read in two ways (RFC 9110, 15.5.1)."""

    status = 400


class Forbidden(HttpError):
    """The request is understood and refused (RFC 9110, 15.5.4)."""

    status = 403


class NotFound(HttpError):
    """There is nothing at this path (RFC 9110, 15.5.5)."""

    status = 404


class RequestTimeout(HttpError):
    """The request did not arrive in time (RFC 9110, 15.5.9)."""

    status = 408


class ContentTooLarge(HttpError):
    """The body is larger than ``Limits.body_bytes`` (RFC 9110, 15.5.14)."""

    status = 413


class UriTooLong(HttpError):
    """The request line is longer than ``Limits.request_line_bytes`` (RFC 9110, 15.5.15)."""

    status = 414


class HeaderFieldsTooLarge(HttpError):
    """The header section is longer than ``Limits`` allows (RFC 6585, section 5)."""

    status = 431


class NotImplementedHere(HttpError):
    """A method or a transfer coding that this server never answers (RFC 9110, 15.6.2)."""

    status = 501


class ServiceUnavailable(HttpError):
    """The server has no room for this request just now (RFC 9110, 15.6.4)."""

    status = 503


class VersionNotSupported(HttpError):
    """A major version of HTTP other than 1 (RFC 9110, 15.6.6)."""

    status = 505


def plain_page(status: int) -> bytes:
    """What a client reads that is told a status only."""
    return f"{status} {REASONS.get(status, 'Error')}\n".encode("ascii")
