"""A small key-value store that speaks RESP, the protocol of Redis: how to write a protocol server.

$ python resp.py 6380
resp at 127.0.0.1:6380

$ redis-cli -p 6380 set greeting hello
OK
$ redis-cli -p 6380 get greeting
"hello"
$ redis-benchmark -p 6380 -P 16 -q -t set,get

`Requests` cuts the stream into requests and knows nothing of sockets, `answer` does what one of
them asks for, `Server` joins the two.  What is stored stays until DEL, in memory only.
"""

import re
import sys

from epollserver import CONNECT, RECEIVE, RESPONSE, Connection, EpollServer

LINE_BYTES = 4096  # a line of words, or the line with a length
REQUEST_BYTES = 1 << 20  # the words of one request together
REQUEST_WORDS = 1024
WRITE_BYTES = 1 << 18  # as much is answered with one write, the rest when that is out

_COUNT = re.compile(rb"[*$](\d{1,9})\r?")  # int() alone would take "+5" and "1_0"


class ProtocolError(Exception):
    """Not RESP, or too much of it: what comes after it has no meaning."""


class Requests:
    r"""The requests of one connection, out of pieces that are cut anywhere.

    A request is an array of strings, ``*2\r\n$4\r\nECHO\r\n$2\r\nhi\r\n``, or a line of words,
    ``ECHO hi\r\n``::

        line of words ──▶ request
        *count ──▶ $length ──▶ that many bytes ──▶ $length ... ──▶ request
    """

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._at = 0  # what is before it has been taken
        self._words: list[bytes] = []  # of the request that is being read
        self._missing = 0  # how many it lacks
        self._length: int | None = None  # of the next one, once its line is there
        self._room = 0  # bytes that the request may still have

    def feed(self, data: bytes) -> None:
        """Take the next piece of the stream."""
        del self._buffer[: self._at]
        self._at = 0
        self._buffer += data

    def next(self) -> list[bytes] | None:
        """The next request, or ``None`` if more must arrive; never an empty one.

        Raises `ProtocolError`; the connection cannot go on after that.
        """
        while True:
            if self._length is not None:
                if not self._take_word(self._length):
                    return None
                if not self._missing:
                    words, self._words = self._words, []
                    return words
            line = self._take_line()
            if line is None:
                return None
            if self._missing:
                self._length = _number(line, b"$", self._room)
                self._room -= self._length
            elif line.startswith(b"*"):
                self._missing = _number(line, b"*", REQUEST_WORDS)
                self._room = REQUEST_BYTES
            elif words := line.split():
                return words

    def _take_word(self, length: int) -> bool:
        end = self._at + length
        if len(self._buffer) < end + 2:
            return False
        if self._buffer[end : end + 2] != b"\r\n":
            raise ProtocolError(f"no end of line after {length} bytes")
        self._words.append(bytes(self._buffer[self._at : end]))
        self._at = end + 2
        self._missing -= 1
        self._length = None
        return True

    def _take_line(self) -> bytes | None:
        end = self._buffer.find(b"\n", self._at, self._at + LINE_BYTES)
        if end >= 0:
            line = bytes(self._buffer[self._at : end])
            self._at = end + 1
            return line
        if len(self._buffer) - self._at >= LINE_BYTES:
            raise ProtocolError(f"a line has more than {LINE_BYTES} bytes")
        return None


def _number(line: bytes, sign: bytes, most: int) -> int:
    found = _COUNT.fullmatch(line)
    if not found or not line.startswith(sign) or int(found[1]) > most:
        raise ProtocolError(f"expected {sign!r} and a number up to {most}, got {line[:20]!r}")
    return int(found[1])


def string(value: bytes | None) -> bytes:
    return b"$-1\r\n" if value is None else b"$%d\r\n%b\r\n" % (len(value), value)


def error(text: str) -> bytes:
    return b"-ERR %b\r\n" % text.encode()


def answer(values: dict[bytes, bytes], words: list[bytes]) -> bytes:
    """Do what a request asks for."""
    match [words[0].upper(), *words[1:]]:
        case [b"GET", key]:
            return string(values.get(key))
        case [b"SET", key, value]:
            values[key] = value
            return b"+OK\r\n"
        case [b"DEL", _, *_]:
            return b":%d\r\n" % sum(values.pop(key, None) is not None for key in words[1:])
        case [b"PING"]:
            return b"+PONG\r\n"
        case [b"PING" | b"ECHO", text]:
            return string(text)
        case [b"CONFIG", _, name]:  # redis-benchmark asks; there is nothing to set
            return b"*2\r\n" + string(name) + string(b"")
        case [b"COMMAND", *_]:  # redis-cli asks
            return b"*0\r\n"
    return error(f"no command {words[0][:40]!r} with {len(words) - 1} arguments")


class Server:
    """The store behind a port."""

    def __init__(self, port: int) -> None:
        self.values: dict[bytes, bytes] = {}
        self.server = EpollServer(("127.0.0.1", port))
        self.server.add_handler(self.connect, CONNECT)
        self.server.add_handler(self.receive, RECEIVE)
        self.server.add_handler(self.reply, RESPONSE)

    def connect(self, conn: Connection) -> None:
        """Give a connection its state."""
        conn.data = Requests()

    def receive(self, conn: Connection) -> None:
        """Take a piece of the stream."""
        conn.data.feed(conn.recv(65536))
        self.reply(conn)

    def reply(self, conn: Connection) -> None:
        """Answer what has arrived with one write; what is large, as fast as the peer reads.

        64 KiB can ask for thousands of long values: while an answer waits for the peer, the next
        requests wait as well, and RESPONSE calls this again.
        """
        while not conn.queued:
            answers, size = [], 0
            try:
                while size < WRITE_BYTES and (words := conn.data.next()):
                    answers.append(answer(self.values, words))
                    size += len(answers[-1])
            except ProtocolError as problem:
                answers.append(error(f"Protocol error: {problem}"))
                conn.write(b"".join(answers))
                conn.finish()
                return
            if not answers:
                conn.resume()
                return
            conn.write(b"".join(answers))
        conn.pause()


def main() -> None:
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 6380
    server = Server(port).server
    print("resp at {}:{}".format(*server.address), flush=True)
    server.start()


if __name__ == "__main__":
    main()
