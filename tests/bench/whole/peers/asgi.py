"""What every contender answers, as a bare ASGI application; BENCH_FOLDER has the files."""

import json
import os
from email.utils import formatdate
from urllib.parse import parse_qs

FILES = {
    f"/static/{name}": os.path.join(os.environ["BENCH_FOLDER"], name)
    for name in ("page.html", "large.bin")
}
TEXT = b"text/plain; charset=utf-8"


async def application(scope, receive, send):
    if scope["type"] != "http":
        return
    path = scope["path"]
    if path == "/":
        await answer(send, b"Hello, World!")
    elif path == "/hello":
        name = parse_qs(scope["query_string"]).get(b"name", [b"world"])[0]
        await answer(send, b"Hello, " + name)
    elif path.startswith("/user/"):
        await answer(send, path[6:].encode())
    elif path == "/json":
        body = json.dumps({"message": "Hello, World!"}).encode()
        await answer(send, body, b"application/json")
    elif path == "/easter":
        await answer(send, b"", status=301, more=[(b"location", b"/")])
    elif path in FILES:
        await file(scope, send, FILES[path])
    elif path == "/echo":
        await answer(send, await whole(receive), b"application/octet-stream")
    else:
        await answer(send, b"Not Found", status=404)


async def whole(receive):
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return body


async def answer(send, body, content_type=TEXT, status=200, more=()):
    headers = [(b"content-type", content_type), (b"content-length", b"%d" % len(body)), *more]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def file(scope, send, path):
    """A file and its validator, read whole: ASGI has no other way that every server knows."""
    with open(path, "rb") as opened:
        modified = formatdate(os.fstat(opened.fileno()).st_mtime, usegmt=True).encode()
        more = [(b"last-modified", modified)]
        if (b"if-modified-since", modified) in scope["headers"]:
            await send({"type": "http.response.start", "status": 304, "headers": more})
            await send({"type": "http.response.body", "body": b""})
        else:
            await answer(send, opened.read(), b"text/html", more=more)
