"""The access log: what is in a line, that nothing a client sends can forge one, and full disks."""

import json
import os
import re
import socket
import threading

import pytest

from programs import eventually
from rawclient import request
from rush_http import Head, Headers, ObservedExchange, RequestParser
from rush_web.access_format import escaped, lines_maker, path_of
from rush_web.access_log import MOST_BYTES, AccessLog, Sink

SOURCE = """
@server.get("/hello")
def hello(request):
    request.response("hello")

@server.get("/fifo")
def fifo(request):
    with open("fifo") as fifo:
        request.response(fifo.read())
"""

WHEN = r"\[[0-9]{2}/[A-Z][a-z]{2}/[0-9]{4}:[0-9:]{8} [+-][0-9]{4}\]"


class Conn:
    """What a line is made of, without a network."""

    def __init__(self):
        self.data = ObservedExchange.__new__(ObservedExchange)
        self.data.client = "10.0.0.1"
        self.data.note = None
        self.data.parser = RequestParser()


def head(method="GET", path="/", query="", **headers):
    fields = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    return Head.of((1, 1), method, path, query, Headers(fields), (0, False, False, b""))


def line(template, head, status=b"200", size=5):
    (made,) = lines_maker(template, 7)([(Conn(), head, status, size, 1.0, 1.25)])
    return made


# Lines


def test_common_and_combined():
    asked = head(path="/a b/é", query='x=1&y="\\', referer="http://x/", user_agent="curl/8")
    common = line("common", asked)
    expected = r'10.0.0.1 - - {} "GET /a%20b/%C3%A9\?x=1&y=\\x22\\x5c HTTP/1.1" 200 5 0.250000'
    assert re.fullmatch(expected.replace("{}", WHEN) + "\n", common)
    combined = line("combined", asked)
    assert re.search(r' 200 5 "http://x/" "curl/8" [0-9]+\.[0-9]{6}\n$', combined)
    assert combined.startswith(common.rpartition(" ")[0])
    refused = line("combined", None, b"400", 16)
    assert re.fullmatch(rf'10.0.0.1 - - {WHEN} "-" 400 16 "-" "-" [0-9.]+\n', refused)


def test_json():
    said = json.loads(line("json", head(path='/"\n', query="q", user_agent="\xff\t'{x}")))
    assert re.fullmatch(r"[0-9-]{10}T[0-9:]{8}[+-][0-9]{4}", said.pop("iso"))
    assert isinstance(said.pop("seconds"), float)
    assert said == {
        "client": "10.0.0.1",
        "method": "GET",
        "path": "/%22%0A",
        "query": "q",
        "status": 200,
        "bytes": 5,
        "referer": "-",
        "agent": "\xff\t'{x}",
        "pid": 7,
    }
    assert json.loads(line("json", None))["method"] == "-"


def test_own_formats():
    own = line("'{method}' \\ {status} {bytes} {host} {pid} {protocol}'''", head(host="h"))
    assert own == "'GET' \\ 200 5 h 7 HTTP/1.1'''\n"
    for wrong in ("{x}", "{}", "{", "}", "{{status}}", "{status!r}", "a\nb", "{head.method}"):
        with pytest.raises(ValueError, match=r"format|no field"):
            lines_maker(wrong, 0)


@pytest.mark.parametrize("template", ["common", "combined", "json", "{agent}|{query}|{path}"])
def test_nothing_sent_ends_a_line_or_a_field(template):
    """Every byte that a head may have, in every field."""
    for code in [*range(1, 0x180), 0x2028, 0x202E, 0xFFFF, 0x1F600]:
        char = chr(code)
        latin = char if code < 0x100 else "?"
        asked = head(path=f"/{char}", query=latin, referer=latin, user_agent=latin)
        made = line(template, asked)
        assert made.isascii()
        assert made[:-1].isprintable()
        assert made.count("\n") == 1
        if template == "combined":
            assert made.count('"') == 6
        elif template == "json":
            json.loads(made)


def test_escapes():
    assert escaped("plain text") == "plain text"
    assert escaped('"\\\r\n\x1b\xe9') == "\\x22\\x5c\\x0d\\x0a\\x1b\\xe9"
    assert path_of("/a/b.c-d_e~(f)") == "/a/b.c-d_e~(f)"
    assert path_of('/%?#"') == "/%25%3F%23%22"


# Where the lines go


class Later:
    """A loop that only keeps what it is asked for."""

    def __init__(self):
        self.calls = []

    def call_later(self, delay, callback):
        self.calls.append(callback)

    def call_all(self):
        calls, self.calls = self.calls, []
        for callback in calls:
            callback()


@pytest.fixture
def lost():
    return []


