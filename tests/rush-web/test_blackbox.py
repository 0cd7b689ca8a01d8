"""The black box: what a worker was doing is known when it has died."""

import os
import pathlib
import re
import signal
import threading

import pytest

from programs import eventually
from rawclient import RawClient, request
from rush_http import HttpServer
from rush_loader import Loader
from rush_web import HandlersManager, Route
from rush_web.blackbox import QUICK, BlackBox, doing, last_words
from rush_web.ring import RING, printable, requests_of
from rush_web.slots import FAILURES, LATENCIES, LATENCY_COUNT, PID, Slots

SOURCE = """
@server.get("/hello")
def hello(request):
    request.response("hello")

@server.get("/user/<int:id>")
def user(request):
    request.response(str(request.params["id"]))

@server.get("/report")
def report(request):
    with open("fifo") as fifo:  # until the test writes
        request.response(fifo.read())

@server.get("/end")
def end(request):
    os._exit(9)

def spin(request):
    with open("fifo") as fifo:
        return bool(fifo.read())

@server.get("/filtered", filter=spin)
def filtered(request):
    request.response("filtered")

@server.get("/leave/<what>")
def leave(request):
    raise {"exit": SystemExit(5), "interrupt": KeyboardInterrupt()}[request.params["what"]]
"""


class Boxed:
    """A server in a thread, with a black box."""

    def __init__(self, tmp_path, *routes, **options):
        self.slots = Slots(1)
        self.slot = self.slots.take(0)
        self.box = BlackBox(self.slot, 0)
        self.loader = Loader(tmp_path)
        self.server = HttpServer(("127.0.0.1", 0))
        redirects = options.pop("redirects", {})
        manager = HandlersManager(routes, {}, redirects, self.loader, self.server, **options)
        loop = self.server.epoll.loop
        self.server.on_message_complete = manager.watched_by(self.box, loop)

    def __enter__(self):
        self.server.run(threaded=True)
        return self

    def __exit__(self, *error):
        self.server.close()
        self.loader.close()

    def client(self):
        return RawClient(self.server.address)

    def counted(self):
        self.box.tick(3)
        return sum(self.slot.counts[LATENCIES : LATENCIES + LATENCY_COUNT])


def test_a_request_is_seen_while_it_is_at_work(tmp_path):
    seen = []

    def look(request):
        seen.append((boxed.slot.busy_since, doing(boxed.slot)))
        if request.query == "fail":
            raise ValueError
        request.response("ok")

    routes = [Route("/", look), Route("/<int:id>", look), Route("/f", look, filter=lambda r: True)]
    (tmp_path / "page.txt").write_text("page")
    redirects = {"/old": ("/", 301)}
    with (
        Boxed(tmp_path, *routes, files="/", redirects=redirects) as boxed,
        boxed.client() as client,
    ):
        paths = ["/", "/?fail", "/f", "/7", "/8", "/page.txt", "/page.txt", "/old", "/none"]
        codes = [client.get(path).status for path in paths]
        assert codes == [200, 500, 200, 200, 200, 200, 200, 301, 404]
        eventually(lambda: doing(boxed.slot) is None)  # the answer goes out before the end
        eventually(lambda: boxed.counted() == len(paths))
        assert boxed.slot.counts[FAILURES] == 1
        assert requests_of(boxed.slot) == [
            f"GET /{rest}" for rest in ("none", "old", "page.txt", "8", "7", "f", "?fail", "")
        ]
    assert [str(one) for _, one in seen] == [
        f"{__name__}.test_a_request_is_seen_while_it_is_at_work.<locals>.look, GET {path}"
        for path in ("/", "/?fail", "/f", "/7", "/8")
    ]
    times = [since for since, _ in seen]
    assert times == sorted(times)
    assert times[0] > 0


def test_each_request_of_a_turn_has_its_own_beginning(tmp_path):
    """Sixteen pipelined requests are answered in one turn of the loop."""
    seen = []

    def look(request):
        seen.append(boxed.slot.busy_since)
        request.response("ok")

    with Boxed(tmp_path, Route("/", look)) as boxed, boxed.client() as client:
        client.send(request("/") * 16)
        for _ in range(16):
            assert client.response().status == 200
        eventually(lambda: boxed.counted() == 16)
    assert len(set(seen)) == 16
    assert seen == sorted(seen)


def test_a_file_that_was_ready_and_is_not(tmp_path):
    """What is too large for memory is sent by who found it, also when its path is known."""
    (tmp_path / "large.bin").write_bytes(bytes(2 << 20))
    with (
        Boxed(tmp_path, Route("/", lambda request: "ok"), files="/") as boxed,
        boxed.client() as client,
    ):
        for path in ("/large.bin", "/", "/large.bin"):
            assert client.get(path).status == 200
            eventually(lambda: doing(boxed.slot) is None)
            boxed.slot.times[0] = 1.0
            if path == "/large.bin":
                assert str(doing(boxed.slot)) == "static file, GET /large.bin"
            boxed.slot.times[0] = 0.0


def test_slow_requests_have_counters_of_their_own(tmp_path):
    going = threading.Event()

    def wait(request):
        going.wait(0.05)
        request.response("ok")

    with Boxed(tmp_path, Route("/", wait)) as boxed, boxed.client() as client:
        client.get("/")
        eventually(lambda: boxed.counted() == 1)
        slow = [index for index, count in enumerate(boxed.slot.counts[:LATENCY_COUNT]) if count]
        assert slow > [QUICK]
        assert 2 ** slow[0] >= 0.05e9


