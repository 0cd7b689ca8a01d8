"""Events one by one: what has come when, and what can be asked of a parser meanwhile."""

import pytest

from rush_http import END, Head, Limits, RequestParser

# Laziness

THREE = (
    b"GET /1 HTTP/1.1\r\nHost: a\r\n\r\n"
    b"POST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"
    b"GET /3 HTTP/1.1\r\nHost: a\r\n\r\n"
)


@pytest.mark.parametrize("stop_after", range(8))
def test_lazy(stop_after):
    whole_way = list(RequestParser().feed(THREE))
    assert [type(event).__name__ for event in whole_way] == [
        "Head", "End", "Head", "bytes", "End", "Head", "End",
    ]  # fmt: skip
    parser = RequestParser()
    iterator = parser.feed(THREE)
    first = [next(iterator) for _ in range(min(stop_after, 7))]
    assert first + list(parser.feed(b"")) == whole_way
    assert list(parser.feed(b"")) == []
    assert parser.clean


def test_one_event_at_a_time():
    parser, events = RequestParser(), []
    parser.feed(THREE)
    while (event := next(parser.feed(b""), None)) is not None:
        events.append(event)
    assert events == list(RequestParser().feed(THREE))


def test_good_requests_before_a_bad_one_come_first():
    wire = THREE + b"BAD\r\n\r\n"
    iterator = RequestParser().feed(wire)
    for _ in range(7):
        assert next(iterator) is not None  # the refusal must not come early


def test_stopped_in_the_middle_then_more_data():
    parser = RequestParser()
    assert next(parser.feed(THREE)).path == "/1"
    rest = list(parser.feed(b"GET /4 HTTP/1.1\r\nHost: a\r\n\r\n"))
    assert [event.path for event in rest if isinstance(event, Head)] == ["/2", "/3", "/4"]
    assert rest[-1] is END


# What can be asked of a parser


def test_started_clean_and_buffered():
    parser = RequestParser()

    def state(data):
        list(parser.feed(data))
        return parser.started, parser.clean, parser.buffered

    assert (parser.started, parser.clean, parser.buffered) == (False, True, 0)
    assert state(b"\r\n") == (False, False, 0)
    assert state(b"POST / HT") == (True, False, 9)
    assert parser.method == "POST"
    assert state(b"TP/1.1\r\n") == (True, False, 0)
    assert parser.method == "POST"
    assert state(b"Host: a\r\nContent-Length: 3\r\n\r\n") == (False, False, 0)
    assert parser.method is None
    assert state(b"ab") == (False, False, 0)
    assert state(b"c") == (False, True, 0)


@pytest.mark.once
def test_a_large_buffer_is_not_copied_for_each_request_in_it():
    # Quadratic, this would take 20 seconds.
    one = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx"
    wire = one * 30_000
    assert sum(event is END for event in RequestParser().feed(wire)) == 30_000


def test_head_repr_hides_values():
    wire = b"GET / HTTP/1.1\r\nHost: a\r\nAuthorization: secret\r\n\r\n"
    assert "secret" not in repr(next(RequestParser().feed(wire)))


def test_events_of_other_limits(parse):
    wire = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"
    assert parse([wire], Limits(body_bytes=3)).requests[0][1] == b"abc"


def test_the_rest_can_be_taken_out():
    parser = RequestParser()
    events = parser.feed(b"GET / HTTP/1.1\r\nHost: a\r\n\r\nanother protocol")
    assert [isinstance(next(events), Head), next(events)] == [True, END]
    assert parser.take_rest() == b"another protocol"
    assert (parser.take_rest(), parser.buffered) == (b"", 0)
