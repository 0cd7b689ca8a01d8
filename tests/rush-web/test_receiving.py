"""Bodies in pieces: `Request.receive`, `receive_file`, `receive_form`; ``body_limit``."""

import contextlib
import queue
import shutil
import subprocess

import pytest

from epollserver import Reason
from rawclient import PATIENCE, request
from rush_http import ContentTooLarge, Forbidden
from rush_web import DevelopmentManager, FormLimits, HandlersManager

CHUNKED = "Transfer-Encoding: chunked"
CONTINUE = "Expect: 100-continue"
BOUNDARY = "Content-Type: multipart/form-data; boundary=xx"


def put(path, *lines, body=b""):
    return request(path, *lines, method="PUT", body=body)


def taking(request, then):
    request.receive(len, then)


class Taken:
    """A handler that takes a body in pieces, and notes what happens."""

    def __init__(self):
        self.news = queue.Queue()

    def __call__(self, request):
        name = request.params.get("name", request.path)
        self.news.put(("head", name))
        self.receiver = request.receive(self.on_piece, self.then, self.on_lost)

    def on_piece(self, piece):
        self.news.put(piece)
        if piece == b"RAISE":
            raise ZeroDivisionError("in a piece")
        if piece == b"REFUSE":
            raise Forbidden("no")

    def then(self, request):
        self.news.put(("end", request.params.get("name", request.path)))
        request.response(f"{request.method} {request.path}?{request.query}", 201)

    def on_lost(self, reason):
        self.news.put(reason)

    def next(self):
        return self.news.get(timeout=PATIENCE)

    def rest(self):
        found = []
        with contextlib.suppress(queue.Empty):
            while True:
                found.append(self.news.get_nowait())
        return found


@pytest.fixture
def taken(app):
    taken = Taken()
    app.route("/up", "PUT", stream=True)(taken)
    app.route("/up/<name>", "PUT", stream=True, body_limit=10)(taken)
    app.route("/whole", "PUT")(lambda request: request.response(request.body))
    app.route("/fails", "PUT", stream=True)(lambda request: taking(request, lambda _: 1 / 0))
    app.route("/silent", "PUT", stream=True)(lambda request: None)
    app.route("/mute", "PUT", stream=True)(lambda request: taking(request, lambda _: None))
    return taken


def test_pieces_as_they_come(app, taken):
    """Others are served meanwhile, by the same `Request`."""
    client = app.start()
    client.send(put("/up/me?x=1", "Content-Length: 6"))
    assert taken.next() == ("head", "me")
    for piece in (b"abc", b"def"):
        other = app.client()
        other.send(put("/whole", body=b"other"))
        assert other.response().body == b"other"
        client.send(piece)
        assert taken.next() == piece
    assert taken.next() == ("end", "me")
    response = client.response()
    assert (response.status, response.body) == (201, b"PUT /up/me?x=1")
    client.send(put("/whole", body=b"after"))
    assert client.response().body == b"after"
    assert taken.rest() == []


@pytest.mark.parametrize("lines", [["Content-Length: 0"], []])
def test_without_a_body_all_is_called_at_once(app, taken, lines):
    client = app.start()
    for _ in range(2):
        client.send(put("/up", *lines))
        assert client.response().status == 201
        assert [taken.next(), taken.next()] == [("head", "/up"), ("end", "/up")]
    assert taken.rest() == []


def test_a_body_that_is_there_already(app):
    taken = Taken()
    app.route("/up", "PUT")(taken)
    client = app.start()
    client.send(put("/up", body=b"abc"))
    assert client.response().status == 201
    assert taken.rest() == [("head", "/up"), b"abc", ("end", "/up")]


@pytest.mark.parametrize(
    ("path", "lines", "status"),
    [
        ("/up/x", ["Content-Length: 11"], 413),
        ("/up/x", ["Content-Length: 10"], 100),
        ("/up/x", [CHUNKED], 100),
        ("/silent", ["Content-Length: 5"], 500),
        ("/up/x/y", ["Content-Length: 5"], 100),  # as always: its 404 comes after the body
        ("/up", [CHUNKED], 100),
    ],
)
def test_continue_or_the_answer(app, taken, path, lines, status):
    client = app.start()
    client.send(put(path, CONTINUE, *lines))
    response = client.response()
    assert response.status == status
    if status != 100:
        assert response.headers["connection"] == "close"
        assert client.rest() == b""


@pytest.mark.parametrize("method", ["POST", "GET", "OPTIONS"])
def test_methods_and_paths_that_are_not_there(app, taken, method):
    client = app.start()
    client.send(request("/up", method=method, body=b"abc"))
    response = client.response()
    assert response.status == (204 if method == "OPTIONS" else 405)
    assert response.headers["allow"] == "OPTIONS, PUT"
    client.send(request("/nowhere", method=method, body=b"abc"))
    assert client.response().status == 404
    assert taken.rest() == []


