"""Threads, bounded in number."""

import threading

from programs import eventually
from rawclient import PATIENCE
from rush_http import Pool


def test_a_pool_closes_when_its_tasks_have_ended():
    pool, gate = Pool(1, 5), threading.Event()
    ran = []
    assert pool.submit(lambda: (gate.wait(PATIENCE), ran.append(1)))
    assert pool.submit(lambda: ran.append(2))
    eventually(pool.running)
    assert not pool.close()
    assert not pool.submit(print)
    gate.set()
    assert pool.close(PATIENCE)
    assert ran == [1]
    assert not any(thread.name.startswith("rush-") for thread in threading.enumerate())


def test_a_task_that_raises_leaves_a_line_and_a_thread(caplog):
    pool = Pool(1, 1)
    done = threading.Event()
    assert pool.submit(lambda: 1 / 0)
    eventually(lambda: pool.submit(done.set))
    assert done.wait(PATIENCE)
    assert pool.close(PATIENCE)
    assert "a task in a thread failed" in caplog.text


def test_no_more_threads_and_no_more_tasks_than_there_may_be():
    pool, gate = Pool(2, 1), threading.Event()
    assert [pool.submit(lambda: gate.wait(PATIENCE)) for _ in range(4)] == [True] * 3 + [False]
    assert not pool.has_room()
    gate.set()
    eventually(pool.has_room)
    assert pool.close(PATIENCE)
    assert not pool.has_room()
