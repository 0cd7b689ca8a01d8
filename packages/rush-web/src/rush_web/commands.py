"""Commands: what the command line of `rush` may say, with examples of it."""

import argparse
import os
import re
import shlex
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import NoReturn

from . import __version__
from .config import add_arguments, nearest
from .paint import BOLD, RED, Paint, width_of
from .ring import printable

_SERVER = "module and name, app:server, or a file (default: app.py, where the name is server)"

EXAMPLES = {
    "rush": """
rush new shop && cd shop && rush dev     begin something
rush dev app.py                          run it while you write it
rush run app:server --workers 4          run it for others
rush serve public --port 8000            serve a folder""",
    "new": """
rush new shop                            a folder with a page and its test
cd shop && rush dev app.py               look at it
rush new .                               in this folder, if it is empty""",
    "dev": """
rush dev app.py
rush dev app:server --port 8000
RUSH_EDITOR=vscode rush dev app.py       open files from the error page""",
    "run": """
rush run app.py
rush run app:server --host 0.0.0.0 --port 80 --user www-data
rush run app:server --workers 4 --access-log access.log
RUSH_PORT=8000 rush run app:server --show-config""",
    "serve": """
rush serve public --port 8000 --workers 2
rush serve ~/photos --list               with lists of what is in its folders
rush serve dist --fallback index.html    an application of one page
rush serve site --live                   pages reload when they are saved""",
    "wsgi": """
rush wsgi app:app                        Flask: app.py has app = Flask(...)
rush wsgi shop.wsgi --threads 8          Django: shop/wsgi.py has application
rush wsgi shop.wsgi:application --threads 8 --root static --files /static/""",
    "routes": """
rush routes app.py
rush routes app:server | grep POST""",
    "check": """
rush check app.py
rush check app:server && rush run app:server""",
    "explain": """
rush explain app.py GET /
rush explain app:server POST '/user/7?x=1'""",
    "bench": """
rush bench                               what this machine can do
rush bench app:server /users/7 '/search?q=tea'
rush bench app.py --seconds 30 --json""",
    "top": """
rush top                                 the only server of this user
rush top 9090                            that of a port, or of a process
rush top --once --json                   for scripts""",
}
"""What is shown of each command at the end of its help."""


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """What the command line says: `command` is its name, the rest is by the names of arguments.

    A mistake ends the program with status 2, ``--help`` with 0.
    """
    argv = sys.argv[1:] if argv is None else list(argv)
    parser, commands = _parsers()
    if not argv:
        parser.print_help(sys.stderr)
        raise SystemExit(2)
    if not argv[0].startswith("-") and argv[0] not in commands:
        parser.error(_no_command(argv[0], commands))
    options, unknown = parser.parse_known_args(argv)
    if unknown:
        command = commands[options.command]
        if not unknown[0].startswith("-"):
            command.error(f"{unknown[0]!r:.80} is one too many")
        flags = re.findall(r"--[a-z-]+", command.format_usage())
        command.error(f"no argument {unknown[0]!r:.80}{nearest(unknown[0].split('=')[0], flags)}")
    return options


class _Parser(argparse.ArgumentParser):
    """A parser whose mistakes are one line: the usage of all options would push it away."""

    def error(self, message: str) -> NoReturn:
        """End the program with status 2."""
        complain(message, f"see {self.prog} --help", by=self.prog)
        raise SystemExit(2)


def complain(message: str, *more: str, by: str = "rush") -> None:
    """Say what is wrong, and lines that help; in a terminal no word is cut at the margin."""
    paint = Paint(sys.stderr)
    lines = [f"{by}: {message}", *(f"      {line}" for line in more)]
    if paint.is_terminal:
        from textwrap import wrap

        width = width_of(sys.stderr)
        lines = [
            part
            for line in lines
            for part in wrap(
                *(printable(line), width),
                subsequent_indent=" " * 6,
                break_long_words=False,
                break_on_hyphens=False,
            )
        ]
    lines[0] = lines[0].replace(f"{by}:", paint(f"{by}:", BOLD, RED), 1)
    print(*lines, sep="\n", file=sys.stderr)


def _no_command(word: str, commands: Iterable[str]) -> str:
    """What to say of a first word that is none of the commands."""
    shown = shlex.quote(word)
    if word.endswith(".py") or re.fullmatch(r"[\w.]+:[\w.]+", word):
        return f"no command {word!r:.80}: did you mean rush dev {shown}?"
    if os.path.isdir(word):
        return f"no command {word!r:.80}: did you mean rush serve {shown}?"
    return f"no command {word!r:.80}{nearest(word, commands) or f': there are {_listed(commands)}'}"


def _listed(commands: Iterable[str]) -> str:
    *some, last = commands
    return f"{', '.join(some)} and {last}"


