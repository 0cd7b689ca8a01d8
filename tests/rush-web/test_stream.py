"""`Request.stream`: pieces of text and bytes, taken as the client reads, closed in any case."""

import pytest

from rawclient import request


class Rows:
    """An iterable that counts, and says when it was closed."""

    def __init__(self, pieces):
        self.pieces = iter(pieces)
        self.taken = 0
        self.closed = 0

    def __iter__(self):
        return self

    def __next__(self):
        piece = next(self.pieces)
        self.taken += 1
        if isinstance(piece, Exception):
            raise piece
        return piece

    def close(self):
        self.closed += 1


def chunks(client):
    """The head and the chunks of a chunked answer."""
    head = bytearray()
    while not head.endswith(b"\r\n\r\n"):
        head += client.exactly(1)
    assert b"Transfer-Encoding: chunked\r\n" in head
    found = []
    while size := int(line(client), 16):
        found.append(client.exactly(size))
        assert client.exactly(2) == b"\r\n"
    assert client.exactly(2) == b"\r\n"
    return bytes(head), b"".join(found)


def line(client):
    data = b""
    while not data.endswith(b"\r\n"):
        data += client.exactly(1)
    return data[:-2]


def test_text_and_bytes(app):
    rows = Rows(["é", b"\xff", "", "end"])

    @app.route("/")
    def all_of_it(request):
        request.set_cookie("a", "b")
        request.stream(rows, 201, {"X-A": "b"}, content_type="text/csv")

    client = app.start()
    client.send(request("/"))
    head, body = chunks(client)
    assert head.startswith(b"HTTP/1.1 201 Created\r\n")
    for expected in (b"Content-Type: text/csv\r\n", b"X-A: b\r\n", b"Set-Cookie: a=b; "):
        assert expected in head
    assert body == "é".encode() + b"\xffend"
    assert rows.closed == 1


def test_announced_length_on_a_kept_connection(app):
    app.route("/")(lambda request: request.stream(["ab", "cd"], length=4))
    client = app.start()
    for _ in range(2):
        response = client.get("/")
        assert (response.body, response.headers["content-length"]) == (b"abcd", "4")


def test_http_1_0_ends_with_the_connection(app):
    app.route("/")(lambda request: request.stream(["ab", "cd"]))
    client = app.start()
    client.send(request("/", protocol="HTTP/1.0"))
    assert client.rest().endswith(b"\r\n\r\nabcd")


def test_head_takes_nothing(app):
    rows = Rows(["a"])
    app.route("/")(lambda request: request.stream(rows, length=1))
    response = app.start().get("/", method="HEAD")
    assert response.headers["content-length"] == "1"
    assert (rows.taken, rows.closed) == (0, 1)


def test_a_slow_client_is_waited_for(app, tmp_path):
    rows = Rows(b"x" * 65536 for _ in range(1000))
    app.route("/")(lambda request: request.stream(rows))
    app.route("/taken")(lambda request: request.response(str(rows.taken)))
    client = app.start()
    client.send(request("/"))
    client.begun()
    assert int(app.client().get("/taken").body) < 1000
    assert len(chunks(client)[1]) == 1000 * 65536


@pytest.mark.parametrize(
    ("pieces", "options", "status"),
    [
        (Rows([b"a"]), {"headers": {"X": "a\nb"}}, 500),
        (Rows([b"a"]), {"length": -1}, 500),
        ("text", {}, 500),
        (b"bytes", {}, 500),
    ],
)
def test_what_cannot_be_sent(app, pieces, options, status):
    app.route("/")(lambda request: request.stream(pieces, **options))
    assert app.start().get("/").status == status
    assert getattr(pieces, "closed", 1) == 1


def test_answered_twice_is_closed_as_well(app):
    rows = Rows([b"a"])

    @app.route("/")
    def twice(request):
        request.response("first")
        request.stream(rows)

    client = app.start()
    assert client.get("/").body == b"first"
    assert client.get("/").body == b"first"  # so that the first handler has ended
    assert rows.closed >= 1


@pytest.mark.parametrize("pieces", [["a", ZeroDivisionError("in a piece")], ["a", 7]])
def test_a_failure_names_the_handler(app, pieces):
    rows = Rows(pieces)

    @app.route("/report")
    def report(request):
        request.stream(rows)

    client = app.start()
    client.send(request("/report"))
    assert not client.rest().endswith(b"0\r\n\r\n")
    assert rows.closed == 1
    (line,) = app.logged()
    assert "GET '/report'" in line
    assert "test_a_failure_names_the_handler.<locals>.report (" in line


def test_a_generator_is_named_and_closed_when_the_client_goes(app, caplog):
    closed = []

    def rows():
        try:
            while True:
                yield "x" * 65536
        finally:
            closed.append(True)
            raise RuntimeError("in the end")

    app.route("/")(lambda request: request.stream(rows()))
    app.route("/closed")(lambda request: request.response(str(len(closed))))
    client = app.start()
    client.send(request("/"))
    client.begun()
    client.sock.close()
    other = app.client()
    while other.get("/closed").body == b"0":
        pass
    (line,) = app.logged()
    assert "<locals>.rows" in line