def test_too_large_while_it_comes(app, taken):
    @app.error("internal-error")
    def failed(request):
        request.response("own words")

    client = app.start()
    client.send(put("/up/x", CHUNKED) + b"6\r\nabcdef\r\n")
    assert [taken.next(), taken.next()] == [("head", "x"), b"abcdef"]
    client.send(b"6\r\nabcdef\r\n")
    assert client.response().status == 413
    assert isinstance(taken.next(), ContentTooLarge)
    assert client.rest() == b""
    assert app.logged() == []


@pytest.mark.parametrize(
    ("word", "status", "logged"), [(b"RAISE", 500, ["in a piece"]), (b"REFUSE", 403, [])]
)
def test_piece_that_cannot_be_taken(app, taken, word, status, logged):
    @app.error("internal-error")
    def failed(request):
        request.response(f"{request.path} {type(request.error).__name__}")

    client = app.start()
    client.send(put("/up", "Content-Length: 9999") + word)
    response = client.response()
    assert response.status == status
    assert response.body == (b"/up ZeroDivisionError" if status == 500 else b"403 Forbidden\n")
    assert isinstance(taken.rest()[-1], ZeroDivisionError if status == 500 else Forbidden)
    assert client.rest() == b""
    assert [words in line for line, words in zip(app.logged(), logged, strict=True)] == [
        True for _ in logged
    ]


@pytest.mark.parametrize(
    ("path", "words"), [("/fails", "division"), ("/mute", "without an answer")]
)
def test_then_that_fails(app, taken, path, words):
    client = app.start()
    for _ in range(2):
        client.send(put(path, body=b"abc"))
        assert client.response().status == 500
    assert all(words in line for line in app.logged())
    assert len(app.logged()) == 2
    if path == "/mute":
        assert "<lambda>" in app.logged()[0]


def test_client_that_goes(app, taken):
    client = app.start()
    client.send(put("/up", "Content-Length: 6") + b"abc")
    assert [taken.next(), taken.next()] == [("head", "/up"), b"abc"]
    client.sock.close()
    assert isinstance(taken.next(), Reason)
    assert app.client().get("/whole").status == 405
    assert app.logged() == []


def test_pause_and_resume(app, taken):
    client = app.start()
    client.send(put("/up", "Content-Length: 6"))
    assert taken.next() == ("head", "/up")
    taken.receiver.pause()
    taken.receiver.resume()
    client.send(b"abcdef")
    assert taken.next() == b"abcdef"
    assert client.response().status == 201


def test_answer_instead_of_taking_it(app):
    lost = []

    @app.route("/up", "PUT", stream=True)
    def up(request):
        if request.query == "both":
            request.receive(print, print, lost.append)
        if request.query == "twice":
            request.receive(print, print, lost.append)
            request.receive(print, print, lost.append)
        if request.query == "raise":
            request.receive(print, print, lost.append)
            raise Forbidden("no")
        request.response("no need", 202)

    client = app.start()
    for query, status in [("", 202), ("both", 202), ("raise", 403), ("twice", 500)]:
        client.send(put(f"/up?{query}", body=b"abc"))
        assert client.response().status == status
    assert len(lost) == 4


@pytest.mark.parametrize("manager_class", [HandlersManager, DevelopmentManager])
def test_what_a_handler_has_noted_is_there_at_the_end(app, manager_class):
    @app.route("/up", "PUT", stream=True)
    def up(request):
        request.context["note"] = "noted"
        request.set_cookie("a", "b")
        request.receive(lambda piece: None, then)

    def then(request):
        request.response(request.context.get("note", "nothing") + request.headers["x-a"])

    app.route("/")(lambda request: request.response(request.context.get("note", "nothing")))
    app.start(manager_class=manager_class)
    clients = [app.client() for _ in range(2)]
    for number, client in enumerate(clients):
        client.send(put("/up", f"X-A: {number}", "Content-Length: 3") + b"a")
    assert app.client().get("/").body == b"nothing"
    for number, client in enumerate(clients):
        client.send(b"bc")
        response = client.response()
        assert response.body == b"noted%d" % number
        assert response.headers["set-cookie"].startswith("a=b;")
        assert client.get("/").headers.keys() == {"content-type", "date", "content-length"}


def test_stale_request_of_a_stream(app):
    kept = []

    @app.route("/up", "PUT", stream=True)
    def up(request):
        kept.append(request)
        request.receive(lambda piece: kept[0].path, lambda request: None)

    client = app.start(manager_class=DevelopmentManager)
    client.send(put("/up", body=b"abc"))
    assert client.response().status == 500
    assert "StaleRequest" in repr(app.log.records[-1].exc_info)
    assert ".up (" in app.logged()[0]


