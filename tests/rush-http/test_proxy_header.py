"""The PROXY protocol: tables of bytes, whole, in thirds and byte by byte."""

import itertools
import struct

import pytest

from proxy_wires import (
    LOCAL,
    NOOP,
    SIGNATURE,
    SSL,
    TCP6,
    UDP4,
    UDP6,
    UNIX,
    UNIX_DGRAM,
    checked,
    crc32c,
    inet,
    inet6,
    tls,
    tlv,
    v1,
    v2,
)
from rush_http import BadProxyHeader, Peer, ProxyHeader
from rush_http import crc32c as ours
from splits import SPLITS

pytestmark = pytest.mark.ends

FIRST = Peer("203.0.113.7", 4711)
SIXTH = Peer("2001:db8::7", 4711)
LONG = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fff"
MORE = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"

GOOD = {
    # version 1: bytes, who, whether over TLS
    "v1": (v1(), FIRST, False),
    "v1 longest of IPv4": (
        v1("255.255.255.255", 65535, destination="255.255.255.255", to=65535),
        Peer("255.255.255.255", 65535),
        False,
    ),
    "v1 shortest": (v1("0.0.0.0", 0, destination="0.0.0.0", to=0), Peer("0.0.0.0", 0), False),
    "v1 IPv6": (v1("2001:db8::7", kind="TCP6", destination="::1"), SIXTH, False),
    "v1 IPv6 in capitals": (v1("2001:DB8::7", kind="TCP6", destination="::1"), SIXTH, False),
    "v1 longest of IPv6": (
        v1(LONG + "e", 65535, kind="TCP6", destination=LONG + "f", to=65535),
        Peer(LONG + "e", 65535),
        False,
    ),
    "v1 IPv4 in IPv6": (v1("::ffff:203.0.113.7", kind="TCP6", destination="::1"), FIRST, False),
    "v1 unknown": (b"PROXY UNKNOWN\r\n", None, False),
    "v1 unknown, with addresses": (v1(kind="UNKNOWN"), None, False),
    "v1 unknown, with anything": (b"PROXY UNKNOWN \0 P \xff\r\n", None, False),
    "v1 unknown, longest": (b"PROXY UNKNOWN " + b"f" * 91 + b"\r\n", None, False),
    # version 2
    "v2": (v2(inet()), FIRST, False),
    "v2 UDP": (v2(inet(), family=UDP4), FIRST, False),
    "v2 IPv6": (v2(inet6(), family=TCP6), SIXTH, False),
    "v2 IPv6 UDP": (v2(inet6(), family=UDP6), SIXTH, False),
    "v2 IPv4 in IPv6": (v2(inet6("::ffff:203.0.113.7"), family=TCP6), FIRST, False),
    "v2 UNIX": (v2(b"/run/x".ljust(108, b"\0") * 2, family=UNIX), None, False),
    "v2 UNIX datagrams": (v2(bytes(216), family=UNIX_DGRAM), None, False),
    "v2 local": (v2(command=LOCAL, family=0), None, False),
    "v2 local, of any family": (v2(command=LOCAL, family=0xFF), None, False),
    "v2 local, with something": (v2(inet() + tls(), command=LOCAL), None, False),
    "v2 local, with no vectors": (v2(b"\xff" * 100, command=LOCAL, family=0), None, False),
    "v2 unspecified": (v2(family=0), None, False),
    "v2 unspecified, with something": (v2(b"\xff" * 100, family=0), None, False),
    "v2 no protocol": (v2(inet(), family=0x10), None, False),
    "v2 no family": (v2(inet(), family=0x01), None, False),
    "v2 with vectors": (
        v2(inet() + tlv(0xE0) + tlv(5, b"id" * 64) + tlv(0xFF, b"x")),
        FIRST,
        False,
    ),
    "v2 padded": (v2(inet() + tlv(NOOP) + tlv(NOOP, bytes(9)) + tlv(NOOP)), FIRST, False),
    "v2 over TLS": (v2(inet() + tls(more=tlv(0x21, b"TLSv1.3"))), FIRST, True),
    "v2 over TLS, with a certificate": (v2(inet() + tls(7, 1, tlv(0x22, b"me"))), FIRST, True),
    "v2 not over TLS": (v2(inet() + tls(0)), FIRST, False),
    "v2 UNIX over TLS": (v2(bytes(216) + tls(), family=UNIX), None, True),
    "v2 with a checksum": (checked(inet()), FIRST, False),
    "v2 with a checksum and more": (checked(inet6() + tls(), family=TCP6), SIXTH, True),
    "v2 longest": (v2(inet() + tlv(NOOP, bytes(16384 - 16 - 12 - 3))), FIRST, False),
}

