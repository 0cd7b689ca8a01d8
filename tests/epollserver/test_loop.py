import logging
import math
import os
import select
import signal
import socket
import threading
import weakref

import pytest

from epollserver import READ, WRITE, Loop


@pytest.fixture
def loop():
    with Loop() as loop:
        yield loop


@pytest.fixture
def pipe():
    reader, writer = os.pipe()
    yield reader, writer
    os.close(reader)
    os.close(writer)


def descriptors():
    return set(os.listdir("/proc/self/fd"))


# Descriptors


def test_watch_calls_back_as_long_as_something_is_unread(loop, run, pipe):
    reader, writer = pipe
    os.write(writer, b"ab")
    got = []

    def readable(ready):
        assert ready == READ
        got.append(os.read(reader, 1))
        if got == [b"a", b"b"]:
            loop.stop()

    loop.watch(reader, READ, readable)
    run(loop)
    assert got == [b"a", b"b"]


def test_rewatch_waits_for_something_else(loop, run):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.send(b"x")
        seen = []

        def ready(ready):
            seen.append(ready)
            if ready == READ:
                loop.rewatch(ours.fileno(), WRITE)
            else:
                loop.rewatch(ours.fileno(), 0)  # neither of both: is not called any more
                loop.call_soon(lambda: loop.call_soon(loop.stop))

        loop.watch(ours.fileno(), READ, ready)
        run(loop)
    assert seen == [READ, WRITE]


def test_unwatch(loop, run, pipe):
    reader, writer = pipe
    os.write(writer, b"x")
    called = []
    loop.watch(reader, READ, called.append)
    loop.unwatch(reader)
    loop.call_soon(lambda: loop.call_soon(loop.stop))
    run(loop)
    assert not called
    loop.watch(reader, READ, lambda ready: loop.stop())
    run(loop)


def test_hang_up_is_reported_as_epoll_has_it(loop, run):
    reader, writer = os.pipe()
    os.close(writer)
    seen = []
    loop.watch(reader, READ, lambda ready: (seen.append(ready), loop.stop()))
    run(loop)
    os.close(reader)
    assert seen == [select.EPOLLHUP]


def test_a_descriptor_is_watched_once(loop, run, pipe):
    reader, _ = pipe
    loop.watch(reader, READ, print)
    with pytest.raises(ValueError, match=rf"descriptor {reader} is watched already"):
        loop.watch(reader, READ, print)
    loop.call_soon(loop.stop)
    run(loop)  # from the second turn on it is no longer fresh
    with pytest.raises(ValueError, match=rf"descriptor {reader} is watched already"):
        loop.watch(reader, READ, print)


def test_unwatch_of_a_stranger(loop):
    with pytest.raises(ValueError, match="descriptor 9999 is not watched"):
        loop.unwatch(9999)


def test_unwatch_of_a_closed_descriptor(loop):
    reader, writer = os.pipe()
    loop.watch(reader, READ, print)
    os.close(reader)
    os.close(writer)
    loop.unwatch(reader)
    with pytest.raises(ValueError, match="is not watched"):
        loop.unwatch(reader)


def test_a_regular_file_cannot_be_watched(loop, tmp_path):
    with (tmp_path / "file").open("w") as file:
        with pytest.raises(PermissionError):
            loop.watch(file.fileno(), READ, print)
        with pytest.raises(ValueError, match="is not watched"):
            loop.unwatch(file.fileno())


@pytest.mark.parametrize("kind", ["watch", "soon", "timer", "threadsafe"])
def test_a_callback_that_raises_is_logged(loop, run, pipe, caplog, kind):
    reader, writer = pipe

    def fail(*ready):
        loop.call_soon(loop.stop)
        raise LookupError("a mistake")

    if kind == "watch":
        os.write(writer, b"x")
        loop.watch(reader, READ, fail)
    elif kind == "soon":
        loop.call_soon(fail)
    elif kind == "timer":
        loop.call_later(0, fail)
    else:
        loop.call_soon_threadsafe(fail)
    run(loop)
    (record,) = caplog.records
    assert (record.name, record.levelno) == ("epollserver", logging.ERROR)
    assert "failed" in record.getMessage()
    assert record.exc_info[0] is LookupError
    caplog.clear()


# Time and calls


