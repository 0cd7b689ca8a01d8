"""What is sent of a file: the whole, a part, or that nothing has changed; in which coding."""

import dataclasses
import gzip
import os

import pytest

from rush_http import Headers
from rush_loader import Loader, answer, codings, compressed
from rush_loader.reader import read_file

TEXT = "0123456789" * 500


@pytest.fixture
def page(write):
    path = write("page.html", TEXT)
    os.utime(path, (1_700_000_000, 1_700_000_000))
    return read_file(path)


def headers(**fields):
    return Headers(tuple((name.replace("_", "-"), value) for name, value in fields.items()))


def lines(reply):
    first, *rest = reply.head.decode("ascii").removesuffix("\r\n").split("\r\n")
    assert first.split()[:2] == ["HTTP/1.1", str(reply.status)]
    return dict(line.split(": ", 1) for line in rest)


def test_a_plain_get(page):
    reply = answer(page, "GET", headers())
    assert reply.body == page.content
    assert reply.file is None
    assert lines(reply) == {
        "Content-Type": "text/html; charset=utf-8",
        "Accept-Ranges": "bytes",
        "ETag": page.etag,
        "Last-Modified": "Tue, 14 Nov 2023 22:13:20 GMT",
        "Vary": "Accept-Encoding",
        "Content-Length": "5000",
    }


def test_what_is_ready_is_shared(page):
    assert answer(page, "GET", headers()) is answer(page, "GET", headers(accept="*/*"))
    unchanged = headers(if_none_match=page.etag)
    assert answer(page, "GET", unchanged) is answer(page, "HEAD", unchanged)


def test_head_is_get_without_the_body(page):
    get, head = answer(page, "GET", headers()), answer(page, "HEAD", headers())
    assert (head.head, head.body) == (get.head, b"")


CONDITIONS = [
    # header lines                                                            status
    ({"if_none_match": "{etag}"}, 304),
    ({"if_none_match": 'W/"x", {etag}'}, 304),
    ({"if_none_match": "*"}, 304),
    ({"if_none_match": '"x"'}, 200),
    ({"if_modified_since": "Tue, 14 Nov 2023 22:13:20 GMT"}, 304),
    ({"if_modified_since": "Tue, 14 Nov 2023 22:13:19 GMT"}, 200),
    ({"if_modified_since": "Tue, 14 Nov 2023 22:13:20 GMT", "if_none_match": '"x"'}, 200),
    ({"if_match": '"x"'}, 412),
    ({"if_match": "{etag}"}, 200),
    ({"if_unmodified_since": "Tue, 14 Nov 2023 22:13:19 GMT"}, 412),
    ({"range": "bytes=0-9"}, 206),
    ({"range": "bytes=0-9", "if_range": "{etag}"}, 206),
    ({"range": "bytes=0-9", "if_range": '"x"'}, 200),
    ({"range": "bytes=0-9", "if_none_match": "{etag}"}, 304),
    ({"range": "bytes=5000-"}, 416),
    ({"range": "lines=1-2"}, 200),
]


@pytest.mark.parametrize(("fields", "status"), CONDITIONS, ids=str)
@pytest.mark.parametrize("in_memory", [True, False], ids=["memory", "file"])
def test_conditions_and_ranges(page, fields, status, in_memory):
    if not in_memory:
        page = read_file(page.path, max_bytes=0)
    fields = {name: value.format(etag=page.etag) for name, value in fields.items()}
    reply = answer(page, "GET", headers(**fields))
    assert reply.status == status
    if status == 304:
        assert lines(reply) == {"ETag": page.etag, "Vary": "Accept-Encoding"}
    elif status == 206:
        assert sent(reply) == b"0123456789"
        assert lines(reply)["Content-Range"] == "bytes 0-9/5000"
    elif status == 200:
        assert sent(reply) == TEXT.encode()
    else:
        assert (sent(reply), lines(reply)["Content-Length"]) == (b"", "0")


def sent(reply):
    """The body, from memory or from the file."""
    if reply.file is None:
        assert not reply.parts
        return reply.body
    with reply.file.open() as file:
        pieces = []
        for part in reply.parts:
            if not isinstance(part, bytes):
                file.seek(part[0])
                part = file.read(part[1])
            pieces.append(part)
    return b"".join(pieces)


