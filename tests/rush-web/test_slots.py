"""Slots: what a process writes there, another one reads; also when the writer has died."""

import os

import pytest

from rush_web.slots import SLOT_BYTES, Slots


def test_a_slot_outlives_its_writer():
    slots = Slots(3)
    assert len(slots) == 3
    pid = os.fork()
    if not pid:
        slots[1].times[0] = 2.5
        slots[1].memory[SLOT_BYTES - 1] = 7
        os._exit(0)
    os.waitpid(pid, 0)
    assert [slots[number].busy_since for number in range(3)] == [0.0, 2.5, 0.0]
    assert slots[1].memory[-1] == 7
    slots[1].clear()
    assert slots[1].memory == bytes(SLOT_BYTES)


def test_two_processes_may_have_one_place():
    slots = Slots(2)
    before = slots.take(1)
    before.times[0] = 1.5
    after = slots.take(1)
    assert (before.number, after.number) == (1, 0)
    with pytest.raises(OSError, match="2 worker processes already"):
        slots.take(0)
    slots.give_back(before)
    assert slots[1].busy_since == 1.5  # of who died: to be read still
    assert slots.take(1).busy_since == 0.0
    with pytest.raises(IndexError):
        slots[2]
