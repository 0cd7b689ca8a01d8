"""The environ of a request, as PEP 3333 and RFC 3875 want it."""

import sys
from collections.abc import Callable, Mapping
from typing import Any, Final

from epollserver import Connection

from ..exchange import Exchange
from ..forwarded import Forwarded
from ..headers import Headers
from ..shapes import is_trimmed
from .input import NO_BODY

Environ = dict[str, Any]

# Not `HTTP_...`: RFC 3875, 4.1 has names of its own for them.
_OWN_NAMES = {"content-type": "CONTENT_TYPE", "content-length": "CONTENT_LENGTH"}
# HTTP_PROXY is what many clients take for the address of their proxy: a stranger must not set it.
_DROPPED = frozenset({"proxy"})

_MOST_NAMES: Final = 1024

_DEFAULT_PORTS: Final = {"http": "80", "https": "443"}

PROTOCOLS: Final = {(1, 1): "HTTP/1.1", (1, 0): "HTTP/1.0"}


class Environs:
    """Makes the environ of each request from what is the same for all.

    Text is what PEP 3333 calls native: each character is a byte of UTF-8.  Fields whose names have
    an underscore are left out, since they would be taken for others with a hyphen.
    """

    def __init__(
        self,
        base: Mapping[str, object],
        script_name: str,
        sender: Callable[[Connection], Forwarded],
        *,
        is_behind: bool,
    ) -> None:
        self._base: Environ = {
            "wsgi.version": (1, 0),
            "wsgi.errors": sys.stderr,
            "wsgi.run_once": False,
            "wsgi.input_terminated": True,
            **base,
            "SCRIPT_NAME": script_name,
            "SERVER_PROTOCOL": "HTTP/1.1",
            # What each request sets: a copy with room for it need not grow.
            "REQUEST_METHOD": "",
            "PATH_INFO": "",
            "QUERY_STRING": "",
            "wsgi.input": NO_BODY,
        }
        self._script_name = script_name
        self._below = f"{script_name}/"
        self._sender = sender
        self._is_behind = is_behind  # a proxy, which may speak of another scheme
        self._names: dict[str, str] = {}  # of fields, as they are called here; "" is left out

    def path_info(self, environ: Environ, path: str) -> str:
        """``PATH_INFO``: what is below ``SCRIPT_NAME``, which is emptied for other paths."""
        if not path.isascii():
            path = path.encode().decode("latin-1")
        if self._script_name:
            if path == self._script_name or path.startswith(self._below):
                return path[len(self._script_name) :]
            environ["SCRIPT_NAME"] = ""
        return path

    def fields(self, exchange: Exchange, headers: Headers, conn: Connection) -> Environ:
        """The part that the connection and the headers decide.

        Kept with the connection, to be copied for the next request with these headers: it may hold
        secrets, and goes with it.
        """
        known = headers.known_part()
        if known is None:
            self._keep(exchange, headers, conn)
            return exchange.environ.copy()
        first, text, at, values = known
        if first is not exchange.environ_headers:
            self._keep(exchange, first, conn)
        environ = exchange.environ.copy()
        if values is not None and values.re is exchange.environ_shape:
            # The names are those of a request before: 7,000 instructions less for three lines
            # (tests/bench/instructions.py); with zip() only 5,000.
            at, found = 0, values.groups()
            for key in exchange.environ_keys:
                environ[key] = found[at]
                at += 1
            return environ
        keys = []
        count = len(environ)
        for line in text[at:-4].split("\r\n"):
            name, _, value = line.partition(":")
            key = self._key(name)
            if key:
                environ[key] = value.strip(" \t")
                count += 1
            keys.append(key)
        if len(environ) != count:  # a name came twice
            environ = self._of_conn(conn)
            self._add(environ, headers)
        elif values is not None and all(keys) and is_trimmed(values.re):
            exchange.environ_shape, exchange.environ_keys = values.re, keys
        return environ

    def forward(self, environ: Environ, told: Forwarded) -> None:
        """Let an environ be that of the client for whom a proxy has sent a request."""
        client, scheme, host = told
        environ["REMOTE_ADDR"] = "" if client is None else client.host
        if client is None or not client.port:
            environ.pop("REMOTE_PORT", None)
        else:
            environ["REMOTE_PORT"] = str(client.port)
        environ["wsgi.url_scheme"] = scheme
        if host is not None:
            environ["HTTP_HOST"] = host
            end = host.rfind("]") + 1
            name, _, port = host[end:].partition(":")
            environ["SERVER_NAME"] = host[:end] + name
            environ["SERVER_PORT"] = port or _DEFAULT_PORTS[scheme]

    def _keep(self, exchange: Exchange, headers: Headers, conn: Connection) -> None:
        environ = self._of_conn(conn)
        self._add(environ, headers)
        exchange.environ, exchange.environ_headers = environ, headers
        exchange.environ_shape = None

    def _of_conn(self, conn: Connection) -> Environ:
        environ = self._base.copy()
        peer, scheme, _ = self._sender(conn)
        if self._is_behind:
            environ["wsgi.url_scheme"] = scheme
        if peer is not None:
            environ["REMOTE_ADDR"], environ["REMOTE_PORT"] = peer[0], str(peer[1])
        else:
            environ["REMOTE_ADDR"] = ""
        return environ

    def _add(self, environ: Environ, headers: Headers) -> None:
        names = self._names
        for name, value in headers.values_by_name.items():
            key = names.get(name)
            if key is None:
                key = self._key(name)
            if key:
                environ[key] = value

    def _key(self, name: str) -> str:
        """What a field is called here; nothing: it is left out."""
        key = self._names.get(name)
        if key is not None:
            return key
        lower = name.lower()
        if "_" in name or lower in _DROPPED:
            key = ""
        else:
            key = _OWN_NAMES.get(lower) or "HTTP_" + name.upper().replace("-", "_")
        if len(self._names) >= _MOST_NAMES:
            self._names.clear()
        self._names[name] = key
        return key
