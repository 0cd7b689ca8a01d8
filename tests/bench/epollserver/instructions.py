"""What a message costs an echo server, in instructions of its own: exact where time is noise.

    python tests/bench/epollserver/instructions.py
    python tests/bench/epollserver/instructions.py COMMAND...

Counted by valgrind (Debian: valgrind), for the echo example or for the command given: the
difference of a long run and a short one, so that starting does not count.  The kernel's part is
not in it.  Two runs of the same code differ by 10; how malloc(3) finds room for what recv()
returns can add 200 to one version and not to another, whatever else they do.
"""

import pathlib
import re
import subprocess
import sys
import tempfile

import harness

CONNECTIONS, SIZE = 64, 1024
SHORT, LONG = 3_000, 15_000  # messages
PATIENCE = "300"  # seconds: valgrind is some fifty times slower


def count(folder, command, messages):
    """Instructions of the whole life of a server that echoes so many messages."""
    found = folder / "found"
    valgrind = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"]
    with harness.server([*valgrind, f"--log-file={found}", *command]) as process:
        port = process.address[1]
        numbers = map(str, (port, CONNECTIONS, SIZE, PATIENCE, messages))
        subprocess.run([folder / "client", *numbers], stdout=subprocess.DEVNULL, check=True)
        process.terminate()
        process.wait()
    return int(re.search(r"Collected : (\d+)", found.read_text())[1])


def main():
    command = sys.argv[1:] or [sys.executable, harness.PACKAGE / "examples/echo.py", "0"]
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        harness.build(folder)
        short, long = (count(folder, command, messages) for messages in (SHORT, LONG))
    print(f"{(long - short) / (LONG - SHORT):,.0f} instructions for a message")


if __name__ == "__main__":
    main()
