"""The program that `rush dev` has executed ahead, as it is seen from outside."""

import os
from pathlib import Path

from programs import children_of, eventually

_READ = {"x86_64": "0", "aarch64": "63"}.get(os.uname().machine, "?")  # read(2)


def spare_of(program):
    """Wait until one waits for its turn, and return its pid."""

    def waits():
        for pid in children_of(program.pid):
            try:
                state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
                # For a file it would be another kind of sleep.
                if state == "S" and Path(f"/proc/{pid}/syscall").read_text().split()[0] == _READ:
                    return pid
            except (FileNotFoundError, ProcessLookupError):
                continue
        return 0

    return eventually(waits, "a spare program")
