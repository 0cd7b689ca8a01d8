"""What workers share: nothing of their own.  Visits and news of all of them, by way of Redis.

$ pip install rush-web redis
$ rush run app.py --workers 2
$ curl -X POST http://127.0.0.1:9090/visits
{"here":1,"everywhere":1}
$ curl -X POST http://127.0.0.1:9090/visits
{"here":1,"everywhere":2}

It makes no difference whether the workers are on one machine or on a hundred.  ``/news`` is a
stream of events: what is posted there, to whichever worker, all listeners are told.
"""

import functools
import os
import threading
import time

import redis

from rush_web import Answering, EventStream, Request, WebServer

server = WebServer()
lock = threading.Lock()
visits_here = 0  # of this worker only
listeners: set[EventStream] = set()  # those of this worker


@functools.cache
def store() -> "redis.Redis":
    """The connections of this worker: made at their first use, and so after the fork."""
    url = os.environ.get("REDIS_URL", "redis://127.0.0.1:6379")
    return redis.Redis.from_url(url, socket_timeout=2, decode_responses=True)


@server.post("/visits")
@server.blocking  # it waits for Redis; meanwhile the worker serves others
def visit(request: Answering) -> None:
    global visits_here
    with lock:
        visits_here += 1
        here = visits_here
    request.response_json({"here": here, "everywhere": store().incr("visits")})


@server.get("/news")
def listen(request: Request) -> None:
    hear()
    events = request.events()
    events.on_gone(lambda: listeners.discard(events))
    listeners.add(events)


@server.post("/news")
@server.blocking
def tell(request: Answering) -> None:
    store().publish("news", request.body.decode())
    request.response("", 204)


@functools.cache
def hear() -> None:
    """Once in each worker: a thread that hears what is told anywhere."""
    ready = threading.Event()
    threading.Thread(target=pass_on, args=[ready], daemon=True).start()
    ready.wait(2)


def pass_on(ready: threading.Event) -> None:
    while True:
        try:
            channel = store().pubsub(ignore_subscribe_messages=True)  # type: ignore[no-untyped-call]
            with channel:
                channel.subscribe("news")
                ready.set()
                while True:
                    message = channel.get_message(timeout=1)
                    for events in list(listeners) if message else ():
                        events.send(message["data"])
        except redis.RedisError:  # it comes back, or somebody looks at /health of Redis
            time.sleep(1)


if __name__ == "__main__":
    server.run()
