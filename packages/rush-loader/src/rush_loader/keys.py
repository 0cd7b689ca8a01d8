"""How what belongs to an entry is called: its file, and each companion, there or not.

The key of a file is its path.  That of a companion has a NUL before the suffix, which no path has,
so it is not the key of the same file when that is an entry of its own.
"""


def key_of(path: str, suffix: str) -> str:
    """The key of what is at ``path + suffix`` for the entry `path`."""
    return f"{path}\0{suffix}" if suffix else path


def path_and_suffix(key: str) -> tuple[str, str]:
    """The entry's path, and the suffix of its companion: "" for the file itself."""
    path, _, suffix = key.partition("\0")
    return path, suffix
