"""TLS of a `WebServer`: a certificate and its key, read in the parent before it forks."""

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ssl


def make_context(
    certfile: str | os.PathLike[str], keyfile: str | os.PathLike[str] | None
) -> "ssl.SSLContext":
    """A context for servers: TLS 1.2 or later, HTTP/1.1.

    Raises `OSError`, which names the files, if they cannot be read or do not match.
    """
    import ssl  # only now: it takes 5 MB of memory

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(certfile, keyfile)
    except OSError as error:  # of which SSLError is one
        files = ", ".join(repr(os.fspath(file)) for file in (certfile, keyfile) if file is not None)
        why = f"no certificate with its key in {files}: {error.strerror}"
        raise OSError(error.errno, why) from error
    context.set_alpn_protocols(["http/1.1"])
    return context
