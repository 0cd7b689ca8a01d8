"""Uptime: how long this process has run, from before its first line of Python."""

import contextlib
import os
import time

_EXECUTED = "_RUSH_EXECUTED"


def age() -> float:
    """How many seconds this program has run, to a hundredth; 0 if that is not to be had."""
    now = time.clock_gettime(time.CLOCK_BOOTTIME)
    with contextlib.suppress(ValueError):
        return now - float(os.environ.get(_EXECUTED, ""))
    with contextlib.suppress(OSError, ValueError, IndexError):
        with open("/proc/self/stat") as stat:
            ticks = int(stat.read().rpartition(")")[2].split()[19])  # field 22: proc_pid_stat(5)
        return now - ticks / os.sysconf("SC_CLK_TCK")
    return 0.0


def begins_anew() -> dict[str, str]:
    """The variables for a program that is executed in this process: its age is counted from now."""
    return {**os.environ, _EXECUTED: f"{time.clock_gettime(time.CLOCK_BOOTTIME):.3f}"}
