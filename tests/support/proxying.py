"""nginx and HAProxy as they are started before a server: on sockets that are bound already."""

import contextlib
import os
import re
import shutil
import socket
import subprocess

import pytest

from rawclient import PATIENCE, RawClient

NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
HAPROXY = shutil.which("haproxy") or shutil.which("haproxy", path="/usr/sbin")
_STREAM = [
    path
    for folder in ("/usr/lib/nginx/modules", "/usr/lib64/nginx/modules", "/etc/nginx/modules")
    if os.path.exists(path := f"{folder}/ngx_stream_module.so")
]

needs_nginx = pytest.mark.skipif(not NGINX, reason="nginx is not installed")
needs_haproxy = pytest.mark.skipif(not HAPROXY, reason="haproxy is not installed")
needs_stream = pytest.mark.skipif(
    not NGINX or not _STREAM, reason="nginx has no stream module (Debian: libnginx-mod-stream)"
)

_NGINX = """
daemon off;
worker_processes 1;  # without a master process it does not survive inherited sockets
{user}
pid {folder}/pid;
error_log {folder}/errors info;
events {{ worker_connections 256; }}
"""
_HTTP = """
http {{
    access_log off;
    client_body_temp_path {folder}/1; proxy_temp_path {folder}/2; fastcgi_temp_path {folder}/3;
    uwsgi_temp_path {folder}/4; scgi_temp_path {folder}/5;
    {text}
}}
"""
_DEFAULTS = """
global
    maxconn 512
    log {folder}/log local0
defaults
    mode http
    timeout connect 20s
    timeout client 20s
    timeout server 20s
"""


class Fronts:
    """Where a proxy listens: sockets that it inherits, so that no port is a fixed one."""

    def __init__(self, stack, count=1):
        self.sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
        stack.callback(self.let_go)
        self.addresses = [sock.getsockname() for sock in self.sockets]
        self.numbers = [sock.fileno() for sock in self.sockets]

    def let_go(self):
        for sock in self.sockets:
            sock.close()


@contextlib.contextmanager
def nginx(folder, *, http="", stream="", fronts=1):
    """Run nginx with a text for its ``http`` or ``stream`` block; gives where it listens.

    ``listen 8001;`` (8002 ...) in it is the first address (the second ...).
    """
    text = _NGINX.format(folder=folder, user="" if os.getuid() else "user root;")
    if stream:
        text = f"load_module {_STREAM[0]};\n{text}stream {{\n{stream}\n}}\n"
    if http:
        text += _HTTP.format(folder=folder, text=http)
    with contextlib.ExitStack() as stack:
        places = Fronts(stack, fronts)
        for number, (host, port) in enumerate(places.addresses, 8001):
            text = text.replace(f"listen {number}", f"listen {host}:{port}")
        conf = folder / "nginx.conf"
        conf.write_text(text)
        inherited = "".join(f"{number};" for number in places.numbers)
        command = [NGINX, "-e", "stderr", "-c", str(conf)]
        stack.enter_context(_running(command, folder, places, env={"NGINX": inherited}))
        yield places.addresses


@contextlib.contextmanager
def haproxy(folder, text, fronts=1):
    """Run HAProxy with a text for its frontends and backends; gives where it listens.

    ``bind :8001`` (8002 ...) in it is the first address (the second ...).
    """
    with contextlib.ExitStack() as stack:
        places = Fronts(stack, fronts)
        for number, descriptor in enumerate(places.numbers, 8001):
            text = re.sub(rf"bind :{number}\b", f"bind fd@{descriptor}", text)
        conf = folder / "haproxy.cfg"
        conf.write_text(_DEFAULTS.format(folder=folder) + text)
        stack.enter_context(_running([HAPROXY, "-f", str(conf), "-db"], folder, places))
        yield places.addresses


@contextlib.contextmanager
def _running(command, folder, places, env=None):
    log = folder / f"said by {os.path.basename(command[0])}"
    with log.open("wb") as said:
        process = subprocess.Popen(
            command,
            stdout=said,
            stderr=said,
            pass_fds=places.numbers,
            env=os.environ | (env or {}),
        )
    places.let_go()  # who connects waits until it accepts, and is refused if it has ended
    try:
        yield
    finally:
        print(log.read_text())  # for a test that fails
        process.terminate()
        process.wait(PATIENCE)


class Client(RawClient):
    """A client of one of the addresses of this machine, which may begin TLS later."""

    def __init__(self, address, host="127.0.0.1", tls=None):
        self.sock = socket.create_connection(address, PATIENCE, source_address=(host, 0))
        self._buffer = bytearray()
        if tls is not None:
            self.speak(tls)

    def speak(self, tls):
        """Go on over TLS."""
        self.sock = tls.wrap_socket(self.sock, server_hostname="localhost")

    @property
    def name(self):
        host, port = self.sock.getsockname()
        return f"{host} {port}"