@pytest.mark.parametrize("in_memory", [True, False], ids=["memory", "file"])
def test_several_ranges(page, in_memory):
    if not in_memory:
        page = read_file(page.path, max_bytes=0)
    reply = answer(page, "GET", headers(range="bytes=0-2,2000-2002"))
    body = sent(reply)
    assert int(lines(reply)["Content-Length"]) == len(body)
    boundary = lines(reply)["Content-Type"].partition("boundary=")[2].encode()
    _, first, second, end = body.split(b"--" + boundary)
    assert first.endswith(b"Content-Range: bytes 0-2/5000\r\n\r\n012\r\n")
    assert second.endswith(b"Content-Range: bytes 2000-2002/5000\r\n\r\n012\r\n")
    assert end == b"--\r\n"


def test_cache_control(page):
    plain = answer(page, "GET", headers())
    reply = answer(page, "GET", headers(), "no-cache")
    assert lines(reply) == lines(plain) | {"Cache-Control": "no-cache"}
    unchanged = answer(page, "GET", headers(if_none_match=page.etag), "no-cache")
    assert lines(unchanged)["Cache-Control"] == "no-cache"
    assert answer(page, "GET", headers()) is plain


def test_an_empty_file(write):
    reply = answer(read_file(write("empty.html", "")), "GET", headers())
    assert (reply.body, lines(reply)["Content-Length"]) == (b"", "0")


def test_what_is_not_compressed_does_not_vary(write):
    picture = compressed(read_file(write("picture.png", TEXT)))
    reply = answer(picture, "GET", headers(accept_encoding="gzip"))
    assert reply.body == picture.content
    assert "Vary" not in lines(reply)


def test_compressed(page):
    plain = answer(page, "GET", headers())
    page = dataclasses.replace(page, encodings={"gzip": gzip.compress(page.content, mtime=0)})
    assert lines(answer(page, "GET", headers())) == lines(plain)
    asked = headers(accept_encoding="gzip, deflate")
    reply = answer(page, "GET", asked)
    assert gzip.decompress(reply.body) == page.content
    found = lines(reply)
    assert found["ETag"] != page.etag
    assert found == lines(plain) | {
        "Content-Encoding": "gzip",
        "Content-Length": str(len(reply.body)),
        "ETag": found["ETag"],
    }
    # Each coding has its own validator, and its own ranges.
    both = headers(accept_encoding="gzip", if_none_match=found["ETag"])
    assert lines(answer(page, "GET", both)) == {"ETag": found["ETag"], "Vary": "Accept-Encoding"}
    assert answer(page, "GET", headers(if_none_match=found["ETag"])).status == 200
    part = answer(page, "GET", headers(accept_encoding="gzip", range="bytes=0-3"))
    assert (part.status, part.body) == (206, reply.body[:4])
    assert lines(part)["Content-Encoding"] == "gzip"


GZIP = gzip.compress(TEXT.encode(), 1)
BR = b"as br"


def twin(write, name, content, mtime):
    path = write(name, "")
    with open(path, "wb") as file:
        file.write(content)
    os.utime(path, (mtime, mtime))
    return read_file(path)


ACCEPTED = [
    (None, "identity"),
    ("gzip", "gzip"),
    ("br, gzip", "br"),
    ("br;q=0.5, gzip", "gzip"),
    ("zstd, deflate", "identity"),
    ("*", "br"),
    ("br;q=0, *", "gzip"),
    ("", "identity"),
    ("identity", "identity"),
    ("identity;q=0, zstd", "identity"),  # nothing that we have: as it is
    ("gzip;q=nonsense", "identity"),
]


@pytest.mark.parametrize(("accepted", "coding"), ACCEPTED, ids=str)
def test_twins_by_what_is_accepted(page, write, monkeypatch, accepted, coding):
    monkeypatch.delitem(codings.CHECKERS, "br", raising=False)  # whose package may not be there
    page = dataclasses.replace(
        page,
        companions={
            ".gz": twin(write, "page.html.gz", GZIP, 1_700_000_000),
            ".br": twin(write, "page.html.br", BR, 1_700_000_001),
        },
    )
    page = dataclasses.replace(compressed(page), encodings={})
    asked = headers() if accepted is None else headers(accept_encoding=accepted)
    reply = answer(page, "GET", asked)
    found = lines(reply)
    assert found.get("Content-Encoding", "identity") == coding
    assert found["Content-Type"] == "text/html; charset=utf-8"
    assert found["Vary"] == "Accept-Encoding"
    assert reply.body == {"identity": page.content, "gzip": GZIP, "br": BR}[coding]
    unchanged = headers(accept_encoding=accepted or "", if_none_match=found["ETag"])
    assert answer(page, "GET", unchanged).status == 304


