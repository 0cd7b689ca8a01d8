"""AnswerReader: one answer out of bytes; no I/O."""

import re
import sys

from rush_http import ChunkedBody, Headers, LengthBody, Limits

_STATUS_LINE = re.compile(rb"HTTP/1\.[01] ([1-9][0-9]{2})(?: ([^\r\n]*))?")
_WITHOUT_BODY = (204, 304)


class AnswerReader:
    """What comes back for one request of this method (RFC 9112, 4 and 6).

    head ──▶ body: none, by its length, chunked, or until the end ──▶ done

    Answers before the last one (1xx) are passed over; they are in `raw`.
    """

    def __init__(self, method: str) -> None:
        self.status = 0
        """Of the answer; 0 as long as its head is not there."""
        self.reason = ""
        self.headers = Headers()
        self.body = bytearray()
        self.raw = bytearray()
        self.done = False
        self.rest = b""
        """What came after the answer, once it is done."""
        self._method = method
        self._head = b""
        self._decoder: LengthBody | ChunkedBody | None = None

    def feed(self, data: bytes) -> None:
        """Take what came.  Raises `ValueError` for what is no HTTP."""
        self.raw += data
        while data and not self.status:
            self._head += data
            data = b""
            head, end, rest = self._head.partition(b"\r\n\r\n")
            if end:
                self._head = b""
                self._read_head(head)
                data = rest
        if not self.status:
            return
        if self._decoder is None and not self.done:  # until the end
            self.body += data
            return
        if self._decoder is not None:
            self.body += self._decoder.feed(data)
            self.done = self._decoder.done
            data = self._decoder.rest
        if self.done:
            self.rest = data
            if data:
                del self.raw[-len(data) :]

    def end(self) -> None:
        """Nothing more will come.  Raises `ConnectionError` if the answer is not complete."""
        if self.status and self._decoder is None:
            self.done = True
        if not self.done:
            there = f"after {bytes(self.raw[-80:])!r}" if self.raw else "without an answer"
            raise ConnectionError(f"the server closed the connection {there}")

    def _read_head(self, head: bytes) -> None:
        first, *lines = head.split(b"\r\n")
        match = _STATUS_LINE.fullmatch(first)
        if match is None:
            raise ValueError(f"this is no answer of HTTP/1.1: {bytes(head[:80])!r}")
        status = int(match[1])
        if 100 <= status < 200 and status != 101:
            return
        pairs = [line.decode("latin-1").partition(":") for line in lines]
        self.status = status
        self.reason = (match[2] or b"").decode("latin-1")
        self.headers = headers = Headers(tuple((n.lower(), v.strip(" \t")) for n, _, v in pairs))
        if self._method == "HEAD" or status in _WITHOUT_BODY:
            self.done = True
        elif "chunked" in headers.get("transfer-encoding", "").lower():
            self._decoder = ChunkedBody(Limits(), sys.maxsize)
        elif "content-length" in headers:
            self._decoder = LengthBody(int(headers["content-length"]), sys.maxsize)
        elif status == 101:
            self.done = True
