"""The corpus of the fuzz run, and what it has found: each with every property that must hold."""

from pathlib import Path

import pytest

import properties
from rush_http import RequestParser
from splits import SPLITS

CORPUS = sorted((Path(__file__).parents[1] / "fuzz/corpus").glob("*.http"))

# Rows that `tests/fuzz/fuzz.py` has printed
FOUND = [
    b"T / HTTP/1.1\r\nHost:\r\nTransfer-Encoding:chunked\r\n\r\nA\r\nen P/1.1\r\nH",
    b"T / HTTP/1.1\r\nHost:\r\nTransfer-Encoding:chunked\r\n\r\n1\r\n\n1\r",
]


@pytest.mark.parametrize("path", CORPUS, ids=[path.stem for path in CORPUS])
def test_corpus(path):
    properties.check(path.read_bytes())


@pytest.mark.parametrize("wire", FOUND)
def test_found(wire):
    properties.check(wire)


@pytest.mark.xfail(
    strict=True, reason="of a chunk that came with what is refused, nothing is given"
)
@pytest.mark.parametrize("wire", FOUND)
def test_what_comes_before_a_refusal_is_given_however_it_is_cut(wire):
    """RFC 9112, 7.1: the data of a chunk is good, what follows it is not."""
    results = [properties.observed(RequestParser(), split(wire)) for split in SPLITS]
    assert results[0] == results[1] == results[2]