def test_a_twin_goes_before_what_is_compressed_here(page, write):
    ready = twin(write, "page.html.gz", GZIP, 1_700_000_000)
    page = compressed(dataclasses.replace(page, companions={".gz": ready}))
    page = dataclasses.replace(page, encodings={"gzip": b"here"})
    assert answer(page, "GET", headers(accept_encoding="gzip")).body == GZIP


def test_a_large_twin_is_opened(page, write):
    path = twin(write, "page.html.gz", b"a twin", 1_700_000_000).path
    large = read_file(page.path, max_bytes=0)
    large = dataclasses.replace(large, companions={".gz": read_file(path, max_bytes=0)})
    large = compressed(large)
    reply = answer(large, "GET", headers(accept_encoding="gzip", range="bytes=2-"))
    assert reply.file.path == path
    assert sent(reply) == b"twin"


@pytest.mark.parametrize(
    ("name", "content", "mtime"),
    [
        ("page.html.gz", GZIP, 1_699_999_999),
        ("page.html.gz", b"", 1_700_000_000),
        ("page.html.gz", gzip.compress(TEXT.encode(), 0), 1_700_000_000),
        ("page.html.gz", gzip.compress(TEXT[::-1].encode()), 1_700_000_000),
        ("elsewhere/page.html.gz", GZIP, 1_700_000_000),
    ],
    ids=["older", "empty", "longer", "of another version", "elsewhere"],
)
def test_twins_that_are_not_sent(page, write, name, content, mtime):
    page = dataclasses.replace(page, companions={".gz": twin(write, name, content, mtime)})
    page = dataclasses.replace(compressed(page), encodings={})
    assert answer(page, "GET", headers(accept_encoding="gzip")).body == page.content


def test_other_companions_are_not_sent(page, write):
    page = dataclasses.replace(page, companions={".map": twin(write, "page.html.map", b"x", 2e9)})
    page = compressed(page)
    assert answer(page, "GET", headers(accept_encoding="map, .map")).body == page.content


def test_what_is_remembered_is_bounded(page):
    for number in range(1000):
        for asked in (
            {"accept_encoding": f"x-{number}"},
            {"accept_encoding": "x" * number + ", gzip"},
            {"if_none_match": f'"{number}"'},
        ):
            assert answer(page, "GET", headers(**asked)).body == page.content
    known = page.replies[""].known
    assert 0 < len(known) <= 16
    assert sum(len(value) for selection in known for _, value in selection) <= 2560


SEVERAL = [
    ("GET", {}),
    ("HEAD", {}),
    ("GET", {"accept_encoding": "gzip"}),
    ("GET", {"accept_encoding": "gzip;q=0"}),
    ("GET", {"if_none_match": "TAG"}),
    ("HEAD", {"if_none_match": "TAG"}),
    ("GET", {"if_none_match": '"other"'}),
    ("GET", {"if_none_match": "TAG", "accept_encoding": "gzip"}),
    ("GET", {"if_none_match": "TAG", "if_modified_since": "Thu, 01 Jan 1970 00:00:00 GMT"}),
    ("GET", {"if_none_match": '"x"', "if_modified_since": "Thu, 01 Jan 2099 00:00:00 GMT"}),
    ("GET", {"if_modified_since": "Thu, 01 Jan 2099 00:00:00 GMT"}),
    ("GET", {"if_modified_since": "Thu, 01 Jan 1970 00:00:00 GMT"}),
    ("GET", {"if_match": '"other"', "if_none_match": "TAG"}),
    ("GET", {"range": "bytes=0-1"}),
    ("GET", {"range": "bytes=0-1", "if_none_match": "TAG"}),
    ("GET", {"range": "bytes=0-1", "if_range": '"other"'}),
    ("GET", {"range": "bytes=999-"}),
]


def test_what_is_remembered_is_what_is_worked_out(write, tmp_path, eventually):
    """The second time, and among others, as for a version that nobody has asked for."""
    write("page.html", "<p>Hello, World!" * 99)
    with Loader(tmp_path) as loader:
        eventually(lambda: loader.load("/page.html").encodings)
        loader.answer("/page.html", "GET", headers())
        page, known = loader.load("/page.html"), loader.answerer("/page.html")
        for method, asked in (*SEVERAL, *SEVERAL, *reversed(SEVERAL)):
            asked = {name: value.replace("TAG", page.etag) for name, value in asked.items()}
            once, again = known(method, headers(**asked)), known(method, headers(**asked))
            fresh = answer(dataclasses.replace(page), method, headers(**asked), "no-cache")
            assert (once.head, once.body) == (fresh.head, fresh.body)
            assert (again.head, again.body) == (fresh.head, fresh.body)
