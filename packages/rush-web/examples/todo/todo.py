"""A to-do list: forms, SQLite, and no script in the browser.

$ rush run todo:server --workers 2
$ xdg-open http://127.0.0.1:9090/

Whoever has the cookie has the list.  Other sites cannot act in its name: their forms do not send
the cookie (SameSite), and a form of theirs is refused for its Origin.
"""

import os
import secrets
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

from pages import SHOWN, error_page, list_page
from store import MOST_TASKS, ListFull, Store

from rush_http import BadRequest, Forbidden, NotFound
from rush_web import Answer, Request, Returned, WebServer

HERE = Path(__file__).parent
YEAR = 365 * 24 * 3600

server = WebServer(root=HERE / "public", files="/static/")


@cache
def store() -> Store:
    """Open the tasks of this worker, at their first use: not before the workers are forked."""
    return Store(Path(os.environ.get("TODO_DATABASE", HERE / "todo.sqlite")))


def page(html: str, code: int = 200) -> Returned:
    return html, code, {"Content-Type": "text/html; charset=utf-8", "Cache-Control": "no-store"}


def shown(request: Request) -> str:
    """Which tasks the page shows: it goes along with every form, and back."""
    name = request.parse_args().get("show", "all")
    return name if name in SHOWN else "all"


def owner(request: Request) -> str:
    """Return the name of the visitor's list; empty if there is none yet."""
    return request.cookies.get("list", "")


def back(request: Request) -> None:
    """Show the list again; 303, so that the browser asks for it anew."""
    name = shown(request)
    request.redirect("/" if name == "all" else f"/?show={name}", 303)


# Around every request


@server.before_request
def only_forms_of_our_own(request: Request) -> None:
    origin = request.headers.get("origin")  # browsers send it with every POST
    if request.method != "POST" or origin is None:
        return
    if urlsplit(origin).netloc != request.headers.get("host"):
        raise Forbidden(f"a form of {origin!r:.80}")


@server.after_request
def harden(request: Request, answer: Answer) -> None:
    answer.set_header(
        "Content-Security-Policy",
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self';"
        " base-uri 'none'; frame-ancestors 'none'",
    )
    answer.set_header("X-Content-Type-Options", "nosniff")
    answer.set_header("Referrer-Policy", "same-origin")


# The list


@server.get("/")
def index(request: Request) -> Returned:
    return page(list_page(store().tasks(owner(request)), shown(request)))


@server.post("/tasks")
def add(request: Request) -> None:
    text = " ".join(request.parse_form().get("text", "").split())
    if not 1 <= len(text) <= 200:
        raise BadRequest("a task has 1 to 200 characters")
    name = owner(request) or secrets.token_urlsafe(18)
    store().add(name, text)
    request.set_cookie("list", name, max_age=YEAR)
    back(request)


@server.post("/tasks/<int:id>/toggle")
def toggle(request: Request) -> None:
    if not store().toggle(owner(request), request.params["id"]):
        raise NotFound("no such task in this list")
    back(request)


@server.post("/tasks/<int:id>/delete")
def delete(request: Request) -> None:
    # No matter if it is gone already: two clicks are as good as one.
    store().delete(owner(request), request.params["id"])
    back(request)


@server.post("/clear")
def clear(request: Request) -> None:
    store().clear(owner(request))
    back(request)


# What goes wrong


@server.error_handler(ListFull)
def full(request: Request) -> Returned:
    text = f"There are {MOST_TASKS} tasks. Do some of them first!"
    return page(error_page("The list is full", text), 409)


@server.error_handler("not-found")
def not_found(request: Request) -> Returned:
    return page(error_page("Not here", f"There is no {request.path}."), 404)


@server.error_handler(400)
def unusable(request: Request) -> Returned:
    return page(error_page("That is no task", "A task has 1 to 200 characters."), 400)


@server.error_handler(403)
def foreign(request: Request) -> Returned:
    return page(error_page("Not from there", "That form is not one of ours."), 403)


@server.error_handler("internal-error")
def failed(request: Request) -> Returned:
    return page(error_page("That went wrong", "It is written in the log."), 500)


if __name__ == "__main__":
    server.run()
