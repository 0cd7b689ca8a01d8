"""Values of header lines, taken from a pattern of their names: as those that are taken apart."""

import json

import pytest

from rawclient import RawClient
from rush_http import HttpServer
from rush_http.wsgi import WsgiApp

# Of three heads two have this shape; what another one writes otherwise.
LINES = [
    "X-A: {n}",
    "X-A:{n}",
    "X-A:  {n}",
    "X-A:\t{n}",
    "X-A: {n} ",
    "X-A: {n}\t",
    "X-A: ",
    "X-A:",
    "X-A: a\t{n}  b",
    "X-A: \xa0{n}\x85",
    "X-A: \x85",
    "User-Agent: {n}",
]


def told(environ, start_response):
    texts = {key: value for key, value in environ.items() if key.startswith("HTTP_")}
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(texts).encode()]


@pytest.mark.parametrize("line", LINES)
@pytest.mark.parametrize("usual", ["X-A: {n}", "User-Agent: {n}", "X-A: {n} "])
def test_values_are_the_same_however_they_are_taken(line, usual):
    heads = [usual] * 6 + [line] * 4 + [usual] * 4
    with HttpServer(("127.0.0.1", 0)) as server, WsgiApp(told, server):
        server.run(threaded=True)
        with RawClient(server.address) as client:
            for number, text in enumerate(heads):
                value = text.format(n=number)
                head = f"GET /{number} HTTP/1.1\r\nHost: a\r\nAccept: x\r\n{value}\r\n\r\n"
                client.send(head.encode("latin-1"))
                found = json.loads(client.response().body)
                name, _, wanted = value.partition(":")
                key = "HTTP_" + name.upper().replace("-", "_")
                assert found == {
                    "HTTP_HOST": "a",
                    "HTTP_ACCEPT": "x",
                    key: wanted.strip(" \t"),
                }