def test_a_callback_that_is_forgotten_is_gone_before_the_next_event(loop, run, pipe):
    """What it knows (a connection, what was sent there) is not kept until something happens."""

    class Callback:
        def __call__(self, ready):
            loop.unwatch(pipe[0])
            loop.call_soon(look)

    def look():
        found.append(callback() is None)
        loop.stop()

    found = []
    first = Callback()
    callback = weakref.ref(first)
    loop.watch(pipe[0], READ, first)
    del first
    os.write(pipe[1], b"x")
    run(loop)
    assert found == [True]


def test_timers_come_in_their_order(loop, run):
    order = []
    loop.call_later(0.02, lambda: (order.append("late"), loop.stop()))
    for number in range(3):
        loop.call_later(0, lambda number=number: order.append(number))
    begin = loop.now
    run(loop)
    assert order == [0, 1, 2, "late"]
    assert loop.now - begin >= 0.02


def test_a_cancelled_timer_is_not_called(loop, run):
    called = []
    timer = loop.call_later(0, lambda: called.append("cancelled"))
    timer.cancel()
    timer.cancel()
    loop.call_later(0, loop.stop)
    run(loop)
    assert not called


def test_a_timer_cancelled_by_one_that_is_due_with_it(loop, run):
    called = []
    first = loop.call_later(0, lambda: (called.append("first"), second.cancel(), first.cancel()))
    second = loop.call_later(0, lambda: called.append("second"))
    loop.call_later(0, lambda: called.append("third"))
    loop.call_later(0.001, loop.stop)
    run(loop)
    assert called == ["first", "third"]


def test_cancelled_timers_do_not_pile_up(loop):
    stays = loop.call_later(1000, print)
    for _ in range(1000):
        loop.call_later(2000, print).cancel()
    assert len(loop._timers) <= 3
    stays.cancel()
    assert not loop._timers  # nothing to wake up for


def test_a_timer_sets_itself_again(loop, run):
    seen = []

    def tick():
        seen.append(loop.now)
        if len(seen) == 3:
            loop.stop()
        else:
            loop.call_later(0.001, tick)

    loop.call_later(0.001, tick)
    run(loop)
    assert seen == sorted(seen)
    assert len(set(seen)) == 3


@pytest.mark.parametrize("delay", [-1, -math.inf, math.nan, 0])
def test_a_delay_that_is_over_does_not_starve_the_others(loop, run, pipe, delay):
    reader, writer = pipe
    os.write(writer, b"x")

    turns = []

    def again():
        turns.append(loop.now)
        if len(turns) < 1000:
            loop.call_later(delay, again)

    loop.call_later(0, again)
    loop.call_later(0, lambda: loop.watch(reader, READ, lambda ready: loop.stop()))
    run(loop)
    assert len(turns) < 1000


@pytest.mark.parametrize("delay", [math.inf, 1e10])
def test_a_delay_longer_than_epoll_can_wait(loop, delay):
    # Alone: the wait is for this timer, and too long for epoll_wait(2).
    loop.call_later(delay, print)
    stopper = threading.Timer(0.01, loop.stop)
    stopper.start()
    loop.run()
    stopper.join()


def test_call_soon_comes_after_the_batch_and_before_the_next(loop, run):
    pipes = [os.pipe() for _ in range(2)]
    order = []
    for reader, writer in pipes:
        os.write(writer, b"x")

        def readable(ready, reader=reader):
            os.read(reader, 1)
            order.append("event")
            loop.call_soon(lambda: (order.append("soon"), loop.call_soon(later)))

        loop.watch(reader, READ, readable)

    def later():
        order.append("later")
        if order.count("later") == 2:
            loop.stop()

    run(loop)
    for ends in pipes:
        for fd in ends:
            os.close(fd)
    assert order == ["event", "event", "soon", "soon", "later", "later"]


