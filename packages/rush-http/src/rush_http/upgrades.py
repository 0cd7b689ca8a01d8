"""Upgrades: a connection that speaks another protocol from now on (RFC 9110, 7.8)."""

from collections.abc import Callable
from typing import NamedTuple

from epollserver import Reason

from .errors import BadRequest
from .grammar import HTTP_1_0
from .head import Head


class Upgraded(NamedTuple):
    """What the new owner of a connection wants to hear."""

    on_data: Callable[[bytes], object]
    on_gone: Callable[[Reason], object] | None
    on_drain: Callable[[], object] | None
    on_stop: Callable[[], object] | None


def check_upgrade(head: Head, protocol: str) -> None:
    """Raise `BadRequest` if the client has not asked for `protocol`.

    It has to name it in ``Upgrade`` and say ``upgrade`` in ``Connection``; HTTP/1.0 cannot.
    """
    if head.protocol == HTTP_1_0:
        raise BadRequest(f"no upgrade to {protocol} in HTTP/1.0 (RFC 9110, 7.8)")
    if "upgrade" not in _tokens(head.headers.get("connection")):
        raise BadRequest("Upgrade without 'upgrade' in Connection (RFC 9110, 7.8)")
    offered = head.headers.get("upgrade")
    if protocol.lower() not in _tokens(offered):
        raise BadRequest(f"upgrade to {protocol} wanted here, the client offers {offered!r:.80}")


def _tokens(value: str | None) -> list[str]:
    return [token.strip(" \t").lower() for token in (value or "").split(",")]
