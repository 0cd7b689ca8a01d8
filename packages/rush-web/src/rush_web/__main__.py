"""The `rush` command."""

import argparse
import logging
import os
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, TypeVar

from rush_http import HttpError

from . import __version__
from .config import ConfigError, add_arguments, configure, nearest, table
from .crew import START_FAILED
from .explain import described
from .files import place_of
from .occupied import advice
from .programs import LoadFailed, Mistake, load_application, load_server
from .routing import Router
from .server import WebServer, say
from .sockets import CannotListen, addresses_of
from .top import top

if TYPE_CHECKING:
    _Commands = argparse._SubParsersAction[argparse.ArgumentParser]

_T = TypeVar("_T")

_SERVER = "module and name, app:server, or a file: app.py (the name is server by default)"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status: 2 if it was called wrongly, 1 if it cannot run.

    What goes wrong in the user's own module is shown with its traceback: status 3, as for a server
    whose workers cannot start.
    """
    options = _parsed(argv)
    if "which" in options:
        return top(options.which, once=options.once, as_json=options.json, interval=options.every)
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr
    )
    try:
        if "connections" in options:
            return _bench(options)
        server: WebServer = options.make(options)
        if "show" in options:
            return _shown(*options.show(server, options))
        settings = configure(server, os.environ, options)
        try:
            server._check()
        except ValueError as error:
            raise ConfigError(str(error)) from error
        if options.show_config:
            return _shown(table(settings), 0)
        if server.root is not None and not os.path.isdir(server.root):
            raise Mistake(f"no folder {os.fspath(server.root)!r} in {os.getcwd()}")
        return server.run(on_ready=options.ready, environ={})
    except (Mistake, ConfigError) as mistake:
        print(f"rush: {mistake}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130  # before there was a server to stop
    except CannotListen as error:
        lines = advice(error, addresses_of(server.bind, server.host, server.port))
        print(f"rush: {error.strerror}", *lines, sep="\n      ", file=sys.stderr)
        return 1
    except OSError as error:  # of a file that an option names
        print(f"rush: {error}", file=sys.stderr)
        return 1


def _parsed(argv: Sequence[str] | None) -> argparse.Namespace:
    """The arguments; one that is not known ends the program, with the nearest that is."""
    parser, commands = _parser()
    options, unknown = parser.parse_known_args(argv)
    if unknown:
        command = commands.choices[options.command]
        flags = re.findall(r"--[a-z-]+", command.format_usage())
        command.error(f"no argument {unknown[0]!r:.80}{nearest(unknown[0].split('=')[0], flags)}")
    return options


def _shown(lines: Iterable[object], status: int) -> int:
    for line in lines:
        print(line)
    return status


def _routes(server: WebServer, options: argparse.Namespace) -> tuple[Iterable[object], int]:
    redirects = (f"any {path} -> {to[0]} ({to[1]})" for path, to in server.redirects.items())
    endpoints = Router(server.routes).ordered()
    routes = (described(route) for endpoint in endpoints for route in endpoint.routes)
    files = [] if server.files is None else [f"GET,HEAD {server.files}: files{place_of(server)}"]
    return (*redirects, *routes, *files), 0


def _check(server: WebServer, options: argparse.Namespace) -> tuple[Iterable[object], int]:
    problems = server.check()
    return problems or ["no problems"], 1 if problems else 0


def _explain(server: WebServer, options: argparse.Namespace) -> tuple[Iterable[object], int]:
    try:
        return [server.explain(options.method.upper(), options.target)], 0
    except HttpError as error:
        raise Mistake(f"no request can ask so ({error.status}): {error}") from error


def _serve(options: argparse.Namespace) -> WebServer:
    if options.fallback is not None:
        options.fallback = "/" + options.fallback.lstrip("/")
    server = WebServer(root=options.directory, files="/")
    if options.live:
        from .dev import live  # noqa: F401 - of all workers it is the same then

        server.development = server.live = True
        server.workers = 1
    return server


def _run(options: argparse.Namespace) -> WebServer:
    return _loaded(load_server, options.server)


def _dev(options: argparse.Namespace) -> WebServer:
    from .dev.command import begin  # the others need nothing of it

    return begin(options)


def _wsgi(options: argparse.Namespace) -> WebServer:
    return WebServer(wsgi=_loaded(load_application, options.application))


def _bench(options: argparse.Namespace) -> int:
    from .bench.command import bench  # the others need nothing of it

    return bench(options)


def _loaded(load: Callable[[str], _T], target: str) -> _T:
    """What a command names; a module that raises ends the program, with its traceback."""
    try:
        return load(target)
    except LoadFailed as error:
        print(error.text, end="", file=sys.stderr)
        raise SystemExit(START_FAILED) from error


def _parser() -> "tuple[argparse.ArgumentParser, _Commands]":
    parser = argparse.ArgumentParser(
        prog="rush", description="A fast web server: handlers in Python, files from memory."
    )
    parser.add_argument("--version", action="version", version=f"rush {__version__}")
    commands = parser.add_subparsers(
        title="commands", required=True, metavar="COMMAND", dest="command"
    )
    common = argparse.ArgumentParser(add_help=False)
    common.set_defaults(ready=lambda banner: say(f"{banner}\nCtrl-C stops it."))
    common.add_argument(
        "--show-config",
        action="store_true",
        help="list every option, its value and where that came from; nothing is served",
    )

    serve = commands.add_parser(
        "serve",
        parents=[common],
        allow_abbrev=False,
        help="serve the files of a folder",
        description="Serve the files of a folder, with index.html for folders.",
        epilog="examples: rush serve public --port 8000 --workers 2; rush serve ~/photos --list; "
        "rush serve dist --fallback index.html; rush serve site --live",
    )
    serve.add_argument("directory", metavar="DIR", help="the folder")
    serve.add_argument(
        *("--list",),
        dest="listing",
        action="store_const",
        const="yes",
        help="list folders that have no index.html (RUSH_LISTING)",
    )
    serve.add_argument(
        *("--live",),
        action="store_true",
        help="reload pages in browsers when their files are saved; with one worker",
    )
    add_arguments(serve, without=("root", "files", "listing"))
    serve.set_defaults(make=_serve)

    run = commands.add_parser(
        "run",
        parents=[common],
        allow_abbrev=False,
        help="run a WebServer of a Python module",
        description="Run the WebServer that a module has under a name.",
        epilog="examples: rush run app.py; rush run app:server --host 0.0.0.0 --workers 4",
    )
    run.add_argument("server", metavar="MODULE:SERVER", help=_SERVER)
    add_arguments(run)
    run.set_defaults(make=_run)

    dev = commands.add_parser(
        "dev",
        parents=[common],
        allow_abbrev=False,
        help="run it while it is being written",
        description="Run the WebServer of a module with one worker, restart it when one of its "
        "modules is saved, and explain errors to browsers on this machine.",
        epilog="examples: rush dev app:server; rush dev app.py --port 8000; "
        "RUSH_EDITOR=vscode rush dev app.py",
    )
    dev.add_argument("server", metavar="MODULE:SERVER", help=_SERVER)
    add_arguments(dev)
    dev.set_defaults(make=_dev)
    _add_wsgi(commands, common)
    _add_shows(commands)
    _add_top(commands)
    _add_bench(commands)
    return parser, commands


def _add_wsgi(commands: "_Commands", common: argparse.ArgumentParser) -> None:
    wsgi = commands.add_parser(
        "wsgi",
        parents=[common],
        allow_abbrev=False,
        help="run a WSGI application of a Python module",
        description="Run a WSGI application: that of Flask, Django, Bottle, Falcon or your own.",
        epilog="example: rush wsgi shop.wsgi:application --workers 4 --threads 8 --root static "
        "--files /static/",
    )
    wsgi.add_argument(
        "application", metavar="MODULE:APP", help="module and name (by default application or app)"
    )
    add_arguments(wsgi)
    wsgi.set_defaults(make=_wsgi)


def _add_top(commands: "_Commands") -> None:
    command = commands.add_parser(
        "top",
        help="show what the workers of a running server do",
        description="Show what the workers of a running server do; q quits.",
        epilog="Latencies are of the last five seconds; if there was no request, of all time. "
        "A request in brackets is the last one, of a worker that is idle.",
    )
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


def _add_bench(commands: "_Commands") -> None:
    command = commands.add_parser(
        "bench",
        help="measure what this machine can do, and what of it your handlers take",
        description="Measure one worker on one CPU, with the load from another: a hello, a file "
        "of 4 KiB, and the routes of a WebServer. Each path is asked for many times, by GET.",
        epilog="examples: rush bench; rush bench app:server; "
        "rush bench app:server /users/7 '/search?q=tea'; rush bench app.py --seconds 30 --json",
    )
    command.add_argument(
        "server", metavar="MODULE:SERVER", nargs="?", help=f"{_SERVER}; by default none"
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


def _add_shows(commands: "_Commands") -> None:
    """Add the commands that show what a module's server would do; nothing is served."""
    for name, show, text in (
        ("routes", _routes, "list what answers, in the order of picking"),
        ("check", _check, "list what can never work; status 1 if there is anything"),
        ("explain", _explain, "say who answers a request, and why"),
    ):
        command = commands.add_parser(name, help=text, description=f"{text.capitalize()}.")
        command.add_argument("server", metavar="MODULE:SERVER", help=_SERVER)
        if show is _explain:
            command.add_argument("method", metavar="METHOD", help="such as GET")
            command.add_argument("target", metavar="TARGET", help="such as '/user/7?x=1'")
        command.set_defaults(make=_run, show=show)


if __name__ == "__main__":
    sys.exit(main())
