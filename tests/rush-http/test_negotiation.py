import doctest
import time

import pytest

from rush_http import negotiation
from rush_http.negotiation import MOST_CHARACTERS, accepted_encoding, best_type

ALL = ("br", "zstd", "gzip")
CHROME = (
    "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,"
    "*/*;q=0.8,application/signed-exchange;v=b3;q=0.7"
)

ENCODINGS = [
    # header, available in the server's order, chosen
    (None, ALL, "identity"),
    ("", ALL, "identity"),  # RFC 9110, 12.5.3: no coding is wanted
    ("gzip, deflate, br, zstd", ALL, "br"),
    ("gzip, deflate, br, zstd", ("zstd", "br", "gzip"), "zstd"),
    ("gzip, deflate", ALL, "gzip"),
    ("gzip, deflate", (), "identity"),
    ("compress, gzip", ALL, "gzip"),  # the five examples of RFC 9110, 12.5.3
    ("*", ALL, "br"),
    ("compress;q=0.5, gzip;q=1.0", ALL, "gzip"),
    ("compress;q=0.5, gzip;q=1.0", ("compress",), "compress"),
    ("gzip;q=1.0, identity; q=0.5, *;q=0", ALL, "gzip"),
    ("gzip;q=1.0, identity; q=0.5, *;q=0", ("br",), "identity"),
    ("deflate", ALL, "identity"),
    ("identity", ALL, "identity"),
    ("gzip;q=0", ALL, "identity"),
    ("gzip;q=0", ("gzip",), "identity"),
    ("gzip;q=0, *", ("gzip", "br"), "br"),
    ("gzip;q=0.1", ("gzip",), "gzip"),
    ("gzip;q=0.001", ("gzip",), "gzip"),
    ("gzip;q=0.000", ("gzip",), "identity"),
    ("gzip;q=0.5, br;q=0.8", ALL, "br"),
    ("gzip;q=0.8, br;q=0.5", ALL, "gzip"),
    ("gzip;q=0.801, br;q=0.8", ALL, "gzip"),
    ("gzip;q=0.5, identity", ALL, "identity"),
    ("gzip;q=0.5, identity;q=0.5", ALL, "gzip"),
    ("gzip;q=0.5, *;q=0.1", ALL, "gzip"),
    ("gzip;q=0.1, *;q=0.5", ("gzip",), "identity"),  # the star is for identity too
    ("identity;q=0", ALL, None),
    ("identity;q=0", (), None),
    ("identity;q=0, gzip", ALL, "gzip"),
    ("identity;q=0, gzip", ("br",), None),
    ("*;q=0", ALL, None),
    ("*;q=0, identity", ALL, "identity"),
    ("*;q=0, identity;q=0.001", ALL, "identity"),
    ("*;q=0, gzip", ("gzip",), "gzip"),
    ("*;q=0, gzip", ("br",), None),
    ("*, identity;q=0", (), None),
    ("*, identity;q=0", ("gzip",), "gzip"),
    ("*, gzip;q=0, identity;q=0", ("gzip",), None),
    ("GZIP", ALL, "gzip"),
    ("x-gzip", ALL, "gzip"),  # RFC 9110, 8.4.1.3
    ("x-compress", ("compress",), "compress"),
    ("X-GZip;Q=0.5", ALL, "gzip"),
    (" gzip \t;\t q=0.5 ", ALL, "gzip"),
    (",, gzip ,,br;q=0.5,", ALL, "gzip"),  # empty elements: 5.6.1.2
    (",", ALL, "identity"),
    ("gzip;q=0, gzip", ("gzip",), "gzip"),  # said twice: the higher one
    ("gzip, gzip;q=0", ("gzip",), "gzip"),
    ("gzip;q=1.", ("gzip",), "gzip"),  # 12.4.2: no digit is needed after the point
    ("gzip;q=0.", ("gzip",), "identity"),
    ("gzip;q=1.000", ("gzip",), "gzip"),
    # what cannot be read is as if it was not there
    ("gzip;q=1.001", ("gzip",), "identity"),
    ("gzip;q=2", ("gzip",), "identity"),
    ("gzip;q=-1", ("gzip",), "identity"),
    ("gzip;q=.5", ("gzip",), "identity"),
    ("gzip;q=0.1234", ("gzip",), "identity"),
    ("gzip;q=1e0", ("gzip",), "identity"),
    ("gzip;q=", ("gzip",), "identity"),
    ("gzip;q", ("gzip",), "identity"),
    ("gzip;", ("gzip",), "identity"),
    ("gzip;x=1", ("gzip",), "identity"),
    ("gzip;q=1;q=1", ("gzip",), "identity"),
    ("gzip;q = 1", ("gzip",), "identity"),
    ("gzip;q=nan", ("gzip",), "identity"),
    ("gzip;q=\u0661", ("gzip",), "identity"),
    ("gzip br", ALL, "identity"),
    ('"gzip"', ALL, "identity"),
    ("gz\xefp, gzip", ALL, "gzip"),
    ("gzip;q=high, br", ALL, "br"),
    ("identity;q=none", ALL, "identity"),
    (";q=1, gzip", ALL, "gzip"),
    (";;;;, gzip", ALL, "gzip"),
]


