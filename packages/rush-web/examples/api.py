"""A JSON API: notes in memory, which one worker keeps.

$ rush run api:server
Rush serves 4 routes at http://127.0.0.1:9090/ with 1 worker.
Ctrl-C stops it.

$ curl -d '{"text": "milk"}' http://127.0.0.1:9090/notes
{"id":1,"text":"milk"}
$ curl "http://127.0.0.1:9090/notes?contains=il"
[{"id":1,"text":"milk"}]
$ curl -X DELETE http://127.0.0.1:9090/notes/1
$ curl http://127.0.0.1:9090/notes/1
{"error":"there is no /notes/1"}
"""

import json
from itertools import count

from rush_http import BadRequest, NotFound
from rush_web import Request, WebServer

# One worker: another one would have notes of its own.  With a database, take as many as there
# are CPUs.
server = WebServer(workers=1)

notes: dict[str, str] = {}
numbers = count(1)


def shown(number: str) -> dict[str, object]:
    return {"id": int(number), "text": notes[number]}


def existing(request: Request) -> str:
    number: str = request.params["id"]
    if number not in notes:
        raise NotFound(f"there is no note {number!r:.20}")
    return number


@server.get("/notes")
def all_of_them(request: Request) -> None:
    wanted = request.parse_args().get("contains", "")
    request.response_json([shown(number) for number, text in notes.items() if wanted in text])


@server.post("/notes")
def add(request: Request) -> None:
    try:
        text = json.loads(request.body)["text"]
    except (ValueError, TypeError, KeyError) as error:
        raise BadRequest('a note is JSON such as {"text": "milk"}') from error
    if not isinstance(text, str):
        raise BadRequest("the text of a note is a string")
    number = str(next(numbers))
    notes[number] = text
    request.response_json(shown(number), 201, {"Location": f"/notes/{number}"})


@server.get("/notes/<id>")
def one(request: Request) -> None:
    request.response_json(shown(existing(request)))


@server.delete("/notes/<id>")
def delete(request: Request) -> None:
    del notes[existing(request)]
    request.response(code=204)


# The answers below have the status of the error: 404, 500.


@server.error_handler("not-found")
def not_found(request: Request) -> None:
    # Not `request.error`: its message is for the log.
    request.response_json({"error": f"there is no {request.path}"})


@server.error_handler("internal-error")
def failed(request: Request) -> None:
    request.response_json({"error": "that went wrong; the log says how"})


if __name__ == "__main__":
    server.run()
