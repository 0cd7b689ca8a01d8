"""Configuration: units, who goes before whom, and what a mistake is told."""

import os
from inspect import signature

import pytest

from rush_http import Limits
from rush_web import WebServer
from rush_web.__main__ import main
from rush_web.config import OPTIONS, ConfigError, configure, table
from rush_web.units import duration, number, shown_duration, shown_size, size, switch

READ = [
    (duration, "30", 30),
    (duration, "30s", 30),
    (duration, "5m", 300),
    (duration, "1.5h", 5400),
    (duration, "250ms", 0.25),
    (duration, "2 d", 172800),
    (duration, "0", 0),
    (size, "4096", 4096),
    (size, "64MiB", 64 << 20),
    (size, "64mib", 64 << 20),
    (size, "1.5KiB", 1536),
    (size, "10kB", 10_000),
    (size, "4k", 4096),
    (size, "1G", 1 << 30),
    (number(0, 9), "7", 7),
    (switch, "yes", True),
    (switch, "Off", False),
]


@pytest.mark.parametrize(("read", "text", "value"), READ)
def test_units(read, text, value):
    assert read(text) == value


@pytest.mark.parametrize(
    ("read", "text"),
    [
        *((duration, text) for text in ("", "s", "-1s", "5 weeks", "1e3", "nan", "1_0", "1h30m")),
        *((size, text) for text in ("", "MiB", "-1", "0x10", "1.0001KiB", "5 MiBs", "inf")),
        *((number(1, 255), text) for text in ("", "0", "256", "-1", "1.0", "²", "9" * 5000)),
        (switch, "maybe"),
    ],
)
def test_what_is_no_such_value(read, text):
    with pytest.raises(ValueError, match=r"write|is no number"):
        read(text)


@pytest.mark.parametrize("text", ["250ms", "1s", "90s", "2m", "3h", "1d", "0s", "1.5s"])
def test_durations_are_shown_as_they_are_read(text):
    assert shown_duration(duration(text)) == text


@pytest.mark.parametrize("text", ["1", "1000", "1KiB", "3MiB", "2GiB", "0"])
def test_sizes_are_shown_as_they_are_read(text):
    assert shown_size(size(text)) == text


@pytest.fixture
def configured(monkeypatch):
    """What a server's options are, and from where, with arguments and variables."""
    for name in ("PORT", "WEB_CONCURRENCY"):
        monkeypatch.delenv(name, raising=False)

    def configured(arguments="", **environ):
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        return main(["serve", ".", "--show-config", *arguments.split()])

    return configured


def sources(text):
    lines = [line.split() for line in text.splitlines()[1:]]
    return {" ".join(words[:-2]): tuple(words[-2:]) for words in lines}


LAST_WINS = [
    ("", {}, "port", "9090", "default"),
    ("", {"PORT": "1"}, "port", "1", "PORT"),
    ("", {"PORT": "1", "RUSH_PORT": "2"}, "port", "2", "RUSH_PORT"),
    ("--port 3", {"PORT": "1", "RUSH_PORT": "2"}, "port", "3", "--port"),
    ("", {"RUSH_PORT": ""}, "port", "9090", "default"),
    ("", {"WEB_CONCURRENCY": "7"}, "workers", "7", "WEB_CONCURRENCY"),
    ("", {}, "files", "/", "program"),
    ("--grace 5m", {}, "grace", "5m", "--grace"),
    ("", {"RUSH_GRACE": "90s"}, "grace", "90s", "RUSH_GRACE"),
    ("--limit body_bytes=3k", {}, "limit body_bytes", "3KiB", "--limit"),
    ("-L idle_seconds=5s", {"RUSH_LIMIT_IDLE_SECONDS": "1"}, "limit idle_seconds", "5s", "--limit"),
    ("", {"RUSH_LIMIT_REQUESTS": "9"}, "limit requests", "9", "RUSH_LIMIT_REQUESTS"),
]


