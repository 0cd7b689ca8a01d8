"""Configuration: what the program says, then ``RUSH_*`` variables, then the command line.

The last one that says something wins.  `OPTIONS` is the table that all three share: an option of
`WebServer` has the variable ``RUSH_MAX_CONNS`` and the argument ``--max-conns``; ``none`` and
``off`` stand for ``None``.  Of `Limits`, ``body_bytes`` is ``RUSH_LIMIT_BODY_BYTES`` and
``--limit body_bytes=64MiB``.
"""

import argparse
import dataclasses
import difflib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rush_http import Limits

from .names import named
from .proxies import parse_names, shown_names
from .sockets import parse_addresses
from .units import (
    duration,
    number,
    octal,
    one_of,
    or_none,
    shown_duration,
    shown_size,
    size,
    switch,
)

if TYPE_CHECKING:
    from .server import WebServer

_PREFIX = "RUSH_"
_LIMIT_PREFIX = "RUSH_LIMIT_"
# Variables of ours that set no option.
_OTHER_VARIABLES = frozenset({"RUSH_EDITOR", "RUSH_EXPLAIN_TO"})


class ConfigError(ValueError):
    """A variable or an argument that cannot be used; the message names it and what would be."""


@dataclass(frozen=True)
class Option:
    """An option of `WebServer` that can be set from outside."""

    name: str
    read: Callable[[str], object]
    help: str
    metavar: str = "N"
    shown: Callable[..., str] = str
    also: tuple[str, ...] = ()
    """Variables that others have for the same; ours goes before them."""

    @property
    def variable(self) -> str:
        """``RUSH_MAX_CONNS``."""
        return _PREFIX + self.name.upper()

    @property
    def flag(self) -> str:
        """``--max-conns``."""
        return "--" + self.name.replace("_", "-")


OPTIONS = (
    Option("host", str, "address to listen at", "ADDRESS"),
    Option("port", number(0, 65535), "port; 0 takes a free one", also=("PORT",)),
    Option(
        *("bind", parse_addresses, "several addresses in place of host and port, with commas"),
        metavar="ADDRESS,...",
        shown=lambda addresses: ",".join(addresses) or "none",
    ),
    Option("certfile", or_none(str), "certificate (PEM): speak TLS", "FILE"),
    Option("keyfile", or_none(str), "key of the certificate, if that is another file", "FILE"),
    Option(
        *("trusted_proxies", parse_names, "proxies that are believed on who a client is"),
        metavar="ADDRESS,...",
        shown=shown_names,
    ),
    Option(
        *("proxy_headers", parse_names, "what they set in every request; by default"),
        metavar="NAME,...",
        shown=shown_names,
    ),
    Option(
        *("proxy_protocol", one_of("off", "required", "trusted"), "who speaks that of HAProxy"),
        metavar="off|required|trusted",
    ),
    Option("workers", number(1, 255), "processes that serve", also=("WEB_CONCURRENCY",)),
    Option("root", or_none(str), "folder of the files", "DIR"),
    Option("files", or_none(str), "path below which files are served, such as /static/", "PATH"),
    Option(
        *("listing", switch, "whether a folder without an index has a page that lists it"),
        metavar="yes|no",
        shown=lambda value: "yes" if value else "no",
    ),
    Option("fallback", or_none(str), "page where there is no file, such as /index.html", "PATH"),
    Option("max_conns", number(1, 10**9), "connections of one worker"),
    Option(
        *("listen", one_of("reuseport", "shared"), "a queue for each worker, or one for all"),
        metavar="reuseport|shared",
    ),
    Option(
        *("grace", duration, "time that a stop leaves to requests on their way", "TIME"),
        shown=shown_duration,
    ),
    Option(
        *("trailing_slash", one_of("strict", "redirect"), "whether /x/ may lead to /x"),
        metavar="strict|redirect",
    ),
    Option("blocking_threads", number(1, 10_000), "blocking handlers at a time in one worker"),
    Option("blocking_queue", number(0, 10**9), "requests that wait for them"),
    Option(
        *("json", one_of("json", "msgspec", "orjson"), "what makes the JSON of answers"),
        metavar="json|msgspec|orjson",
        shown=lambda value: value if isinstance(value, str) else named(value),
    ),
    Option(
        *(
            "worker_timeout",
            or_none(duration),
            "replace a worker that is busy with one request for longer",
        ),
        metavar="TIME",
        shown=shown_duration,
    ),
    Option(
        "recycle_requests", or_none(number(1, 10**12)), "replace a worker after so many requests"
    ),
    Option(
        *("recycle_seconds", or_none(duration), "replace a worker after so long", "TIME"),
        shown=shown_duration,
    ),
    Option("pid_file", or_none(str), "file for the number of the parent process", "FILE"),
    Option("user", or_none(str), "who the workers are", "USER[:GROUP]"),
    Option(
        *(
            "access_log",
            or_none(str, False),
            "file for a line about each answer; - is the standard output",
        ),
        metavar="FILE",
        shown=lambda value: str(value or "none"),
    ),
    Option("access_format", str, "common, combined, json or a format of your own", "FORMAT"),
    Option("metrics", or_none(str), "path of the page for Prometheus, such as /metrics", "PATH"),
    Option(
        "health",
        or_none(str),
        "path of the page that says whether it is ready, such as /health",
        "PATH",
    ),
    Option("status_port", or_none(number(0, 65535)), "a port of their own for these two"),
    Option("threads", number(0, 10_000), "threads for a WSGI application; 0: none"),
    Option("root_path", str, "path below which a WSGI application lives, such as /shop", "PATH"),
    Option(
        *("umask", or_none(octal), "permissions that new files do not have, such as 027"),
        metavar="OCTAL",
        shown="{:03o}".format,
    ),
)


