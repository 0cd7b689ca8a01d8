"""An HTTP client that sends exactly the bytes it is told to, and reads answers one by one."""

import contextlib
import re
import socket
from typing import NamedTuple

PATIENCE = 20.0

TLS = {}
"""The addresses where TLS is spoken, each with the `ssl` context of its clients."""


class Response(NamedTuple):
    status: int
    headers: dict[str, str]  # names in lower case; a name that comes twice fails the test
    body: bytes
    head: bytes


class RawClient:
    """A blocking client of `address` that gives up after `PATIENCE` seconds, never silently.

    `source` is the address that it comes from.
    """

    def __init__(self, address, *, receive_buffer=None, source=None):
        family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
        self.sock = socket.socket(family)
        if receive_buffer is not None:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.sock.settimeout(PATIENCE)
        if source is not None:
            self.sock.bind((source, 0))
        self.sock.connect(address)
        if address in TLS:
            self.sock = TLS[address].wrap_socket(
                self.sock, server_hostname="localhost", suppress_ragged_eofs=False
            )
        self._buffer = bytearray()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.sock.close()

    def send(self, data):
        self.sock.sendall(data)

    def send_for_ever(self, data):
        """Send until the other side makes that an error."""
        while True:
            self.send(data)

    def end(self):
        """Send no more; still read."""
        self.sock.shutdown(socket.SHUT_WR)

    def get(self, path="/", *lines, method="GET", protocol="HTTP/1.1"):
        """Send a request without a body and read its answer."""
        self.send(request(path, *lines, method=method, protocol=protocol))
        return self.response(without_body=method == "HEAD")

    def response(self, *, without_body=False):
        """The next answer, an interim one included."""
        while b"\r\n\r\n" not in self._buffer:
            self._more()
        head = self._taken(self._buffer.index(b"\r\n\r\n"))
        del self._buffer[:4]
        first, *lines = head.split(b"\r\n")
        status = int(re.fullmatch(rb"HTTP/1\.1 ([0-9]{3}) [ -~]*", first)[1])
        headers = {}
        for line in lines:
            name, value = re.fullmatch(rb"([!-9;-~]+): ([ -~]*)", line).groups()
            assert name.lower().decode() not in headers, head
            headers[name.lower().decode()] = value.decode()
        if status < 200 or status in (204, 304):
            assert "content-length" not in headers, head
            return Response(status, headers, b"", head)
        length = int(headers["content-length"])
        body = b"" if without_body else self.exactly(length)
        return Response(status, headers, body, head)

    def begun(self):
        """Wait until something has come; returns what there is, and leaves it there."""
        if not self._buffer:
            self._more()
        return self._buffer

    def exactly(self, count):
        while len(self._buffer) < count:
            self._more()
        return self._taken(count)

    def until(self, text):
        """What comes until `text`, and that."""
        while text not in self._buffer:
            self._more()
        return self._taken(self._buffer.index(text) + len(text))

    def _taken(self, count):
        data = bytes(memoryview(self._buffer)[:count])
        del self._buffer[:count]
        return data

    def rest(self):
        """Everything until the other side closes, or resets."""
        with contextlib.suppress(EOFError, ConnectionError):
            while True:
                self._more()
        return self._taken(len(self._buffer))

    def _more(self):
        data = self.sock.recv(1 << 20)
        if not data:
            raise EOFError(f"the server has closed after {bytes(self._buffer[-200:])!r}")
        self._buffer += data


def request(path="/", *lines, method="GET", protocol="HTTP/1.1", body=b""):
    """The bytes of a request; ``Host`` is there, ``Content-Length`` if there is a body."""
    head = [f"{method} {path} {protocol}", "Host: test", *lines]
    if body:
        head.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*head, "", ""]).encode("latin-1") + body
