"""A certificate for ``localhost``, and who uses it: the `ssl` contexts of servers and clients."""

import contextlib
import socket
import ssl
import subprocess


class TlsPeer(ssl.SSLSocket):
    """A client that half-closes and fails as TCP does; `ssl.SSLSocket` would read no more then."""

    def shutdown(self, how):
        socket.socket.shutdown(self, how)

    def sendall(self, data, flags=0):
        with resets():
            super().sendall(data, flags)

    def recv(self, bufsize, flags=0):
        with resets():
            return super().recv(bufsize, flags)


@contextlib.contextmanager
def resets():
    """Say reset where TLS ends without a close_notify."""
    try:
        yield
    except ssl.SSLEOFError as error:
        raise ConnectionResetError from error


def certificate(folder):
    """Make a certificate for ``localhost``: the paths of its file and of its key."""
    cert, key = folder / "cert.pem", folder / "key.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt"),
            *("ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=localhost"),
            *("-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", cert),
        ],
        check=True,
        capture_output=True,
    )
    return cert, key


def contexts(folder):
    """A context for servers and one for clients; the certificate is made in `folder`."""
    cert, key = certificate(folder)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(cert, key)
    server.num_tickets = 0  # unread, they would make a reset of a client's close
    client = ssl.create_default_context(cafile=cert)
    client.sslsocket_class = TlsPeer
    return server, client
