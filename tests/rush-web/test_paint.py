"""Colours, links and lines that fit."""

import io

import pytest

from rush_web.banner import Banner, Facts
from rush_web.greeting import greeting, reachable
from rush_web.paint import BOLD, RED, Paint, cut, cut_left, width_of
from rush_web.server import say
from rush_web.units import rounded_size


class Terminal(io.StringIO):
    def isatty(self):
        return True


COLOURS = [
    # stream, variables; is it coloured, has it links
    (io.StringIO, {}, False, False),
    (Terminal, {}, True, True),
    (Terminal, {"NO_COLOR": "1"}, False, True),
    (Terminal, {"NO_COLOR": ""}, True, True),
    (Terminal, {"TERM": "dumb"}, False, False),
    (Terminal, {"TERM": "linux"}, True, False),
    (io.StringIO, {"FORCE_COLOR": "1"}, True, False),
    (io.StringIO, {"FORCE_COLOR": "1", "NO_COLOR": "1"}, False, False),
]


@pytest.fixture
def variables(monkeypatch):
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    return monkeypatch


@pytest.mark.parametrize(("stream", "environ", "colours", "links"), COLOURS)
def test_colours_and_links(variables, stream, environ, colours, links):
    for name, value in environ.items():
        variables.setenv(name, value)
    paint = Paint(stream())
    assert paint("x", BOLD, RED) == ("\x1b[1;31mx\x1b[0m" if colours else "x")
    assert (paint.link("x", "http://a/") != "x") is links
    assert Paint.plain()("x", RED) == "x"


def test_streams_that_are_no_more(variables):
    closed = io.StringIO()
    closed.close()
    assert not Paint(closed).colours


def test_widths(variables):
    assert width_of(io.StringIO()) == 80
    variables.setenv("COLUMNS", "66")
    assert width_of(io.StringIO()) == 66


@pytest.mark.parametrize(
    ("width", "begins", "ends"),
    [(5, "abcde", "abcde"), (4, "ab..", "..de"), (2, "..", ".."), (1, ".", "."), (0, "", "")],
)
def test_cuts(width, begins, ends):
    assert cut("abcde", width) == begins
    assert cut_left("abcde", width) == ends


SIZES = ["0 B", "999 B", "1.0 KiB", "9.9 KiB", "10 KiB", "1.0 MiB", "2.0 GiB", "5.0 TiB"]
COUNTS = [0, 999, 1000, 10_137, 10_240, 1023 << 10, 2 << 30, 5 << 40]


@pytest.mark.parametrize(("text", "count"), [*zip(SIZES, COUNTS, strict=True)])
def test_sizes(text, count):
    assert rounded_size(count) == text


FACTS = Facts(
    addresses=("http://0.0.0.0:80/", "https://[::]:443/", "unix:/run/\x1b.sock"),
    workers=2,
    routes=3,
    redirects=1,
    is_application=False,
    folder="/srv/" + "long/" * 30 + "public",
    files="/static/",
    cached=(12, 2048),
    state="http://127.0.0.1:9100/",
)


@pytest.mark.parametrize("columns", [40, 80, 120])
def test_a_block_fits(variables, columns):
    variables.setenv("COLUMNS", str(columns))
    variables.setenv("FORCE_COLOR", "1")
    variables.setattr("sys.stdout", io.StringIO())
    text = greeting(Banner(FACTS), "production", {"Ctrl-C": "stops it"}, "it is " * 30, 0.25)
    lines = [remove_colours(line) for line in text.splitlines()]
    assert all(len(line) <= columns for line in lines), text
    assert lines[1].startswith("  Rush ")
    assert "  production, ready in 2" in lines[1]
    assert lines[3].startswith("  Address  http://0.0.0.0:80/")
    assert lines[4] == "           https://[::]:443/" + (
        "" if columns == 40 else "  every address of this machine"
    )
    assert lines[5] == "           unix:/run/\\x1b.sock"
    assert "  Routes   3, 1 redirect" in lines
    assert "  Cached   12 files, 2.0 KiB" in lines
    assert "  State    http://127.0.0.1:9100/" in lines
    (files,) = (line for line in lines if line.startswith("  Files"))
    assert files.endswith("/public below /static/")


def remove_colours(text):
    for code in ("1", "2", "0", "1;36", "32"):
        text = text.replace(f"\x1b[{code}m", "")
    return text


def test_two_lines_for_a_pipe(variables):
    variables.setattr("sys.stdout", io.StringIO())
    facts = Facts(("http://127.0.0.1:80/",), 1, 1, 0, False, "", None, (0, 0), "")
    banner = Banner(facts)
    assert banner == "Rush serves 1 route at http://127.0.0.1:80/ with 1 worker."
    text = greeting(banner, "development", {"q": "quits"}, "a save restarts it", 1.5)
    assert text == f"{banner}\nReady in 1.5 s, in development: a save restarts it. q quits."


def test_what_the_encoding_has_not_is_escaped(variables):
    raw = io.BytesIO()
    variables.setattr("sys.stdout", io.TextIOWrapper(raw, encoding="ascii"))
    say("caf\xe9")
    assert raw.getvalue() == b"caf\\xe9\n"


def test_addresses_that_can_be_reached():
    assert reachable("http://0.0.0.0:80/") == "http://127.0.0.1:80/"
    assert reachable("http://[::]:80/") == "http://[::1]:80/"
    assert reachable("http://10.0.0.1:80/") == "http://10.0.0.1:80/"
