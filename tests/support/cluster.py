"""Two servers behind HAProxy or nginx, with the configuration that is given to users."""

import contextlib
import csv
import re
import shutil
import signal
import socket
import subprocess
import textwrap

from hosts import Hosts
from programs import Program, eventually
from rawclient import PATIENCE
from serving import REPOSITORY

DEPLOY = REPOSITORY / "packages/rush-web/deploy"
HAPROXY = shutil.which("haproxy") or shutil.which("haproxy", path="/usr/sbin")
NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
ADDRESSES = ["10.0.0.11", "10.0.0.12"]  # as in haproxy.cfg and nginx.conf
# Each answer takes its time, so that some are always on their way.
APP = textwrap.dedent("""
    import os, time
    from rush_web import WebServer

    server = WebServer(workers=2, grace=10)

    @server.get("/who")
    @server.blocking
    def who(request):
        time.sleep(0.02)
        request.response(f"{os.environ['NAME']} {os.getpid()}")

    @server.post("/who")
    @server.blocking
    def posted(request):
        time.sleep(0.02)
        request.response(f"{os.environ['NAME']} {os.getpid()}")

    @server.get("/client")
    def client(request):
        request.response_json(dict(request.headers))
""")


class Cluster:
    """Servers ``a`` and ``b``, and HAProxy before them at the UNIX socket `front`.

    A context manager.  `timeouts` replace those of the configuration.  With `nginx`, that is before
    them.
    """

    def __init__(self, folder, *, nginx=False, **timeouts):
        self.folder = folder
        self.front = f"{folder}/front"
        self.servers = [None, None]
        self._nginx = nginx
        self._timeouts = timeouts
        self._stack = contextlib.ExitStack()

    def __enter__(self):
        with self._stack as stack:
            self.hosts = stack.enter_context(Hosts(ADDRESSES))
            self._port, self._status_port = 8000, 9100
            if not self.hosts.separate:
                self._port, self._status_port = _free_ports(self.hosts.addresses)
            (self.folder / "app.py").write_text(APP)
            for place in (0, 1):
                stack.callback(self._end, place)
                self.start(place)
            for server in self.servers:
                server.ready()
            stack.enter_context(self._proxy())
            for place in (0, 1):
                self.wait_for_up(place)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *exception):
        self._stack.close()

    # The servers

    def start(self, place):
        """Start a server; it serves when it is ``ready()``."""
        options = ["--host", self.hosts.addresses[place], "--port", str(self._port)]
        options += ["--status-port", str(self._status_port)]
        command = [*self.hosts.command(place), "env", f"NAME={'ab'[place]}"]
        program = ["-m", "rush_web", "run", "app:server", *options]
        self.servers[place] = Program(*program, command=command, cwd=self.folder)

    def _end(self, place):
        if self.servers[place] is not None:
            self.servers[place].end()

    def restart(self, place):
        """End a server as an operator does, and start it again."""
        before = self.servers[place]
        try:
            assert before.stop(signal.SIGTERM) == 0, str(before.log)
        finally:
            before.end()
        self.start(place)
        self.servers[place].ready()
        self.wait_for_up(place)

    # The proxy

    @contextlib.contextmanager
    def _proxy(self):
        path = self.folder / "proxy.conf"
        path.write_text(self._nginx_conf() if self._nginx else self._haproxy_cfg())
        command = [HAPROXY, "-db", "-f", path]
        if self._nginx:
            command = [NGINX, "-g", "daemon off;", "-e", "stderr", "-c", path]
        with (self.folder / "proxy.log").open("wb") as log:
            process = subprocess.Popen([*self.hosts.command(), *command], stdout=log, stderr=log)
        try:
            eventually(lambda: self._listens() or process.poll() is not None, "the proxy")
            assert process.poll() is None, (self.folder / "proxy.log").read_text()
            yield
        finally:
            process.send_signal(signal.SIGTERM)  # a master of nginx ends its workers
            try:
                process.wait(PATIENCE)
            finally:
                process.kill()

    def _haproxy_cfg(self):
        changes = {
            "bind :80": f"bind unix@{self.front}",
            "/run/haproxy/admin.sock": f"{self.folder}/admin",
            "check port 9100": f"check port {self._status_port}",
            "option httplog": "option dontlog-normal",
        }
        text = self._adapted("haproxy.cfg", changes)
        for name, value in self._timeouts.items():
            text, count = re.subn(rf"timeout {name} \w+", f"timeout {name} {value}", text)
            assert count == 1, name
        return text

    def _nginx_conf(self):
        kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        paths = "".join(f"{kind}_temp_path {self.folder}/{kind};" for kind in kinds)
        changes = {
            "listen 80;": f"listen unix:{self.front};",
            "/run/nginx.pid": f"{self.folder}/nginx.pid",
            "    access_log off;": f"    access_log off; {paths}",
        }
        return self._adapted("nginx.conf", changes)

    def _adapted(self, name, changes):
        text = (DEPLOY / name).read_text()
        for given, address in zip(ADDRESSES, self.hosts.addresses, strict=True):
            changes[f"{given}:8000"] = f"{address}:{self._port}"
        for before, after in changes.items():
            assert before in text, before
            text = text.replace(before, after)
        return text

    def _listens(self):
        with socket.socket(socket.AF_UNIX) as sock:
            return not sock.connect_ex(self.front)

    def ask_haproxy(self, command):
        """What it answers at its administrator's socket."""
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(PATIENCE)
            sock.connect(f"{self.folder}/admin")
            sock.sendall(f"{command}\n".encode())
            said = b""
            while data := sock.recv(65536):
                said += data
            return said.decode()

    def state(self, place):
        """``UP``, ``DOWN``, ``DRAIN`` ..."""
        rows = csv.DictReader(self.ask_haproxy("show stat").removeprefix("# ").splitlines())
        (status,) = (row["status"] for row in rows if row["svname"] == "ab"[place])
        return status.split()[0]

    def wait_for_up(self, place):
        """Wait until HAProxy sends requests there; nginx finds that out by itself."""
        if self._nginx:
            return
        eventually(lambda: self.state(place) == "UP", "a server that is up")

    def wait_for_down(self, place):
        eventually(lambda: self.state(place) == "DOWN", "a server that is down")


def _free_ports(addresses):
    """Two ports that nobody has at any of the addresses."""
    with contextlib.ExitStack() as stack:
        found = []
        while len(found) < 2:
            first, *others = addresses
            port = stack.enter_context(socket.create_server((first, 0))).getsockname()[1]
            with contextlib.suppress(OSError):
                for address in others:
                    stack.enter_context(socket.create_server((address, port)))
                found.append(port)
        return found
