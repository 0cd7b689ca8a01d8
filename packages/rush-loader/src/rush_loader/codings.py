"""Content codings: a file made shorter for its way to the client (RFC 9110, section 8.4.1).

`compressed` is what an `AutoUpdatingCache` takes as ``prepare``, and the suffixes of `TWINS` are
what it takes as ``companions``.
"""

import zlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from importlib import import_module
from types import MappingProxyType
from typing import Any, Final, cast

from .file import File, content_etag
from .mime import is_compressible

TWINS: Final[Mapping[str, str]] = MappingProxyType({".br": "br", ".zst": "zstd", ".gz": "gzip"})
"""What the name of a file compressed beforehand has more, and its content coding."""

# Below it, head and content fit into one packet of any network as they are.
_LEAST_BYTES = 1024
# What a coding has to save, at least: more than its header lines take.
_LEAST_SAVED = 128

_Compress = Callable[[bytes], bytes]
_Check = Callable[[bytes, bytes], bool]


def compressed(file: File) -> File:
    """`file` with its `twins` and, for other codings, its `encodings`: what saves something.

    The file itself if there are none: of a type that does not get shorter, small, or large.  gzip
    is always there, brotli and zstd if their packages are.  Up to 0.1 seconds for 1 MiB: not for a
    thread that somebody waits for.
    """
    twins = {TWINS[suffix]: twin for suffix, twin in file.companions.items() if _fits(file, suffix)}
    encodings = {}
    content = file.content
    if content is not None and _gets_shorter(file):
        for coding, compress in COMPRESSORS.items():
            if coding not in twins:
                shorter = compress(content)
                if len(shorter) <= len(content) - _LEAST_SAVED:
                    encodings[coding] = shorter
    if not twins and not encodings:
        return file
    etags = {coding: content_etag(shorter) for coding, shorter in encodings.items()}
    return replace(
        file,
        twins=MappingProxyType(twins),
        encodings=MappingProxyType(encodings),
        encoding_etags=MappingProxyType(etags),
    )


def may_be_encoded(file: File) -> bool:
    """Whether what is sent of `file` depends on ``Accept-Encoding``, now or in a moment."""
    return (
        bool(file.encodings) or _gets_shorter(file) or not TWINS.keys().isdisjoint(file.companions)
    )


def _gets_shorter(file: File) -> bool:
    return file.size >= _LEAST_BYTES and is_compressible(file.content_type)


def _fits(file: File, suffix: str) -> bool:
    """Whether the companion of `file` with this suffix may be sent in its place.

    Not one that is older, or that was made from another version: see `_is_of`.  Nor one that is
    somewhere else than the file, behind a symbolic link, nor one that is longer.
    """
    twin = file.companions[suffix]
    return (
        suffix in TWINS
        and twin.mtime_ns >= file.mtime_ns
        and twin.real_path == file.real_path + suffix
        and 0 < twin.size < file.size
        and _is_of(file, twin, TWINS[suffix])
    )


def _is_of(file: File, twin: File, coding: str) -> bool:
    """Whether a twin holds this very version.

    Times cannot tell: ``cp -p``, ``rsync -t`` and ``mv`` put an older file in the place of a newer
    one.  So it is unpacked, but gzip has a checksum: 0.4 ms for 1 MiB, zstd 1 ms, brotli 7 ms.
    Where that cannot be, without the package or for a large file, the twin must have come last:
    `File.ctime_ns` cannot be set back.
    """
    check = CHECKERS.get(coding)
    if file.content is None or twin.content is None or check is None:
        return twin.ctime_ns >= file.ctime_ns
    try:
        return check(twin.content, file.content)
    except Exception:  # each package has its own for what is not in this coding
        return False


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


def _is_gzip_of(twin: bytes, content: bytes) -> bool:
    # RFC 1952, 2.3.1; of several members, the last would have to hold everything.
    size = len(content) & 0xFFFFFFFF
    trailer = zlib.crc32(content).to_bytes(4, "little") + size.to_bytes(4, "little")
    return twin[:2] == b"\x1f\x8b" and twin[-8:] == trailer


def _is_brotli_of(decompressor: Callable[[], Any], twin: bytes, content: bytes) -> bool:
    unpacking = decompressor()
    at = 0
    for start in range(0, len(twin), 64):  # few bytes can become very many
        piece = unpacking.process(twin[start : start + 64])
        if content[at : at + len(piece)] != piece:
            return False
        at += len(piece)
    return at == len(content) and bool(unpacking.is_finished())


def _is_zstd_of(decompressor: Callable[[], Any], twin: bytes, content: bytes) -> bool:
    unpacking = decompressor()
    if not hasattr(unpacking, "eof"):  # that of zstandard
        return bool(unpacking.stream_reader(twin).read(len(content) + 1) == content)
    unpacked = unpacking.decompress(twin, max_length=len(content) + 1)
    return bool(unpacking.eof and unpacked == content)


def _decompressor(*packages: str, name: str) -> Callable[[], Any] | None:
    for package in packages:
        with suppress(ImportError):
            return cast(Callable[[], Any], getattr(import_module(package), name))
    return None


def _checkers() -> dict[str, _Check]:
    found: dict[str, _Check] = {"gzip": _is_gzip_of}
    brotli = _decompressor("brotli", "brotlicffi", name="Decompressor")
    if brotli is not None:
        found["br"] = partial(_is_brotli_of, brotli)
    zstd = _decompressor("compression.zstd", "backports.zstd", "zstandard", name="ZstdDecompressor")
    if zstd is not None:
        found["zstd"] = partial(_is_zstd_of, zstd)
    return found


CHECKERS: Final = _checkers()
"""By coding: whether this came of that content."""


def _compressors() -> dict[str, _Compress]:
    """By coding; of two that give the same length, the first is sent."""
    found = {"zstd": _zstd(), "br": _brotli(), "gzip": _gzip}
    return {coding: compress for coding, compress in found.items() if compress is not None}


COMPRESSORS: Final = _compressors()
"""The codings that can be made here, and what makes them."""