def test_only_so_many_requests_and_so_much_of_each(tmp_path):
    with Boxed(tmp_path) as boxed, boxed.client() as client:
        for number in range(20):
            client.get(f"/{number}")
        client.get(
            "/" + "x" * 5000 + "?" + "y" * 1000, "Cookie: secret=1", "Authorization: Basic x"
        )
        long, *others = requests_of(boxed.slot)
        assert long == "GET /" + "x" * 234
        assert others == [f"GET /{number}" for number in range(19, 19 - RING + 1, -1)]
        client.get("/%C3%A9%0A%1B[31m%E2%80%AE?q")
        assert requests_of(boxed.slot)[0] == "GET /é\\n\\x1b[31m\\u202e?q"
        client.get("/" + "%C3%A9" * 200)
        assert requests_of(boxed.slot)[0].startswith("GET /é")
        everything = bytes(boxed.slot.memory)
        for secret in (b"secret", b"Basic", b"Cookie"):
            assert secret not in everything


def test_half_a_record_is_no_request(tmp_path):
    with Boxed(tmp_path) as boxed, boxed.client() as client:
        for path in ("/a", "/b"):
            client.get(path)
        memory = boxed.slot.memory
        at = bytes(memory).index(b"GET /b")
        memory[at + 239] ^= 1  # the number at its end
        assert requests_of(boxed.slot) == ["GET /a"]
        boxed.slot.times[0] = 1.0
        assert last_words(boxed.slot).endswith("GET /a")


def test_a_reader_never_sees_nonsense(tmp_path):
    """One process writes as fast as it can, another reads."""
    slots = Slots(1)
    slot = slots.take(0)
    pid = os.fork()
    if not pid:
        try:
            loop = type("Loop", (), {"now": 1.0})()
            box = BlackBox(slot, 0)
            watch = box.watching(lambda *message: None, {}, loop)
            texts = [f"/{chr(97 + number) * (number * 9 + 1)}" for number in range(20)]
            while True:
                for text in texts:
                    watch(b"", None, (1, 1), "GET", text, "", None)
        finally:
            os._exit(1)
    try:
        eventually(lambda: slot.numbers[PID] and requests_of(slot), "a request")
        for _ in range(3000):
            for text in requests_of(slot):
                assert re.fullmatch(r"GET /([a-t])\1*", text)
                assert len(text) == (ord(text[-1]) - 97) * 9 + 6
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def test_printable():
    assert printable("GET /ä b") == "GET /ä b"
    assert printable(b"GET /\xff\r\n") == "GET /�\\r\\n"


# Whole servers


def test_the_log_says_what_a_worker_died_of(serve, fifo):
    program = serve("", SOURCE)
    with program.client() as client:
        pid = program.pid_of(client)
        assert client.get("/hello").body == b"hello"
        assert client.get("/user/7").body == b"7"
        client.send(request("/report?y=2026", "Cookie: secret"))
        fifo()
        os.kill(pid, signal.SIGKILL)
        log = program.log.wait_for("was killed by SIGKILL")
    assert re.search(
        rf"worker [12] \(pid {pid}\) was killed by SIGKILL after [0-9.]+ s in __main__.report,"
        r" GET /report\?y=2026; before that: GET /user/7, GET /hello, GET /pid\n",
        log,
    )
    assert "secret" not in log
    assert program.stop() == 0


@pytest.mark.once
@pytest.mark.parametrize(
    ("path", "how", "where"),
    [
        ("/end", "exited with 9", "__main__.end, GET /end"),
        ("/leave/exit", "exited with 1", "__main__.leave, GET /leave/exit"),
        ("/leave/interrupt", "exited with 1", "__main__.leave, GET /leave/interrupt"),
    ],
)
def test_the_log_names_the_request_that_ended_a_worker(serve, path, how, where):
    program = serve("", SOURCE)
    with program.client() as client:
        client.send(request(path))
        assert client.rest() == b""
    assert re.search(rf"{how} after [0-9.]+ s in {where}(;|\n)", program.log.wait_for(where))
    assert program.stop() == 0


@pytest.mark.once
def test_a_worker_that_dies_while_a_handler_is_picked(serve, fifo):
    program = serve("", SOURCE)
    with program.client() as client:
        pid = program.pid_of(client)
        client.send(request("/filtered"))
        fifo()
        os.kill(pid, signal.SIGKILL)
        log = program.log.wait_for("was killed by SIGKILL")
    assert re.search(r"after [0-9.]+ s in GET /filtered; before that: GET /pid\n", log)
    assert program.stop() == 0


@pytest.mark.once
def test_an_idle_worker_that_dies(serve):
    program = serve()
    pid = program.pid_of_new()
    stat = pathlib.Path(f"/proc/{pid}/stat")
    eventually(lambda: ") S " in stat.read_text(), "a worker that sleeps")
    os.kill(pid, signal.SIGKILL)
    log = program.log.wait_for("was killed by SIGKILL")
    assert re.search(r"was killed by SIGKILL after [0-9.]+ s, idle; before that: GET /pid\n", log)
    assert program.stop() == 0
