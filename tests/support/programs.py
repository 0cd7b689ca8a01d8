"""Server programs as real processes: started, listened to, and always ended."""

import contextlib
import os
import re
import select
import signal
import subprocess
import sys
import threading
import time

from rawclient import PATIENCE, RawClient, request


def eventually(question, what="that"):
    """Ask until the answer is true, and return it; give up after `PATIENCE` seconds."""
    deadline = time.monotonic() + PATIENCE
    while not (answer := question()):
        assert time.monotonic() < deadline, f"waited {PATIENCE:.0f} s in vain for {what}"
        select.select([], [], [], 0.01)
    return answer


class Output:
    """What a process writes to a pipe, as it comes."""

    def __init__(self, pipe):
        self._pipe = pipe
        self._text = ""
        self._news = threading.Condition()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self):
        for line in self._pipe:
            with self._news:
                self._text += line
                self._news.notify_all()
        with self._news:
            self._pipe = None
            self._news.notify_all()

    def __str__(self):
        with self._news:
            return self._text

    def wait_for(self, text, count=1):
        """Wait until `text` was written `count` times; returns all there is."""
        with self._news:
            self._news.wait_for(
                lambda: self._text.count(text) >= count or self._pipe is None, PATIENCE
            )
            found = self._text.count(text)
            assert found >= count, f"{found}, not {count} times {text!r} in:\n{self._text}"
            return self._text

    def end(self):
        """Wait for the end; returns all there was."""
        self._thread.join(PATIENCE)
        return str(self)


def children_of(pid):
    """The processes that this one has started and that live."""
    with open(f"/proc/{pid}/task/{pid}/children") as children:
        return {int(pid) for pid in children.read().split()}


class Program:
    """A Python program in a process group of its own; `log` is what it says on stderr."""

    def __init__(
        self, *arguments, command=(), cwd=None, stdout=subprocess.PIPE, pass_fds=(), env=None
    ):
        self.process = subprocess.Popen(
            [*command, sys.executable, "-W", "error", *map(os.fspath, arguments)],
            cwd=cwd,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            pass_fds=pass_fds,
        )
        self.pid = self.process.pid
        self.log = Output(self.process.stderr)
        self.output = Output(self.process.stdout) if self.process.stdout else None
        self.address = None

    def ready(self, said=None):
        """Wait for the line that says where it serves."""
        text = (said or self.output).wait_for(".\n")
        host, port = re.search(r"https?://([0-9.]+):([0-9]+)/", text).groups()
        self.address = host, int(port)
        return self

    def client(self):
        return RawClient(self.address)

    def get(self, path="/"):
        """The answer on a new connection."""
        with self.client() as client:
            return client.get(path)

    def pid_of(self, client):
        return int(client.get("/pid").body)

    def pid_of_new(self):
        """The worker that answers a new connection."""
        with self.client() as client:
            return self.pid_of(client)

    def clients_of_workers(self, stack, count=2):
        """A connection to each worker, by pid; `stack` closes them."""
        found = {}

        def one_more():
            client = self.client()
            pid = self.pid_of(client)
            if pid in found:
                client.sock.close()
            else:
                found[pid] = stack.enter_context(client)
            return len(found) == count

        eventually(one_more, f"answers of {count} workers")
        return found

    def pids(self, count=2):
        with contextlib.ExitStack() as stack:
            return set(self.clients_of_workers(stack, count))

    def new_pid(self, known):
        """The pid of a worker that is not known yet, as soon as it answers."""
        return eventually(lambda: ({self.pid_of_new()} - known or {0}).pop(), "another worker")

    def crash(self, pid):
        """Ask ``/crash`` of this worker, by a connection that came to it."""

        def crashed():
            with self.client() as client:
                if self.pid_of(client) != pid:
                    return False
                client.send(request("/crash"))
                assert client.rest() == b""
                return True

        eventually(crashed, f"a connection to {pid}")

    def children(self):
        return children_of(self.pid)

    def has_forked(self):
        """Whether it has a worker, or has ended."""
        return self.process.poll() is not None or self.children()

    def kill(self, signum):
        self.process.send_signal(signum)

    def kill_group(self, signum):
        os.killpg(self.pid, signum)

    def wait(self):
        """Wait for its end; returns the exit status."""
        status = self.process.wait(PATIENCE)
        self.log.end()
        return status

    def stop(self, signum=signal.SIGTERM):
        self.kill(signum)
        return self.wait()

    def end(self):
        """Leave nothing of it, whatever happened."""
        with contextlib.suppress(ProcessLookupError):
            self.kill_group(signal.SIGKILL)
        self.process.wait()
        for output in (self.log, self.output):
            if output is not None:
                output.end()
        for pipe in (self.process.stdout, self.process.stderr):
            if pipe is not None:
                pipe.close()


@contextlib.contextmanager
def watching(*pids):
    """Give a function that waits until all these processes have ended."""
    with contextlib.ExitStack() as stack:
        descriptors = [os.pidfd_open(pid) for pid in pids]
        for descriptor in descriptors:
            stack.callback(os.close, descriptor)

        def wait(seconds=PATIENCE):
            deadline = time.monotonic() + seconds
            for pid, descriptor in zip(pids, descriptors, strict=True):
                left = max(0.0, deadline - time.monotonic())
                ended, _, _ = select.select([descriptor], [], [], left)
                assert ended, f"{pid} still lives after {seconds} s"

        yield wait


def end_idle(program, client, path, fifo, kill=None):
    """Keep a worker busy with `path`, and end the program by SIGTERM until the other is gone.

    So all have been told.  Returns the pid of the busy one, and what lets it go on; `kill` sends
    the signal, if that is not to the parent alone.
    """
    pid = program.pid_of(client)
    (idle,) = program.children() - {pid}
    client.send(request(path))
    let_go = fifo()
    with watching(idle) as ended:
        (kill or program.kill)(signal.SIGTERM)
        ended()
    return pid, let_go
