"""A JSON API: notes in memory, which one worker keeps.

$ rush run api:server
Rush serves 6 routes at http://127.0.0.1:9090/ with 1 worker.
Ctrl-C stops it.

$ curl -d '{"text": "milk", "tags": ["shop"]}' http://127.0.0.1:9090/notes
{"id":1,"text":"milk","tags":["shop"]}
$ curl "http://127.0.0.1:9090/notes?contains=il&limit=10"
[{"id":1,"text":"milk","tags":["shop"]}]
$ curl -X PATCH -d '{"text": "oat milk"}' http://127.0.0.1:9090/notes/1
{"id":1,"text":"oat milk","tags":["shop"]}
$ curl -X DELETE http://127.0.0.1:9090/notes/1
$ curl http://127.0.0.1:9090/notes/1
{"error":"there is no note 1"}
$ curl -d '{"text": 7}' http://127.0.0.1:9090/notes
{"error":"'text' is text of 1 to 1000 characters"}
"""

from dataclasses import asdict, dataclass, field
from itertools import count

from rush_http import BadRequest, HttpError
from rush_web import Answer, MethodNotAllowed, Request, Returned, WebServer

# One worker: another one would have notes of its own.  With a database, take as many as there
# are CPUs.
server = WebServer(workers=1)
api = server.group("/notes")


@dataclass
class Note:
    """One note; it checks itself, and says what is wrong."""

    id: int
    text: str
    tags: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        if not isinstance(self.text, str) or not 1 <= len(self.text) <= 1000:
            raise Unusable("'text' is text of 1 to 1000 characters")
        if not isinstance(self.tags, list) or not all(isinstance(tag, str) for tag in self.tags):
            raise Unusable("'tags' is a list of text")


class Unusable(ValueError):
    """What a client sent cannot be used; the message is for the client."""


class NoSuchNote(LookupError):
    """There is no note of that number."""


notes: dict[int, Note] = {}
numbers = count(1)


def existing(request: Request) -> Note:
    number: int = request.params["id"]
    try:
        return notes[number]
    except KeyError:
        raise NoSuchNote(number) from None


def sent(request: Request, *names: str) -> dict[str, object]:
    """Return the object in the body; it may have these names only."""
    try:
        value = request.json(any_type=True)  # curl names another type
    except BadRequest as error:
        raise Unusable(str(error)) from error
    if not isinstance(value, dict):
        raise Unusable("the body is a JSON object")
    if strange := value.keys() - set(names):
        raise Unusable(f"no {min(strange)!r} here: there are {', '.join(names)}")
    return value


# What a handler returns is its answer: here dicts and lists, so JSON.


@server.get("/")
def index(request: Request) -> Returned:
    return {"notes": "/notes", "count": len(notes)}


@api.get("")
def some(request: Request) -> Returned:
    args = request.parse_args()
    wanted, limit = args.get("contains", ""), args.get("limit", "100")
    if not limit.isdecimal() or len(limit) > 4:
        raise Unusable("'limit' is a number")
    found = [asdict(note) for note in notes.values() if wanted in note.text]
    return found[: int(limit)]


@api.post("")
def add(request: Request) -> Returned:
    values = {"text": None, **sent(request, "text", "tags")}
    note = Note(next(numbers), **values)  # type: ignore[arg-type]  # it checks them
    notes[note.id] = note
    return asdict(note), 201, {"Location": f"/notes/{note.id}"}


@api.get("/<int:id>")
def one(request: Request) -> Returned:
    return asdict(existing(request))


@api.patch("/<int:id>")
def change(request: Request) -> Returned:
    note = Note(**{**asdict(existing(request)), **sent(request, "text", "tags")})
    notes[note.id] = note
    return asdict(note)


@api.delete("/<int:id>")
def delete(request: Request) -> Returned:
    del notes[existing(request).id]
    return "", 204


# Errors are JSON too.  What has no status of its own has that of the error: 404, 405, 500.


@server.error_handler(Unusable)
def unusable(request: Request) -> Returned:
    return {"error": str(request.error)}, 400


@server.error_handler(NoSuchNote)
def no_such_note(request: Request) -> Returned:
    return {"error": f"there is no note {request.params['id']}"}, 404


@server.error_handler(MethodNotAllowed)
def not_allowed(request: Request) -> Returned:
    return {"error": f"{request.path} is not for {request.method}"}  # Allow goes along


@server.error_handler(HttpError)
def refused(request: Request) -> Returned:
    # Not `request.error`: its message is for the log.
    return {"error": f"there is no {request.path}" if request.code == 404 else "refused"}


@server.error_handler("internal-error")
def failed(request: Request) -> Returned:
    return {"error": "that went wrong; the log says how"}


@server.after_request
def let_any_page_read(request: Request, answer: Answer) -> None:
    answer.set_header("Access-Control-Allow-Origin", "*")


if __name__ == "__main__":
    server.run()
