import doctest
import time

import pytest

from rush_http import Headers, conditional, http_date
from rush_http.conditional import Answer, Representation, Span, evaluate

NOV_1994 = 784111777  # Sun, 06 Nov 1994 08:49:37 GMT
IN_2026 = 1795392000.0  # Mon, 23 Nov 2026 00:00:00 GMT
SAME = "Sun, 06 Nov 1994 08:49:37 GMT"
EARLIER = "Sun, 06 Nov 1994 08:49:36 GMT"
LATER = "Sun, 06 Nov 1994 08:49:38 GMT"
RFC_850 = "Sunday, 06-Nov-94 08:49:37 GMT"
ASCTIME = "Sun Nov  6 08:49:37 1994"


def test_examples_of_the_docstring():
    assert doctest.testmod(conditional) == (0, 5)


# RFC 9110, 8.8.3.2: the table of comparisons
COMPARISONS = [
    # ETag, other, strong, weak
    ('W/"1"', 'W/"1"', False, True),
    ('W/"1"', 'W/"2"', False, False),
    ('W/"1"', '"1"', False, True),
    ('"1"', 'W/"1"', False, True),
    ('"1"', '"1"', True, True),
]


@pytest.mark.parametrize(("etag", "other", "strong", "weak"), COMPARISONS)
def test_comparison(etag, other, strong, weak):
    assert evaluate("PUT", fields(if_match=other), etag=etag) == (None if strong else 412)
    assert evaluate("GET", fields(if_none_match=other), etag=etag) == (304 if weak else None)


LISTS = [
    # value of the field, whether the entity tag is in it
    ('"a,b"', '"a,b"', True),
    ('"x", "a,b"', '"a,b"', True),
    ('"a,b"', '"a"', False),
    ('"a,b"', '"b"', False),
    ('"xyzzy"', '"xyzzy"', True),  # from RFC 9110, 13.1.1 and 13.1.2
    ('"xyzzy", "r2d2xxxx", "c3piozzzz"', '"c3piozzzz"', True),
    ('"xyzzy", "r2d2xxxx", "c3piozzzz"', '"r2d2xxxx"', True),
    ('"xyzzy", "r2d2xxxx", "c3piozzzz"', '"r2d2"', False),
    ('"xyzzy","r2d2xxxx","c3piozzzz"', '"c3piozzzz"', True),
    ('"xyzzy" \t,\t "r2d2xxxx"', '"r2d2xxxx"', True),
    (', ,"a",,, "b", ,', '"b"', True),  # empty elements: RFC 9110, 5.6.1.2
    (', ,"a",,, "b", ,', '"a"', True),
    (",,,", '"a"', False),
    ("", '"a"', False),
    ('""', '""', True),
    ('"a"', '""', False),
    ('"a\\"', '"a\\"', True),  # no escapes: RFC 9110, 8.8.3
    ('"\xe9"', '"\xe9"', True),
    ('"A"', '"a"', False),
    ("a", '"a"', False),
    ('a, "a"', '"a"', False),  # what follows on something malformed is not read
    ('"a" "b"', '"b"', False),
    ('"a"b, "c"', '"c"', False),
    ('"a b", "c"', '"c"', False),
    ('"c", "a b"', '"c"', True),
    ('"a', '"a"', False),
    ('a"', '"a"', False),
    ("'a'", '"a"', False),
    ('w/"a"', '"a"', False),  # W/ is in upper case: RFC 9110, 8.8.3
    ('W/ "a"', '"a"', False),
    ('"a";x=1', '"a"', False),
    ('*, "a"', '"a"', False),
    ('"*"', '"a"', False),
    ("**", '"a"', False),
]


@pytest.mark.parametrize(("value", "etag", "listed"), LISTS)
def test_list(value, etag, listed):
    assert evaluate("PUT", fields(if_match=value), etag=etag) == (None if listed else 412)
    assert evaluate("GET", fields(if_none_match=value), etag=etag) == (304 if listed else None)
    assert evaluate("PUT", fields(if_none_match=value), etag=etag) == (412 if listed else None)


