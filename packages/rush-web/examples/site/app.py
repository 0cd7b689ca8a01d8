"""The example site: pages from handlers, and files that are always fresh.

rush run app:server --workers 2
"""

import html
import os
from pathlib import Path

from rush_loader import Loader
from rush_web import Request, WebServer

HTML = "text/html; charset=utf-8"

server = WebServer(root=Path(__file__).parent / "public", files="/static/")

PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{title}</title>
<link rel="stylesheet" href="/static/style.css">
<main>
<h1>{title}</h1>
<p>{text}</p>
<p><a href="/">Back to the start</a></p>
</main>
"""


def page(title: str, text: str) -> str:
    """Return a page; `title` and `text` are plain text."""
    return PAGE.format(title=html.escape(title), text=html.escape(text))


@server.on_startup
def preload(loader: Loader) -> None:
    """Read every file before the workers are forked: they share the memory."""
    loader.cache_files("/")


@server.get("/")
def index(request: Request) -> None:
    request.response_file("/index.html")


@server.get("/hello")
def hello(request: Request) -> None:
    name = request.parse_args().get("name", "world")
    text = f"Worker {os.getpid()} says so."
    request.response(page(f"Hello, {name}!", text), content_type=HTML)


@server.get("/user/<name>")
def user(request: Request) -> None:
    request.response_json({"name": request.params["name"], "worker": os.getpid()})


@server.get("/error")
def error(request: Request) -> None:
    raise ValueError("this handler always fails")


server.add_redirect("/easter", "/hello?name=bunny", 302)


@server.error_handler("not-found")
def not_found(request: Request) -> None:
    request.response(page("404: nothing here", f"There is no {request.path}"), content_type=HTML)


@server.error_handler("internal-error")
def failed(request: Request) -> None:
    text = "The handler raised an exception; its traceback is in the log."
    request.response(page("500: that went wrong", text), content_type=HTML)


if __name__ == "__main__":
    server.run()
