"""What proxies write of who has asked: tables of headers, and of what they may not say."""

import time

import pytest

from rush_http import FORWARDED_HEADERS, Forwarded, Headers, Peer, TrustedProxies

pytestmark = pytest.mark.ends

PROXY = Peer("10.0.0.1", 50000)
SENDER = Forwarded(PROXY, "http", None)
TRUSTED = ("10.0.0.0/8", "fd00::/8", "unix")
X_HEADERS = FORWARDED_HEADERS[1:]


def told(headers, lines, sender=SENDER):
    proxies = TrustedProxies(*TRUSTED, headers=headers)
    fields = tuple((name.lower(), value) for name, value in lines)
    found = proxies.forwarded(Headers(fields), sender)
    assert proxies.forwarded(Headers(fields), sender) == found  # from memory
    return found


# What comes in X-Forwarded-For, and who the client is then; None: nobody is told.
X_FOR = {
    "one": ("203.0.113.7", Peer("203.0.113.7", 0)),
    "IPv6": ("2001:DB8::7", Peer("2001:db8::7", 0)),
    "IPv6 in brackets": ("[2001:db8::7]", Peer("2001:db8::7", 0)),
    "with a port": ("203.0.113.7:4711", Peer("203.0.113.7", 4711)),
    "IPv6 with a port": ("[2001:db8::7]:4711", Peer("2001:db8::7", 4711)),
    "IPv4 in IPv6": ("::ffff:203.0.113.7", Peer("203.0.113.7", 0)),
    "behind one more": ("203.0.113.7, 10.0.0.2", Peer("203.0.113.7", 0)),
    "behind two more": ("203.0.113.7,10.0.0.2 , fd00::2", Peer("203.0.113.7", 0)),
    "behind IPv4 in IPv6": ("203.0.113.7, ::ffff:10.0.0.2", Peer("203.0.113.7", 0)),
    "a client's own in front": ("127.0.0.1, 203.0.113.7", Peer("203.0.113.7", 0)),
    "a trusted one in front": ("10.9.9.9, 203.0.113.7, 10.0.0.2", Peer("203.0.113.7", 0)),
    "rubbish in front": ('", \\\\, \x80, 203.0.113.7', Peer("203.0.113.7", 0)),
    "only proxies": ("10.0.0.3, 10.0.0.2", Peer("10.0.0.3", 0)),
    "rubbish behind": ("203.0.113.7, rubbish", None),
    "rubbish between": ("203.0.113.7, rubbish, 10.0.0.2", Peer("10.0.0.2", 0)),
    "unknown": ("203.0.113.7, unknown", None),
    "unknown behind a proxy": ("203.0.113.7, unknown, 10.0.0.2", Peer("10.0.0.2", 0)),
    "nothing": ("", None),
    "nothing behind": ("203.0.113.7,", None),
    "nothing between": ("203.0.113.7,, 10.0.0.2", Peer("10.0.0.2", 0)),
    "a name": ("localhost", None),
    "three numbers": ("203.0.113", None),
    "a number": ("3405803783", None),
    "a zero in front of a number": ("203.0.113.07", None),
    "256": ("203.0.113.256", None),
    "a network": ("203.0.113.0/24", None),
    "in quotes": ('"203.0.113.7"', None),
    "a port too high": ("203.0.113.7:65536", None),
    "a port of letters": ("203.0.113.7:http", None),
    "no port": ("203.0.113.7:", None),
    "IPv6 and a port without brackets": ("2001:db8::1:2:3:4:5:4711", None),
    "brackets that nobody closes": ("[2001:db8::7", None),
    "IPv4 in brackets": ("[203.0.113.7]", None),
    "a scope": ("fe80::1%eth0", None),
    "blanks within": ("203.0.113.7 203.0.113.8", None),
    "a tab around": ("\t203.0.113.7\t", Peer("203.0.113.7", 0)),
}


@pytest.mark.parametrize(("value", "client"), X_FOR.values(), ids=X_FOR)
def test_x_forwarded_for(value, client):
    found = told(["X-Forwarded-For"], [("X-Forwarded-For", value)])
    assert found == Forwarded(client or PROXY, "http", None)


def test_several_lines_are_one():
    lines = [("X-Forwarded-For", "6.6.6.6"), ("X-Forwarded-For", "203.0.113.7"),
             ("X-Forwarded-For", "10.0.0.2")]  # fmt: skip
    assert told(["x-forwarded-for"], lines).client == Peer("203.0.113.7", 0)