def test_weak_ones_in_a_list():
    value = 'W/"xyzzy", W/"r2d2xxxx", "strong"'
    for etag in ('W/"r2d2xxxx"', '"r2d2xxxx"', '"strong"', 'W/"strong"'):
        assert evaluate("GET", fields(if_none_match=value), etag=etag) == 304
    assert evaluate("PUT", fields(if_match=value), etag='"r2d2xxxx"') == 412
    assert evaluate("PUT", fields(if_match=value), etag='W/"r2d2xxxx"') == 412
    assert evaluate("PUT", fields(if_match=value), etag='"strong"') is None


def test_several_lines_are_one_list():
    headers = Headers((("if-none-match", '"a"'), ("if-none-match", '"b"')))
    assert evaluate("GET", headers, etag='"b"') == 304


V1, V2 = '"v1"', '"v2"'
PRECEDENCE = [
    # method, header fields, status for something with ETag "v1" from SAME (RFC 9110, 13.2.2)
    ("GET", {}, None),
    ("GET", {"if_match": V1}, None),
    ("GET", {"if_match": V2}, 412),
    ("GET", {"if_match": "*"}, None),
    ("HEAD", {"if_match": V2}, 412),
    ("PUT", {"if_match": V2}, 412),
    ("DELETE", {"if_match": V1}, None),
    ("GET", {"if_match": V1, "if_unmodified_since": EARLIER}, None),  # step 2 is left out
    ("GET", {"if_match": V2, "if_unmodified_since": SAME}, 412),
    ("GET", {"if_match": V1, "if_none_match": V1}, 304),  # step 3 after step 1
    ("PUT", {"if_match": V1, "if_none_match": V1}, 412),
    ("GET", {"if_match": V2, "if_none_match": V1}, 412),
    ("GET", {"if_match": V1, "if_modified_since": SAME}, 304),
    ("GET", {"if_unmodified_since": SAME}, None),
    ("GET", {"if_unmodified_since": LATER}, None),
    ("GET", {"if_unmodified_since": EARLIER}, 412),
    ("PUT", {"if_unmodified_since": EARLIER}, 412),
    ("POST", {"if_unmodified_since": SAME}, None),
    ("GET", {"if_unmodified_since": RFC_850}, None),
    ("GET", {"if_unmodified_since": "yesterday"}, None),
    ("GET", {"if_unmodified_since": f"{EARLIER}, {EARLIER}"}, None),
    ("GET", {"if_unmodified_since": SAME, "if_none_match": V1}, 304),
    ("GET", {"if_unmodified_since": EARLIER, "if_none_match": V1}, 412),
    ("GET", {"if_unmodified_since": SAME, "if_modified_since": SAME}, 304),
    ("GET", {"if_none_match": V1}, 304),
    ("HEAD", {"if_none_match": V1}, 304),
    ("POST", {"if_none_match": V1}, 412),
    ("PUT", {"if_none_match": V1}, 412),
    ("DELETE", {"if_none_match": V1}, 412),
    ("QUERY", {"if_none_match": V1}, 412),
    ("GET", {"if_none_match": V2}, None),
    ("GET", {"if_none_match": "*"}, 304),
    ("PUT", {"if_none_match": "*"}, 412),
    ("GET", {"if_none_match": V2, "if_modified_since": LATER}, None),  # step 4 is left out
    ("GET", {"if_none_match": V1, "if_modified_since": EARLIER}, 304),
    ("GET", {"if_none_match": "", "if_modified_since": LATER}, None),
    ("GET", {"if_modified_since": SAME}, 304),
    ("GET", {"if_modified_since": RFC_850}, 304),
    ("GET", {"if_modified_since": ASCTIME}, 304),
    ("GET", {"if_modified_since": LATER}, 304),
    ("GET", {"if_modified_since": "Fri, 31 Dec 9999 23:59:59 GMT"}, 304),  # in the future
    ("GET", {"if_modified_since": EARLIER}, None),
    ("HEAD", {"if_modified_since": SAME}, 304),
    ("HEAD", {"if_modified_since": EARLIER}, None),
    ("POST", {"if_modified_since": SAME}, None),
    ("PUT", {"if_modified_since": SAME}, None),
    ("GET", {"if_modified_since": "0"}, None),
    ("GET", {"if_modified_since": f"{SAME}, {SAME}"}, None),
    ("GET", {"if_modified_since": SAME.lower()}, None),
    ("OPTIONS", {"if_match": V2}, None),  # 13.2.1: these select no representation
    ("OPTIONS", {"if_none_match": "*"}, None),
    ("TRACE", {"if_unmodified_since": EARLIER}, None),
    ("CONNECT", {"if_match": V2}, None),
    ("get", {"if_none_match": V1}, 412),  # methods are case-sensitive: 9.1
]


