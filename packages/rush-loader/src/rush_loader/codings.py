"""Content codings: a file made shorter for its way to the client (RFC 9110, section 8.4.1).

`compressed` is what an `AutoUpdatingCache` takes as ``prepare``, and the suffixes of `TWINS` are
what it takes as ``companions``.
"""

import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from importlib import import_module
from types import MappingProxyType
from typing import Final, cast

from .file import File
from .mime import is_compressible

TWINS: Final[Mapping[str, str]] = MappingProxyType({".br": "br", ".zst": "zstd", ".gz": "gzip"})
"""What the name of a file compressed beforehand has more, and its content coding."""

# Below it, head and content fit into one packet of any network as they are.
_LEAST_BYTES = 1024
# What a coding has to save, at least: more than its header lines take.
_LEAST_SAVED = 128

_Compress = Callable[[bytes], bytes]


def compressed(file: File) -> File:
    """`file` with its `encodings`: what saves something, of gzip, brotli and zstd.

    The file itself if it is of a type that does not get shorter, small, large, or has a twin for
    each coding.  brotli and zstd are there if their packages are.  Up to 0.1 seconds for 1 MiB:
    not for a thread that somebody waits for.
    """
    content = file.content
    if content is None or len(content) < _LEAST_BYTES or not is_compressible(file.content_type):
        return file
    ready = {coding for coding, _ in twins(file)}
    encodings = {}
    for coding, compress in COMPRESSORS.items():
        if coding not in ready:
            shorter = compress(content)
            if len(shorter) <= len(content) - _LEAST_SAVED:
                encodings[coding] = shorter
    return replace(file, encodings=MappingProxyType(encodings)) if encodings else file


def twins(file: File) -> Iterator[tuple[str, File]]:
    """The companions of `file` that may be sent in its place, with their codings.

    Not one that is older: it was made from another version.  Nor one that is somewhere else than
    the file, behind a symbolic link, nor one that is longer.
    """
    for suffix, twin in file.companions.items():
        if (
            suffix in TWINS
            and twin.mtime_ns >= file.mtime_ns
            and twin.real_path == file.real_path + suffix
            and 0 < twin.size < file.size
        ):
            yield TWINS[suffix], twin


def may_be_encoded(file: File) -> bool:
    """Whether what is sent of `file` depends on ``Accept-Encoding``, now or in a moment."""
    if file.encodings or any(True for _ in twins(file)):
        return True
    return file.size >= _LEAST_BYTES and is_compressible(file.content_type)


def _gzip(content: bytes) -> bytes:
    # 31: a window of 32 KiB, and gzip around it, with no name and no time in it: the same content
    # gives the same bytes in every process.
    compressor = zlib.compressobj(6, zlib.DEFLATED, 31)
    return compressor.compress(content) + compressor.flush()


def _brotli() -> _Compress | None:
    for name in ("brotli", "brotlicffi"):
        try:
            compress = import_module(name).compress
        except ImportError:
            continue
        return lambda content: cast(bytes, compress(content, quality=5))
    return None


def _zstd() -> _Compress | None:
    for name in ("compression.zstd", "backports.zstd"):  # the former from Python 3.14 on
        try:
            compress = import_module(name).compress
        except ImportError:
            continue
        return lambda content: cast(bytes, compress(content, level=7))
    try:
        compressor = import_module("zstandard").ZstdCompressor
    except ImportError:
        return None
    return lambda content: cast(bytes, compressor(level=7).compress(content))


def _compressors() -> dict[str, _Compress]:
    """By coding; of two that give the same length, the first is sent."""
    found = {"zstd": _zstd(), "br": _brotli(), "gzip": _gzip}
    return {coding: compress for coding, compress in found.items() if compress is not None}


COMPRESSORS: Final = _compressors()
"""The codings that can be made here, and what makes them."""
