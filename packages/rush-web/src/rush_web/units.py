"""Units: values as people write them, ``30s``, ``64MiB``, and back.

Each reader takes text and raises `ValueError` that says what would have been right.
"""

import re
from collections.abc import Callable
from itertools import pairwise

_QUANTITY = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]*)")
_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
_BYTES = {
    "b": 1,
    "kib": 1 << 10,
    "mib": 1 << 20,
    "gib": 1 << 30,
    "tib": 1 << 40,
    "kb": 10**3,
    "mb": 10**6,
    "gb": 10**9,
    "tb": 10**12,
    # as nginx reads them
    "k": 1 << 10,
    "m": 1 << 20,
    "g": 1 << 30,
}
_NONE = ("none", "off")
_SWITCH = {
    **dict.fromkeys(("1", "yes", "true", "on"), True),
    **dict.fromkeys(("0", "no", "false", "off"), False),
}


def duration(text: str) -> float:
    """Seconds: ``30s``, ``5m``, ``1.5h``, ``250ms``; a bare number is seconds."""
    number, unit = _quantity(text)
    factor = _SECONDS.get(unit.lower() or "s")
    if factor is None:
        raise ValueError(f"{text!r:.80} is no time: write it as 250ms, 30s, 5m or 1h")
    return number * factor


def size(text: str) -> int:
    """Bytes: ``64MiB``, ``10kB``, ``4k`` (1,024 each, as in nginx); a bare number is bytes."""
    number, unit = _quantity(text)
    factor = _BYTES.get(unit.lower() or "b")
    if factor is None or not (number * factor).is_integer():
        raise ValueError(f"{text!r:.80} is no size: write it as 4096, 64KiB, 16MiB or 1GB")
    return int(number * factor)


def switch(text: str) -> bool:
    """Yes or no, as 1, yes, true, on or 0, no, false, off."""
    value = _SWITCH.get(text.lower())
    if value is None:
        raise ValueError(f"{text!r:.80} is neither yes nor no: write 1 or 0")
    return value


def number(least: int, most: int) -> Callable[[str], int]:
    """A reader of whole numbers from `least` to `most`."""

    def read(text: str) -> int:
        value = int(text) if text.isascii() and text.isdigit() and len(text) < 19 else -1
        if not least <= value <= most:
            raise ValueError(f"{text!r:.80} is no number from {least} to {most}")
        return value

    return read


def one_of(*names: str) -> Callable[[str], str]:
    """A reader of one of some words."""

    def read(text: str) -> str:
        if text not in names:
            raise ValueError(f"{text!r:.80} is none of {', '.join(names)}")
        return text

    return read


def or_none(read: Callable[[str], object], absent: object = None) -> Callable[[str], object]:
    """A reader that takes ``none`` and ``off`` as well, for an option that is not set: `absent`."""

    def read_or_none(text: str) -> object:
        return absent if text.lower() in _NONE else read(text)

    return read_or_none


def octal(text: str) -> int:
    """Permissions, as 027 or 0o027."""
    digits = text.lower().removeprefix("0o")
    if not re.fullmatch("[0-7]{1,4}", digits):
        raise ValueError(f"{text!r:.80} is no octal number: write it as 027")
    return int(digits, 8)


def shown_duration(seconds: float) -> str:
    """Seconds as `duration` reads them, in the largest unit that leaves a whole number."""
    for unit in ("d", "h", "m", "s"):
        if seconds and seconds % _SECONDS[unit] == 0:
            return f"{seconds / _SECONDS[unit]:.0f}{unit}"
    return f"{seconds * 1000:.0f}ms" if 0 < seconds < 1 else f"{seconds:g}s"


def shown_size(count: int) -> str:
    """Bytes as `size` reads them, in the largest unit that leaves a whole number."""
    for unit, name in (("gib", "GiB"), ("mib", "MiB"), ("kib", "KiB")):
        if count and count % _BYTES[unit] == 0:
            return f"{count // _BYTES[unit]}{name}"
    return str(count)


def shown_seconds(seconds: float | None) -> str:
    """``870 us``, ``1.2 ms``, ``30 s``: two digits are enough."""
    if seconds is None:
        return "-"
    for factor, unit in ((1e-6, "us"), (1e-3, "ms")):
        if seconds < 999.5 * factor:
            return f"{seconds / factor:.{1 if seconds < 9.95 * factor else 0}f} {unit}"
    return f"{seconds:.{1 if seconds < 9.95 else 0}f} s"


def shown_age(seconds: float) -> str:
    """``42 s``, ``3 min 20 s``, ``5 h 7 min``, ``12 d 3 h``."""
    left = max(0, int(seconds))
    for (large, big), (small, little) in pairwise(
        ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))
    ):
        if left >= large:
            return f"{left // large} {big} {left % large // small} {little}"
    return f"{left} s"


def rounded_size(count: float) -> str:
    """Bytes for people, in two or three digits: ``870 B``, ``1.2 KiB``, ``34 MiB``."""
    units = ["TiB", "GiB", "MiB", "KiB", "B"]
    while count >= 999.5 and len(units) > 1:
        units.pop()
        count /= 1024
    unit = units[-1]
    return f"{count:.{1 if unit != 'B' and count < 9.95 else 0}f} {unit}"


def _quantity(text: str) -> tuple[float, str]:
    match = _QUANTITY.fullmatch(text.strip())
    return (float(match[1]), match[2]) if match else (0.0, "?")
