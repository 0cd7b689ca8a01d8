"""Load: connections that ask again and again, and remember what went wrong."""

import collections
import contextlib
import select
import socket
import threading
import time

from rawclient import PATIENCE, request


class Client:
    """One connection: it asks, reads the answer, asks again."""

    def __init__(self, address, wire):
        self.address = address
        self.wire = wire
        self.served = 0
        self.last = b""  # what the last answer said
        self.buffer = b""
        self.sock = socket.socket(socket.AF_UNIX if isinstance(address, str) else socket.AF_INET)
        self.sock.settimeout(PATIENCE)
        try:
            self.sock.connect(address)
            self.sock.setblocking(False)
        except OSError:
            self.sock.close()
            raise

    def ask(self):
        self.sock.send(self.wire)

    def answers(self):
        """Read; return the answers that are complete, as (head, body)."""
        data = self.sock.recv(65536)
        if not data:
            raise EOFError
        self.buffer += data
        head, blank, rest = self.buffer.partition(b"\r\n\r\n")
        if not blank:
            return None
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        if len(rest) < length:
            return None
        self.buffer = b""
        self.served += 1
        self.last = rest
        return head, rest


class Load(threading.Thread):
    """`count` connections, until the end of the block.

    Each connects anew after `answers` of them.  Options go to `request`.
    `failed` is what must never be: refused, reset while waiting, a status that is no 200.
    `lost` are requests on connections that were served before: pairs of what the last answer said
    (the pid of the worker) and the error.
    """

    def __init__(self, address, count=64, path="/pid", answers=200, **options):
        super().__init__()
        self.answers = answers
        self.address = address
        self.count = count
        self.wire = request(path, **options)
        self.failed = []
        self.lost = []
        self.said = collections.Counter()
        self._poll = select.epoll()
        self._clients = {}
        self._news = threading.Condition()
        self._ending = False

    def __enter__(self):
        for _ in range(self.count):
            self._connect()
        self.start()
        return self

    def __exit__(self, *exception):
        self._ending = True
        self.join(PATIENCE)
        for client in self._clients.values():
            client.sock.close()
        self._poll.close()

    def wait_for(self, question):
        """Wait until ``question()`` is true; asked after every few answers."""
        with self._news:
            assert self._news.wait_for(question, PATIENCE), (self.failed, self.said)

    def wait_for_all(self):
        """Wait until each connection that is there now was answered twice more, or has ended."""
        clients = [(client, client.served) for client in list(self._clients.values())]
        self.wait_for(
            lambda: all(
                client.served > before + 1 or client.sock.fileno() < 0 for client, before in clients
            )
        )

    def wait_for_none_new(self):
        """Wait until no connection waits for its first answer."""
        self.wait_for(lambda: all(client.served for client in list(self._clients.values())))

    def wait_for_saying(self, text):
        """Wait until an answer says this."""
        self.wait_for(lambda: text.encode() in self.said)

    def run(self):
        told = 0.0
        while not self._ending:
            for fd, _ in self._poll.poll(0.1):
                self._step(fd)
            if time.monotonic() > told + 0.02:
                told = time.monotonic()
                with self._news:
                    self._news.notify_all()

    def _step(self, fd):
        client = self._clients[fd]
        try:
            answer = client.answers()
            if answer is None:
                return
            head, body = answer
            if not head.startswith(b"HTTP/1.1 200 "):
                self.failed.append(head)
            self.said[body] += 1
            if b"\r\nconnection: close" in head.lower() or client.served >= self.answers:
                self._replace(client)
            else:
                client.ask()
        except (OSError, EOFError) as error:
            if client.served and not client.buffer:
                self.lost.append((client.last, error))
            else:
                self.failed.append(error)
            self._replace(client)

    def _replace(self, client):
        del self._clients[client.sock.fileno()]
        client.sock.close()
        self._connect()

    def _connect(self):
        try:
            client = Client(self.address, self.wire)
            self._clients[client.sock.fileno()] = client
            self._poll.register(client.sock.fileno(), select.EPOLLIN)
            client.ask()
        except OSError as error:
            self.failed.append(error)
            with contextlib.suppress(UnboundLocalError):
                client.sock.close()
