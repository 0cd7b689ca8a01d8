"""Names: what functions are called in messages and logs."""

import inspect


def named(function: object) -> str:
    """The name of a function, and its file and line if it is one of Python."""
    if callable(function):
        function = inspect.unwrap(function)
    name = getattr(function, "__qualname__", None) or repr(function)
    code = getattr(function, "__code__", None)
    return name if code is None else f"{name} ({code.co_filename}:{code.co_firstlineno})"
