"""The proxies of a `WebServer`: from its options to whose word counts."""

from typing import TYPE_CHECKING

from rush_http import TrustedProxies

if TYPE_CHECKING:
    from .server import WebServer


def proxies_of(server: "WebServer", *, may_speak: bool = True) -> TrustedProxies | None:
    """Whose word counts on who a client is; ``None``: nobody's.

    Without `may_speak`, connections never begin with the PROXY protocol.
    Raises `ValueError` for options that make no sense.
    """
    if not server.trusted_proxies:
        if server.proxy_protocol != "off":
            words = "it needs trusted_proxies: who may speak it"
            raise ValueError(f"proxy_protocol is {server.proxy_protocol!r:.80}: {words}")
        return None
    if isinstance(server.trusted_proxies, str) or isinstance(server.proxy_headers, str):
        raise ValueError("trusted_proxies and proxy_headers are lists, not one text")
    return TrustedProxies(
        *server.trusted_proxies,
        headers=server.proxy_headers,
        proxy_protocol=server.proxy_protocol if may_speak else "off",
    )


def parse_names(text: str) -> tuple[str, ...]:
    """Names with commas between them; ``none`` is none."""
    return () if text == "none" else tuple(name.strip() for name in text.split(","))


def shown_names(names: "tuple[str, ...]") -> str:
    """The opposite of `parse_names`."""
    return ",".join(names) or "none"
