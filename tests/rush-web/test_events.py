"""Server-sent events, read as a browser does it (WHATWG HTML, 9.2.6)."""

import contextlib
import queue
import re
import shutil
import subprocess
import threading
import time

import pytest

from crowd import Crowd, many_descriptors
from rawclient import PATIENCE, RawClient, request
from rush_web.events import render_event


class Reader:
    """Reads a stream as `EventSource` does: events as (type, data, last id); comments apart."""

    def __init__(self, client, *lines):
        self.client = client
        self.last_id = ""
        self.retry = None
        self.comments = []
        client.send(request("/events", *lines))
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += client.exactly(1)
        self.head = head.decode()
        self._text = ""

    def _line(self):
        while "\n" not in self._text:
            size = b""
            while not size.endswith(b"\r\n"):
                size += self.client.exactly(1)
            piece = self.client.exactly(int(size, 16) + 2)[:-2]
            if not piece:
                raise EOFError
            self._text += piece.decode()
        line, _, self._text = self._text.partition("\n")
        return line

    def event(self):
        kind, data = "message", None
        while True:
            line = self._line()
            if not line:
                if data is not None:
                    return kind, "\n".join(data), self.last_id
                kind = "message"
                continue
            field, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if not field:
                self.comments.append(value)
                if data is None:
                    return None
            elif field == "event":
                kind = value
            elif field == "data":
                data = [*(data or []), value]
            elif field == "id":
                self.last_id = value
            elif field == "retry":
                self.retry = int(value)

    def to_end(self):
        found = []
        with contextlib.suppress(EOFError):
            while True:
                found.append(self.event())
        return found


@pytest.fixture
def streams(app):
    """What ``/events`` has opened, in order; the options of the next one."""
    opened = queue.Queue()
    opened.options = {}

    @app.route("/events")
    def events(request):
        opened.put(request.events(**opened.options))

    app.route("/")(lambda request: request.response("plain"))
    return opened


@pytest.mark.parametrize(
    ("arguments", "event"),
    [
        (("hello",), ("message", "hello", "")),
        (("",), ("message", "", "")),
        (("two\nlines",), ("message", "two\nlines", "")),
        (("a\rb\r\nc\n",), ("message", "a\nb\nc\n", "")),
        ((" blank: first",), ("message", " blank: first", "")),
        (("\x0b\x85\u2028é😀",), ("message", "\x0b\x85\u2028é😀", "")),
        (({"a": [1, "é\n"]},), ("message", '{"a":[1,"é\\n"]}', "")),
        ((7, "tick"), ("tick", "7", "")),
        (("x", "note", "id é", 1500), ("note", "x", "id é")),
    ],
)
def test_what_a_client_reads(app, streams, arguments, event):
    reader = Reader(app.start())
    assert streams.get(timeout=PATIENCE).send(*arguments) is True
    assert reader.event() == event
    assert reader.retry == (1500 if len(arguments) == 4 else None)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("x", "a\nb"), ValueError),
        (("x", "a\rb"), ValueError),
        (("x", None, "a\nb"), ValueError),
        (("x", None, "a\0b"), ValueError),
        (("x", None, None, -1), ValueError),
        (("x", None, None, 1.5), ValueError),
        ((float("nan"),), ValueError),
        (("\ud800",), ValueError),
        ((b"bytes",), TypeError),
        ((object(),), TypeError),
    ],
)
def test_what_cannot_be_sent(arguments, error):
    with pytest.raises(error):
        render_event(*arguments)


def test_head_of_the_answer(app, streams):
    streams.options = {"retry": 250, "headers": {"X-A": "b"}}
    reader = Reader(app.start(), "Last-Event-ID: \xc3\xa9 7")
    stream = streams.get(timeout=PATIENCE)
    assert reader.head.startswith("HTTP/1.1 200 OK\r\n")
    for line in ("Content-Type: text/event-stream", "Cache-Control: no-cache", "X-A: b"):
        assert f"\r\n{line}\r\n" in reader.head
    assert "\r\nX-Accel-Buffering: no\r\n" in reader.head
    assert stream.last_event_id == "é 7"
    stream.send("x")
    assert reader.event() == ("message", "x", "")
    assert reader.retry == 250


