"""A chat: what one writes, everybody who has the page open sees at once.

rush run app:server        (in this folder; then open http://127.0.0.1:9090/ in two windows)

The page listens to server-sent events.  Who was away for a moment is told what was said meanwhile:
a browser comes again by itself, with the id of the last message it has had.

The room is in the memory of the one worker.  Workers share nothing: for more of them, let each
hear of every message through something that they share, such as Redis or PostgreSQL's LISTEN.
"""

import time
from collections import deque
from pathlib import Path
from typing import NamedTuple

from rush_http import BadRequest
from rush_web import EventStream, Request, WebServer

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
        self._messages: deque[Message] = deque(maxlen=KEPT_MESSAGES)

    def enter(self, listener: EventStream) -> None:
        """Tell somebody what was missed, and from now on what is said."""
        last = int(listener.last_event_id) if listener.last_event_id.isdecimal() else 0
        for message in self._messages:
            if message.id > last:
                _send(listener, message)
        self._listeners.add(listener)
        listener.on_gone(lambda: self._leave(listener))
        self._tell_how_many()

    def say(self, name: str, text: str) -> None:
        """Tell it to everybody."""
        last = self._messages[-1].id if self._messages else 0
        message = Message(max(time.time_ns() // 1000, last + 1), name, text)
        self._messages.append(message)
        for listener in list(self._listeners):
            _send(listener, message)

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