def test_examples_of_the_docstring():
    assert doctest.testmod(negotiation) == (0, 3)


@pytest.mark.parametrize(("header", "available", "chosen"), ENCODINGS)
def test_encoding(header, available, chosen):
    assert accepted_encoding(header, available) == chosen
    assert accepted_encoding(header, list(available)) == chosen  # now from the memo
    if header:
        padded = header + "," * 300  # too long to be remembered
        assert accepted_encoding(padded, available) == chosen


# The table of RFC 9110, 12.5.1
RFC_ACCEPT = (
    "text/*;q=0.3, text/plain;q=0.7, text/plain;format=flowed, text/plain;format=fixed;q=0.4,"
    " */*;q=0.5"
)
RFC_WEIGHTS = [
    ("text/plain;format=flowed", 1.0),
    ("text/plain", 0.7),
    ("text/html", 0.3),
    ("image/jpeg", 0.5),
    ("text/plain;format=fixed", 0.4),
    ("text/html;level=3", 0.3),
]


@pytest.mark.parametrize(("one", "weight"), RFC_WEIGHTS)
@pytest.mark.parametrize(("other", "other_weight"), RFC_WEIGHTS)
def test_table_of_the_rfc(one, weight, other, other_weight):
    assert best_type(RFC_ACCEPT, [one, other]) == (one if weight >= other_weight else other)


HTML, JSON, PLAIN = "text/html", "application/json", "text/plain"
TYPES = [
    # header, offered in the server's order, chosen
    (None, (HTML, JSON), HTML),
    ("", (HTML, JSON), HTML),
    (", ,", (HTML, JSON), HTML),
    ("*/*", (JSON, HTML), JSON),
    (CHROME, (JSON, HTML), HTML),
    (CHROME, (JSON, PLAIN), JSON),
    (CHROME, ("image/png", "image/webp"), "image/webp"),
    ("audio/*; q=0.2, audio/basic", ("audio/mp3", "audio/basic"), "audio/basic"),  # 12.5.1
    ("audio/*; q=0.2, audio/basic", ("audio/mp3", HTML), "audio/mp3"),
    ("audio/*; q=0.2, audio/basic", (HTML,), None),
    (
        "text/plain; q=0.5, text/html, text/x-dvi; q=0.8, text/x-c",
        (PLAIN, "text/x-dvi", "text/x-c", HTML),
        "text/x-c",
    ),
    (
        "text/*, text/plain, text/plain;format=flowed, */*",
        (JSON, "text/plain;format=flowed"),
        JSON,
    ),
    (JSON, (HTML, JSON), JSON),
    ("application/xml", (HTML, JSON), None),
    ("application/*", (HTML, JSON), JSON),
    ("text/html;q=0.5, application/json;q=0.6", (HTML, JSON), JSON),
    ("text/html;q=0.5, application/json;q=0.5", (HTML, JSON), HTML),
    ("text/html;q=0.5, application/json;q=0.5", (JSON, HTML), JSON),
    ("*/*, text/html;q=0", (HTML, JSON), JSON),
    ("*/*, text/html;q=0", (HTML,), None),
    ("text/*;q=0, text/html", (HTML, PLAIN), HTML),
    ("text/*, text/html;q=0.1", (HTML, PLAIN), PLAIN),
    ("*/*;q=0", (HTML,), None),
    ("*/*;q=0.1, text/*;q=0", (HTML, JSON), JSON),
    ("TEXT/HTML", (HTML,), HTML),
    ("text/html", ("Text/HTML",), "Text/HTML"),
    ("text/html", ("text/html; charset=utf-8",), "text/html; charset=utf-8"),
    ("text/html;charset=UTF-8", ("text/html; charset=utf-8",), "text/html; charset=utf-8"),
    ('text/html;charset="utf-8"', ("text/html; charset=utf-8",), "text/html; charset=utf-8"),
    ('text/html;charset="ut\\f-8"', ("text/html; charset=utf-8",), "text/html; charset=utf-8"),
    ("text/html;charset=latin1", ("text/html; charset=utf-8",), None),
    ("text/html;level=1", (HTML,), None),
    ("text/html;level=1;q=0.5, text/html;q=0.4", (HTML, "text/html;level=1"), "text/html;level=1"),
    ("text/html;q=0.4;level=1, */*;q=0.1", ("text/html;level=1", PLAIN), "text/html;level=1"),
    ("text/html;q=0.05;level=1, */*;q=0.1", ("text/html;level=1", PLAIN), PLAIN),
    (
        "text/html;a=1;q=0.1, text/html;a=1;b=2;q=0.9, */*;q=0.5",
        (PLAIN, "text/html;b=2;a=1"),
        "text/html;b=2;a=1",
    ),
    ("text/html;;q=0.1 ; , text/plain;q=0.2", (HTML, PLAIN), PLAIN),
    ("text/html ; q=0.1, text/plain ;\tq=0.2", (HTML, PLAIN), PLAIN),
    ('text/html;x="a,b";q=0.1, text/plain', ('text/html;x="a,b"', PLAIN), PLAIN),
    ('text/html;x="a;q=1\\",";q=0.1, text/plain;q=0.2', (PLAIN, HTML), PLAIN),
    ('text/html;x="", text/plain', ('text/html;x=""',), 'text/html;x=""'),
    ("text/html;q=0, text/html", (HTML,), HTML),
    ("application/vnd.api+json", ("application/vnd.api+json",), "application/vnd.api+json"),
    # what cannot be read is as if it was not there
    ("text/html;q=2, text/plain", (HTML, PLAIN), PLAIN),
    ("text/html;q=, text/plain", (HTML, PLAIN), PLAIN),
    ('text/html;q="1", text/plain', (HTML, PLAIN), PLAIN),
    ("text/html;level, text/plain", (HTML, PLAIN), PLAIN),
    ("text/html;=1, text/plain", (HTML, PLAIN), PLAIN),
    ("text/html;a=b c, text/plain", (HTML, PLAIN), PLAIN),
    ("text, text/plain", (HTML, PLAIN), PLAIN),
    ("text/, text/plain", (HTML, PLAIN), PLAIN),
    ("/html, text/plain", (HTML, PLAIN), PLAIN),
    ("*/html, text/plain", (HTML, PLAIN), PLAIN),
    ("*, text/plain", (HTML, PLAIN), PLAIN),
    ("text/html/x, text/plain", (HTML, PLAIN), PLAIN),
    ("text / html, text/plain", (HTML, PLAIN), PLAIN),
    ("t\xe9xt/html, text/plain", (HTML, PLAIN), PLAIN),
    ("text/html text/plain", (HTML, PLAIN), HTML),  # nothing left: any will do
    (";;;;, text/plain", (HTML, PLAIN), PLAIN),
    ("; text/html, text/plain", (HTML, PLAIN), PLAIN),
    ('text/html;x="a, text/plain', (PLAIN, HTML), PLAIN),
    ('text/plain, text/html;x="a', (HTML, PLAIN), PLAIN),
    ('text/plain, "text/html"', (HTML, PLAIN), PLAIN),
    ("text/html\\, text/plain", (HTML, PLAIN), PLAIN),
    ('text/html\\, text/plain, a/b;c="d"', (HTML, PLAIN), PLAIN),
    ("gibberish", (HTML, PLAIN), HTML),
    ("*/*", (), None),
    (None, (), None),
]


