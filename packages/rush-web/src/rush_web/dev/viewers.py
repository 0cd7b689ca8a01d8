"""Viewers: who may see what development shows: whoever is on this machine, and who was asked in."""

import os
import socket
from collections.abc import Sequence
from functools import cache
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING, Final

from rush_http import Headers, HttpServer

if TYPE_CHECKING:
    from ..request import Request

VARIABLE: Final = "RUSH_EXPLAIN_TO"
"""Networks of those who may see it as well: ``192.168.1.0/24,10.0.0.7``."""

Network = IPv4Network | IPv6Network

_OF_PROXIES = ("x-forwarded-for", "forwarded", "x-real-ip", "via")


class Viewers:
    """Says of a request whether its client may see explanations.

    Raises `ValueError` if the variable `VARIABLE` names what is no network.
    """

    def __init__(self, http_server: HttpServer) -> None:
        self._http_server = http_server
        self._networks = networks_of(os.environ.get(VARIABLE, ""))

    @property
    def scheme(self) -> str:
        """How they ask: ``http`` or ``https``."""
        return "https" if self._http_server.is_tls else "http"

    def may_see(self, request: "Request") -> bool:
        """Whether the client of this request may."""
        peer = self._http_server.peer(request.conn)
        if peer is None and request.conn.family != socket.AF_UNIX:
            return False  # gone
        return may_see(None if peer is None else peer.host, request.headers, self._networks)


def networks_of(text: str) -> list[Network]:
    """Networks and addresses, with commas between them.  Raises `ValueError` for anything else."""
    try:
        return [ip_network(one.strip()) for one in text.split(",") if one.strip()]
    except ValueError as error:
        raise ValueError(f"{VARIABLE}: {error}") from error


def may_see(peer: str | None, headers: Headers, networks: Sequence[Network] = ()) -> bool:
    """Whether a client is on this machine or in one of the networks, and asks for us by our name.

    `peer` is its address, ``None`` over a UNIX socket.  A proxy would make anybody local, and a
    foreign page could have its own name lead here: both are refused.
    """
    if any(name in headers for name in _OF_PROXIES):
        return False
    host = (headers.get("host") or "").lower()
    name = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
    if peer is None or _is_loopback(peer):
        is_ours = name == "localhost" or name.endswith(".localhost") or _is_loopback(name)
        return is_ours or (bool(networks) and _is_of_this_machine(name))
    return any(_is_within(peer, one) for one in networks) and _is_of_this_machine(name)


def _is_loopback(address: str) -> bool:
    try:
        return ip_address(address.partition("%")[0]).is_loopback
    except ValueError:
        return False


def _is_within(address: str, network: Network) -> bool:
    try:
        return ip_address(address.partition("%")[0]) in network
    except ValueError:
        return False


def _is_of_this_machine(name: str) -> bool:
    """Whether no foreign name is asked for: an address, or what this machine is called."""
    try:
        ip_address(name)
    except ValueError:
        return name in _own_names()
    return True


@cache
def _own_names() -> frozenset[str]:
    name = socket.gethostname().lower()
    return frozenset({name, f"{name}.local"} if name else ())
