"""Many connections at once, to a server that runs as a process of its own."""

import contextlib
import json
import resource
import select
import signal
import socket
import time
from pathlib import Path

from clients import PATIENCE, running
from rawclient import request

PROGRAM = Path(__file__).with_name("http_program.py")
GET = request("/hi")


class Running:
    """A `http_program`: its address, and its process."""

    def __init__(self, process):
        self.process = process
        self.pid = process.pid
        host, _, port = process.stdout.readline().strip().partition(":")
        self.address = host, int(port)

    def rss_bytes(self):
        """The memory it occupies now."""
        with open(f"/proc/{self.pid}/statm") as statm:
            return int(statm.read().split()[1]) * resource.getpagesize()


@contextlib.contextmanager
def serving(*, send_buffer=0, **limits):
    """Run `http_program` with `Limits`, until the end of the block; it must have nothing to say."""
    arguments = PROGRAM, str(send_buffer), json.dumps(limits)
    with running(*arguments, stop=signal.SIGINT) as process:
        yield Running(process)


@contextlib.contextmanager
def many_descriptors(count=4096):
    """Allow this process `count` descriptors, within the block."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY:
        count = min(count, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, count), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


class Crowd:
    """So many connections; `sockets` is a list of them.  A context manager."""

    def __init__(self, address, count, **options):
        self.sockets = []
        for _ in range(count):
            self.sockets.append(connect(address, **options))

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        for sock in self.sockets:
            sock.close()

    def ask(self, data):
        """Send `data` on every connection, before anything is read."""
        for sock in self.sockets:
            sock.sendall(data)

    def answers(self, size):
        """`size` bytes of each connection, in the order they come; an early end is missing."""
        answers = {sock.fileno(): b"" for sock in self.sockets}
        by_fd = {sock.fileno(): sock for sock in self.sockets}
        poll = select.epoll()
        with contextlib.closing(poll):
            for fd in by_fd:
                poll.register(fd, select.EPOLLIN)
            deadline = time.monotonic() + PATIENCE
            left = len(by_fd)
            while left:
                assert time.monotonic() < deadline, f"{left} connections got no answer"
                for fd, _ in poll.poll(1):
                    piece = by_fd[fd].recv(size - len(answers[fd]))
                    answers[fd] += piece
                    if not piece or len(answers[fd]) == size:
                        poll.unregister(fd)
                        left -= 1
        return list(answers.values())


def connect(address, *, receive_buffer=None):
    sock = socket.socket(socket.AF_UNIX if isinstance(address, str) else socket.AF_INET)
    if receive_buffer:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    sock.settimeout(PATIENCE)
    sock.connect(address)
    return sock


def ask_pipelined(client, count, together=500):
    """Ask `count` times on one connection, `together` at a time; read all answers."""
    client.send(GET)
    answer = client.response()
    size = len(answer.head) + 4 + len(answer.body)
    wire = GET * together
    for _ in range(count // together):
        client.send(wire)
        client.exactly(together * size)