def test_a_pipe_that_nobody_reads(lost, caplog):
    reader, writer = os.pipe()
    shared = os.dup(writer)
    loop, sink = Later(), Sink(writer)
    sink.start(loop, lost.append)
    assert os.get_blocking(shared), "others who have the pipe open are not to notice"
    block = (b"x" * 99 + b"\n") * 100
    for _ in range(MOST_BYTES // len(block) + 50):
        sink.write(block)
    assert sum(lost) >= 100
    assert "nobody reads it" in caplog.text
    assert caplog.text.count("cannot be written") == 1
    received = []

    def read():
        while data := os.read(reader, 65536):
            received.append(data)

    thread = threading.Thread(target=read)
    thread.start()
    while loop.calls:
        loop.call_all()
    sink.write(b"end\n")
    while loop.calls:
        loop.call_all()
    os.close(shared)
    sink.close()
    thread.join(20)
    os.close(reader)
    *lines, last = b"".join(received).splitlines()
    assert set(lines) == {b"x" * 99}
    assert last == b"end"
    assert "goes on" in caplog.text


def test_a_socket(lost):
    ours, theirs = socket.socketpair()
    with ours:
        sink = Sink(theirs.detach())
        sink.start(Later(), lost.append)
        sink.write(b"line\n")
        assert ours.recv(100) == b"line\n"
        for _ in range(100):
            sink.write(b"x" * 99_999 + b"\n")
        sink.close()
    assert sum(lost) > 10


def test_a_full_disk(lost, caplog):
    sink = Sink(os.open("/dev/full", os.O_WRONLY))
    sink.start(Later(), lost.append)
    for _ in range(3):
        sink.write(b"one\ntwo\n")
    sink.close()
    assert lost == [2, 2, 2]
    assert caplog.text.count("No space left on device") == 1


def test_a_line_that_was_cut_is_ended(tmp_path, lost, caplog):
    """The disk is full in the middle of a line; later there is room again."""
    path = tmp_path / "log"
    sink = Sink(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND))
    sink.start(Later(), lost.append)
    pid = os.fork()  # the limit is for a process, for good
    if not pid:
        import resource
        import signal

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (10, resource.RLIM_INFINITY))
        sink.write(b"12345\n789abc\n")
        sink.write(b"dropped\n")
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
        sink.write(b"again\n")
        os._exit(0 if lost == [1, 1] else 1)
    assert os.waitpid(pid, 0)[1] == 0
    sink.close()
    assert path.read_bytes() == b"12345\n789a\nagain\n"


def test_a_file_that_cannot_be_opened(tmp_path):
    with pytest.raises(FileNotFoundError):
        AccessLog(tmp_path / "none" / "log")
    with pytest.raises(ValueError, match="no field"):
        AccessLog(tmp_path / "log", "{nothing}")


# Whole servers


@pytest.mark.once
def test_every_answer_has_a_line(serve, fifo, tmp_path):
    program = serve("access_log='access.log', access_format='common'", SOURCE)
    log = tmp_path / "access.log"
    with program.client() as client, program.client() as other:
        assert client.get("/hello?x=1").status == 200
        assert client.get("/none").status == 404
        assert client.get("/hello", method="HEAD").status == 200
        client.send(request("/fifo"))
        let_go = fifo()
        let_go()
        assert client.response().body == b"late"
        other.send(b"nonsense \x1b\r\n\r\n")
        other.rest()
        eventually(lambda: log.read_text().count("\n") == 5, "five lines")
        pid = log.stat().st_ino
        assert pid
    assert program.stop() == 0
    said = [entry.partition("] ")[2].rpartition(" ") for entry in log.read_text().splitlines()]
    assert [what for what, _, _ in said] == [
        '"GET /hello?x=1 HTTP/1.1" 200 5',
        '"GET /none HTTP/1.1" 404 14',
        '"HEAD /hello HTTP/1.1" 200 0',
        '"GET /fifo HTTP/1.1" 200 4',
        '"-" 400 16',
    ]
    assert all(0 <= float(seconds) < 20 for _, _, seconds in said)
    assert {entry.split()[0] for entry in log.read_text().splitlines()} == {"127.0.0.1"}


@pytest.mark.once
def test_by_logging_and_with_metrics(serve):
    source = (
        "import logging; logging.basicConfig(level=logging.INFO, format='%(name)s|%(message)s')"
    )
    options = "access_log=True, access_format='{status} {path}', metrics='/metrics'"
    program = serve(options, f"{source}\n{SOURCE}")
    assert program.get("/hello").status == 200
    program.log.wait_for("rush_web.access|200 /hello\n")
    assert program.stop() == 0


@pytest.mark.once
def test_a_full_disk_disturbs_nobody(serve):
    program = serve("access_log='/dev/full', metrics='/metrics'", SOURCE)
    with program.client() as client:
        for _ in range(10):
            assert client.get("/hello").status == 200

        def lost():
            text = client.get("/metrics").body.decode()
            return int(re.search(r"^rush_access_log_lost_lines_total (\d+)$", text, re.M)[1])

        eventually(lambda: lost() >= 10, "10 lines that were lost")
    assert program.stop() == 0
    assert str(program.log).count("No space left on device") == 1


@pytest.mark.once
def test_the_standard_output(serve):
    program = serve("access_log='-', access_format='{method} {path}'", SOURCE)
    assert program.get("/hello").status == 200
    program.output.wait_for("GET /hello\n")
    assert program.stop() == 0
