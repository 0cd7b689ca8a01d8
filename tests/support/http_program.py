"""A `rush_http` server as a program: ``python http_program.py SEND_BUFFER LIMITS``.

`SEND_BUFFER` is what the kernel may keep of the answers of a connection, in bytes (0: what it
likes, which may be megabytes); `LIMITS` are fields of `Limits` as JSON.

It prints its address.  What it answers is in the path: ``/size/N`` that many bytes,
``/connections`` how many there are, anything else what it was asked.
"""

import json
import socket
import sys

from rush_http import HttpServer, Limits


def main():
    send_buffer, limits = int(sys.argv[1]), Limits(**json.loads(sys.argv[2]))

    def answer(body, conn, protocol, method, path, query, headers):
        if path.startswith("/size/"):
            server.respond(conn, bytes(int(path[6:])))
        elif path == "/connections":
            server.respond(conn, b"%d" % len(server.epoll.connections))
        else:
            server.respond(conn, f"{method} {path}?{query} ".encode() + body)

    sock = socket.create_server(("127.0.0.1", 0), backlog=1024)
    if send_buffer:  # connections inherit it
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer)
    server = HttpServer(sock, on_message_complete=answer, limits=limits)
    print("{}:{}".format(*server.address), flush=True)
    server.run()


if __name__ == "__main__":
    main()