# What comes in Forwarded; client, scheme and host.
CLIENT = Peer("203.0.113.7", 0)
FORWARDED = {
    "one": ("for=203.0.113.7", (CLIENT, None, None)),
    "a port": ('for="203.0.113.7:4711"', (Peer("203.0.113.7", 4711), None, None)),
    "IPv6": ('For="[2001:DB8::7]"', (Peer("2001:db8::7", 0), None, None)),
    "IPv6 and a port": ('for="[2001:db8::7]:4711"', (Peer("2001:db8::7", 4711), None, None)),
    "an obfuscated port": ('for="[2001:db8::7]:_x"', (Peer("2001:db8::7", 0), None, None)),
    "all": (
        'by="[fd00::1]:80";FOR=203.0.113.7;Host="a.example:81";proto=HTTPS',
        (CLIENT, "https", "a.example:81"),
    ),
    "blanks": ("for=203.0.113.7 ; proto=https\t;host=a", (CLIENT, "https", "a")),
    "escapes": ('for="203\\.0.113.7"', (CLIENT, None, None)),
    "others": ('secret=1;for=203.0.113.7;ext="a,b;c=\\"d\\""', (CLIENT, None, None)),
    "WebSockets": ("for=203.0.113.7;proto=wss", (CLIENT, "https", None)),
    "behind one more": ("for=203.0.113.7;proto=https, for=10.0.0.2", (CLIENT, "https", None)),
    "behind one more that says more": (
        "for=203.0.113.7, for=10.0.0.2;proto=https;host=inner",
        (CLIENT, None, None),
    ),
    "a client's own in front": (
        "for=6.6.6.6;proto=https;host=evil, for=203.0.113.7",
        (CLIENT, None, None),
    ),
    "a client's own quote": ('for="6.6.6.6, for=203.0.113.7', (CLIENT, None, None)),
    "a client's own quote, and a proxy's": (
        'for=6.6.6.6;x=", for="[2001:db8::7]:1"',
        (Peer("2001:db8::7", 1), None, None),
    ),
    "a client's own backslash": ('x="\\, for=203.0.113.7', (CLIENT, None, None)),
    "a client's rubbish": ("=;=;, ,,for=203.0.113.7", (CLIENT, None, None)),
    "commas in quotes": ('x="a, for=6.6.6.6";for=203.0.113.7', (CLIENT, None, None)),
    "commas in quotes in front": ('for=10.0.0.2;x=",,", for=203.0.113.7', (CLIENT, None, None)),
    "commas in quotes of a proxy": ('for=203.0.113.7, x=",,";for=10.0.0.2', (CLIENT, None, None)),
    "a comma in quotes, escaped": ('x="\\", for=6.6.6.6";for=203.0.113.7', (CLIENT, None, None)),
    "unknown": ("for=unknown;proto=https;host=a", (None, "https", "a")),
    "hidden": ('for="_hidden:_port";proto=https', (None, "https", None)),
    "unknown before a proxy": ("for=6.6.6.6, for=unknown, for=10.0.0.2",
                               (Peer("10.0.0.2", 0), None, None)),
    "nobody": ("proto=https;host=a", (None, "https", "a")),
    "only proxies": ("for=10.0.0.3;proto=https, for=10.0.0.2",
                     (Peer("10.0.0.3", 0), "https", None)),
    "rubbish behind": ("for=203.0.113.7;proto=https, rubbish", (None, None, None)),
    "rubbish between": (
        "for=203.0.113.7, for=;x, for=10.0.0.2;proto=https;host=a",
        (Peer("10.0.0.2", 0), "https", "a"),
    ),
    "nothing": ("", (None, None, None)),
    "nothing behind": ("for=203.0.113.7,", (None, None, None)),
    "a semicolon behind": ("for=203.0.113.7;", (None, None, None)),
    "twice": ("for=203.0.113.7;For=6.6.6.6", (None, None, None)),
    "proto twice": ("for=203.0.113.7;proto=http;proto=https", (None, None, None)),
    "IPv6 without quotes": ("for=[2001:db8::7]", (None, None, None)),
    "IPv6 without brackets": ('for="2001:db8::7"', (None, None, None)),
    "a port without quotes": ("for=203.0.113.7:80", (None, None, None)),
    "blanks around the equals sign": ("for = 203.0.113.7", (None, None, None)),
    "a quote that nobody closes": ('for="203.0.113.7', (None, None, None)),
    "a quote in the middle": ('for=203".0.113.7"', (None, None, None)),
    "a name": ("for=localhost", (None, None, None)),
    "256": ("for=203.0.113.256", (None, None, None)),
    "a port too high": ('for="203.0.113.7:65536"', (None, None, None)),
    "another scheme": ("for=203.0.113.7;proto=gopher", (CLIENT, None, None)),
    "no host": ('for=203.0.113.7;host=""', (CLIENT, None, None)),
    "a bad host": ('for=203.0.113.7;host="a/b"', (CLIENT, None, None)),
    "a host with a user": ('for=203.0.113.7;host="me@a"', (CLIENT, None, None)),
}  # fmt: skip