def _parsers() -> "tuple[_Parser, dict[str, _Parser]]":
    parser = _Parser(
        prog="rush",
        description="A fast web server: handlers in Python, files from memory.",
        epilog=_epilog("rush"),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"rush {__version__}")
    adder = parser.add_subparsers(
        title="commands", required=True, metavar="COMMAND", dest="command", parser_class=_Parser
    )
    for name, (text, description, add) in _COMMANDS.items():
        command = adder.add_parser(
            name,
            allow_abbrev=False,
            help=text,
            description=description or f"{text.capitalize()}.",
            epilog=_epilog(name),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        add(command)
    return parser, adder.choices


def _epilog(name: str) -> str:
    return f"examples:{EXAMPLES[name]}".replace("\n", "\n  ")


# The arguments of each


def _add_new(command: argparse.ArgumentParser) -> None:
    command.add_argument("directory", metavar="DIR", help="a folder that is new, or empty")


def _add_serve(command: argparse.ArgumentParser) -> None:
    command.add_argument("directory", metavar="DIR", help="the folder")
    command.add_argument(
        *("--list",),
        dest="listing",
        action="store_const",
        const="yes",
        help="list folders that have no index.html (RUSH_LISTING)",
    )
    command.add_argument(
        *("--live",),
        action="store_true",
        help="reload pages in browsers when their files are saved; with one worker",
    )
    _add_settings(command, without=("root", "files", "listing"))


def _add_run(command: argparse.ArgumentParser) -> None:
    _add_server(command)
    _add_settings(command)


def _add_wsgi(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        *("application",),
        metavar="MODULE:APP",
        nargs="?",
        help="module and name (by default application or app; of app.py if nothing is said)",
    )
    _add_settings(command)


def _add_settings(command: argparse.ArgumentParser, without: Iterable[str] = ()) -> None:
    command.add_argument(
        "--show-config",
        action="store_true",
        help="list every option, its value and where that came from; nothing is served",
    )
    add_arguments(command, without)


def _add_server(command: argparse.ArgumentParser, nargs: str | None = "?") -> None:
    command.add_argument("server", metavar="MODULE:SERVER", nargs=nargs, help=_SERVER)


def _add_explain(command: argparse.ArgumentParser) -> None:
    _add_server(command, None)  # else it could be taken for the method
    command.add_argument("method", metavar="METHOD", help="such as GET")
    command.add_argument("target", metavar="TARGET", help="such as '/user/7?x=1'")


def _add_top(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "which",
        metavar="PID|PORT",
        nargs="?",
        type=int,
        help="the server's parent process or its port (default: the only server of this user)",
    )
    command.add_argument("--once", action="store_true", help="print one picture, after a second")
    command.add_argument("--json", action="store_true", help="the same as JSON, for scripts")
    command.add_argument(
        *("--every",),
        metavar="SECONDS",
        type=float,
        default=1.0,
        help="how often to look (default: 1)",
    )


def _add_bench(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "server",
        metavar="MODULE:SERVER",
        nargs="?",
        help="module and name, app:server, or a file: app.py (default: none)",
    )
    command.add_argument(
        "path",
        metavar="PATH",
        nargs="*",
        help="what to ask for (default: the routes without parameters, at most six)",
    )
    command.add_argument(
        *("--seconds",), type=float, default=10.0, help="how long, in all (default: 10)"
    )
    command.add_argument(
        *("--connections",), metavar="N", type=int, default=32, help="at a time (default: 32)"
    )
    command.add_argument("--json", action="store_true", help="the same as JSON, for scripts")


_COMMANDS: "dict[str, tuple[str, str, Callable[[argparse.ArgumentParser], None]]]" = {
    "new": (
        "make a small project to begin with",
        "Make a folder with an application, a page, a style sheet, a test and a README.",
        _add_new,
    ),
    "dev": (
        "run a server while it is being written",
        "Run the WebServer of a module with one worker, restart it when one of its modules is "
        "saved, show each request, and explain errors to browsers on this machine.",
        _add_run,
    ),
    "run": (
        "run a WebServer of a Python module",
        "Run the WebServer that a module has under a name.",
        _add_run,
    ),
    "serve": (
        "serve the files of a folder",
        "Serve the files of a folder, with index.html for folders.",
        _add_serve,
    ),
    "wsgi": (
        "run a WSGI application of a Python module",
        "Run a WSGI application: that of Flask, Django, Bottle, Falcon or your own.",
        _add_wsgi,
    ),
    "routes": ("list what answers, in the order of picking", "", _add_server),
    "check": ("list what can never work; status 1 if there is anything", "", _add_server),
    "explain": ("say who answers a request, and why", "", _add_explain),
    "top": (
        "show what the workers of a running server do",
        "Show what the workers of a running server do; q quits.  Latencies are of the last five "
        "seconds; if there was no request, of all time.  A request in brackets is the last one, of "
        "a worker that is idle.",
        _add_top,
    ),
    "bench": (
        "measure what this machine can do, and what of it your handlers take",
        "Measure one worker on one CPU, with the load from another: a hello, a file of 4 KiB, and "
        "the routes of a WebServer.  Each path is asked for many times, by GET.",
        _add_bench,
    ),
}
"""Of each command a line, what it does, and what adds its arguments."""
