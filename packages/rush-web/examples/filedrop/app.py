"""A file drop: files of any size go up, with their progress in the page, and come down again.

rush run app:server        (in this folder; files are kept in the folder ``drop`` below it)

A file is written to the disk piece by piece as it comes; it is there for others when it is
complete.  Ten clients that send a gigabyte each take as much memory as ten that send a line.
"""

import os
import re
import unicodedata
from pathlib import Path
from urllib.parse import quote

from rush_http import BadRequest, HttpError
from rush_loader import Loader, Mounts
from rush_web import Request, WebServer

MOST_BYTES = 2 << 30
MOST_NAME_BYTES = 200
DROP = Path(os.environ.get("FILEDROP_FOLDER", "drop")).absolute()
DROP.mkdir(exist_ok=True)

server = WebServer(
    loader=Mounts({"/page/": Loader(Path(__file__).parent / "public"), "/drop/": Loader(DROP)})
)


def safe_name(text: str) -> str:
    """Return a name that is a file of the folder and nothing else; 400 for any other."""
    name = unicodedata.normalize("NFC", text.strip())
    if (
        not name
        or name.startswith(".")
        or len(name.encode("utf-8", "replace")) > MOST_NAME_BYTES
        or re.search(r"[/\\]", name)
        or any(unicodedata.category(letter).startswith("C") for letter in name)
    ):
        raise BadRequest(f"no name for a file: {text!r:.80}")
    return name


@server.get("/")
def page(request: Request) -> None:
    request.response_file("/page/index.html")


@server.get("/static/<name>")
def static(request: Request) -> None:
    request.response_file("/page/" + request.params["name"])


@server.get("/files")
def files(request: Request) -> None:
    found: list[dict[str, str | float]] = []
    with os.scandir(DROP) as entries:
        for entry in entries:
            if entry.is_file(follow_symlinks=False) and not entry.name.startswith("."):
                stat = entry.stat()
                found.append({"name": entry.name, "size": stat.st_size, "at": stat.st_mtime})
    found.sort(key=lambda file: float(file["at"]), reverse=True)
    request.response_json(
        {"files": found, "limit": MOST_BYTES}, headers={"Cache-Control": "no-store"}
    )


@server.put("/files/<name>", stream=True, body_limit=MOST_BYTES)
def upload(request: Request) -> None:
    """Called when the head is there: what is refused here was not sent in vain."""
    name = safe_name(request.params["name"])
    if (DROP / name).exists():
        raise HttpError(f"{name!r:.80} is there already", status=409)
    request.receive_file(DROP / name, then=uploaded)


def uploaded(request: Request, size: int) -> None:
    request.response_json({"name": safe_name(request.params["name"]), "size": size}, 201)


@server.get("/files/<name>")
def download(request: Request) -> None:
    """Never shown in the page's own origin: a file may be a page with a script of its own."""
    name = safe_name(request.params["name"])
    headers = {
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(name, safe='')}",
        "Content-Type": "application/octet-stream",
        "Content-Security-Policy": "sandbox",
        "X-Content-Type-Options": "nosniff",
    }
    request.response_file("/drop/" + name, headers=headers)


@server.delete("/files/<name>")
def delete(request: Request) -> None:
    (DROP / safe_name(request.params["name"])).unlink()  # 404 if it is not there
    request.response(b"", 204)


if __name__ == "__main__":
    server.run()
