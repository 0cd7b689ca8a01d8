"""Dates as HTTP writes them, read back; no I/O but a look at the clock."""

import re
from datetime import date, datetime, timezone
from time import time

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_TIME = r"(?P<hour>[0-9]{2}):(?P<minute>[0-9]{2}):(?P<second>[0-9]{2})"
_SHORT = rf"(?:{'|'.join(DAYS)})"
_LONG = r"(?:Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday)"
_MONTH = rf"(?P<month>{'|'.join(MONTHS)})"
# RFC 9110, 5.6.7; case and blanks count.  The first is what everybody sends.
_FORMATS = [
    re.compile(rf"{_SHORT}, (?P<day>[0-9]{{2}}) {_MONTH} (?P<year>[0-9]{{4}}) {_TIME} GMT"),
    re.compile(rf"{_LONG}, (?P<day>[0-9]{{2}})-{_MONTH}-(?P<year>[0-9]{{2}}) {_TIME} GMT"),
    re.compile(rf"{_SHORT} {_MONTH} (?P<day>[0-9]{{2}}| [0-9]) {_TIME} (?P<year>[0-9]{{4}})"),
]
_EPOCH = date(1970, 1, 1).toordinal()


def parse_http_date(text: str, *, now: float | None = None) -> int | None:
    """Seconds since the epoch of an HTTP date; `None` if it is not one.

    All three formats of RFC 9110, section 5.6.7, are read::

        Sun, 06 Nov 1994 08:49:37 GMT       IMF-fixdate, the one to write
        Sunday, 06-Nov-94 08:49:37 GMT      RFC 850
        Sun Nov  6 08:49:37 1994            asctime

    The name of the day may be a wrong one: it says nothing that the date does not.  A leap second
    is read as the second after it.  `now`, the clock if it is not given, decides in which century
    a year of two digits is.
    """
    for form in _FORMATS:
        match = form.fullmatch(text)
        if match is not None:
            break
    else:
        return None
    month = MONTHS.index(match["month"]) + 1
    day, hour, minute, second = (int(match[name]) for name in ("day", "hour", "minute", "second"))
    if hour > 23 or minute > 59 or second > 60:
        return None
    year = int(match["year"])
    if len(match["year"]) == 2:
        year = _full_year(year, (month, day, hour, minute, second), now)
    try:
        days = date(year, month, day).toordinal() - _EPOCH
    except ValueError:  # 30 February, or the year 0
        return None
    return days * 86400 + hour * 3600 + minute * 60 + second


def _full_year(year: int, rest: tuple[int, int, int, int, int], now: float | None) -> int:
    """The year of two digits, in full (RFC 9110, 5.6.7).

    It is of this century; what would then be more than 50 years in the future is of the last.
    """
    today = datetime.fromtimestamp(time() if now is None else now, timezone.utc)
    year += today.year // 100 * 100
    latest = (today.year + 50, today.month, today.day, today.hour, today.minute, today.second)
    return year - 100 if (year, *rest) > latest else year