def test_call_soon_threadsafe_from_four_threads(loop, run):
    calls, here = [], threading.get_ident()

    def work(name):
        for number in range(500):
            loop.call_soon_threadsafe(lambda number=number: note(name, number))

    def note(name, number):
        assert threading.get_ident() == here
        calls.append((name, number))
        if len(calls) == 2000:
            loop.stop()

    threads = [threading.Thread(target=work, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    run(loop)
    for thread in threads:
        thread.join()
    for name in range(4):
        assert [number for who, number in calls if who == name] == list(range(500))


def test_call_soon_threadsafe_in_the_loops_own_thread(loop, run):
    loop.call_soon_threadsafe(lambda: loop.call_soon_threadsafe(loop.stop))
    run(loop)


# Stop and close


def test_stop_before_run(loop):
    loop.stop()
    loop.run()


def test_run_again_after_stop(loop, run):
    for _ in range(2):
        loop.call_soon(loop.stop)
        run(loop)


def test_stop_from_another_thread(loop, run):
    thread = threading.Thread(target=loop.stop)
    loop.call_soon(thread.start)
    run(loop)
    thread.join()


def test_close_gives_every_descriptor_back():
    before = descriptors()
    loop = Loop()
    loop.on_signal(signal.SIGUSR1, print)
    assert len(descriptors() - before) == 4  # epoll, eventfd, both ends of a pipe
    loop.close()
    assert descriptors() == before
    loop.close()


def test_last_calls(loop):
    """What was asked for is called, with what it asks for soon; who comes later is told."""
    order = []

    def threadsafe():
        order.append("threadsafe")
        loop.call_soon(lambda: order.append("soon again"))
        order.append(loop.call_soon_threadsafe(print))

    loop.call_soon(lambda: order.append("soon"))
    assert loop.call_soon_threadsafe(threadsafe)
    loop.last_calls()
    assert order == ["soon", "threadsafe", False, "soon again"]
    assert not loop.call_soon_threadsafe(print)


def test_a_closed_loop():
    loop = Loop()
    loop.close()
    loop.stop()
    assert not loop.call_soon_threadsafe(print)  # a thread that comes late does no harm
    with pytest.raises(RuntimeError, match="this loop is closed: make another"):
        loop.run()
    before = descriptors(), signal.getsignal(signal.SIGUSR1)
    with pytest.raises(RuntimeError, match="this loop is closed: make another"):
        loop.on_signal(signal.SIGUSR1, print)
    assert (descriptors(), signal.getsignal(signal.SIGUSR1)) == before


# Signals


def test_a_signal_is_an_ordinary_callback(loop, run):
    order = []

    def raise_it():
        os.kill(os.getpid(), signal.SIGUSR1)
        order.append("after the signal")

    loop.on_signal(signal.SIGUSR1, lambda: (order.append("callback"), loop.stop()))
    loop.call_soon(raise_it)
    run(loop)
    assert order == ["after the signal", "callback"]


def test_what_was_set_before_is_restored():
    def mine(signum, frame):
        raise AssertionError

    before = signal.signal(signal.SIGUSR1, mine)
    try:
        with Loop() as loop:
            loop.on_signal(signal.SIGUSR1, print)
            loop.on_signal(signal.SIGUSR1, repr)  # replaces the first
            loop.on_signal(signal.SIGUSR2, print)
            assert signal.getsignal(signal.SIGUSR1) is not mine
            loop.on_signal(signal.SIGUSR1, None)
            assert signal.getsignal(signal.SIGUSR1) is mine
            loop.on_signal(signal.SIGUSR1, None)
        assert signal.getsignal(signal.SIGUSR2) == signal.SIG_DFL
        assert signal.set_wakeup_fd(-1) == -1
    finally:
        signal.signal(signal.SIGUSR1, before)


def in_a_thread(function):
    """What `function` raises in another thread."""
    raised = []

    def call():
        try:
            function()
        except Exception as error:
            raised.append(error)

    thread = threading.Thread(target=call)
    thread.start()
    thread.join()
    return raised[0] if raised else None


def test_signals_belong_to_the_main_thread(loop):
    before = descriptors()
    error = in_a_thread(lambda: loop.on_signal(signal.SIGUSR1, print))
    assert isinstance(error, ValueError)
    assert "main thread" in str(error)
    assert descriptors() == before


def test_a_loop_with_signals_is_closed_in_the_main_thread(loop, run):
    loop.on_signal(signal.SIGUSR1, loop.stop)
    assert isinstance(in_a_thread(loop.close), ValueError)
    loop.call_soon(lambda: os.kill(os.getpid(), signal.SIGUSR1))
    run(loop)  # nothing was half-closed
