"""Group: where handlers and redirects are registered, below a common prefix or at the top."""

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, TypeVar, cast

from .converters import CONVERTERS, Convert, Converter, own_converter
from .hooks import After, Hooks
from .redirects import Redirect, redirect_head, redirect_status
from .routing import ANY_PATH, Filter, Handler, Route

if TYPE_CHECKING:
    from .detached import Detached

_H = TypeVar("_H", bound=Handler)
_B = TypeVar("_B", bound="Callable[[Detached], object]")
_A = TypeVar("_A", bound=After)


class Group:
    """Handlers whose paths begin with `prefix`; made by `WebServer.group` and `Group.group`.

    Groups of one server share its routes, in the order they are added.
    Raises `ValueError` for a prefix that is none, `TypeError` for one that is no text.
    """

    def __init__(self, prefix: str = "", *, within: "Group | None" = None) -> None:
        if not isinstance(prefix, str):
            raise TypeError(f"a prefix is text such as '/api', not {prefix!r:.80}")
        if prefix and (not prefix.startswith("/") or prefix.endswith("/")):
            raise ValueError(f"a prefix is such as '/api', without a slash at its end: {prefix!r}")
        self.prefix: str = prefix if within is None else within.prefix + prefix
        self.routes: list[Route] = [] if within is None else within.routes
        """The routes in the order they were added; of all groups of the server."""
        self.redirects: dict[str, Redirect] = {} if within is None else within.redirects
        self.converters: dict[str, Converter] = (
            dict(CONVERTERS) if within is None else within.converters
        )
        """The kinds of parameters by name."""
        self.blocking_handlers: set[Handler] = set() if within is None else within.blocking_handlers
        """The handlers that run in threads; of all groups of the server."""
        self.hooks: Hooks = Hooks(None if within is None else within.hooks)
        """The functions that run before and after the handlers."""

    def group(self, prefix: str) -> "Group":
        """A group whose paths begin with `prefix`, after the prefix of this one.

        Raises `ValueError` for a prefix that does not begin with a slash, or ends with one.
        """
        if not prefix:
            raise ValueError("a group has a prefix, such as '/api'")
        return Group(prefix, within=self)

    def route(
        self,
        path: str | None = None,
        methods: Iterable[str] = ("GET",),
        filter: Filter | None = None,
        *,
        any_path: bool = False,
        stream: bool = False,
        body_limit: int | None = None,
    ) -> Callable[[_H], _H]:
        """Decorate the handler for a path: ``@server.route("/user/<int:id>")``.

        A segment ``<name>`` matches any text without ``/``; ``request.params["name"]`` has it.
        ``<int:name>``, ``<uuid:name>`` and own kinds (`add_converter`) match what they can
        convert, ``<path:name>`` the rest of the path.  `any_path=True`, in place of a path, is for
        whatever no other handler takes.
        `filter` gets the request and returns whether the handler is for it; of several handlers
        for a path and method, the first whose filter says yes is called.
        A handler gets the `Request` and answers it, or returns what its answer is made of: text,
        bytes, a dict or list (JSON), ``(body, code)`` or ``(body, code, headers)``.  HEAD is
        answered where GET is, and OPTIONS wherever there is a handler.
        With `stream` the handler is called as soon as the head of the request is there, and takes
        the body in pieces: `Request.receive`, `receive_file`, `receive_form`.  `body_limit` is how
        many bytes a body may have here, in place of ``Limits.body_bytes``; past it 413.  Filters
        of such a path are called at the head, without the body; where not all of its routes have
        `stream`, perhaps once more when the body is there.
        Raises `ValueError` or `TypeError` for a route that could never match.
        """
        if isinstance(methods, str) or not isinstance(methods, Iterable):
            raise TypeError(f"methods is a set of names, such as {{'GET'}}, not {methods!r:.80}")
        names = list(methods)
        if not all(isinstance(name, str) for name in names):
            raise TypeError(f"methods are names, such as 'GET', not {names!r:.80}")
        if any_path == (path is not None):
            raise ValueError(
                f"a route's path begins with '/', or it has any_path=True instead: {path!r:.80}"
            )
        if any_path and self.prefix:
            raise ValueError(f"any_path is of the server: use '/<path:rest>' below {self.prefix!r}")
        full = ANY_PATH if path is None else self._path(path)
        upper = frozenset(name.upper() for name in names)

        def register(handler: _H) -> _H:
            self.routes.append(
                Route(
                    full,
                    handler,
                    upper,
                    filter,
                    self.converters,
                    self.hooks,
                    stream=stream,
                    body_limit=body_limit,
                )
            )
            return handler

        return register

    def get(self, path: str, filter: Filter | None = None) -> Callable[[_H], _H]:
        """`route` for GET, and HEAD."""
        return self.route(path, ("GET",), filter)

    def post(
        self,
        path: str,
        filter: Filter | None = None,
        *,
        stream: bool = False,
        body_limit: int | None = None,
    ) -> Callable[[_H], _H]:
        """`route` for POST."""
        return self.route(path, ("POST",), filter, stream=stream, body_limit=body_limit)

    def put(
        self,
        path: str,
        filter: Filter | None = None,
        *,
        stream: bool = False,
        body_limit: int | None = None,
    ) -> Callable[[_H], _H]:
        """`route` for PUT."""
        return self.route(path, ("PUT",), filter, stream=stream, body_limit=body_limit)

    def patch(
        self,
        path: str,
        filter: Filter | None = None,
        *,
        stream: bool = False,
        body_limit: int | None = None,
    ) -> Callable[[_H], _H]:
        """`route` for PATCH."""
        return self.route(path, ("PATCH",), filter, stream=stream, body_limit=body_limit)

    def delete(
        self,
        path: str,
        filter: Filter | None = None,
        *,
        stream: bool = False,
        body_limit: int | None = None,
    ) -> Callable[[_H], _H]:
        """`route` for DELETE."""
        return self.route(path, ("DELETE",), filter, stream=stream, body_limit=body_limit)

    def blocking(self, handler: _B) -> _B:
        """Decorate a handler that waits, for a database say: it runs in a thread of its worker.

        Above or below `route` and its like, on a group or on the server: all the same, for all
        routes of the handler.  It gets a `Detached` in place of the `Request` (annotate it as
        `Answering`, which both are), and answers before it returns, or later.  What it raises goes
        to the error handlers, in the server's thread; filters run there as well.
        """
        self.blocking_handlers.add(cast(Handler, handler))
        return handler

    def before_request(self, function: _H) -> _H:
        """Call ``function(request)`` before every request; one that answers ends it there.

        It answers as a handler does, by returning something, say.  Functions are called in the
        order they were added, those of the server first.  At a server: for whatever is asked,
        files, redirects and unknown paths too, before it is known who answers (``params`` is
        empty).  At a group: for the handlers of the group, and of the groups below it, when one of
        them was picked.
        """
        _check_callable(function)
        self.hooks.before.append(function)
        return function

    def after_request(self, function: _A) -> _A:
        """Call ``function(request, answer)`` when an answer is about to be sent.

        `answer` is an `Answer`: its status, and its headers, to which more can be added.  In the
        order they were added, those of the server first.  At a server: for every answer to a
        request that was handled, files and errors too.  At a group: for those of its handlers.
        `Request.raw_response` is sent as it is, without asking anybody.  Where such a function
        raises, the answer is a plain 500.  Of an answer that a thread gives, it is called there.
        """
        _check_callable(function)
        self.hooks.after.append(function)
        return function

    def add_converter(self, name: str, convert: Convert) -> None:
        """Add a kind of parameter, for routes that are added after it: ``<hex:id>``.

        ``convert(text)`` gets one segment that is not empty, and returns what
        ``request.params`` shall have; a `ValueError` means that the route is not for this path.
        Own kinds are tried after ``int`` and ``uuid``, in the order they were added, and before
        plain text.  Raises `ValueError` for a name that is taken or none, `TypeError` for what
        cannot be called.
        """
        self.converters[name] = own_converter(name, convert, self.converters)

    def add_redirect(
        self,
        path: str,
        location: str,
        code: int | None = None,
        *,
        permanent: bool | None = None,
        keep_query: bool = False,
    ) -> None:
        """Send requests of exactly `path` to `location`, whatever their method.

        `location` is sent as it is, also below a prefix.  The status is 301, or 302 with
        ``permanent=False``; 307 and 308 as `code` keep the method and the body.  The query of the
        request is dropped, since the answer is rendered ahead; with `keep_query` it is put after
        that of `location`.
        Raises `ValueError` for a path with parameters, a status that is no redirect, `code` and
        `permanent` that contradict each other, and text that no header may hold; `TypeError` for
        what is no text.
        """
        status = redirect_status(code, permanent)
        full = self._path(path)
        redirect_head(full, location, status)
        self.redirects[full] = (location, status, True) if keep_query else (location, status)

    def add_redirects(
        self,
        redirects: Mapping[str, str],
        code: int | None = None,
        *,
        permanent: bool | None = None,
        keep_query: bool = False,
    ) -> None:
        """`add_redirect` for each path and location."""
        for path, location in redirects.items():
            self.add_redirect(path, location, code, permanent=permanent, keep_query=keep_query)

    def _path(self, path: str) -> str:
        """The whole path; in a group, ``""`` is the prefix itself."""
        if not self.prefix or not isinstance(path, str):
            return path
        if path and not path.startswith("/"):
            raise ValueError(f"a route's path begins with '/': {path!r:.80}")
        return self.prefix + path


def _check_callable(function: object) -> None:
    if not callable(function):
        raise TypeError(f"a function is called with the request: {function!r:.80} is none")