@pytest.mark.parametrize(("arguments", "environ", "name", "value", "source"), LAST_WINS)
def test_the_last_one_wins(configured, capsys, arguments, environ, name, value, source):
    assert configured(arguments, **environ) == 0
    assert sources(capsys.readouterr().out)[name] == (value, source)


MISTAKES = [
    ("", {"RUSH_WORKRES": "2"}, "no option has the variable RUSH_WORKRES: did you mean RUSH_WORK"),
    ("", {"RUSH_PORT": "http"}, "RUSH_PORT: 'http' is no number from 0 to 65535"),
    ("", {"PORT": "70000"}, "PORT: '70000' is no number from 0 to 65535"),
    ("--grace soon", {}, "--grace: 'soon' is no time: write it as 250ms, 30s, 5m or 1h"),
    ("--listen both", {}, "--listen: 'both' is none of reuseport, shared"),
    ("--limit body_byte=1", {}, "--limit: no limit 'body_byte': did you mean body_bytes?"),
    ("--limit body_bytes", {}, "--limit 'body_bytes': write it as NAME=VALUE"),
    ("--limit body_bytes=0", {}, "Limits.body_bytes is 0: it must be above 0"),
    ("", {"RUSH_LIMIT_BODY_BYTES": "x"}, "RUSH_LIMIT_BODY_BYTES: 'x' is no size"),
]


@pytest.mark.parametrize(("arguments", "environ", "words"), MISTAKES)
def test_a_mistake_is_named(configured, capsys, arguments, environ, words):
    assert configured(arguments, **environ) == 2
    assert f"rush: {words}" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("--prot 80", "no argument '--prot': did you mean --port?"),
        ("--max-con=80", "no argument '--max-con=80': did you mean --max-conns?"),
        ("--wrokers 2", "no argument '--wrokers': did you mean --workers?"),
    ],
)
def test_an_unknown_argument_is_met_with_the_nearest(configured, capsys, arguments, words):
    with pytest.raises(SystemExit) as left:
        configured(arguments)
    assert left.value.code == 2
    assert words in capsys.readouterr().err


def test_a_mistake_changes_nothing():
    server = WebServer(port=1, workers=1)
    with pytest.raises(ConfigError, match="RUSH_GRACE"):
        configure(server, {"RUSH_PORT": "2", "RUSH_GRACE": "soon"})
    assert server.port == 1


def test_a_program_s_own_limits_stay_beside_others():
    server = WebServer(limits=Limits(body_bytes=5000, idle_seconds=3))
    settings = configure(server, {"RUSH_LIMIT_BODY_BYTES": "6000"})
    assert server.limits == Limits(body_bytes=6000, idle_seconds=3)
    shown = sources("\n".join(table(settings)))
    assert shown["limit idle_seconds"] == ("3s", "program")


@pytest.mark.once
def test_a_program_heeds_variables(launch, write):
    path = write("grace=7")
    program = launch(path, env={**os.environ, "RUSH_WORKERS": "1"})
    assert "with 1 worker." in program.output.wait_for("\n")


def test_every_option_of_a_server_can_be_set_from_outside():
    keywords = set(signature(WebServer.__init__).parameters) - {"self", "loader", "limits"}
    keywords -= {"development", "wsgi"}  # that is what other commands are for
    assert {one.name for one in OPTIONS} == keywords


MAY_BE_NONE = [
    option
    for option in OPTIONS
    if any(signature(WebServer).parameters[option.name].default is no for no in (None, False))
    and option.name not in ("workers", "listing", "proxy_headers", "development")
]


@pytest.mark.parametrize("option", MAY_BE_NONE, ids=lambda option: option.name)
@pytest.mark.parametrize("word", ["none", "Off"])
def test_options_that_need_not_be_set(option, word):
    server = WebServer()
    usual = getattr(server, option.name)
    setattr(server, option.name, "something")
    configure(server, {option.variable: word})
    assert getattr(server, option.name) is usual


def test_a_limit_that_need_not_be_set():
    server = WebServer(limits=Limits(requests=7))
    configure(server, {"RUSH_LIMIT_REQUESTS": "none"})
    assert server.limits.requests is None
