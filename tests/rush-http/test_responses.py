import datetime
import email.utils
import re
import threading

import pytest

from rush_http import (
    CLOSE,
    KEEP_ALIVE,
    date_line,
    header_line,
    http_date,
    render,
    render_head,
    responses,
)


def rendered(*arguments, **options):
    """A rendered response with its date taken out."""
    data, count = re.subn(
        rb"Date: \w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT\r\n", b"", render(*arguments, **options)
    )
    assert count == 1  # RFC 9110, 6.6.1
    return data


ROWS = [
    (
        rendered(200, b"hello"),
        b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\n"
        b"Content-Length: 5\r\n\r\nhello",
    ),
    (
        rendered(200, b"", content_type=None),
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    ),
    (
        rendered(404, b"<p>", [("X", "y"), ("Z", "")], content_type="text/html"),
        b"HTTP/1.1 404 Not Found\r\nContent-Type: text/html\r\nX: y\r\nZ: \r\n"
        b"Content-Length: 3\r\n\r\n<p>",
    ),
    (
        rendered(200, b"{}", [("content-type", "application/json")]),
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nContent-Length: 2\r\n\r\n{}",
    ),
    (
        rendered(200, b"hello", head_only=True, content_type=None),
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
    ),
    (
        rendered(200, b"hello", connection_line=CLOSE, content_type=None),
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello",
    ),
    (
        rendered(200, b"", [("X", "y")], connection_line=KEEP_ALIVE, content_type=None),
        b"HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nX: y\r\nContent-Length: 0\r\n\r\n",
    ),
    (rendered(204), b"HTTP/1.1 204 No Content\r\n\r\n"),
    (
        rendered(204, b"", [("X", "y")], connection_line=CLOSE),
        b"HTTP/1.1 204 No Content\r\nConnection: close\r\nX: y\r\n\r\n",
    ),
    (rendered(304), b"HTTP/1.1 304 Not Modified\r\n\r\n"),
    (
        rendered(205, b"", connection_line=CLOSE),
        b"HTTP/1.1 205 Reset Content\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
    ),
    (rendered(304, head_only=True), b"HTTP/1.1 304 Not Modified\r\n\r\n"),
    (
        rendered(299, b"x", content_type=None),
        b"HTTP/1.1 299 \r\nContent-Length: 1\r\n\r\nx",
    ),
    (
        rendered(413, content_type=None),
        b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n",
    ),
    (
        rendered(200, b"\r\n\r\n\0", content_type=None),
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n\r\n\r\n\0",
    ),
    (
        rendered(200, b"", [("X", "\xe9\t~")], content_type=None),
        b"HTTP/1.1 200 OK\r\nX: \xe9\t~\r\nContent-Length: 0\r\n\r\n",
    ),
]


@pytest.mark.parametrize(("data", "expected"), ROWS)
def test_exact_bytes(data, expected):
    assert data == expected


@pytest.mark.parametrize("headers", [iter([("X", "y")]), (("X", "y"),), {"X": "y"}.items()])
def test_headers_are_any_pairs(headers):
    assert b"\r\nX: y\r\n" in render(200, b"", headers)


BAD_TEXTS = ["a\rb", "a\nb", "a\r\nb", "\r\n", "\n", "a\0", "\0", "a\x0b", "\x1b", "\x7f", "€"]


@pytest.mark.parametrize("text", [*BAD_TEXTS, "", "a b", "a:", "(a)", "é", "a\t"])
def test_bad_name(text):
    for make in (lambda: header_line(text, "x"), lambda: render(200, b"", [(text, "x")])):
        with pytest.raises(ValueError, match="not a token"):
            make()


@pytest.mark.parametrize("text", BAD_TEXTS)
def test_bad_value(text):
    for make in (
        lambda: header_line("X", text),
        lambda: render(200, b"", [("X", text)]),
        lambda: render_head(200, [("X", text)]),
        lambda: render(200, b"", content_type=text),
        lambda: render(200, b"", [("Content-Type", text)]),
    ):
        with pytest.raises(ValueError, match="no header may hold"):
            make()


@pytest.mark.parametrize(("name", "value"), [(b"X", "y"), ("X", b"y"), ("X", 5), ("X", None)])
def test_header_that_is_not_text(name, value):
    with pytest.raises(TypeError, match="two texts"):
        header_line(name, value)


@pytest.mark.parametrize(
    "name", ["Content-Length", "transfer-encoding", "CONNECTION", "Date", "date"]
)
def test_own_headers_are_refused(name):
    with pytest.raises(ValueError, match=f"header {name} is worked out"):
        render(200, b"", [(name, "close")])


@pytest.mark.parametrize("status", [204, 205, 304])
def test_body_where_there_is_none(status):
    with pytest.raises(ValueError, match=f"status {status} has no body"):
        render(status, b"x")


@pytest.mark.parametrize("status", [0, 99, 100, 101, 199, 600, 1000, -200])
def test_status_that_is_no_final_answer(status):
    with pytest.raises(ValueError, match="final answer"):
        render(status)
    with pytest.raises(ValueError, match="final answer"):
        render_head(status)


def test_render_head():
    assert render_head(302, [("Location", "/a"), ("X", "y")]) == (
        b"HTTP/1.1 302 Found\r\nLocation: /a\r\nX: y\r\n"
    )
    assert header_line("X", "y") == b"X: y\r\n"


def test_many_statuses_and_types():
    """What is kept of ready-made lines is bounded, and never the wrong one."""
    for number in range(1000):
        assert b"\r\nContent-Type: a/%d\r\n" % number in render(200, content_type=f"a/{number}")
    for status in range(200, 600):
        assert render(status).startswith(b"HTTP/1.1 %d " % status)


def test_http_date():
    assert http_date(784111777) == "Sun, 06 Nov 1994 08:49:37 GMT"  # RFC 9110, 5.6.7
    assert http_date(0) == "Thu, 01 Jan 1970 00:00:00 GMT"


def test_date_line_is_now():
    line = date_line()
    assert line.startswith(b"Date: ")
    assert line.endswith(b" GMT\r\n")
    then = email.utils.parsedate_to_datetime(line[6:-2].decode())
    now = datetime.datetime.now(datetime.timezone.utc)
    assert abs((now - then).total_seconds()) < 5


def test_date_line_follows_the_clock(monkeypatch):
    times = [(7.0, 1000.5), (7.4, 1000.9), (7.5, 1001.0), (8.4, 500.9), (8.5, 501.0), (9.5, 2000.0)]
    monkeypatch.setattr(responses, "SECOND", responses._Second())
    lines = []
    for monotonic, now in times:
        monkeypatch.setattr(responses, "monotonic", lambda monotonic=monotonic: monotonic)
        monkeypatch.setattr(responses, "time", lambda now=now: now)
        lines.append(date_line())
    # A clock that is set back is followed, too, within a second.
    assert lines == [
        f"Date: {http_date(at)}\r\n".encode() for at in (1000, 1000, 1001, 1001, 501, 2000)
    ]


def test_thread_that_renders_just_as_a_second_begins(monkeypatch):
    """Its answer has a Date, also the very first, whichever thread works that out."""
    answers = []

    def date(at):
        if not answers:
            answers.append(b"")
            thread = threading.Thread(target=lambda: answers.append(render(200)))
            thread.start()
            thread.join()
        return http_date(at)

    monkeypatch.setattr(responses, "SECOND", responses._Second())
    monkeypatch.setattr(responses, "http_date", date)
    answers.append(render(200))
    for answer in answers[1:]:
        assert b"\r\nDate: " in answer
    assert len(answers) == 3