@pytest.mark.parametrize("when", ["head", "then"])
def test_answer_later(app, when):
    detached = queue.Queue()

    def then(request):
        detached.put(request.detach())

    @app.route("/up", "PUT", stream=True)
    def up(request):
        if when == "head":
            then(request)
        else:
            request.receive(lambda piece: None, then)

    client = app.start()
    for _ in range(2):
        client.send(put("/up?x=1", body=b"abc"))
        answer = detached.get(timeout=PATIENCE)
        assert answer.query == "x=1"
        answer.response("later")
        assert client.response().body == b"later"
    assert app.logged() == []


def test_no_blocking_handler(app):
    def up(request):
        pass

    app.route("/up", "PUT", stream=True)(up)
    with pytest.raises(ValueError, match="takes its body whole"):
        app.start(blocking={up})


def test_filters_decide_at_the_head(app):
    @app.route("/up", "PUT", filter=lambda request: "x-a" in request.headers, stream=True)
    def stream(request):
        request.receive(lambda piece: None, lambda request: request.response("stream"))

    app.route("/up", "PUT")(lambda request: request.response(b"whole " + request.body))
    client = app.start()
    client.send(put("/up", "X-A: b", body=b"abc") + put("/up", body=b"abc"))
    assert client.response().body == b"stream"
    assert client.response().body == b"whole abc"


def test_redirects_go_first(app, taken):
    app.redirects["/up"] = ("/elsewhere", 307)
    client = app.start()
    client.send(put("/up", body=b"abc"))
    assert client.response().status == 307
    assert taken.rest() == []


# Limits of routes that take it whole


@pytest.fixture
def limited(app):
    app.route("/small", "PUT", body_limit=5)(lambda request: request.response(request.body))
    app.route("/large", "PUT", body_limit=20 << 20)(
        lambda request: request.response(str(len(request.body)))
    )
    app.route("/usual", "PUT")(lambda request: request.response("usual"))
    return app.start()


@pytest.mark.parametrize(
    ("path", "size", "status"),
    [
        ("/small", 5, 100),
        ("/small", 6, 413),
        ("/usual", 16 << 20, 100),
        ("/usual", (16 << 20) + 1, 413),
        ("/large", 20 << 20, 100),
        ("/large", (20 << 20) + 1, 413),
    ],
)
def test_limits_before_the_body(limited, path, size, status):
    limited.send(put(path, CONTINUE, f"Content-Length: {size}"))
    assert limited.response().status == status


def test_limits_of_chunked_bodies(limited):
    limited.send(put("/small", CHUNKED) + b"5\r\nabcde\r\n0\r\n\r\n")
    assert limited.response().body == b"abcde"
    limited.send(put("/small", CHUNKED) + b"6\r\nabcdef\r\n")
    assert limited.response().status == 413


def test_a_larger_body(limited):
    limited.send(put("/large", body=bytes(20 << 20)))
    assert limited.response().body == b"%d" % (20 << 20)


# Files and forms


@pytest.fixture
def files(app, tmp_path):
    folder = tmp_path / "files"
    folder.mkdir()

    @app.route("/files/<name>", "PUT", stream=True, body_limit=64 << 20)
    def up(request):
        request.receive_file(folder / request.params["name"], then=saved)

    def saved(request, size):
        request.response_json([request.params["name"], size], 201)

    return folder


@pytest.mark.parametrize("size", [0, 5, 1 << 20])
def test_file(app, files, size):
    content = (bytes(range(256)) * 4096)[:size]
    client = app.start()
    client.send(put("/files/a.bin", body=content))
    response = client.response()
    assert (response.status, response.body) == (201, b'["a.bin",%d]' % size)
    assert [path.name for path in files.iterdir()] == ["a.bin"]
    assert (files / "a.bin").read_bytes() == content


def test_file_replaces_what_was_there_when_it_is_complete(app, files):
    (files / "a.bin").write_text("old")
    client = app.start()
    client.send(put("/files/a.bin", "Content-Length: 6") + b"abc")
    other = app.client()
    other.send(put("/files/b", body=b"b"))
    assert other.response().status == 201
    assert (files / "a.bin").read_text() == "old"
    client.sock.close()
    while any(path.name.endswith(".part") for path in files.iterdir()):
        other.get("/")
    assert sorted(path.name for path in files.iterdir()) == ["a.bin", "b"]
    assert (files / "a.bin").read_text() == "old"


