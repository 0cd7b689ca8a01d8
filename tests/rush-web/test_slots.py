"""Slots: what a process writes there, another one reads; also when the writer has died."""

import os

import pytest

from rush_web.slots import FAILURES, PID, SLOT_BYTES, Slots
from rush_web.worker import Worker


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


def test_what_the_gone_have_counted_is_kept():
    slots = Slots(2)
    for count in (3, 4):
        slot = slots.take(0, again=count == 4)
        slot.numbers[PID] = 1
        slot.counts[FAILURES] = count
        assert [one.number for one in slots.in_use()] == [0]
        assert slots.totals()[FAILURES] == 3 if count == 3 else 7
        slots.give_back(slot)
        assert list(slots.in_use()) == []
    assert slots.totals()[FAILURES] == 7
    assert (slots.restarts(), slots.restarts(0), slots.restarts(1)) == (1, 1, 0)


def test_there_are_only_so_many():
    slots = Slots(2)
    first, other = slots.take(1), slots.take(1)
    assert {first.number, other.number} == {0, 1}
    with pytest.raises(OSError, match="2 worker processes"):
        slots.take(0)
    slots.give_back(first)
    assert slots.take(5).number == first.number
    with pytest.raises(IndexError, match="none has the number 2"):
        slots[2]


def test_another_process_reads_them_by_a_descriptor(tmp_path):
    slots = Slots(2)
    slots.describe("http://127.0.0.1:1/", 2)
    seen = None
    for name in os.listdir("/proc/self/fd"):
        link = f"/proc/self/fd/{name}"
        if os.path.lexists(link) and "rush-slots" in os.readlink(link):
            found = Slots.of_process(os.open(link, os.O_RDONLY))
            found.close()
            if found.address:  # those of other tests have none
                seen = found
    assert (seen.parent, seen.address, seen.wanted) == (os.getpid(), "http://127.0.0.1:1/", 2)
    with pytest.raises(TypeError):
        seen.phase = 1
    other = tmp_path / "other"
    for content in (b"", bytes(3 * SLOT_BYTES)):
        other.write_bytes(content)
        with pytest.raises(ValueError, match="these are"):
            Slots.of_process(os.open(other, os.O_RDONLY))


def test_slots_of_a_process_that_has_ended():
    """What it has counted stays; two processes take different ones."""
    slots = Slots(20)
    pid = os.fork()
    if not pid:
        for number in range(9):
            slot = Worker(number, slots.take(number)).slot
            slot.numbers[PID] = slot.counts[FAILURES] = number + 1
        os._exit(0)
    own = [slots.take(number) for number in range(9)]
    os.waitpid(pid, 0)
    slots.release(os.getppid())
    assert len(list(slots.in_use())) == 9
    slots.release(pid)
    assert not list(slots.in_use())
    assert slots.totals()[FAILURES] == 45
    assert len({slot.number for slot in own}) == 9