@pytest.mark.parametrize(("method", "given", "status"), PRECEDENCE)
def test_precedence(method, given, status):
    headers = fields(**given)
    assert evaluate(method, headers, etag=V1, last_modified=NOV_1994 + 0.9) == status
    page = Representation(3, etag=V1, last_modified=NOV_1994 + 0.9)
    answer = page.answer(method, headers)
    assert answer.status == (status or 200)
    for span in ("bytes=1-1", "bytes=9-"):  # a precondition comes before Range
        answer = page.answer(method, fields(range=span, **given))
        if status or method != "GET":
            assert answer.status == (status or 200)
        else:
            assert answer.status == (206 if span == "bytes=1-1" else 416)


NOTHING_KNOWN = [
    # header fields, status with neither entity tag nor date, and status where nothing exists
    ({"if_match": V1}, 412, 412),
    ({"if_match": "*"}, None, 412),
    ({"if_none_match": V1}, None, None),
    ({"if_none_match": "*"}, 412, None),
    ({"if_modified_since": LATER}, None, None),
    ({"if_unmodified_since": EARLIER}, None, None),
]


@pytest.mark.parametrize(("given", "unknown", "absent"), NOTHING_KNOWN)
def test_nothing_known(given, unknown, absent):
    assert evaluate("PUT", fields(**given)) == unknown
    assert evaluate("PUT", fields(**given), exists=False) == absent


IF_RANGE = [
    # value, ETag, date, whether the range counts
    (V1, V1, NOV_1994, True),
    (V2, V1, NOV_1994, False),
    ('W/"v1"', V1, None, False),  # weak ones never match: RFC 9110, 13.1.5
    ('W/"v1"', 'W/"v1"', None, False),
    (V1, 'W/"v1"', None, False),
    (V1, None, NOV_1994, False),
    ('"v1", "v2"', V1, None, False),  # no list
    ("*", V1, NOV_1994, False),
    ("v1", V1, None, False),
    ("", V1, NOV_1994, False),
    (SAME, V1, NOV_1994, True),
    (SAME, None, NOV_1994, True),
    (RFC_850, None, NOV_1994, True),
    (ASCTIME, None, NOV_1994, True),
    (LATER, None, NOV_1994, False),  # exactly the same, not only as new
    (EARLIER, None, NOV_1994, False),
    (SAME, V1, None, False),
    ("yesterday", None, NOV_1994, False),
]


@pytest.mark.parametrize(("value", "etag", "modified", "counts"), IF_RANGE)
def test_if_range(value, etag, modified, counts):
    page = Representation(100, etag=etag, last_modified=modified)
    for span, status in (("bytes=0-9", 206), ("bytes=100-", 416)):
        answer = page.answer("GET", fields(range=span, if_range=value))
        assert answer.status == (status if counts else 200)
    assert page.answer("GET", fields(if_range=value)) is page.whole
    assert page.answer("HEAD", fields(range="bytes=0-9", if_range=value)) is page.head_only


def test_a_date_of_this_second_is_a_weak_validator():
    now = int(time.time())
    page = Representation(100, last_modified=now)
    headers = fields(range="bytes=0-9", if_range=http_date(now))
    assert page.answer("GET", headers, now=now + 0.9).status == 200
    assert page.answer("GET", headers, now=now + 1.0).status == 206