def test_own_cache_control(app, streams):
    streams.options = {"headers": {"cache-control": "no-store"}}
    reader = Reader(app.start())
    assert re.findall("(?i)cache-control: (.*)\r", reader.head) == ["no-store"]


@pytest.mark.parametrize("options", [{"keep_alive": 0}, {"keep_alive": -1}, {"retry": -1}])
def test_options_that_make_no_sense(app, streams, options):
    streams.options = options
    assert app.start().get("/events").status == 500


def test_close(app, streams):
    client = app.start()
    reader = Reader(client)
    stream = streams.get(timeout=PATIENCE)
    told = []
    stream.on_gone(lambda: told.append(True))
    assert not stream.gone
    stream.send("last")
    stream.close()
    stream.close()
    assert stream.gone
    assert stream.send("too late") is False
    assert reader.to_end() == [("message", "last", "")]
    assert client.get("/").body == b"plain"  # the connection goes on
    assert not told


@pytest.mark.parametrize("how", ["close", "shutdown"])
def test_client_that_goes(app, streams, how):
    client = app.start()
    Reader(client)
    stream = streams.get(timeout=PATIENCE)
    told = queue.Queue()
    stream.on_gone(lambda: told.put(threading.current_thread()))
    if how == "close":
        client.sock.close()
    else:
        client.end()
    assert told.get(timeout=PATIENCE) is not threading.current_thread()
    assert stream.gone
    assert stream.send("x") is False
    stream.on_gone(lambda: told.put("late"))
    assert told.get(timeout=PATIENCE) == "late"
    if how == "shutdown":
        assert client.rest().endswith(b"0\r\n\r\n")


def test_client_that_does_not_read_is_dropped(app, streams):
    app.start()
    client = RawClient(app.address, receive_buffer=4096)
    with client:
        Reader(client)
        stream = streams.get(timeout=PATIENCE)
        told = queue.Queue()
        stream.on_gone(lambda: told.put(stream.gone))
        sent = 0
        while stream.send("x" * 1000):
            sent += 1000
            assert sent < 64 << 20
        assert told.get(timeout=PATIENCE) is True
        assert not client.rest().endswith(b"0\r\n\r\n")
    assert any("too slow" in line for line in app.logged(level=0))


def test_a_thread_waits_for_the_client(app, streams):
    reader = Reader(app.start())
    stream = streams.get(timeout=PATIENCE)
    text = "x" * 60_000

    def send():
        for number in range(100):
            assert stream.wait(PATIENCE)
            assert stream.send(text, id=str(number))
        stream.close()

    thread = threading.Thread(target=send)
    thread.start()
    assert reader.to_end() == [("message", text, str(number)) for number in range(100)]
    thread.join(PATIENCE)
    assert stream.wait(0) is False


