"""An echo server with TLS: everybody gets back what they send, and nobody else can read it.

$ openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=localhost -keyout key.pem -out cert.pem
$ python echo_tls.py cert.pem key.pem 7443
echo at 127.0.0.1:7443

$ openssl s_client -quiet -connect 127.0.0.1:7443 -CAfile cert.pem
hello
hello
"""

import ssl
import sys

from epollserver import CONNECT, RECEIVE, Connection, EpollServer, TlsConnection


def greet(conn: Connection) -> None:
    # After the handshake: what came of it is known. Who fails it is never seen here.
    assert isinstance(conn, TlsConnection)
    print("somebody has connected with", conn.tls_version, flush=True)


def echo(conn: Connection) -> None:
    conn.write(conn.recv(65536))


def main() -> None:
    if len(sys.argv) < 3:
        sys.exit("usage: python echo_tls.py CERTIFICATE KEY [PORT]")
    certificate, key = sys.argv[1:3]
    port = int(sys.argv[3]) if len(sys.argv) > 3 else 7443
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server = EpollServer(("127.0.0.1", port), ssl_context=context)
    server.add_handler(greet, CONNECT)
    server.add_handler(echo, RECEIVE)
    print("echo at {}:{}".format(*server.address), flush=True)
    server.start()


if __name__ == "__main__":
    main()
