"""TrustedProxies: whose word counts on who a client is; all others are clients."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final, Literal

from .forwarded import NO_HOP, Forwarded, Hop, hops, host_of, scheme_of, walk, with_port, x_hops
from .headers import Headers

UNIX: Final = "unix"
"""The name of who connects to a UNIX socket, which has no address."""

FORWARDED_HEADERS: Final = (
    *("forwarded", "x-forwarded-for", "x-forwarded-proto"),
    *("x-forwarded-host", "x-forwarded-port"),
)
"""The headers that `TrustedProxies` can read."""

_KEPT_CHARS: Final = 256
_MOST_KEPT: Final = 1024


class TrustedProxies:
    """The proxies in front of a server, and what they write.

    `trusted` are addresses (``"10.0.0.5"``), networks (``"10.0.0.0/8"``, ``"fd00::/8"``), and
    ``"unix"`` for who connects to a UNIX socket.

    `headers` are those that the nearest proxy sets **in every request**, out of
    `FORWARDED_HEADERS`; what it does not set, it passes on as a client has sent it.  They are read
    only in what a trusted proxy sends: from the last element to the first whose client is not
    trusted.  ``Forwarded`` and the others exclude each other.

    With `proxy_protocol` connections begin with a header of the PROXY protocol, version 1 or 2:
    ``"required"``: all of them, and who is not trusted is refused; ``"trusted"``: those from a
    trusted address, while others are clients of their own.  A trusted one without it is refused.

    Frozen, and without I/O.  Raises `ValueError` for what is no address, network or header.
    """

    def __init__(
        self,
        *trusted: str,
        headers: Iterable[str] = ("x-forwarded-for",),
        proxy_protocol: Literal["off", "required", "trusted"] = "off",
    ) -> None:
        if not trusted:
            raise ValueError(f"no proxy is trusted: name addresses, networks, or {UNIX!r}")
        self._unix = UNIX in trusted
        self._networks = tuple([_network(text) for text in trusted if text != UNIX])
        self._trusts: dict[str, bool] = {}  # by address
        self._told: dict[tuple[str | None, ...], Forwarded] = {}  # see `forwarded`
        self.headers = tuple([name.lower() for name in headers])
        """The headers that are read, in lower case."""
        self._set_headers(self.headers)
        if proxy_protocol not in ("off", "required", "trusted"):
            raise ValueError(
                f"proxy_protocol is 'off', 'required' or 'trusted', not {proxy_protocol!r:.80}"
            )
        self.proxy_protocol = proxy_protocol
        """Who begins with a header of the PROXY protocol."""

    def _set_headers(self, names: tuple[str, ...]) -> None:
        for name in names:
            if name not in FORWARDED_HEADERS:
                raise ValueError(f"no header of proxies: {name!r:.80}; {_listed()}")
        if "forwarded" in names and len(names) > 1:
            raise ValueError(f"{names}: Forwarded says all; name the headers that your proxy sets")
        self._hops: Callable[[str], Iterator[Hop | None]] = x_hops
        if "forwarded" in names:
            self._hops = hops
        # With a port, Host may be what it belongs to.
        self._names = (*names, "host") if "x-forwarded-port" in names else names
        self._count = len(names)
        self._silent = (None,) * len(names)

    def trusts(self, host: str) -> bool:
        """Whether this address, or ``"unix"``, is one of a trusted proxy."""
        known = self._trusts.get(host)
        if known is None:
            known = self._unix if host == UNIX else self._is_within(host)
            if len(host) <= _KEPT_CHARS:
                if len(self._trusts) >= _MOST_KEPT:
                    self._trusts.clear()
                self._trusts[host] = known
        return known

    def _is_within(self, host: str) -> bool:
        try:
            address = ip_address(host)
        except ValueError:
            return False
        if isinstance(address, IPv6Address):
            address = address.ipv4_mapped or address
        return any(address in network for network in self._networks)

    def forwarded(self, headers: Headers, sender: Forwarded) -> Forwarded:
        """For whom a request was forwarded, which a trusted `sender` has sent.

        What its headers do not say, or cannot say, is as `sender` has it; that itself, if they say
        nothing.
        """
        said = headers.picked(self._names)
        if said[: self._count] == self._silent:
            return sender
        # Clients come again, each over one of two schemes.
        key = sender.scheme, *said
        told = self._told.get(key)
        if told is None:
            told = self._read(dict(zip(self._names, said, strict=True)), sender.scheme)
            if sum([len(value) for value in said if value]) <= _KEPT_CHARS:
                if len(self._told) >= _MOST_KEPT:
                    self._told.clear()
                self._told[key] = told
        if told.client is None or sender.host is not None:
            client, host = told.client or sender.client, told.host or sender.host
            return Forwarded(client, told.scheme, host)
        return told

    def _read(self, said: Mapping[str, str | None], scheme: str) -> Forwarded:
        """What these headers say; the client, or the host, is ``None`` if they do not say it."""
        path = said.get("forwarded") or said.get("x-forwarded-for")
        told = NO_HOP if path is None else walk(self._hops(path), self.trusts)
        scheme = told.scheme or scheme_of(_last(said, "x-forwarded-proto")) or scheme
        host = told.host or host_of(_last(said, "x-forwarded-host"))
        port = _last(said, "x-forwarded-port")
        if port is not None:
            host = with_port(host or said["host"], port, scheme)
        return Forwarded(told.client, scheme, host)


def _last(said: Mapping[str, str | None], name: str) -> str | None:
    """What the nearest proxy has written: of several elements the last one."""
    value = said.get(name)
    return None if value is None else value.rpartition(",")[2].strip(" \t")


def _network(text: str) -> IPv4Network | IPv6Network:
    try:
        network = ip_network(text)
    except ValueError as error:
        raise ValueError(f"{error}; write 10.0.0.5, 10.0.0.0/8, fd00::/8 or {UNIX}") from None
    if isinstance(network, IPv6Network) and network.network_address.ipv4_mapped is not None:
        raise ValueError(f"{text!r}: write it as an address of IPv4")
    return network


def _listed() -> str:
    return ", ".join(FORWARDED_HEADERS)
