"""Which class the connections of a server are of."""

from typing import TYPE_CHECKING

from .connection import Connection

if TYPE_CHECKING:
    import ssl


def connection_class(ssl_context: "ssl.SSLContext | None") -> type[Connection]:
    """`Connection`, or `TlsConnection` with a context; refuses a context that cannot serve."""
    if ssl_context is None:
        return Connection
    from . import tls  # only now: `ssl` takes 5 MB of memory

    tls.check_context(ssl_context)
    return tls.TlsConnection
