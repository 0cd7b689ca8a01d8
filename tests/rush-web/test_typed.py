"""A small application with types, and its tests, as a user would write them.

It runs as it is; ``nox -s types`` checks it with ``mypy --strict`` and with pyright.
"""

# pyright: strict

from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest

from rush_http import BadRequest, NotFound
from rush_loader import Loader
from rush_web import (
    Answering,
    Args,
    Detached,
    Form,
    FormLimits,
    Request,
    Snapshot,
    Upload,
    WebServer,
)
from rush_web.testing import TestClient, TestResponse

server = WebServer(workers=1, trailing_slash="redirect")
api = server.group("/api")
notes: dict[int, str] = {}


def even(text: str) -> int:
    number = int(text)
    if number % 2:
        raise ValueError(text)
    return number


server.add_converter("even", even)
server.add_redirect("/old", "/api/notes", permanent=False)
server.add_redirects({"/older": "/old"})


@server.on_startup
def begin(loader: Loader) -> None:
    notes[2] = "milk"


@server.on_shutdown
def end() -> None:
    notes.clear()


def wants_text(request: Request) -> bool:
    return request.headers.get("accept", "").startswith("text/")


@api.get("/notes", filter=wants_text)
def as_text(request: Request) -> None:
    request.response("\n".join(notes.values()), headers={"X-Count": str(len(notes))})


@api.get("/notes")
def show(request: Request) -> None:
    args: Args = request.parse_args(max_count=10)
    wanted: str = args.get("contains", "")
    numbers: list[int] = [int(number) for number in args.getlist("id")]
    found = {
        str(number): text
        for number, text in notes.items()
        if wanted in text and (not numbers or number in numbers)
    }
    last: str | None = request.cookies.get("last")
    request.response_json({"found": found, "last": last})


@api.route("/notes/<even:id>", methods={"GET", "PUT"})
def one(request: Request) -> None:
    number: int = request.params["id"]
    if request.method == "PUT":
        notes[number] = request.body.decode()
        request.set_cookie("last", str(number), max_age=60, samesite="Strict")
        request.response(code=204)
    elif number in notes:
        request.response(notes[number])
    else:
        raise NotFound(f"no note {number}")


@api.post("/form")
def form(request: Request) -> None:
    sent: Form = request.parse_form(FormLimits(parts=10))
    files: dict[str, Upload] = sent.files
    if "text" not in sent:
        raise BadRequest("no text")
    sizes: dict[str, int] = {name: upload.size for name, upload in files.items()}
    request.response_json({"text": sent["text"], "sizes": sizes}, 201)


@api.delete("/keys/<uuid:key>")
def forget(request: Request) -> None:
    key: UUID = request.params["key"]
    request.delete_cookie("last")
    request.response(key.hex)


@api.get("/count")
@api.blocking
def count(request: Answering) -> None:
    request.response(str(len(notes)))


waiting: list[Detached] = []
seen: list[Snapshot] = []


@api.get("/next")
def wait_for_next(request: Request) -> None:
    detached: Detached = request.detach()
    request.context["begun"] = True
    waiting.append(detached)


@api.post("/next")
def add_next(request: Request) -> None:
    seen.append(request.snapshot())
    for detached in waiting:
        detached.response_json({"next": request.body.decode()})
    waiting.clear()
    request.response(code=204)


@server.error_handler("not-found")
def not_found(request: Request) -> None:
    error: Exception | None = request.error
    request.response_json({"error": str(error), "status": request.code})


@pytest.fixture
def client() -> Iterator[TestClient]:
    with server.test_client(timeout=5.0) as client:
        yield client


def test_notes(client: TestClient) -> None:
    response: TestResponse = client.get("/api/notes", args={"id": [2, 4]})
    assert response.json() == {"found": {"2": "milk"}, "last": None}
    assert client.put("/api/notes/4", body="bread").status == 204
    assert client.cookies["last"] == "4"
    assert client.get("/older", follow_redirects=True).json()["last"] == "4"
    assert client.get("/api/notes", headers={"Accept": "text/plain"}).text == "milk\nbread"
    key = UUID(int=7)
    assert client.delete(f"/api/keys/{key}").body == key.hex.encode()
    assert client.get("/api/notes/3").json()["status"] == 404


def test_forms(client: TestClient, tmp_path: Path) -> None:
    response = client.post("/api/form", form={"text": "a", "more": [1, 2]})
    assert response.json() == {"text": "a", "sizes": {}}
    pytest.importorskip("multipart")
    (tmp_path / "b.txt").write_text("abc")
    response = client.post(
        "/api/form", form={"text": "a"}, files={"a": ("a.txt", b"ab"), "b": tmp_path / "b.txt"}
    )
    assert (response.status, response.json()["sizes"]) == (201, {"a": 2, "b": 3})


def test_bytes(client: TestClient) -> None:
    client.send(b"GET /api/no")
    client.send(b"tes/2 HTTP/1.1\r\nHost: a\r\n\r\n")
    assert client.receive().raw.endswith(b"\r\n\r\nmilk")
    with client.get("/api/notes/2", stream=True) as response:
        assert b"".join(response.pieces()) == b"milk"


def test_later(client: TestClient) -> None:
    assert client.get("/api/count").text == "1"
    other: TestClient = client.another()
    other.send(b"GET /api/next HTTP/1.1\r\nHost: a\r\n\r\n")
    assert client.post("/api/next", body="jam").status == 204
    assert other.receive().json() == {"next": "jam"}
    body: bytes = seen.pop().body
    assert body == b"jam"


def test_what_would_answer() -> None:
    assert server.check() == []
    assert server.explain("GET", "/api/notes/4").params == {"id": 4}
