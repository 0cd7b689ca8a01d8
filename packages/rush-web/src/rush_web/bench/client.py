"""Load: connections that ask for the same thing again and again, for some seconds."""

import select
import socket
from array import array
from collections import Counter
from dataclasses import dataclass, field
from time import perf_counter, process_time

from ..testing.answers import AnswerReader

PATIENCE = 5.0
"""Seconds that an answer may take."""
_RECEIVE_BYTES = 1 << 18


class NoAnswer(Exception):
    """There was no complete answer; the message says what there was."""


@dataclass
class Load:
    """What was asked and answered."""

    requests: int = 0
    seconds: float = 0.0
    client_cpu: float = 0.0
    """CPU time that asking took, in seconds."""
    statuses: "Counter[int]" = field(default_factory=Counter)
    latencies: "array[float]" = field(default_factory=lambda: array("d"))
    """One for each request, in seconds."""

    def add(self, other: "Load") -> None:
        """Count another round of the same."""
        self.requests += other.requests
        self.seconds += other.seconds
        self.client_cpu += other.client_cpu
        self.statuses += other.statuses
        self.latencies += other.latencies

    def percentile(self, share: float) -> float:
        """The latency that this share of the requests did not exceed, in seconds."""
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


def ask_once(address: tuple[str, int], wire: bytes) -> AnswerReader:
    """The answer to one request.  Raises `NoAnswer`."""
    answer = AnswerReader("GET")
    try:
        with socket.create_connection(address, PATIENCE) as sock:
            until = perf_counter() + PATIENCE
            sock.sendall(wire)
            while not answer.done:
                sock.settimeout(max(0.001, until - perf_counter()))
                data = sock.recv(_RECEIVE_BYTES)
                if data:
                    answer.feed(data)
                else:
                    answer.end()
    except TimeoutError as error:
        there = "whole answer" if answer.status else "answer"
        raise NoAnswer(f"no {there} within {PATIENCE:.0f} s") from error
    except (OSError, ValueError) as error:
        raise NoAnswer(str(error)) from error
    return answer


def load(address: tuple[str, int], wire: bytes, connections: int, seconds: float) -> Load:
    """Ask on so many connections for so long; each asks again when it was answered.

    Raises `NoAnswer` if answers fail to come.
    """
    with select.epoll() as poll:
        crowd = _Crowd(address, wire, poll)
        try:
            for _ in range(connections):
                crowd.connect()
            return crowd.run(seconds)
        except (OSError, ValueError) as error:
            raise NoAnswer(str(error)) from error
        finally:
            crowd.close()


class _Crowd:
    def __init__(self, address: tuple[str, int], wire: bytes, poll: select.epoll) -> None:
        self._address = address
        self._wire = wire
        self._poll = poll
        self._socks: dict[int, socket.socket] = {}
        self._since: dict[int, float] = {}
        self._readers: dict[int, AnswerReader] = {}
        self._usual = b""  # a whole answer: the next one is mostly the same
        self._status = 0
        self._load = Load()

    def connect(self) -> None:
        sock = socket.create_connection(self._address, PATIENCE)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socks[sock.fileno()] = sock
        self._poll.register(sock, select.EPOLLIN)

    def close(self) -> None:
        for sock in self._socks.values():
            sock.close()

    def run(self, seconds: float) -> Load:
        load, since, poll = self._load, self._since, self._poll.poll
        began, cpu = perf_counter(), process_time()
        end = began + seconds
        for fd in self._socks:
            self._ask(fd)
        while since:
            ready = poll(PATIENCE)
            if not ready:
                raise NoAnswer(f"no answer within {PATIENCE:.0f} s")
            for fd, _ in ready:
                if not self._answered(fd):
                    continue
                now = perf_counter()
                load.latencies.append(now - since.pop(fd))
                if fd not in self._socks:
                    self.connect()
                    fd = next(reversed(self._socks))
                if now < end:
                    self._ask(fd)
        load.seconds = perf_counter() - began
        load.client_cpu = process_time() - cpu
        load.requests = len(load.latencies)
        return load

    def _ask(self, fd: int) -> None:
        self._since[fd] = perf_counter()
        self._socks[fd].sendall(self._wire)

    def _answered(self, fd: int) -> bool:
        """Read; whether the answer is complete.  A connection that has ended is taken out."""
        data = self._socks[fd].recv(_RECEIVE_BYTES)
        if data == self._usual and data and fd not in self._readers:
            self._load.statuses[self._status] += 1
            return True
        reader = self._readers.get(fd)
        if reader is None:
            if fd not in self._since:  # closed while nothing was asked
                self._drop(fd)
                return False
            reader = self._readers[fd] = AnswerReader("GET")
        if data:
            reader.feed(data)
        else:
            self._drop(fd)
            reader.end()
        if not reader.done:
            return False
        del self._readers[fd]
        if fd in self._socks and reader.headers.get("connection", "").lower() == "close":
            self._drop(fd)
        elif data:
            self._usual, self._status = bytes(reader.raw), reader.status
        self._load.statuses[reader.status] += 1
        return True

    def _drop(self, fd: int) -> None:
        self._poll.unregister(fd)
        self._socks.pop(fd).close()
