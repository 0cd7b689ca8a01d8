"""Use each package that is named, in an environment that has only these and those below them."""

import importlib.util
import socket
import sys
import tempfile

ALL = ["epollserver", "rush-http", "rush-loader", "rush-web"]


def ask(address, wire):
    with socket.create_connection(address, 20) as sock:
        sock.sendall(wire)
        answer = b""
        while data := sock.recv(65536):
            answer += data
            if b"hello" in answer:
                break
        return answer


GET = b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"


def epollserver():
    from epollserver import RECEIVE, EpollServer

    with EpollServer(("127.0.0.1", 0)) as server:
        server.add_handler(lambda conn: conn.write(conn.recv(100)), RECEIVE)
        server.start(threaded=True)
        assert ask(server.address, b"hello") == b"hello"


def rush_http():
    from rush_http import HttpServer

    with HttpServer(("127.0.0.1", 0)) as server:
        server.on_message_complete = lambda body, conn, *message: server.respond(conn, b"hello")
        server.run(threaded=True)
        assert ask(server.address, GET).startswith(b"HTTP/1.1 200 OK\r\n")


def rush_loader():
    from rush_loader import Loader

    with tempfile.TemporaryDirectory() as folder, Loader(folder) as loader:
        with open(f"{folder}/a.txt", "w") as file:
            file.write("hello")
        assert loader.load("/a.txt").content == b"hello"


def rush_web():
    from rush_web import WebServer

    server = WebServer()
    server.get("/")(lambda request: "hello")
    with server.test_client() as client:
        assert client.get("/").text == "hello"


if __name__ == "__main__":
    for name in ALL:
        module = name.replace("-", "_")
        if name in sys.argv[1:]:
            globals()[module]()
        elif importlib.util.find_spec(module):
            sys.exit(f"{name} is installed as well")
