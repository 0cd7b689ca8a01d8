"""`rush run` as a real process, and what tests ask of it."""

import contextlib
import json
import re
import signal
import subprocess
import sys
from pathlib import Path

from rawclient import PATIENCE, RawClient

REPOSITORY = Path(__file__).parents[2]


class Site:
    """A running server, its address and its folder."""

    def __init__(self, process, banner, folder):
        self.process = process
        self.banner = banner
        self.folder = folder
        host, port = re.search(r"http://([^:]+):([0-9]+)/", banner).groups()
        self.address = host, int(port)

    def client(self):
        return RawClient(self.address)

    def url(self, path):
        return "http://{}:{}{}".format(*self.address, path)

    def client_of_each_worker(self, stack):
        """Connections to every worker: pid to client; `stack` closes them."""
        clients = {}
        while len(clients) < 2:
            client = stack.enter_context(self.client())
            clients.setdefault(self.worker_of(client), client)
        return clients

    @staticmethod
    def worker_of(client):
        return json.loads(client.get("/user/x").body)["worker"]


@contextlib.contextmanager
def serving(folder, *arguments):
    """Run ``rush run`` in a folder, until the end of the block."""
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "rush_web", "run", *arguments, "--port", "0"],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    with process:
        try:
            banner = process.stdout.readline()
            assert banner, (folder / "log").read_text()
            yield Site(process, banner.strip(), folder)
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                try:
                    process.wait(PATIENCE)
                finally:
                    process.kill()
