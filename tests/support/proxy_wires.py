"""Headers of the PROXY protocol as bytes, as a proxy makes them."""

import socket
import struct

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
LOCAL, PROXY = 0x20, 0x21
TCP4, UDP4, TCP6, UDP6, UNIX, UNIX_DGRAM = 0x11, 0x12, 0x21, 0x22, 0x31, 0x32
SSL, CRC32C, NOOP = 0x20, 0x03, 0x04


def v1(source="203.0.113.7", port=4711, *, kind="TCP4", destination="192.0.2.1", to=443):
    return f"PROXY {kind} {source} {destination} {port} {to}\r\n".encode()


def v2(block=b"", command=PROXY, family=TCP4, length=None):
    length = len(block) if length is None else length
    return SIGNATURE + struct.pack("!BBH", command, family, length) + block


def inet(source="203.0.113.7", port=4711):
    packed = socket.inet_aton(source) + socket.inet_aton("192.0.2.1")
    return packed + struct.pack("!HH", port, 443)


def inet6(source="2001:db8::7", port=4711):
    family = socket.AF_INET6
    packed = socket.inet_pton(family, source) + socket.inet_pton(family, "2001:db8::1")
    return packed + struct.pack("!HH", port, 443)


def tlv(kind, value=b""):
    return struct.pack("!BH", kind, len(value)) + value


def tls(flags=1, verify=0, more=b""):
    return tlv(SSL, struct.pack("!BI", flags, verify) + more)


def crc32c(data):
    """Bit by bit, as RFC 4960 has it."""
    value = 0xFFFFFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = (value >> 1) ^ (0x82F63B78 if value & 1 else 0)
    return value ^ 0xFFFFFFFF


def checked(block, *, family=TCP4, wrong=0):
    """A header of version 2 with its checksum at the end."""
    zeroed = v2(block + tlv(CRC32C, bytes(4)), family=family)
    return zeroed[:-4] + struct.pack("!I", crc32c(zeroed) ^ wrong)
