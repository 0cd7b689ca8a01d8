"""Options: which values of a `WebServer`'s make no sense, each with what would."""

import re
from typing import TYPE_CHECKING

from .access_format import check_format
from .blocking import check_threads
from .handlers import check_prefix
from .jsons import json_encoder
from .proxies import proxies_of
from .sockets import addresses_of

if TYPE_CHECKING:
    from .server import WebServer


def check_options(server: "WebServer") -> None:
    """Raise `ValueError` for the first option that makes no sense.

    `RuntimeError` is raised for a package that is not there.
    """
    _check_processes(server)
    _check_addresses(server)
    _check_content(server)
    _check_pages(server)


def _check_processes(server: "WebServer") -> None:
    if not 1 <= server.workers <= 255:
        raise ValueError(f"workers is {server.workers!r}: it must be 1 to 255")
    if server.max_conns < 1:
        raise ValueError(f"max_conns is {server.max_conns!r}: it must be 1 or more")
    if not server.grace >= 0:
        raise ValueError(f"grace is {server.grace!r}: it must be 0 seconds or more")
    for name in ("worker_timeout", "recycle_requests", "recycle_seconds"):
        value = getattr(server, name)
        if value is not None and not value > 0:
            raise ValueError(f"{name} is {value!r}: it must be more than 0, or None")
    check_threads(server.blocking_threads, server.blocking_queue)


def _check_addresses(server: "WebServer") -> None:
    if server.listen not in ("reuseport", "shared"):
        raise ValueError(f"listen is 'reuseport' or 'shared', not {server.listen!r}")
    if not 0 <= server.port <= 65535:
        raise ValueError(f"port is {server.port!r}: it must be 0 to 65535")
    if server.status_port is not None and not 0 <= server.status_port <= 65535:
        raise ValueError(f"status_port is {server.status_port!r}: it must be 0 to 65535")
    if server.keyfile is not None and server.certfile is None:
        raise ValueError(f"keyfile={server.keyfile!r} needs a certfile")
    addresses_of(server.bind, server.host, server.port)
    proxies_of(server)


def _check_content(server: "WebServer") -> None:
    if server.trailing_slash not in ("strict", "redirect"):
        raise ValueError(f"trailing_slash is 'strict' or 'redirect', not {server.trailing_slash!r}")
    json_encoder(server.json)
    if server.root is not None and server.loader is not None:
        raise ValueError(f"root={server.root!r} and a loader: give one of the two")
    if server.files is not None:
        check_prefix(server.files)
        if server.root is None and server.loader is None:
            raise ValueError(f"files={server.files!r} needs a root, or a loader: what to serve")
    if server.fallback is not None:
        if server.loader is not None:
            raise ValueError(f"fallback={server.fallback!r} and a loader: tell the loader")
        if not server.fallback.startswith("/"):
            raise ValueError(f"fallback is a path such as '/index.html', not {server.fallback!r}")
    if server.threads < 0:
        raise ValueError(f"threads is {server.threads!r}: it must be 0 or more")
    if server.root_path and not re.fullmatch(r"(/[^/]+)+", server.root_path):
        raise ValueError(f"root_path is a path such as '/shop', not {server.root_path!r:.80}")
    if server.wsgi is not None and not callable(server.wsgi):
        raise ValueError(f"wsgi is no application: {server.wsgi!r:.80} cannot be called")


def _check_pages(server: "WebServer") -> None:
    for name, path in (("metrics", server.metrics), ("health", server.health)):
        if path is not None and not path.startswith("/"):
            raise ValueError(f"{name} is a path such as '/{name}', not {path!r:.80}")
    check_format(server.access_format)
