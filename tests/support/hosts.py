"""Hosts of their own for servers, beside each other and behind one that is in front.

As root each is a network namespace, with a cable (veth(4)) to the one in front.  They are held by
processes that end with the test, and so nothing is left of them, whatever happens.  Elsewhere they
are addresses of the loopback, which no cable leads to.
"""

import contextlib
import os
import shutil
import subprocess

from rawclient import PATIENCE

_TOOLS = ("ip", "nsenter", "setpriv", "unshare")
_FRONT = "10.0.0.1"


class Hosts:
    """One in front, and one for each of `addresses`.  A context manager.

    `separate` says whether they are namespaces; if not, `addresses` are of the loopback.
    """

    def __init__(self, addresses, *, separate=True):
        self._stack = contextlib.ExitStack()
        able = separate and os.geteuid() == 0 and all(map(_found, _TOOLS))
        self.separate = able and self._make(addresses)
        self.addresses = addresses
        if not self.separate:
            self.addresses = [f"127.0.0.{2 + place}" for place in range(len(addresses))]

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self._stack.close()

    def command(self, place=None):
        """What a command is preceded by, to run on a host; without a number the one in front."""
        if not self.separate:
            return []
        holder = self._front if place is None else self._holders[place]
        return [_found("nsenter"), "--net", "--target", str(holder.pid), "--"]

    def cut(self, place):
        """Pull the cable: what is sent to the host or from it is lost, and nobody is told."""
        self._in_front("link", "set", f"cable{place}", "down")

    def _make(self, addresses):
        """Make the namespaces; whether that is possible here."""
        with contextlib.ExitStack() as stack:
            try:
                self._front = stack.enter_context(_holder())
                self._holders = [stack.enter_context(_holder()) for _ in addresses]
                self.separate = True
                self._in_front("link", "set", "lo", "up")
                for place, address in enumerate(addresses):
                    self._connect(place, address)
            except subprocess.CalledProcessError:
                return False
            self._stack = stack.pop_all()
        return True

    def _connect(self, place, address):
        cable, holder = f"cable{place}", self._holders[place]
        peer = ("peer", "name", "eth0", "netns", str(holder.pid))
        self._in_front("link", "add", cable, "type", "veth", *peer)
        for command, device, own, other in (
            (self.command(), cable, _FRONT, address),
            (self.command(place), "eth0", address, _FRONT),
        ):
            _run(*command, "ip", "address", "add", f"{own}/32", "dev", device)
            _run(*command, "ip", "link", "set", device, "up")
            _run(*command, "ip", "route", "add", f"{other}/32", "dev", device, "src", own)

    def _in_front(self, *arguments):
        _run(*self.command(), "ip", *arguments)


@contextlib.contextmanager
def _holder():
    """A process with a network namespace of its own, which ends with this one."""
    command = ["setpriv", "--pdeathsig", "KILL", "unshare", "--net", "--", "sh", "-c"]
    process = subprocess.Popen(
        [*command, "echo ready && exec sleep 120"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    with process:
        try:
            if process.stdout.readline() != b"ready\n":
                raise subprocess.CalledProcessError(process.wait(), "unshare")
            yield process
        finally:
            process.kill()


def _found(tool):
    return shutil.which(tool, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")


def _run(*command):
    subprocess.run(
        [_found(command[0]), *command[1:]], check=True, capture_output=True, timeout=PATIENCE
    )
