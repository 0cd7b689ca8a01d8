"""Slots: what a process writes there, another one reads; also when the writer has died."""

import os

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