@dataclass(frozen=True)
class Setting:
    """What an option is in the end, and who said so."""

    name: str
    value: str
    source: str
    """``default``, ``program``, the name of a variable or of an argument."""


def add_arguments(parser: argparse.ArgumentParser, without: Iterable[str] = ()) -> None:
    """Let a command take every option; `configure` reads what was given."""
    for option in OPTIONS:
        if option.name not in without:
            also = "".join(f", {name}" for name in option.also)
            text = f"{option.help} ({option.variable}{also})"
            parser.add_argument(option.flag, metavar=option.metavar, help=text)
    parser.add_argument(
        *("--limit", "-L"),
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a limit of what clients may do, such as body_bytes=64MiB (RUSH_LIMIT_BODY_BYTES)",
    )


def configure(
    server: "WebServer",
    environ: Mapping[str, str] = os.environ,
    arguments: argparse.Namespace | None = None,
) -> list[Setting]:
    """Set what variables and arguments say, and return what every option is now.

    Raises `ConfigError` for a value that cannot be read, and for a variable ``RUSH_...`` that sets
    nothing; the server is as it was then.
    """
    _check_names(environ)
    found = {
        option.name: said
        for option in OPTIONS
        if (said := _said(option, environ, arguments)) is not None
    }
    limits = dict(_limits_said(environ, arguments))
    values = {field: getattr(server.limits, field) for field in _limit_names()}
    try:
        changed = Limits(**values | {name: value for name, (value, _) in limits.items()})
    except ValueError as error:
        raise ConfigError(str(error)) from error
    settings = list(_settings(server, found, changed, limits))
    if "bind" not in found and ("host" in found or "port" in found):
        server.bind = ()  # what was said last
    for name, (value, _) in found.items():
        setattr(server, name, value)
    server.limits = changed
    return settings


def table(settings: Iterable[Setting]) -> Iterator[str]:
    """Lines that say each option, its value and where it came from."""
    rows = [("option", "value", "from"), *((one.name, one.value, one.source) for one in settings)]
    widths = [max(len(row[column]) for row in rows) for column in range(2)]
    for name, value, source in rows:
        yield f"{name:<{widths[0]}}  {value:<{widths[1]}}  {source}"


def nearest(word: str, words: Iterable[str], suffix: str = "") -> str:
    """``": did you mean X?"`` for the word that is most like `word`, or nothing."""
    near = difflib.get_close_matches(word, list(words), 1, 0.6)
    return f": did you mean {near[0]}{suffix}?" if near else ""


_Said = tuple[object, str]


def _said(
    option: Option, environ: Mapping[str, str], arguments: argparse.Namespace | None
) -> _Said | None:
    """What is said last about an option, and by whom."""
    argument = getattr(arguments, option.name, None)
    if argument is not None:
        return _read(option.read, argument, option.flag), option.flag
    for name in (option.variable, *option.also):
        if environ.get(name):
            return _read(option.read, environ[name], name), name
    return None


def _limits_said(
    environ: Mapping[str, str], arguments: argparse.Namespace | None
) -> Iterator[tuple[str, _Said]]:
    for name in _limit_names():
        variable = _LIMIT_PREFIX + name.upper()
        if environ.get(variable):
            yield name, (_read(_limit_reader(name), environ[variable], variable), variable)
    for text in getattr(arguments, "limit", ()):
        name, equals, value = text.partition("=")
        if not equals:
            raise ConfigError(f"--limit {text!r:.80}: write it as NAME=VALUE")
        if name not in _limit_names():
            raise ConfigError(f"--limit: no limit {name!r:.80}{nearest(name, _limit_names())}")
        yield name, (_read(_limit_reader(name), value, f"--limit {name}"), "--limit")


def _settings(
    server: "WebServer", found: Mapping[str, _Said], limits: Limits, said: Mapping[str, _Said]
) -> Iterator[Setting]:
    usual = type(server)()
    for option in OPTIONS:
        value = getattr(server, option.name)
        is_usual = value == getattr(usual, option.name)
        value, source = found.get(option.name, (value, "default" if is_usual else "program"))
        yield Setting(option.name, "none" if value is None else option.shown(value), source)
    for name in _limit_names():
        value = getattr(limits, name)
        is_usual = value == getattr(usual.limits, name)
        source = said[name][1] if name in said else "default" if is_usual else "program"
        yield Setting(f"limit {name}", _limit_shown(name, value), source)


def _read(read: Callable[[str], object], text: str, source: str) -> object:
    try:
        return read(text)
    except ValueError as error:
        raise ConfigError(f"{source}: {error}") from error


def _check_names(environ: Mapping[str, str]) -> None:
    """Raise for a variable that looks like ours, and is not."""
    known = {option.variable for option in OPTIONS} | _OTHER_VARIABLES
    known |= {_LIMIT_PREFIX + name.upper() for name in _limit_names()}
    for name in environ:
        if name.startswith(_PREFIX) and name not in known:
            raise ConfigError(f"no option has the variable {name}{nearest(name, known)}")


def _limit_names() -> list[str]:
    return [field.name for field in dataclasses.fields(Limits)]


def _limit_reader(name: str) -> Callable[[str], object]:
    if name.endswith("_seconds"):
        return duration
    if name == "requests":
        return or_none(number(1, 10**9))
    return number(1, 10**9) if name.endswith("_count") else size


def _limit_shown(name: str, value: float | None) -> str:
    if value is None:
        return "none"
    if name.endswith("_seconds"):
        return shown_duration(value)
    return str(value) if name.endswith("_count") or name == "requests" else shown_size(int(value))