@pytest.mark.parametrize(("header", "offered", "chosen"), TYPES)
def test_type(header, offered, chosen):
    assert best_type(header, offered) == chosen
    assert best_type(header, list(offered)) == chosen  # now from the memo
    if header and header.count('"') % 2 == 0:
        assert best_type(header + "," * 300, offered) == chosen  # too long to be remembered


@pytest.mark.parametrize("offered", ["html", "text/*", "*/*", "", "text/html; charset", "a/b, c/d"])
def test_wrong_offer(offered):
    with pytest.raises(ValueError, match="offered media type"):
        best_type("*/*", [offered])


def test_what_is_past_the_limit_is_not_read():
    padding = "a/b," * (MOST_CHARACTERS // 4)
    assert best_type(padding + "text/html", [HTML]) is None
    assert best_type("text/html," + padding, [HTML]) == HTML
    # A member that the limit cuts in two would mean something else: gzip;q=0
    cut = "br;q=0.5,".ljust(MOST_CHARACTERS - 8, ",") + "gzip;q=0.9"
    assert cut[:MOST_CHARACTERS].endswith("gzip;q=0")
    assert accepted_encoding(cut, ["gzip", "br"]) == "br"


HOSTILE = {
    "commas": ",",
    "blanks": " ",
    "blanks and commas": " ,\t",
    "semicolons": ";",
    "quotes": '"',
    "escapes": '"\\',
    "escaped quotes": '\\"',
    "members": "a/b;q=1,",
    "codings": "a;q=0.1,",
    "parameters": ";a=b",
    "stars": "*/*,",
    "slashes": "/",
    "points": "q=0.",
}


@pytest.mark.parametrize("start", ["", "a/b", 'a/b;c="', "gzip;q="])
@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile(kind, start):
    """64 KiB take milliseconds, where anything quadratic takes minutes."""
    text = start + HOSTILE[kind] * (65536 // len(HOSTILE[kind]))
    began = time.process_time()
    accepted_encoding(text, ALL)
    best_type(text, [HTML, JSON])
    best_type(text[:4000], [HTML, JSON])
    assert time.process_time() - began < 2
