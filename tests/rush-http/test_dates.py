"""Dates of HTTP, as they are written and read (RFC 9110, 5.6.7)."""

import math
import time
from email.utils import formatdate

import pytest

from rush_http import http_date
from rush_http.dates import parse_http_date

NOV_1994 = 784111777
IN_2026 = 1795392000.0  # Mon, 23 Nov 2026 00:00:00 GMT
SAME = "Sun, 06 Nov 1994 08:49:37 GMT"
RFC_850 = "Sunday, 06-Nov-94 08:49:37 GMT"
ASCTIME = "Sun Nov  6 08:49:37 1994"

DATES = [
    # text, seconds since the epoch; None: not a date
    (SAME, NOV_1994),  # the three of RFC 9110, 5.6.7
    (RFC_850, NOV_1994),
    (ASCTIME, NOV_1994),
    ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
    ("Wed, 31 Dec 1969 23:59:59 GMT", -1),
    ("Thu, 29 Feb 2024 12:00:00 GMT", 1709208000),
    ("Sat, 31 Dec 2016 23:59:60 GMT", 1483228800),  # a leap second
    ("Fri, 31 Dec 9999 23:59:59 GMT", 253402300799),
    ("Mon, 06 Nov 1994 08:49:37 GMT", NOV_1994),  # it was a Sunday
    ("Sun Nov 16 08:49:37 1994", NOV_1994 + 864000),
    ("Sun Nov 06 08:49:37 1994", NOV_1994),
    ("Sun, 30 Feb 2025 12:00:00 GMT", None),
    ("Sat, 29 Feb 2025 12:00:00 GMT", None),
    ("Sun, 00 Nov 1994 08:49:37 GMT", None),
    ("Sun, 06 Nov 0000 08:49:37 GMT", None),
    ("Sun, 06 Nov 1994 24:00:00 GMT", None),
    ("Sun, 06 Nov 1994 08:60:00 GMT", None),
    ("Sun, 06 Nov 1994 08:49:61 GMT", None),
    ("sun, 06 nov 1994 08:49:37 gmt", None),  # case counts
    ("Sun, 06 Nov 1994 08:49:37 gmt", None),
    ("Sun, 06 Nov 1994 08:49:37 UTC", None),
    ("Sun, 06 Nov 1994 08:49:37 +0000", None),
    ("Sun, 06 Nov 1994 08:49:37", None),
    ("Sun, 6 Nov 1994 08:49:37 GMT", None),
    ("Sun,  06 Nov 1994 08:49:37 GMT", None),
    (" " + SAME, None),
    (SAME + "\n", None),
    (f"{SAME}, {SAME}", None),
    ("Sun, 06 Nov 94 08:49:37 GMT", None),
    ("Sunday, 06-Nov-1994 08:49:37 GMT", None),
    ("Sun, 06-Nov-94 08:49:37 GMT", None),
    ("Sun Nov 6 08:49:37 1994", None),
    ("Sun Nov  6 08:49:37 1994 GMT", None),
    ("Sun, 06 Nov 1994 8:49:37 GMT", None),
    ("Sun, \u0660\u0666 Nov 1994 08:49:37 GMT", None),  # other digits than 0-9
    ("784111777", None),
    ("", None),
    ("0", None),
]

CENTURIES = [
    # two digits seen in November 2026, the year that is meant
    ("Friday, 01-Jan-99 00:00:00 GMT", 1999),
    ("Saturday, 01-Jan-00 00:00:00 GMT", 2000),
    ("Thursday, 01-Jan-26 00:00:00 GMT", 2026),
    ("Friday, 01-Jan-27 00:00:00 GMT", 2027),
    ("Monday, 23-Nov-76 00:00:00 GMT", 2076),  # 50 years to the second
    ("Monday, 23-Nov-76 00:00:01 GMT", 1976),
    ("Friday, 31-Dec-76 00:00:00 GMT", 1976),
    ("Friday, 01-Jan-77 00:00:00 GMT", 1977),
    ("Sunday, 29-Feb-76 00:00:00 GMT", 2076),
]


@pytest.mark.parametrize(("text", "seconds"), DATES)
def test_date(text, seconds):
    assert parse_http_date(text, now=IN_2026) == seconds


@pytest.mark.parametrize(("text", "year"), CENTURIES)
def test_year_of_two_digits(text, year):
    assert time.gmtime(parse_http_date(text, now=IN_2026)).tm_year == year


def test_dates_are_read_as_they_are_written():
    for seconds in (0, 1, NOV_1994, 951782400, int(time.time())):
        assert parse_http_date(http_date(seconds)) == seconds


def test_a_year_of_two_digits_goes_by_the_clock():
    assert parse_http_date(RFC_850) == NOV_1994


@pytest.mark.parametrize(
    "seconds", [0, 1, 1.9, 784111777, 951827696.5, 4102444800, 253402300799, -1, -62135596800]
)
def test_dates_are_those_of_the_standard_library(seconds):
    assert http_date(seconds) == formatdate(math.floor(seconds), usegmt=True)


@pytest.mark.parametrize("seconds", [253402300800, -62135596801])
def test_years_that_have_not_four_digits(seconds):
    with pytest.raises(ValueError, match="HTTP has no date"):
        http_date(seconds)
