"""The environ of a request, as PEP 3333 and RFC 3875 want it."""

import sys
from collections.abc import Mapping
from typing import Any, Final

from ..grammar import Protocol
from ..headers import Headers
from ..peer import Peer

Environ = dict[str, Any]

# Not `HTTP_...`: RFC 3875, 4.1 has names of its own for them.
_OWN_NAMES = {"content-type": "CONTENT_TYPE", "content-length": "CONTENT_LENGTH"}
# HTTP_PROXY is what many clients take for the address of their proxy: a stranger must not set it.
_DROPPED = frozenset({"proxy"})

_MOST_NAMES: Final = 1024

_PROTOCOLS = {(1, 1): "HTTP/1.1", (1, 0): "HTTP/1.0"}


class Environs:
    """Makes the environ of each request from what is the same for all."""

    def __init__(self, base: Mapping[str, object], script_name: str) -> None:
        self._base: Environ = {
            "wsgi.version": (1, 0),
            "wsgi.errors": sys.stderr,
            "wsgi.run_once": False,
            "wsgi.input_terminated": True,
            **base,
            "SCRIPT_NAME": script_name,
        }
        self._script_name = script_name
        self._below = f"{script_name}/"
        self._names: dict[str, str] = {}  # of fields, as they are called here; "" is left out

    def environ(
        self,
        protocol: Protocol,
        method: str,
        path: str,
        query: str,
        headers: Headers,
        peer: Peer | None,
    ) -> Environ:
        """The environ, but for ``wsgi.input``.

        Text is what PEP 3333 calls native: each character is a byte of UTF-8.  Fields whose names
        have an underscore are left out, since they would be taken for others with a hyphen.
        """
        environ = self._base.copy()
        if not path.isascii():
            path = path.encode().decode("latin-1")
        if self._script_name:
            if path == self._script_name or path.startswith(self._below):
                path = path[len(self._script_name) :]
            else:
                environ["SCRIPT_NAME"] = ""  # not below the application's root
        environ["REQUEST_METHOD"] = method
        environ["PATH_INFO"] = path
        environ["QUERY_STRING"] = query
        environ["SERVER_PROTOCOL"] = _PROTOCOLS[protocol]
        if peer is not None:
            environ["REMOTE_ADDR"], environ["REMOTE_PORT"] = peer[0], str(peer[1])
        else:
            environ["REMOTE_ADDR"] = ""
        names = self._names
        for name, value in headers.values_by_name.items():
            key = names.get(name)
            if key is None:
                key = self._named(name)
            if key:
                environ[key] = value
        return environ

    def _named(self, name: str) -> str:
        if "_" in name or name in _DROPPED:
            key = ""
        else:
            key = _OWN_NAMES.get(name) or "HTTP_" + name.upper().replace("-", "_")
        if len(self._names) >= _MOST_NAMES:
            self._names.clear()
        self._names[name] = key
        return key
