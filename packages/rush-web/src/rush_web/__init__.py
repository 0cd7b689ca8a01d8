"""A web server and framework: handlers, files that are always fresh, several processes.

    from rush_web import WebServer

    server = WebServer(host="127.0.0.1", port=9090, workers=2, root="public", files="/static/")

    @server.route("/hello", methods={"GET"})
    def hello(request):
        args = request.parse_args()
        request.response(f"Hello, {args.get('name', 'world')}!")

    if __name__ == "__main__":
        server.run()

`WebServer` binds, forks its workers and watches over them.  In each worker a `HandlersManager`
picks what answers a request: a redirect, then handlers by path, method and filter, then files;
`WebServer.check` and `WebServer.explain` tell ahead what it will be.
There is one `Request` in a worker, filled anew for each request: use it while the handler runs.
`Request.snapshot` is a copy to keep, `Request.detach` answers later.  A handler holds its worker
until it returns; one that waits for something is for `WebServer.blocking`.

``rush serve DIR`` and ``rush run module:server`` do it from the command line; ``rush routes``,
``rush check`` and ``rush explain`` show what is registered.
"""

from .answering import Answering
from .args import Args, MissingArgument
from .check import Problem
from .converters import Convert
from .cookies import CookieSigner
from .detached import Detached
from .development import DevelopmentManager, StaleRequest
from .events import EventStream
from .explain import Explanation
from .failures import ErrorKind
from .forms import Form, FormLimits, MultipartReader, Upload
from .groups import Group
from .handlers import HandlersManager
from .hooks import After, Answer
from .jsons import EncodeJson
from .request import Request
from .routing import Filter, Handler, MethodNotAllowed, Route
from .server import WebServer
from .snapshot import Snapshot
from .values import Returned

__all__ = [
    "After",
    "Answer",
    "Answering",
    "Args",
    "Convert",
    "CookieSigner",
    "Detached",
    "DevelopmentManager",
    "EncodeJson",
    "ErrorKind",
    "EventStream",
    "Explanation",
    "Filter",
    "Form",
    "FormLimits",
    "Group",
    "Handler",
    "HandlersManager",
    "MethodNotAllowed",
    "MissingArgument",
    "MultipartReader",
    "Problem",
    "Request",
    "Returned",
    "Route",
    "Snapshot",
    "StaleRequest",
    "Upload",
    "WebServer",
]

__version__ = "0.1.0"
