"""The same bytes for this parser, `h11` and `httptools`: who accepts what, and what it means.

To refuse more than they do is the aim.  Where this parser accepts what another one refuses, or
finds another request in it, the test fails, unless `differences.KNOWN` has the reason.
"""

import collections
import os

import pytest

pytest.importorskip("hypothesis", reason="hypothesis is not installed")
pytest.importorskip("h11", reason="h11 is not installed")
pytest.importorskip("httptools", reason="httptools is not installed")

from hypothesis import HealthCheck, given, settings

import wires
from differences import KNOWN, READERS, explained, relation
from readings import AGREED, BOTH_REFUSE, STRICTER, Difference, compare, ours
from rush_http import Memo
from splits import thirds

pytestmark = pytest.mark.once

# The `fuzz` session asks for more, and for new ones every time.
EXAMPLES = int(os.environ.get("RUSH_EXAMPLES", "200"))
THOROUGH = EXAMPLES > 1000


@pytest.mark.parametrize("row", KNOWN, ids=[f"{row.reader}: {row.theirs}" for row in KNOWN])
def test_known_differences_are_differences(row):
    """A row that explains nothing any more goes."""
    result = compare(ours([row.wire]), READERS[row.reader]([row.wire]))
    assert isinstance(result, Difference), result
    assert explained(row.reader, result, row.wire) == [row], result


def test_nothing_is_read_in_another_way():
    """And the examples are worth something: some are accepted by all, some refused by all."""
    counts = {reader: collections.Counter() for reader in READERS}

    @settings(
        max_examples=EXAMPLES,
        derandomize=not THOROUGH,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(wires.wires())
    def check(wire):
        assert ours([wire], memo=Memo()) == ours(thirds(wire)) == ours([wire])
        for reader, count in counts.items():
            count[relation(reader, wire)] += 1

    check()
    print(counts)
    for count in counts.values():
        for relation_met in (AGREED, BOTH_REFUSE, STRICTER):
            assert count[relation_met] >= EXAMPLES // 40, counts


@pytest.mark.parametrize("reader", READERS)
def test_each_odd_part_by_itself(reader):
    for wire in wires.one_by_one():
        relation(reader, wire)


def neighbours(wire):
    """Each byte in turn left out, doubled, or replaced: one of these, or all if there is time."""
    for at in range(len(wire)):
        middles = [b"", wire[at : at + 1] * 2, b"\n", b" ", b"\0"]
        for middle in middles if THOROUGH else [middles[at % 5]]:
            yield wire[:at] + middle + wire[at + 1 :]


@pytest.mark.parametrize("reader", READERS)
def test_the_corpus_is_not_read_in_another_way(reader):
    for wire in wires.corpus():
        relation(reader, wire)
        for neighbour in neighbours(wire):
            relation(reader, neighbour)
