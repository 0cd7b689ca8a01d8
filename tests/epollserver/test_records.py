"""Records: where TLS records begin and end."""

import pytest

from epollserver.records import Records

SIZES = [1, 0, 300, 5]
WIRE = b"".join(b"\x17\x03\x03" + size.to_bytes(2, "big") + b"x" * size for size in SIZES)
BEGINS = [sum(size + 5 for size in SIZES[:count]) for count in range(len(SIZES) + 1)]


def test_it_is_partial_since_its_first_byte():
    records = Records()
    for at, byte in enumerate(WIRE):
        records.feed(bytes([byte]), now=at)
        began = max(begin for begin in BEGINS if begin <= at)
        assert records.partial_since == (None if at + 1 in BEGINS else began)


@pytest.mark.parametrize("first", range(len(WIRE) + 1))
def test_in_two_parts(first):
    records = Records()
    records.feed(WIRE[:first], now=1)
    assert records.partial_since == (None if first in BEGINS else 1)
    records.feed(WIRE[first:], now=2)
    assert records.partial_since is None


def test_the_next_one_begins_anew():
    records = Records()
    records.feed(WIRE[:100], now=1)
    records.feed(WIRE[100:] + WIRE[:100], now=2)
    assert records.partial_since == 2
