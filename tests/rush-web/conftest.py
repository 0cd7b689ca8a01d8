import contextlib
import logging
import os
import textwrap

import pytest

from programs import Program
from rawclient import RawClient
from rush_http import HttpServer
from rush_loader import Loader
from rush_web import HandlersManager, Route

HEAD = """
import os, signal, sys, time
from rush_loader import Loader, Mounts
from rush_web import WebServer
"""

PID = """
@server.get("/pid")
def pid(request):
    request.response(str(os.getpid()))
"""


class App:
    """One worker's `HttpServer` and `HandlersManager`, in a thread, with routes made for a test."""

    def __init__(self, stack, root, log):
        self._stack = stack
        self.root = root
        self.log = log
        self.routes = []
        self.errors = {}
        self.redirects = {}

    def route(self, path, *methods, filter=None, **options):
        def register(handler):
            route = Route(path, handler, frozenset(methods or ("GET",)), filter, **options)
            self.routes.append(route)
            return handler

        return register

    def error(self, name):
        def register(handler):
            self.errors[name] = handler
            return handler

        return register

    def start(self, loader_class=Loader, manager_class=HandlersManager, **options):
        """Serve; returns a client."""
        loader = self._stack.enter_context(loader_class(self.root))
        server = self._stack.enter_context(HttpServer(("127.0.0.1", 0)))
        server.on_message_complete = manager_class(
            self.routes, self.errors, self.redirects, loader, server, **options
        )
        self._stack.callback(server.on_message_complete.close)
        server.run(threaded=True)
        self.server, self.loader, self.address = server, loader, server.address
        return self.client()

    def serve(self, made, manager_class=HandlersManager):
        """Serve what was registered with a `WebServer`; returns a client."""
        self.routes, self.errors, self.redirects = made.routes, made.error_handlers, made.redirects
        return self.start(
            manager_class=manager_class,
            files=made.files,
            trailing_slash=made.trailing_slash,
            blocking=made.blocking_handlers,
            hooks=made.hooks,
            json=made.json,
        )

    def client(self):
        return self._stack.enter_context(RawClient(self.address))

    def logged(self, level=logging.ERROR):
        return [record.getMessage() for record in self.log.records if record.levelno >= level]


@pytest.fixture
def app(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    root = tmp_path / "root"
    root.mkdir()
    with contextlib.ExitStack() as stack:
        yield App(stack, root, caplog)


@pytest.fixture
def launch(tmp_path):
    """Start a Python program, by its arguments; ended when the test ends."""
    with contextlib.ExitStack() as stack:

        def launch(*arguments, **options):
            program = Program(*arguments, **{"cwd": tmp_path, **options})
            stack.callback(program.end)
            return program

        yield launch


@pytest.fixture
def write(tmp_path):
    """Write a server's program into a file: its options, and what comes then."""

    def write(options="", source="", run="server.run()", name="app.py"):
        made = f"server = WebServer(port=0, workers=2, {options})\n"
        path = tmp_path / name
        path.write_text(HEAD + made + PID + textwrap.dedent(source) + "\n" + run + "\n")
        return path

    return write


@pytest.fixture
def serve(launch, write):
    """Start such a program, and wait until it serves."""

    def serve(options="", source="", pass_fds=(), **more):
        return launch(write(options, source, **more), pass_fds=pass_fds).ready()

    return serve


@pytest.fixture
def fifo(tmp_path):
    """Write to the pipe on which a handler waits; the handler is there when this is called back."""
    path = tmp_path / "fifo"
    os.mkfifo(path)
    opened = []

    def let_go(text="late"):
        opened[0].write(text)
        opened[0].close()

    def wait_for_handler():
        opened.append(path.open("w"))  # waits for the reader
        return let_go

    yield wait_for_handler
    for file in opened:
        file.close()
