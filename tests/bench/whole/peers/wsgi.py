"""What every contender answers, as a bare WSGI application; BENCH_FOLDER has the files."""

import json
import os
from email.utils import formatdate
from urllib.parse import parse_qs

FILES = {
    f"/static/{name}": os.path.join(os.environ["BENCH_FOLDER"], name)
    for name in ("page.html", "large.bin")
}
TEXT = "text/plain; charset=utf-8"


def application(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/":
        return answer(start_response, b"Hello, World!")
    if path == "/hello":
        name = parse_qs(environ["QUERY_STRING"]).get("name", ["world"])[0]
        return answer(start_response, f"Hello, {name}".encode())
    if path.startswith("/user/"):
        return answer(start_response, path[6:].encode())
    if path == "/json":
        body = json.dumps({"message": "Hello, World!"}).encode()
        return answer(start_response, body, "application/json")
    if path == "/easter":
        start_response("301 Moved Permanently", [("Location", "/"), ("Content-Length", "0")])
        return [b""]
    if path in FILES:
        return file(environ, start_response, FILES[path])
    if path == "/echo":
        body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
        return answer(start_response, body, "application/octet-stream")
    return answer(start_response, b"Not Found", status="404 Not Found")


def answer(start_response, body, content_type=TEXT, status="200 OK"):
    start_response(status, [("Content-Type", content_type), ("Content-Length", str(len(body)))])
    return [body]


def file(environ, start_response, path):
    """A file and its validator, as an application does that has no server for them before it."""
    opened = open(path, "rb")  # noqa: SIM115 (the server closes it)
    stat = os.fstat(opened.fileno())
    modified = formatdate(stat.st_mtime, usegmt=True)
    if environ.get("HTTP_IF_MODIFIED_SINCE") == modified:
        opened.close()
        start_response("304 Not Modified", [("Last-Modified", modified)])
        return [b""]
    head = [("Content-Length", str(stat.st_size)), ("Last-Modified", modified)]
    start_response("200 OK", [("Content-Type", "text/html"), *head])
    if "wsgi.file_wrapper" in environ:
        return environ["wsgi.file_wrapper"](opened, 65536)
    with opened:
        return [opened.read()]