MORE = (
    ("Cache-Control", "max-age=60"),
    ("Expires", LATER),
    ("Vary", "Accept-Encoding"),
    ("Content-Location", "/page.en"),
    ("Content-Encoding", "gzip"),
    ("Content-Language", "en"),
    ("X-Own", "1"),
)
KEPT = [line for line in MORE if line[0] not in ("Content-Encoding", "Content-Language")]


def test_fields_of_a_304():
    """RFC 9110, 15.4.5: what a cache goes by, and nothing of the content."""
    page = Representation(
        3, content_type="text/html", etag=V1, last_modified=NOV_1994, headers=MORE
    )
    answer = page.answer("GET", fields(if_none_match=V1))
    assert answer is page.not_modified
    assert answer == Answer(304, (("ETag", V1), *KEPT), (), 0)


def test_a_304_without_entity_tag_has_the_date():
    page = Representation(3, content_type="text/html", last_modified=NOV_1994)
    answer = page.answer("GET", fields(if_modified_since=SAME))
    assert answer == Answer(304, (("Last-Modified", SAME),), (), 0)


def test_fields_of_a_200():
    page = Representation(
        3, content_type="text/html", etag=V1, last_modified=NOV_1994, headers=MORE
    )
    assert page.whole.headers == (
        ("Content-Type", "text/html"),
        ("Accept-Ranges", "bytes"),
        ("ETag", V1),
        ("Last-Modified", SAME),
        *MORE,
    )
    assert page.whole[2:] == ((Span(0, 3),), 3)
    assert page.head_only == Answer(200, page.whole.headers, (), 3)


def test_nothing_but_a_size():
    assert Representation(3).whole.headers == (("Accept-Ranges", "bytes"),)
    assert Representation(3).not_modified == Answer(304, (), (), 0)
    assert Representation(0).whole == Answer(200, (("Accept-Ranges", "bytes"),), (), 0)


def test_what_was_made_ahead_is_what_is_returned():
    page = Representation(3, etag=V1)
    plain = fields(host="a", accept="*/*", user_agent="x")
    assert page.answer("GET", plain) is page.whole
    assert page.answer("HEAD", plain) is page.head_only
    assert page.answer("POST", plain) is page.whole
    assert page.answer("GET", fields(if_none_match=V2)) is page.whole


def test_a_failure_says_nothing():
    page = Representation(3, content_type="text/html", etag=V1, headers=MORE)
    assert page.answer("GET", fields(if_match=V2)) == Answer(412, (), (), 0)


def test_a_date_in_the_future_becomes_now():
    """RFC 9110, 8.8.2.1."""
    before = int(time.time())
    page = Representation(3, last_modified=before + 3600)
    assert before <= page.last_modified <= time.time()
    assert http_date(page.last_modified) == dict(page.whole.headers)["Last-Modified"]


@pytest.mark.parametrize("etag", ["v1", "", '"', 'w/"v1"', '"v 1"', '"v"1"', "W/v1", '"v1"\n', "*"])
def test_wrong_entity_tag(etag):
    with pytest.raises(ValueError, match="not quoted"):
        Representation(3, etag=etag)
    with pytest.raises(ValueError, match="not quoted"):
        evaluate("PUT", fields(), etag=etag)


@pytest.mark.parametrize(
    "name", ["ETag", "last-modified", "Content-Length", "Content-Type", "Content-Range", "Date"]
)
def test_header_that_is_worked_out(name):
    with pytest.raises(ValueError, match=name):
        Representation(3, headers=[(name, "1")])


def test_content_type_that_would_split_the_answer():
    with pytest.raises(ValueError, match="Content-Type"):
        Representation(3, content_type="text/html\r\nX: 1")


def test_an_answer_is_immutable():
    answer = Representation(3).whole
    with pytest.raises(AttributeError):
        answer.status = 404
    with pytest.raises(AttributeError):
        answer.parts[0].offset = 1


def fields(**given):
    return Headers(tuple((name.replace("_", "-"), value) for name, value in given.items()))
