"""The `rush` command."""

import argparse
import logging
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Final, TypeVar

from rush_http import HttpError

from .commands import complain, parse
from .config import ConfigError, configure, table
from .crew import START_FAILED
from .explain import described
from .files import place_of
from .greeting import greeting
from .programs import LoadFailed, Mistake, load_application, load_server
from .routing import Router
from .server import WebServer, say
from .sockets import CannotListen, addresses_of

_T = TypeVar("_T")

_STOPS: Final = {"Ctrl-C": "stops it"}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status: 2 if it was called wrongly, 1 if it cannot run.

    What goes wrong in the user's own module is shown with its traceback: status 3, as for a server
    whose workers cannot start.
    """
    options = parse(argv)
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr
    )
    try:
        return _DOES[options.command](options)
    except (Mistake, ConfigError) as mistake:
        complain(str(mistake))
        return 2
    except KeyboardInterrupt:
        return 130  # before there was a server to stop
    except OSError as error:  # of a file that an option names
        complain(str(error))
        return 1


# What serves


def _serve(options: argparse.Namespace) -> int:
    if options.fallback is not None:
        options.fallback = "/" + options.fallback.lstrip("/")
    server = WebServer(root=options.directory, files="/")
    if not options.live:
        return _run_server(server, options, _in_production)
    from .dev import live  # noqa: F401 - of all workers it is the same then

    server.development = server.live = server.request_lines = True
    server.workers = 1
    more = "pages reload when their files are saved"
    return _run_server(server, options, lambda it: greeting(it, "development", _STOPS, more))


def _in_production(banner: str) -> str:
    return greeting(banner, "production", _STOPS)


def _run(options: argparse.Namespace) -> int:
    server = _loaded(load_server, options.server)
    return _run_server(server, options, _in_production)


def _wsgi(options: argparse.Namespace) -> int:
    server = WebServer(wsgi=_loaded(load_application, options.application))
    return _run_server(server, options, _in_production)


def _dev(options: argparse.Namespace) -> int:
    from .dev.command import begin  # the others need nothing of it

    begun = begin(options)
    try:
        return _run_server(begun.server, options, begun.greeted)
    except SystemExit as ended:
        if ended.code != START_FAILED:
            raise
        return begun.failed()  # what is called at the start has, and the log says why


def _run_server(
    server: WebServer, options: argparse.Namespace, greeted: Callable[[str], str]
) -> int:
    """Serve as the options say; what `greeted` makes of the banner is said when it does."""
    settings = configure(server, os.environ, options)
    try:
        server._check()
    except ValueError as error:
        raise ConfigError(str(error)) from error
    if options.show_config:
        return _printed(table(settings), 0)
    if server.root is not None and not os.path.isdir(server.root):
        from .advice import no_folder

        raise Mistake(no_folder(os.fspath(server.root)))
    try:
        return server.run(on_ready=lambda banner: say(greeted(banner)), environ={})
    except CannotListen as error:
        from .occupied import advice

        lines = advice(error, addresses_of(server.bind, server.host, server.port))
        complain(str(error.strerror), *lines)
        return 1


def _loaded(load: Callable[[str], _T], target: str) -> _T:
    """What a command names; a module that raises ends the program, with its traceback."""
    try:
        return load(target)
    except LoadFailed as error:
        print(error.text, end="", file=sys.stderr)
        raise SystemExit(START_FAILED) from error


# What shows


def _routes(options: argparse.Namespace) -> int:
    server = _loaded(load_server, options.server)
    redirects = (f"any {path} -> {to[0]} ({to[1]})" for path, to in server.redirects.items())
    endpoints = Router(server.routes).ordered()
    routes = (described(route) for endpoint in endpoints for route in endpoint.routes)
    files = [] if server.files is None else [f"GET,HEAD {server.files}: files{place_of(server)}"]
    return _printed((*redirects, *routes, *files), 0)


def _check(options: argparse.Namespace) -> int:
    problems = _loaded(load_server, options.server).check()
    return _printed(problems or ["no problems"], 1 if problems else 0)


def _explain(options: argparse.Namespace) -> int:
    server = _loaded(load_server, options.server)
    try:
        return _printed([server.explain(options.method.upper(), options.target)], 0)
    except HttpError as error:
        raise Mistake(f"no request can ask so ({error.status}): {error}") from error


def _printed(lines: Iterable[object], status: int) -> int:
    for line in lines:
        print(line)
    return status


def _top(options: argparse.Namespace) -> int:
    from .top import top  # which needs the terminal, and nobody else does

    return top(options.which, once=options.once, as_json=options.json, interval=options.every)


def _bench(options: argparse.Namespace) -> int:
    from .bench.command import bench  # nor this

    return bench(options)


def _new(options: argparse.Namespace) -> int:
    from .new import make_project

    return _printed(make_project(options.directory), 0)


_DOES: Final = {
    "new": _new,
    "dev": _dev,
    "run": _run,
    "serve": _serve,
    "wsgi": _wsgi,
    "routes": _routes,
    "check": _check,
    "explain": _explain,
    "top": _top,
    "bench": _bench,
}


if __name__ == "__main__":
    sys.exit(main())
