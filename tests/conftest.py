"""For every test: the signals that end a program do so in the programs that tests start."""

import signal

import pytest


@pytest.fixture(autouse=True)
def heeded_signals():
    """Heed what nohup(1) and the background of a script have ignored: programs inherit that."""
    for signum, handler in (
        (signal.SIGINT, signal.default_int_handler),
        (signal.SIGHUP, signal.SIG_DFL),
    ):
        if signal.getsignal(signum) is signal.SIG_IGN:
            signal.signal(signum, handler)
