"""What an operator has of `rush wsgi`: reloads, black box, metrics, files; real processes."""

import contextlib
import http.client
import os
import re
import signal
import time

import pytest

from load import Load
from programs import children_of, eventually
from rawclient import request

pytestmark = pytest.mark.once

APP = """
import os
import time

def application(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/fails":
        raise ValueError("the reason")
    if path == "/waits":
        open("began", "w").close()
        time.sleep(1000)
    if path == "/large":
        start_response("200 OK", [("Content-Type", "text/plain")])
        open("began", "w").close()
        return iter([b"x" * 65536] * 300)
    start_response("200 OK", [("Content-Type", "text/plain")])
    if path == "/pieces":
        return iter([b"Hel", b"lo"])
    return [b"VERSION"]
"""


@pytest.fixture(params=["0", "3"], ids=["loop", "threads"])
def site(request, launch, tmp_path):
    """Start ``rush wsgi app`` with options; `change` writes another version of the application."""

    class Site:
        threads = int(request.param)

        def change(self, version):
            # Of another size: by that, and by the second, Python knows whether what it has
            # compiled is of the same source.
            source = APP.replace("VERSION", str(version)) + "#" * version
            (tmp_path / "app.py").write_text(source)

        def start(self, *options):
            self.change(0)
            (tmp_path / "public").mkdir()
            (tmp_path / "public" / "x.txt").write_text("file")
            command = ("-m", "rush_web", "wsgi", "app", "--port", "0", "--threads", request.param)
            self.program = launch(*command, *options).ready()
            return self.program

    return Site()


def test_reloads_under_load(site):
    """No failed request, and the new code answers after each."""
    program = site.start("--workers", "2")
    with Load(program.address, count=32, path="/") as load:
        for version in (1, 2):
            site.change(version)
            program.kill(signal.SIGHUP)
            load.wait_for_saying(str(version))
            load.wait_for_all()
        assert (load.failed, load.lost) == ([], [])
    eventually(lambda: len(program.children()) == 1, "the end of the old programs")
    assert program.stop() == 0


def test_a_reload_waits_for_the_requests_that_run(site, tmp_path):
    program = site.start("--workers", "1", "--grace", "30s")
    with program.client() as client:
        client.send(request("/waits"))
        eventually((tmp_path / "began").exists)
        worker = worker_of(program)
        site.change(1)
        program.kill(signal.SIGHUP)
        eventually(lambda: program.get("/").body == b"1", "the new code")
        os.kill(worker, signal.SIGKILL)  # who waits for it has waited long enough
        assert client.rest() == b""
    assert program.stop() == 0


def worker_of(program):
    """The only worker, of a parent that may have been executed anew."""
    (pid,) = program.children()
    return next(iter(children_of(pid)), pid)


def test_the_black_box_knows_the_application(site, tmp_path):
    program = site.start("--workers", "1")
    for path in ("/one", "/one?a", "/two"):
        program.get(path)
    with program.client() as client:
        client.send(request("/waits?x=1"))
        eventually((tmp_path / "began").exists)
        if site.threads:
            program.get("/three")  # the loop goes on
        os.kill(worker_of(program), signal.SIGKILL)
        assert client.rest() == b""
    log = program.log.wait_for("was killed by SIGKILL")
    if site.threads:
        assert "idle; to be answered later: app.application, GET /waits?x=1" in log
        assert "before that: GET /three, GET /waits?x=1, GET /two, GET /one?a" in log
    else:
        found = (
            r"in app\.application, GET /waits\?x=1; before that: GET /two, GET /one\?a, GET /one"
        )
        assert re.search(found, log)
    assert program.stop() == 0


def test_threads_that_run_too_long(site, tmp_path):
    """Reported with request and stack; if all do, the worker is replaced.  On the loop, at once."""
    program = site.start("--workers", "1", "--worker-timeout", "0.5", "--grace", "0.5")
    first = worker_of(program)
    with contextlib.ExitStack() as stack:
        for number in range(site.threads or 1):
            client = stack.enter_context(program.client())
            client.send(request(f"/waits?{number}"))
        log = program.log.wait_for("time.sleep(1000)" if site.threads else " in application\n")
        if site.threads:
            words = r"the application for GET '/waits' runs for [0-9.]+ s \(worker_timeout is 0"
            assert re.search(words, log)
            program.log.wait_for("all 3 threads run too long: the worker is replaced")
        else:
            assert "it is in app.application, GET /waits?0" in log
        eventually(lambda: program.children() - {first}, "another worker")
        eventually(lambda: first not in program.children(), "the end of the first one")
        assert program.get("/").body == b"0"
    assert program.stop() == 0


def test_a_thread_that_waits_for_its_client_is_not_late(site, tmp_path):
    if not site.threads:
        return
    program = site.start("--workers", "1", "--worker-timeout", "0.2")
    with program.client() as client:
        client.send(request("/large"))
        eventually((tmp_path / "began").exists)
        began = time.monotonic()
        eventually(lambda: time.monotonic() - began > 0.8)
        assert b"x" * 1000 in client.exactly(1 << 20)
    assert program.stop() == 0
    assert str(program.log) == ""


def test_metrics_files_and_health(site, tmp_path):
    program = site.start(
        *("--workers", "1", "--root", "public", "--files", "/static/", "--metrics", "/metrics"),
        *("--health", "/health", "--access-log", "log", "--access-format", "combined"),
    )

    def metric(name):
        text = program.get("/metrics").body.decode()
        found = re.search(rf"^{re.escape(name)} (\S+)$", text, re.M)
        return float(found[1]) if found else 0

    assert program.get("/health").body == b"ready\n"
    assert program.get("/static/x.txt").body == b"file"
    assert program.get("/static/y.txt").body == b"0"  # not there: the application is asked
    connection = http.client.HTTPConnection(*program.address, timeout=20)
    connection.request("GET", "/pieces")
    assert connection.getresponse().read() == b"Hello"
    connection.close()
    assert program.get("/fails").status == 500
    with program.client() as client:
        client.send(request("/", method="POST", body=b"x" * 100_000))
        assert client.response().body == b"0"
    eventually(lambda: metric('rush_responses_total{code="5xx"}') == 1, "the 500")
    eventually(lambda: metric("rush_failures_total") == 1, "the failure")
    log = eventually(lambda: (text := (tmp_path / "log").read_text()).count("\n") >= 6 and text)
    asked = re.findall(r'"(\w+ /[\w./]*) HTTP/1\.1" (\d+) (\d+)', log)
    assert asked[:6] == [
        ("GET /health", "200", "6"),
        ("GET /static/x.txt", "200", "4"),
        ("GET /static/y.txt", "200", "1"),
        ("GET /pieces", "200", "5"),
        ("GET /fails", "500", asked[4][2]),
        ("POST /", "200", "1"),
    ]
    assert program.stop() == 0
