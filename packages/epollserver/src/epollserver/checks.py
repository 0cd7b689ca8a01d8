"""Arguments that make no sense are refused here, each in a sentence."""

from .events import Event


def check_counts(**values: object) -> None:
    """Refuse what is not a number from 1: `TypeError` or `ValueError`."""
    for name, value in values.items():
        if not isinstance(value, int):
            raise TypeError(f"{name} is {value!r:.80}: it must be a whole number")
        if value < 1:
            raise ValueError(f"{name} is {value!r}: it must be 1 or more")


def check_seconds(**values: object) -> None:
    """Refuse what is not a time limit: `TypeError` or `ValueError`; ``None`` is no limit."""
    for name, value in values.items():
        if value is None:
            continue
        if not isinstance(value, int | float):
            raise TypeError(f"{name} is {value!r:.80}: it must be a number of seconds or None")
        if not value > 0:
            raise ValueError(f"{name} is {value!r}: it must be more than 0, or None for no limit")


def check_event(value: object) -> None:
    """Refuse what is no `Event`: `ValueError`."""
    if not isinstance(value, Event):
        raise ValueError(
            f"no such event: {value!r:.80}; use CONNECT, RECEIVE, RESPONSE or DISCONNECT"
        )
