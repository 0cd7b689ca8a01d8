"""For every test: the signals that end a program do so in the programs that tests start."""

import signal

import pytest

# Tables and programs that take long.  What holds on the oldest and on the newest Python holds on
# those in between: they leave these out (see noxfile.py).
ENDS = {
    "epollserver": "examples package resp writing",
    "rush-http": "docs lateness parser_heads parser_memo parser_refused streams_later",
    "rush-loader": "ends forks stats",
    "rush-web": "args cli crashes docs endings error_page prefork routing webserver",
}


def pytest_collection_modifyitems(items):
    """Mark the tests of these files."""
    files = {(name, f"test_{file}") for name, text in ENDS.items() for file in text.split()}
    for item in items:
        if (item.path.parent.name, item.path.stem) in files:
            item.add_marker(pytest.mark.ends)


@pytest.fixture(autouse=True)
def heeded_signals():
    """Heed what nohup(1) and the background of a script have ignored: programs inherit that."""
    for signum, handler in (
        (signal.SIGINT, signal.default_int_handler),
        (signal.SIGHUP, signal.SIG_DFL),
    ):
        if signal.getsignal(signum) is signal.SIG_IGN:
            signal.signal(signum, handler)