@pytest.mark.parametrize(("value", "expected"), FORWARDED.values(), ids=FORWARDED)
def test_forwarded(value, expected):
    client, scheme, host = expected
    found = told(["forwarded"], [("Forwarded", value)])
    assert found == Forwarded(client or PROXY, scheme or "http", host)


# The other lines of X-Forwarded-...: scheme and host.
X_OTHERS = {
    "proto": ([("X-Forwarded-Proto", "https")], ("https", None)),
    "proto in capitals": ([("X-Forwarded-Proto", "HTTPS")], ("https", None)),
    "WebSockets": ([("X-Forwarded-Proto", "wss")], ("https", None)),
    "a client's own proto": ([("X-Forwarded-Proto", "https, http")], ("http", None)),
    "two lines": ([("X-Forwarded-Proto", "http"), ("X-Forwarded-Proto", "https")], ("https", None)),
    "another scheme": ([("X-Forwarded-Proto", "javascript")], ("http", None)),
    "no scheme": ([("X-Forwarded-Proto", "")], ("http", None)),
    "host": ([("X-Forwarded-Host", "a.example")], ("http", "a.example")),
    "host and port": ([("X-Forwarded-Host", "a.example:81")], ("http", "a.example:81")),
    "a client's own host": ([("X-Forwarded-Host", "evil, a.example")], ("http", "a.example")),
    "a bad host": ([("X-Forwarded-Host", "a.example/x")], ("http", None)),
    "a host with a user": ([("X-Forwarded-Host", "me@a.example")], ("http", None)),
    "no host": ([("X-Forwarded-Host", "")], ("http", None)),
    "port": ([("X-Forwarded-Port", "81")], ("http", "here:81")),
    "the usual port": ([("X-Forwarded-Port", "80")], ("http", "here")),
    "the usual port of https": (
        [("X-Forwarded-Port", "443"), ("X-Forwarded-Proto", "https")],
        ("https", "here"),
    ),
    "a port that is not usual for it": (
        [("X-Forwarded-Port", "80"), ("X-Forwarded-Proto", "https")],
        ("https", "here:80"),
    ),
    "a port for a host": (
        [("X-Forwarded-Port", "82"), ("X-Forwarded-Host", "a:81")],
        ("http", "a:82"),
    ),
    "a port for IPv6": (
        [("X-Forwarded-Port", "82"), ("X-Forwarded-Host", "[::1]:81")],
        ("http", "[::1]:82"),
    ),
    "the usual port for IPv6": (
        [("X-Forwarded-Port", "80"), ("X-Forwarded-Host", "[::1]")],
        ("http", "[::1]"),
    ),
    "a client's own port": ([("X-Forwarded-Port", "666, 81")], ("http", "here:81")),
    "a port of letters": ([("X-Forwarded-Port", "http")], ("http", "here:8000")),
    "port 0": ([("X-Forwarded-Port", "0")], ("http", "here:8000")),
    "a port too high": ([("X-Forwarded-Port", "65536")], ("http", "here:8000")),
}


@pytest.mark.parametrize(("lines", "expected"), X_OTHERS.values(), ids=X_OTHERS)
def test_x_forwarded_others(lines, expected):
    lines = [("Host", "here:8000"), ("X-Forwarded-For", "203.0.113.7"), *lines]
    assert told(X_HEADERS, lines) == Forwarded(CLIENT, *expected)


