"""The corpus of the fuzz run, and what it has found: each with every property that must hold."""

from pathlib import Path

import pytest

import properties
from rush_http import RequestParser
from splits import SPLITS

CORPUS = sorted((Path(__file__).parents[1] / "fuzz/corpus").glob("*.http"))

# Rows that `tests/fuzz/fuzz.py` has printed
SHORT = [b"\r\n"]
IN_A_CHUNK = [
    b"T / HTTP/1.1\r\nHost:\r\nTransfer-Encoding:chunked\r\n\r\nA\r\nen P/1.1\r\nH",
    b"T / HTTP/1.1\r\nHost:\r\nTransfer-Encoding:chunked\r\n\r\n1\r\n\n1\r",
]

GOOD_CHUNK = b"PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n"
BAD_REST = [
    b"g\r\n",
    b"1000000\r\n",
    b"1;" + b"a" * 5000,
    (b"1;" + b"a" * 1000 + b"\r\nx\r\n") * 17,
    b"0\r\nX : y\r\n",
    b"0\r\n" + b"A:\r\n" * 33,
    b"0\r\nA: " + b"x" * 9000,
]


@pytest.mark.parametrize("path", CORPUS, ids=[path.stem for path in CORPUS])
def test_corpus(path):
    properties.check(path.read_bytes())


@pytest.mark.parametrize("wire", SHORT + IN_A_CHUNK)
def test_found(wire):
    properties.check(wire)


@pytest.mark.parametrize("wire", [*IN_A_CHUNK, *(GOOD_CHUNK + rest for rest in BAD_REST)])
def test_what_comes_before_a_refusal_is_given_however_it_is_cut(wire):
    """RFC 9112, 7.1: the data of a chunk is good, what follows it is not."""
    results = [properties.observed(RequestParser(), split(wire)) for split in SPLITS]
    assert results[0] == results[1] == results[2]
    messages, (_, given), error = results[0]
    assert (messages, bool(given)) == ([], True)
    assert error is not None
