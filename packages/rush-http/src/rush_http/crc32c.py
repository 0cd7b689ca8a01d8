"""CRC32c, which the standard library does not have (RFC 4960, appendix B)."""

from functools import cache


def crc32c(data: bytes) -> int:
    """The checksum of `data`: ``0xe3069283`` of ``b"123456789"``."""
    table, value = _table(), 0xFFFFFFFF
    for byte in data:
        value = table[(value ^ byte) & 0xFF] ^ (value >> 8)
    return value ^ 0xFFFFFFFF


@cache
def _table() -> tuple[int, ...]:
    """What becomes of each byte; most programs never need it."""
    return tuple([_shifted(byte) for byte in range(256)])


def _shifted(value: int) -> int:
    for _ in range(8):
        value = (value >> 1) ^ (0x82F63B78 if value & 1 else 0)
    return value