EVERYTHING = [
    ("Forwarded", "for=6.6.6.6;proto=https;host=evil"),
    ("X-Forwarded-For", "7.7.7.7"),
    ("X-Forwarded-Proto", "https"),
    ("X-Forwarded-Host", "x-evil"),
    ("X-Forwarded-Port", "666"),
    ("X-Real-IP", "8.8.8.8"),
]


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([], SENDER),
        (["forwarded"], (Peer("6.6.6.6", 0), "https", "evil")),
        (["x-forwarded-for"], (Peer("7.7.7.7", 0), "http", None)),
        (["x-forwarded-proto"], (PROXY, "https", None)),
        (["x-forwarded-host"], (PROXY, "http", "x-evil")),
        (["x-forwarded-port"], (PROXY, "http", None)),
        (["x-forwarded-host", "x-forwarded-port"], (PROXY, "http", "x-evil:666")),
        (X_HEADERS, (Peer("7.7.7.7", 0), "https", "x-evil:666")),
    ],
)
def test_only_what_was_named(headers, expected):
    """A proxy passes on what it does not set: that is the client's own."""
    assert told(headers, EVERYTHING) == Forwarded(*expected)


def test_default_is_x_forwarded_for_alone():
    proxies = TrustedProxies("10.0.0.1")
    fields = tuple((name.lower(), value) for name, value in EVERYTHING)
    assert proxies.headers == ("x-forwarded-for",)
    assert proxies.proxy_protocol == "off"
    assert proxies.forwarded(Headers(fields), SENDER) == (Peer("7.7.7.7", 0), "http", None)


@pytest.mark.parametrize(
    ("host", "trusted"),
    [
        ("10.0.0.1", True),
        ("10.255.255.255", True),
        ("11.0.0.0", False),
        ("::ffff:10.0.0.1", True),
        ("::ffff:11.0.0.1", False),
        ("::10.0.0.1", False),
        ("fd00::1", True),
        ("fe00::1", False),
        ("192.0.2.1", True),
        ("192.0.2.2", False),
        ("unix", True),
        ("", False),
        ("10", False),
        ("10.0.0.1 ", False),
    ],
)
def test_trusts(host, trusted):
    proxies = TrustedProxies(*TRUSTED, "192.0.2.1")
    assert proxies.trusts(host) is trusted
    assert proxies.trusts(host) is trusted  # from memory


def test_unix_is_trusted_by_name_only():
    assert not TrustedProxies("0.0.0.0/0", "::/0").trusts("unix")


@pytest.mark.parametrize(
    ("trusted", "options", "words"),
    [
        ((), {}, "no proxy is trusted"),
        (("localhost",), {}, "'localhost' does not appear to be"),
        (("*",), {}, "write 10.0.0.5, 10.0.0.0/8"),
        (("10.0.0.1/8",), {}, "host bits set"),
        (("::ffff:10.0.0.1",), {}, "as an address of IPv4"),
        (("::ffff:10.0.0.0/104",), {}, "as an address of IPv4"),
        (("10.0.0.1",), {"headers": ["x-real-ip"]}, "no header of proxies: 'x-real-ip'"),
        (("10.0.0.1",), {"headers": ["forwarded", "x-forwarded-for"]}, "Forwarded says all"),
        (("10.0.0.1",), {"proxy_protocol": True}, "'off', 'required' or 'trusted', not True"),
    ],
)
def test_what_makes_no_sense(trusted, options, words):
    with pytest.raises(ValueError, match=words):
        TrustedProxies(*trusted, **options)


@pytest.mark.parametrize(
    "value",
    [
        "10.0.0.2, " * 4000 + "x",
        'x="' + "," * 60_000 + '"',
        ',a="' * 15_000,
        ',a="";' * 10_000,
        'a="' + ';a="' * 15_000,
        "a=b" + " " * 60_000 + "x",
        ",a=b;" * 12_000 + '"',
        'x="' + ',a="\\' * 10_000 + '"',
        "for=10.0.0.2," * 4_500 + "for=10.0.0.2",
    ],
    ids=range(9),
)
def test_takes_no_long_time(value):
    """As long as a head may be: what it takes grows with the length, not with its square."""
    began = time.process_time()
    for headers in (["forwarded"], ["x-forwarded-for"]):
        for length in (1 << 16, 1 << 15):
            told(headers, [(headers[0], value[:length])])
    assert time.process_time() - began < 2


def test_memory_is_bounded():
    proxies = TrustedProxies("10.0.0.1")
    for number in range(5_000):
        value = f"198.51.{number >> 8}.{number & 255}"
        fields = (("x-forwarded-for", value),)
        assert proxies.forwarded(Headers(fields), SENDER).client == Peer(value, 0)
    assert len(proxies._told) <= 1024
    assert len(proxies._trusts) <= 1024