BAD = {
    # bytes, what the log says
    "HTTP": (MORE, "no PROXY header"),
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(8), "no PROXY header"),
    "HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "no PROXY header"),
    "lower case": (v1().lower(), "no PROXY header"),
    "an empty line first": (b"\r\n" + v1(), "no PROXY header"),
    "a blank first": (b" " + v1(), "no PROXY header"),
    "two blanks": (b"PROXY  TCP4 1.2.3.4 1.2.3.4 1 1\r\n", "is none"),
    "a tab": (b"PROXY\tTCP4 1.2.3.4 1.2.3.4 1 1\r\n", "no PROXY header"),
    "two blanks later": (b"PROXY TCP4 1.2.3.4  1.2.3.4 1 1\r\n", "is none"),
    "a blank at the end": (b"PROXY TCP4 1.2.3.4 1.2.3.4 1 1 \r\n", "is none"),
    "a port missing": (b"PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n", "is none"),
    "one too many": (b"PROXY TCP4 1.2.3.4 1.2.3.4 1 1 1\r\n", "is none"),
    "nothing said": (b"PROXY \r\n", "is none"),
    "another protocol": (v1(kind="UDP4"), "is none"),
    "a protocol in lower case": (v1(kind="tcp4"), "is none"),
    "unknown, and no blank": (b"PROXY UNKNOWNX\r\n", "is none"),
    "LF alone": (v1().replace(b"\r\n", b"\n") + MORE, "alone"),
    "CR alone": (v1().replace(b"\r\n", b"\r") + MORE, "alone"),
    "CR CR LF": (v1().replace(b"\r\n", b"\r\r\n"), "alone"),
    "LF in unknown": (b"PROXY UNKNOWN a\nb\r\n", "alone"),
    "a zero in front": (v1("203.0.113.07"), "bad address"),
    "hexadecimal": (v1("0xcb.0.113.7"), "is none"),
    "three numbers": (v1("203.0.7"), "bad address"),
    "256": (v1("203.0.113.256"), "bad address"),
    "no address": (v1("localhost"), "is none"),
    "a bad destination": (v1(destination="1.2.3"), "bad address"),
    "IPv6 as IPv4": (v1("2001:db8::7"), "bad address"),
    "IPv4 as IPv6": (v1(kind="TCP6"), "bad address"),
    "two double colons": (v1("2001::db8::7", kind="TCP6", destination="::1"), "bad address"),
    "a scope": (v1("fe80::1%eth0", kind="TCP6", destination="::1"), "is none"),
    "a zero before a port": (v1(port="04711"), "is none"),
    "a port too high": (v1(port=65536), "bad port"),
    "a destination's port too high": (v1(to=99999), "bad port"),
    "a port of six digits": (v1(port=100000), "is none"),
    "a sign before a port": (v1(port="+1"), "is none"),
    "no port": (v1(port=""), "is none"),
    "108 bytes": (b"PROXY UNKNOWN " + b"f" * 92 + b"\r\n", "more than 107"),
    "no end": (b"PROXY UNKNOWN " + b"f" * 200, "more than 107"),
    "a signature that ends otherwise": (SIGNATURE[:-1] + b"\r" + v2(inet())[12:], "no PROXY"),
    "version 1 in binary": (v2(inet(), command=0x11), "version and command"),
    "version 3": (v2(inet(), command=0x31), "version and command"),
    "another command": (v2(inet(), command=0x22), "version and command"),
    "another family": (v2(bytes(216), family=0x41), "family and protocol"),
    "another protocol in binary": (v2(inet(), family=0x13), "family and protocol"),
    "too short for IPv4": (v2(inet()[:11]), "too few"),
    "nothing of IPv4": (v2(), "too few"),
    "too short for IPv6": (v2(inet6()[:35], family=TCP6), "too few"),
    "too short for UNIX": (v2(bytes(215), family=UNIX), "too few"),
    "a vector without length": (v2(inet() + b"\x04\x00"), "reaches past"),
    "a vector too long": (v2(inet() + b"\x04\x00\x02x"), "reaches past"),
    "a byte left": (v2(inet() + tlv(NOOP, b"x") + b"\0"), "reaches past"),
    "nothing of TLS": (v2(inet() + tlv(SSL, bytes(4))), "nothing of TLS"),
    "a vector in TLS too long": (v2(inet() + tls(more=b"\x21\x00\x09TLS")), "reaches past"),
    "TLS twice": (v2(inet() + tls(1) + tls(0)), "twice"),
    "a wrong checksum": (checked(inet(), wrong=1), "checksum"),
    "a checksum of other bytes": (checked(inet()).replace(b"\xcb", b"\xcc"), "checksum"),
    "a short checksum": (v2(inet() + tlv(3, bytes(2))), "checksum"),
    "two checksums": (v2(inet() + tlv(3, bytes(4)) * 2), "twice"),
    "too long": (v2(inet() + tlv(NOOP, bytes(16384 - 16 - 12 - 2))), "16384 are taken"),
    "longest of all": (v2(length=65535), "16384 are taken"),
}  # fmt: skip


