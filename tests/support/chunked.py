"""A client of answers that come in pieces."""

from rawclient import RawClient


def chunks(client, *, head=True):
    """The status line and the chunks of a chunked answer, up to its end."""
    if head:
        client.read_head()
    found = []
    while True:
        size = int(client.line(), 16)
        data = client.exactly(size + 2)
        assert data.endswith(b"\r\n")
        if not size:
            return found
        found.append(data[:-2])


class Client(RawClient):
    def line(self):
        while b"\r\n" not in self._buffer:
            self._more()
        line, _, self._buffer = self._buffer.partition(b"\r\n")
        return line.decode()

    def read_head(self):
        """Status and lines of a head."""
        first = self.line()
        lines = {}
        while line := self.line():
            name, _, value = line.partition(": ")
            assert name.lower() not in lines
            lines[name.lower()] = value
        return int(first.split()[1]), lines


def read_to_end(sock):
    while sock.recv(1 << 20):
        pass
