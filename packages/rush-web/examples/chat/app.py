"""A chat: what one writes, everybody who has the page open sees at once.

rush run app:server        (in this folder; then open http://127.0.0.1:9090/ in two windows)

The page listens to server-sent events.  Who was away for a moment is told what was said meanwhile:
a browser comes again by itself, with the id of the last message it has had.  Where no stream comes
through (some proxies keep one until it ends), the page asks ``/next`` again and again: each
question is answered when there is news, and asked anew after 25 seconds without.

$ curl "http://127.0.0.1:9090/next?after=0"
[{"id":1763917200000000,"name":"Ann","text":"Hello"}]

The room is in the memory of the one worker.  Workers share nothing: for more of them, let each
hear of every message through something that they share, such as Redis or PostgreSQL's LISTEN.
"""

import time
from collections import deque
from pathlib import Path
from typing import NamedTuple

from rush_http import BadRequest
from rush_web import Detached, EventStream, Request, WebServer

MOST_NAME, MOST_TEXT = 30, 1000
KEPT_MESSAGES = 200

server = WebServer(workers=1, root=Path(__file__).parent / "public", files="/static/")


class Message(NamedTuple):
    """What somebody has said; `id` is when, in microseconds: it grows, over restarts too."""

    id: int
    name: str
    text: str


class Room:
    """Who listens, and what was said last."""

    def __init__(self) -> None:
        self._listeners: set[EventStream] = set()
        self._waiting: set[Detached] = set()
        self._messages: deque[Message] = deque(maxlen=KEPT_MESSAGES)

    def enter(self, listener: EventStream) -> None:
        """Tell somebody what was missed, and from now on what is said."""
        for message in self.since(listener.last_event_id):
            _send(listener, message)
        self._listeners.add(listener)
        listener.on_gone(lambda: self._leave(listener))
        self._tell_how_many()

    def since(self, last: str) -> list[Message]:
        """What was said after the message with the id `last`."""
        number = int(last) if last.isdecimal() and len(last) < 20 else 0
        return [message for message in self._messages if message.id > number]

    def wait(self, asked: Detached) -> None:
        """Answer somebody with what is said next."""
        self._waiting.add(asked)
        asked.on_gone(lambda: self._waiting.discard(asked))

    def say(self, name: str, text: str) -> None:
        """Tell it to everybody."""
        last = self._messages[-1].id if self._messages else 0
        message = Message(max(time.time_ns() // 1000, last + 1), name, text)
        self._messages.append(message)
        for listener in list(self._listeners):
            _send(listener, message)
        waiting, self._waiting = self._waiting, set()
        for asked in waiting:
            asked.response_json([message._asdict()])

    def _leave(self, listener: EventStream) -> None:
        self._listeners.discard(listener)
        self._tell_how_many()

    def _tell_how_many(self) -> None:
        for listener in list(self._listeners):
            listener.send(len(self._listeners), event="people")


def _send(listener: EventStream, message: Message) -> None:
    listener.send(message._asdict(), id=str(message.id))


room = Room()


@server.get("/")
def page(request: Request) -> None:
    request.response_file("/index.html")


@server.get("/events")
def events(request: Request) -> None:
    room.enter(request.events(retry=1000))


@server.get("/next")
def following(request: Request) -> list[dict[str, object]] | None:
    missed = room.since(request.args.get("after", ""))
    if missed:
        return [message._asdict() for message in missed]
    room.wait(request.detach())  # who says something answers it
    return None


@server.post("/messages", body_limit=16 * 1024)
def say(request: Request) -> None:
    form = request.parse_form()
    name, text = form.get("name", "").strip(), form.get("text", "").strip()
    if not name or not text or len(name) > MOST_NAME or len(text) > MOST_TEXT:
        raise BadRequest(f"a name of up to {MOST_NAME} characters, a text of up to {MOST_TEXT}")
    room.say(name, text)
    request.response(b"", 204)


if __name__ == "__main__":
    server.run()
