"""TrustedProxies: whose word counts on who a client is; all others are clients."""

from collections.abc import Callable, Iterable, Iterator
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final, Literal

from .forwarded import Forwarded, Hop, hops, host_of, scheme_of, walk, with_port, x_hops
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
        self._told: dict[str, Hop] = {}  # by the value of a header
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
        self._for = ""
        if "forwarded" in names:
            self._hops, self._for = hops, "forwarded"
        elif "x-forwarded-for" in names:
            self._for = "x-forwarded-for"
        self._proto = "x-forwarded-proto" in names
        self._host = "x-forwarded-host" in names
        self._port = "x-forwarded-port" in names

    def trusts(self, host: str) -> bool:
        """Whether this address, or ``"unix"``, is one of a trusted proxy."""
        known = self._trusts.get(host)
        if known is None:
            known = self._unix if host == UNIX else self._is_within(host)
            _keep(self._trusts, host, known)
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

        What its headers do not say, or cannot say, is as `sender` has it.
        """
        values = headers.values_by_name
        client, scheme, host = sender
        value = values.get(self._for)
        if value is not None:
            told = self._told.get(value)
            if told is None:
                told = walk(self._hops(value), self.trusts)
                _keep(self._told, value, told)
            client = told.client or client
            scheme = told.scheme or scheme
            host = told.host or host
        if self._proto:
            scheme = scheme_of(_last(values, "x-forwarded-proto")) or scheme
        if self._host:
            host = host_of(_last(values, "x-forwarded-host")) or host
        if self._port:
            port = _last(values, "x-forwarded-port")
            if port is not None:
                host = with_port(host or values.get("host"), port, scheme)
        return Forwarded(client, scheme, host)


def _last(values: dict[str, str], name: str) -> str | None:
    """What the nearest proxy has written: of several elements the last one."""
    value = values.get(name)
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


def _keep(table: "dict[str, bool] | dict[str, Hop]", key: str, value: object) -> None:
    if len(key) <= _KEPT_CHARS:
        if len(table) >= _MOST_KEPT:
            table.clear()
        table[key] = value  # type: ignore[assignment]
