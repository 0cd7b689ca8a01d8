"""Slots: what a process writes there, another one reads; also when the writer has died."""

import os
import subprocess
import sys
import zlib

import pytest

from rush_web import blackbox, pending, ring
from rush_web import slots as slots_module
from rush_web.readings import other_layouts
from rush_web.slots import FAILURES, LAYOUT, PID, SLOT_BYTES, OtherLayout, Slots
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


def test_slots_of_another_version():
    """As an older `rush top` sees a newer server: it says so, and not something wrong."""
    slots = Slots(2)
    slots._memory[:8] = b"rushweb1"
    with pytest.raises(OtherLayout, match="layout is 'rushweb1', and this version reads 'rushweb"):
        Slots.of_process(os.dup(slots.descriptor))
    assert os.getpid() in other_layouts()
    slots._memory[:8] = LAYOUT
    assert os.getpid() not in other_layouts()


def test_rush_top_names_a_server_of_another_version():
    """In a process of its own: this one has slots of other tests."""
    code = """
import os, sys
from rush_web.__main__ import main
from rush_web.slots import Slots

slots = Slots(2)
slots._memory[:8] = b"rushweb1"
print(os.getpid(), flush=True)
sys.exit(main(["top", str(os.getpid())]))
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    words = f"rush: the server with pid {ended.stdout.strip()} is of another version of rush-web"
    assert (ended.returncode, ended.stderr[: len(words)]) == (1, words)


@pytest.mark.parametrize("count", [0, -1, 100_000])
def test_a_number_of_slots_that_makes_no_sense(count):
    with pytest.raises(ValueError, match=f"there can be 1 to 1024 slots, not {count}"):
        Slots(count)


def test_a_file_that_is_too_large_to_be_slots(tmp_path):
    slots = Slots(1)
    os.ftruncate(slots.descriptor, 10_000 * SLOT_BYTES)
    with pytest.raises(ValueError, match="there can be 1 to 1024 slots, not 9998"):
        Slots.of_process(slots.descriptor)


def test_who_changes_the_layout_gives_it_another_name():
    """If this fails, count `slots.LAYOUT` up, and write down the new pair."""
    own = [name for name in vars(slots_module) if name.isupper() and name != "LAYOUT"]
    places = [
        (module.__name__, name, getattr(module, name))
        for module, names in (
            (slots_module, own),
            (ring, ["RING", "_RING_AT"]),
            (pending, ["MOST", "_PENDING_AT"]),
            (blackbox, ["_NAME_AT", "_PICKED"]),
        )
        for name in sorted(names)
    ]
    records = [module._RECORD.format for module in (ring, pending)]
    fingerprint = zlib.crc32(repr((places, records)).encode())
    assert (LAYOUT, fingerprint) == (b"rushweb2", 3150003852), places
