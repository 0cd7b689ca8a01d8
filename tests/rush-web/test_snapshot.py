"""Copies of requests that are kept."""

import gc

import pytest

from rawclient import request
from rush_web import FormLimits, Snapshot

FORM = "Content-Type: application/x-www-form-urlencoded"

MULTIPART = "Content-Type: multipart/form-data; boundary=x"
FILE = (
    b'--x\r\nContent-Disposition: form-data; name="f"; filename="a.txt"\r\n\r\n'
    + b"0123456789" * 40_000
    + b"\r\n--x--\r\n"
)


@pytest.fixture
def kept(app):
    """Snapshots of the requests of a client; `kept.client` sends more of them."""

    class Kept(list):
        client = None

    kept = Kept()

    def noted(request):
        request.context["noted"] = [1]
        return True

    @app.route("/<name>", "GET", "POST", filter=noted)
    def handler(request):
        if "worked-out" in request.args:
            assert request.cookies
        kept.append(request.snapshot())
        request.context["late"] = 2
        request.response()

    kept.client = app.start()
    return kept


def test_a_snapshot_stays_what_it_was(kept):
    body = b"a=1&b=2&a=3"
    lines = ("X-One: 1", "Cookie: c=1; d=2", FORM)
    address = kept.client.sock.getsockname()
    for path in ("/ann?x=1&x=2", "/ann?x=1&x=2&worked-out="):
        kept.client.send(request(path, *lines, method="POST", body=body))
        assert kept.client.response().status == 200
    for _ in range(3):
        kept.client.get("/other?y=1", "X-One: 2", protocol="HTTP/1.1")
    kept.client.sock.close()
    for one in kept[:2]:
        assert isinstance(one, Snapshot)
        assert (one.method, one.path, one.protocol) == ("POST", "/ann", (1, 1))
        assert one.query.startswith("x=1&x=2")
        assert one.headers["x-one"] == "1"
        assert one.params == {"name": "ann"}
        assert one.body == body
        assert one.args.getlist("x") == ["1", "2"]
        assert one.args is one.parse_args()
        assert one.cookies == {"c": "1", "d": "2"}
        assert one.parse_form().getlist("a") == ["1", "3"]
        assert one.client == address
        assert one.context == {"noted": [1]}
        assert one.error is None
        assert repr(one) == "<Snapshot POST '/ann'>"
    assert kept[-1].path == "/other"
    assert kept[-1].parse_args() == {"y": "1"}


@pytest.mark.parametrize("name", ["path", "body", "headers", "client", "context", "new", "conn"])
def test_it_cannot_be_changed(kept, name):
    kept.client.get("/ann")
    (one,) = kept
    with pytest.raises(AttributeError, match=f"<Snapshot GET '/ann'> is a copy: '{name}' cannot"):
        setattr(one, name, "x")
    with pytest.raises(AttributeError, match=f"is a copy: '{name}' cannot be deleted"):
        delattr(one, name)
    with pytest.raises(TypeError):
        one.params["name"] = "x"
    with pytest.raises(TypeError):
        one.args["name"] = "x"
    assert one.path == "/ann"


def test_a_context_of_its_own(kept):
    kept.client.get("/ann")
    kept.client.get("/bob")
    one, other = kept
    one.context["more"] = 1
    assert other.context == {"noted": [1]}


def test_a_snapshot_of_a_snapshot(kept):
    kept.client.get("/ann?x=1")
    again = Snapshot(kept[0])
    assert (again.path, again.params, again.args) == ("/ann", {"name": "ann"}, {"x": "1"})


def test_json_of_a_snapshot(kept):
    json = "Content-Type: application/json"
    kept.client.send(request("/ann", json, method="POST", body=b"[1]"))
    assert kept.client.response().status == 200
    assert kept[0].json() == [1]


def test_its_form_has_files_of_its_own(app):
    """Those of the request are closed with it; those of the snapshot when it is let go of."""
    pytest.importorskip("multipart")
    kept = []

    @app.route("/", "POST")
    def handler(request):
        form = request.parse_form()
        kept.extend([request.snapshot(), form.files["f"].file])
        request.response()

    client = app.start()
    client.send(request("/", MULTIPART, method="POST", body=FILE))
    assert client.response().status == 200
    assert client.get("/", method="HEAD").status == 405  # the handler has ended
    snapshot, theirs = kept
    assert theirs.closed
    ours = snapshot.parse_form(FormLimits(spool_bytes=1)).files["f"]
    assert ours.read()[:10] == b"0123456789"
    assert ours.file is not theirs
    kept.clear()
    del snapshot
    gc.collect()
    assert ours.file.closed


def test_one_that_could_not_be_made_does_no_harm():
    with pytest.raises(AttributeError):
        Snapshot(object())
    gc.collect()
