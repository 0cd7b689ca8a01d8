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
        seen = {"client": request.client.host, "scheme": request.scheme}
        request.response_json(dict(request.headers) | seen)
""")


class Cluster:
    """Servers ``a`` and ``b``, and HAProxy before them at the UNIX socket `front`.

    A context manager.  `config` is the name of the configuration, and says what is before them;
    `timeouts` replace those of HAProxy's.  `options` go to the servers.  With `tcp`, `front` is a
    port of the loopback, and all of them are there.
    """

    def __init__(self, folder, config="haproxy.cfg", *, options=(), tcp=False, **timeouts):
        self.folder = folder
        self.front = f"{folder}/front"
        self.servers = [None, None]
        self._nginx = config == "nginx.conf"
        self._config = config
        self._options = options
        self._tcp = tcp
        self._timeouts = timeouts
        self._stack = contextlib.ExitStack()

    def __enter__(self):
        with self._stack as stack:
            self.hosts = stack.enter_context(Hosts(ADDRESSES, separate=not self._tcp))
            self._port, self._status_port = 8000, 9100
            if not self.hosts.separate:
                self._port, self._status_port, front = _free_ports(self.hosts.addresses)
            if self._tcp:
                self.front = "127.0.0.1", front
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
        options += ["--status-port", str(self._status_port), *self._options]
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
            r"(?m)^    bind :\d+$": f"    bind {self._listened('unix@')}",
            "/run/haproxy/admin.sock": f"{self.folder}/admin",
            "check port 9100": f"check port {self._status_port}",
            r"option (http|tcp)log": "option dontlog-normal",
        }
        text = self._adapted(changes)
        for name, value in self._timeouts.items():
            text, count = re.subn(rf"timeout {name} \w+", f"timeout {name} {value}", text)
            assert count == 1, name
        return text

    def _nginx_conf(self):
        kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        paths = "".join(f"{kind}_temp_path {self.folder}/{kind};" for kind in kinds)
        changes = {
            "listen 80;": f"listen {self._listened('unix:')};",
            "/run/nginx.pid": f"{self.folder}/nginx.pid",
            "    access_log off;": f"    access_log off; {paths}",
        }
        return self._adapted(changes)

    def _listened(self, unix):
        """Where the proxy listens, as it writes that."""
        return f"{unix}{self.front}" if isinstance(self.front, str) else "{}:{}".format(*self.front)

    def _adapted(self, changes):
        text = (DEPLOY / self._config).read_text()
        for given, address in zip(ADDRESSES, self.hosts.addresses, strict=True):
            changes[rf"server (\w )?{given}:8\d+"] = rf"server \g<1>{address}:{self._port}"
        for before, after in changes.items():
            text, count = re.subn(before, after, text)
            assert count, before
        return text

    def _listens(self):
        family = socket.AF_UNIX if isinstance(self.front, str) else socket.AF_INET
        with socket.socket(family) as sock:
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
    """Three ports that nobody has at any of the addresses."""
    with contextlib.ExitStack() as stack:
        found = []
        while len(found) < 3:
            first, *others = addresses
            port = stack.enter_context(socket.create_server((first, 0))).getsockname()[1]
            with contextlib.suppress(OSError):
                for address in (*others, "127.0.0.1"):
                    stack.enter_context(socket.create_server((address, port)))
                found.append(port)
        return found
