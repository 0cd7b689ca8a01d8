"""The phases of an `Exchange`, by their names; its docstring has the picture."""

from typing import Final

IDLE: Final = "idle"
HEAD: Final = "head"
BODY: Final = "body"
ANSWER: Final = "answer"
STREAM: Final = "stream"
BEHIND: Final = "behind"
LAST: Final = "last"
LINGER: Final = "linger"
UPGRADED: Final = "upgraded"

# A request pays nothing for time limits: the next sweep notes the clock.
NOW: Final = 0.0

# Answers to pipelined requests, and pieces of a stream, are written together, up to about this
# much: larger writes cost a copy and save no system call.
TOGETHER_BYTES: Final = 65536