def test_events_of_many_threads_are_whole(app, streams):
    reader = Reader(app.start())
    stream = streams.get(timeout=PATIENCE)
    threads = [
        threading.Thread(target=lambda: [stream.send("a\nb", "x", "c") for _ in range(100)])
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    stream.close()
    assert reader.to_end() == [("x", "a\nb", "c")] * 400


def test_comments_keep_it_alive(app, streams):
    streams.options = {"keep_alive": 0.05}
    reader = Reader(app.start())
    assert [reader.event() for _ in range(3)] == [None] * 3
    assert reader.comments == ["", "", ""]
    streams.get(timeout=PATIENCE).comment("two\nlines")
    while reader.comments[-1] != "lines":
        reader.event()
    assert reader.comments[-2] == "two"


def test_no_comments_where_nobody_wants_them(app, streams):
    streams.options = {"keep_alive": None}
    quiet = Reader(app.start())
    stream = streams.get(timeout=PATIENCE)
    streams.options = {"keep_alive": 0.05}
    assert Reader(app.client()).event() is None
    stream.send("x")
    assert quiet.event() == ("message", "x", "")
    assert not quiet.comments


def test_head_gets_a_stream_that_has_ended(app, streams):
    client = app.start()
    client.send(request("/events", method="HEAD"))
    stream = streams.get(timeout=PATIENCE)
    told = queue.Queue()
    stream.on_gone(lambda: told.put(True))
    assert told.get(timeout=PATIENCE)
    assert stream.send("x") is False
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += client.exactly(1)
    assert b"Content-Type: text/event-stream\r\n" in head
    assert client.get("/").body == b"plain"


def test_streams_that_begin_later(app):
    detached = queue.Queue()
    app.route("/events")(lambda request: detached.put(request.detach()))
    ask = threading.Thread(target=lambda: begun.put(Reader(app.start())))
    begun = queue.Queue()
    ask.start()
    stream = detached.get(timeout=PATIENCE).events(keep_alive=0.05)
    reader = begun.get(timeout=PATIENCE)
    ask.join(PATIENCE)
    assert reader.event() is None
    stream.send("x")
    assert reader.event() == ("message", "x", "")
    client = app.client()
    client.send(request("/events", protocol="HTTP/1.0"))
    detached.get(timeout=PATIENCE).stream(["a", b"b"])
    assert client.rest().endswith(b"\r\n\r\nab")


def test_handler_that_fails_after_it(app):
    """Nobody would ever end that stream."""

    @app.route("/events")
    def events(request):
        request.events().send("x")
        raise ZeroDivisionError

    client = app.start()
    client.send(request("/events"))
    assert not client.rest().endswith(b"0\r\n\r\n")
    (line,) = app.logged()
    assert "failed after its answer" in line


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_curl(app, streams):
    app.start()
    url = "http://{}:{}/events".format(*app.address)
    with subprocess.Popen(
        ["curl", "-sN", "--noproxy", "*", url], stdout=subprocess.PIPE, text=True
    ) as curl:
        stream = streams.get(timeout=PATIENCE)
        stream.send("first")
        assert curl.stdout.readline() == "data: first\n"  # it comes at once
        stream.send("second", "x", "2")
        stream.close()
        assert curl.stdout.read() == "\nevent: x\nid: 2\ndata: second\n\n"
    assert curl.returncode == 0


EVENTS = """
@server.get("/events")
def events(request):
    request.events().send(os.getpid())
"""


@pytest.mark.once
def test_streams_do_not_hold_a_server_that_stops(serve):
    program = serve(source=EVENTS)
    with program.client() as client:
        reader = Reader(client)
        assert reader.event() is not None
        began = time.monotonic()
        assert program.stop() == 0
        assert reader.to_end() == []
        assert time.monotonic() - began < 15  # its grace is 30


@pytest.mark.once
def test_a_thousand_streams(app):
    opened = []
    app.route("/events")(lambda request: opened.append(request.events()))
    app.route("/")(lambda request: request.response("plain"))
    app.route("/tell")(
        lambda request: request.response(str(sum(stream.send("news") for stream in opened)))
    )
    ask = request("/events")
    head = None
    with many_descriptors():
        client = app.start()
        with Crowd(app.address, 1000) as crowd:
            crowd.ask(ask)
            while len(opened) < 1000:
                assert client.get("/").body == b"plain"
            head = crowd.sockets[0].recv(65536)
            crowd.sockets[0].close()
            del crowd.sockets[0]
            crowd.answers(len(head))
            while sum(not stream.gone for stream in opened) == 1000:
                client.get("/")
            began = time.monotonic()
            for _ in range(100):
                assert client.get("/").body == b"plain"
            assert time.monotonic() - began < 5
            assert client.get("/tell").body == b"999"
            assert set(crowd.answers(len(b"c\r\ndata: news\n\n\r\n"))) == {
                b"c\r\ndata: news\n\n\r\n"
            }