def test_file_where_none_can_be(app, files):
    shutil.rmtree(files)
    client = app.start()
    client.send(put("/files/a", body=b"abc"))
    assert client.response().status == 404


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_curl_uploads_a_file(app, files, tmp_path):
    app.start()
    source = tmp_path / "source"
    source.write_bytes(bytes(range(256)) * 40000)
    done = subprocess.run(
        ["curl", "-s", "--noproxy", "*", "-T", source, "http://{}:{}/files/x".format(*app.address)],
        capture_output=True,
        timeout=PATIENCE,
    )
    assert done.stdout == b'["x",10240000]'
    assert (files / "x").read_bytes() == source.read_bytes()


PARTS = (
    b'--xx\r\nContent-Disposition: form-data; name="a"\r\n\r\ntext\r\n'
    b'--xx\r\nContent-Disposition: form-data; name="f"; filename="f.txt"\r\n\r\n%b\r\n--xx--\r\n'
)


@pytest.fixture
def forms(app):
    forms = []

    @app.route("/form", "PUT", stream=True, body_limit=64 << 20)
    def up(request):
        request.receive_form(then, FormLimits(file_bytes=32 << 20))

    def then(request, form):
        forms.append(form)
        assert request.parse_form() is form
        upload = form.files.get("f")
        request.response_json([form.get("a"), upload and (upload.filename, upload.size)])

    return forms


@pytest.mark.parametrize("size", [0, 100, 5 << 20])
def test_multipart(app, forms, size):
    pytest.importorskip("multipart")
    client = app.start()
    client.send(put("/form", BOUNDARY, body=PARTS % bytes(size)))
    assert client.response().body == b'["text",["f.txt",%d]]' % size
    client.send(put("/form", BOUNDARY, CHUNKED))
    for byte in PARTS % b"abc":
        client.send(b"1\r\n%c\r\n" % byte)
    client.send(b"0\r\n\r\n")
    assert client.response().body == b'["text",["f.txt",3]]'
    assert all(form.files["f"].file.closed for form in forms)


def test_urlencoded(app, forms):
    client = app.start()
    client.send(put("/form", "Content-Type: application/x-www-form-urlencoded", body=b"a=%C3%A9"))
    assert client.response().body == '["é",null]'.encode()


@pytest.mark.parametrize(
    ("lines", "body", "status"),
    [
        (["Content-Type: text/plain"], b"abc", 415),
        ([], b"abc", 415),
        (["Content-Type: multipart/form-data"], b"abc", 400),
        ([BOUNDARY], PARTS[:-10] % b"abc", 400),
        ([BOUNDARY], b"--xx\r\nnonsense\r\n\r\n", 400),
        ([BOUNDARY, "Content-Length: 9999"], b"--xx\r\nnonsense\r\n\r\n", 400),
        ([BOUNDARY], PARTS % bytes((32 << 20) + 1), 413),
        (["Content-Type: application/x-www-form-urlencoded"], b"a=" + bytes(5 << 20), 413),
    ],
    ids=["plain", "none", "no boundary", "no end", "no part", "early", "large", "long"],
)
def test_forms_that_are_refused(app, forms, lines, body, status):
    pytest.importorskip("multipart")
    client = app.start()
    length = [] if any("Length" in line for line in lines) else [f"Content-Length: {len(body)}"]
    with contextlib.suppress(ConnectionError):
        client.send(put("/form", *lines, *length) + body)
    assert client.response().status == status
    assert forms == []
    assert app.logged() == []


@pytest.mark.parametrize("limit", [0, -1])
def test_limit_that_makes_no_sense(app, limit):
    with pytest.raises(ValueError, match="body_limit of '/up' is not above 0"):
        app.route("/up", "PUT", body_limit=limit)(print)


@pytest.mark.once
def test_memory_of_a_large_form(serve, tmp_path):
    """The whole of it passes through; see tests/bench/rush-web/upload.py for 1 GiB."""
    pytest.importorskip("multipart")
    program = serve("", UPLOAD)
    size = 128 << 20
    head, tail = PARTS.split(b"%b")
    with program.client() as client:
        client.send(put("/", BOUNDARY, f"Content-Length: {len(head) + size + len(tail)}") + head)
        piece = bytes(range(256)) * 4096
        for _ in range(0, size, len(piece)):
            client.send(piece)
        client.send(tail)
        received, most = map(int, client.response().body.split())
    assert received == size
    assert most < 40 << 20
    assert program.stop() == 0


UPLOAD = """
import re

@server.put("/", stream=True, body_limit=1 << 40)
def up(request):
    request.receive_form(then)


def then(request, form):
    status = open("/proc/self/status").read()
    most = int(re.search(r"VmHWM:\\s+([0-9]+) kB", status)[1]) * 1024
    request.response(f"{form.files['f'].size} {most}")
"""