def fed(pieces):
    """Feed a header as a socket would: what is not its own, and what it does not want, stays."""
    header, taken = ProxyHeader(), b""
    waiting = b""
    for piece in pieces:
        waiting += piece
        while waiting and header.wanted:
            data = waiting[: header.wanted]
            own = header.feed(data)
            assert own <= len(data)
            assert own == len(data) or not header.wanted
            taken += waiting[:own]
            waiting = waiting[own:]
    return header, taken, waiting


@pytest.mark.parametrize(("wire", "source", "is_tls"), GOOD.values(), ids=GOOD)
def test_good(wire, source, is_tls):
    for split, more in itertools.product(SPLITS, [b"", MORE]):
        header, taken, left = fed(split(wire + more))
        assert not header.wanted
        assert (header.source, header.is_tls) == (source, is_tls)
        assert (taken, left) == (wire, more)


@pytest.mark.parametrize(("wire", "words"), BAD.values(), ids=BAD)
def test_bad(wire, words):
    for split in SPLITS:
        with pytest.raises(BadProxyHeader, match=words):
            fed(split(wire))


def test_a_part_says_nothing():
    for wire, *_ in GOOD.values():
        for length in range(1, min(len(wire), 500)):
            header, taken, left = fed([wire[:length]])
            assert header.wanted
            assert header.source is None
            assert (taken, left) == (wire[:length], b"")


def test_a_good_header_is_not_good_with_any_byte_changed():
    """A checksum sees to all of it."""
    wire = checked(inet() + tls())
    checksum = len(wire) - 7
    for at in {*range(len(wire))} - {checksum}:  # as another kind of vector it is none
        with_another = bytearray(wire)
        with_another[at] ^= 0x04
        try:
            header, *_ = fed([bytes(with_another) + bytes(65536)])
        except BadProxyHeader:
            continue
        assert header.source is None, at  # unspecified: nothing of it counts


@pytest.mark.parametrize("data", [b"", b"123456789", bytes(32), struct.pack("64B", *range(64))])
def test_checksum(data):
    assert ours.crc32c(data) == crc32c(data)


def test_checksum_of_the_rfc():
    assert ours.crc32c(bytes(32)) == 0x8A9136AA  # RFC 3720, B.4
